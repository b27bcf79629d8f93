//! Values and states of content.

mod media;
mod upload;

pub use media::{AudioFacts, Finding, FindingCode, MediaFacts, MediaRules, Probed, Severity, VideoFacts};
pub use upload::{
    PARTS_MAX, PIECES_MAX, Part, Piece, UPLOAD_BYTES_MAX, UPLOAD_LIFE_S, UPLOADS_OPEN_MAX, Upload,
    UploadDraft, UploadState,
};
