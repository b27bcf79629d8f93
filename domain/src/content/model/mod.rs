//! Values and states of content.

mod media;
mod state;
mod transcode;
mod upload;

pub use media::{AudioFacts, Finding, FindingCode, MediaFacts, MediaRules, Probed, Severity, VideoFacts};
pub use state::{Piece, UploadState};
pub use transcode::{
    ATTEMPTS_MAX, MediaTarget, Recipe, TRANSCODES_OPEN_MAX, Transcode, TranscodeFailure, Unmended,
};
pub use upload::{
    PARTS_MAX, PIECES_MAX, Part, UPLOAD_BYTES_MAX, UPLOAD_LIFE_S, UPLOADS_OPEN_MAX, Upload, UploadDraft,
};
