//! What can be said to a caller of content. Every variant is fit to show.

use crate::kernel::{actor::Denied, fault::PortError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The actor lacks a permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field of the input is no good.
    #[error("{field} {problem}")]
    Invalid {
        /// The input's field, in camel case.
        field: &'static str,
        /// What is wrong with it, as it follows the name.
        problem: &'static str,
    },
    /// The input names nothing there is in this tenant.
    #[error("{field} names nothing there is")]
    NotFound {
        /// The input's field, in camel case.
        field: &'static str,
    },
    /// The tenant has as many files on their way in as it may.
    #[error("{max} uploads are open; finish or cancel some first")]
    UploadsFull {
        /// How many.
        max: u32,
    },
    /// The upload has ended, or all of it is here.
    #[error("the upload is not open any more; begin another")]
    UploadClosed,
    /// Another byte is missing first.
    #[error("the next byte wanted is {expected}")]
    OffsetWrong {
        /// The first byte that is missing.
        expected: u64,
    },
    /// There is more than was announced.
    #[error("the file was announced with {size_bytes} bytes, and this is more")]
    TooLong {
        /// What was announced.
        size_bytes: u64,
    },
    /// It came in smaller pieces than can be kept track of.
    #[error("the upload has {max} parts; begin again with larger ones")]
    TooManyParts {
        /// How many.
        max: u32,
    },
    /// A piece named is not all here, or no piece.
    #[error(
        "a piece is not all here, is no piece, or was joined already; send what is missing, then join again"
    )]
    NotJoinable,
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ContentError {
    /// The short word an audit event gives as its reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Invalid { .. } => "invalid_input",
            Self::NotFound { .. } => "not_found",
            Self::UploadsFull { .. } => "uploads_full",
            Self::UploadClosed => "upload_closed",
            Self::OffsetWrong { .. } => "offset_wrong",
            Self::TooLong { .. } => "too_long",
            Self::TooManyParts { .. } => "too_many_parts",
            Self::NotJoinable => "not_joinable",
            Self::Port(_) => "unavailable",
        }
    }
}
