//! What mutations on content are given.

use async_graphql::{ID, InputObject};

/// What is to come in.
#[derive(InputObject)]
pub struct BeginUploadInput {
    /// What the file is called, at most 255 characters.
    pub(super) name: String,
    /// Its media type, as `video/mp4`.
    pub(super) media_type: Option<String>,
    /// Its length in bytes, in decimal digits; at most 4294967296 (4 GiB).
    pub(super) size_bytes: String,
    /// Its SHA-256 in 64 hexadecimal digits. Another file than this one is refused when all of it is here.
    pub(super) sha256: Option<String>,
}

/// Which upload.
#[derive(InputObject)]
pub struct CancelUploadInput {
    /// The upload's id.
    pub(super) id: ID,
}

/// Which upload, and what for.
#[derive(InputObject)]
pub struct TranscodeUploadInput {
    /// The upload's id.
    pub(super) id: ID,
    /// The platform that is to have nothing against the file, as `douyin`.
    pub(super) platform: String,
}
