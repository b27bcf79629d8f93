//! FFmpeg's programs, on files that strangers sent. Each run is a process of its own with an empty environment, bounded
//! in time, memory and processor time (`prlimit` of util-linux), that may open files and nothing else.

mod arguments;
mod probe;
mod progress;
mod report;
mod transcode;

pub use probe::Ffprobe;
pub use transcode::Ffmpeg;
