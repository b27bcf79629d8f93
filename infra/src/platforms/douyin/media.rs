//! What files the platform takes: the page of `upload_video` and notes on it, as of 2026-11.

use domain::content::model::{MediaRules, MediaTarget};

/// At most 4 GB and 15 minutes, MP4 (recommended) or WebM; upright, 16:9 and at least 720 pixels are advice. How a file is
/// coded the page does not say: what is advised of that is our own, what phones of the last years play in these containers.
pub(in crate::platforms) const MEDIA_RULES: MediaRules = MediaRules {
    containers: &["mp4", "webm"],
    size_max_bytes: 4 * 1_000 * 1_000 * 1_000,
    duration_max_ms: 15 * 60 * 1_000,
    short_side_advised: 720,
    portrait_advised: true,
    aspect_advised: (16, 9),
    video_codecs_advised: &["h264", "hevc", "vp8", "vp9"],
    pixel_formats_advised: &["yuv420p", "yuvj420p"],
    frame_rate_advised_milli: 60_000,
    audio_codecs_advised: &["aac", "mp3", "opus", "vorbis"],
    target: MediaTarget {
        container: "mp4",
        media_type: "video/mp4",
        video_encoder: "libx264",
        pixel_format: "yuv420p",
        short_side_max: 1_080,
        frame_rate_max_milli: 60_000,
        video_rate_max_bps: 8_000_000,
        audio_encoder: "aac",
        audio_rate_bps: 128_000,
        sample_rate_hz: 44_100,
        channels_max: 2,
    },
};
