//! What files the platform takes: the page of `upload_video` and notes on it, as of 2026-11.

use domain::content::model::MediaRules;

/// At most 4 GB and 15 minutes, MP4 (recommended) or WebM; upright, 16:9 and at least 720 pixels are advice.
pub(in crate::platforms) const MEDIA_RULES: MediaRules = MediaRules {
    containers: &["mp4", "webm"],
    size_max_bytes: 4 * 1_000 * 1_000 * 1_000,
    duration_max_ms: 15 * 60 * 1_000,
    short_side_advised: 720,
    portrait_advised: true,
    aspect_advised: (16, 9),
};
