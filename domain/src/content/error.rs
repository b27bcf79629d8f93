//! What can be said to a caller of content. Every variant is fit to show.

use super::model::{FindingCode, Unmended};
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
    /// The installation knows no such platform.
    #[error("platform {platform:?} is none this installation knows")]
    PlatformUnknown {
        /// What was asked for.
        platform: String,
    },
    /// The file is not all here, was not read back yet, or is gone.
    #[error("the upload is not READY; wait until it is, or send the file again")]
    UploadNotReady,
    /// The platform has nothing against the file.
    #[error("there is nothing to mend: post it as it is")]
    NothingToMend,
    /// Making another file of it does not help.
    #[error("{} can't be mended by making another file of this one", .finding.as_str())]
    NotMendable {
        /// What preflight found.
        finding: FindingCode,
    },
    /// The tenant has as many files in the making as it may.
    #[error("{max} files are in the making; wait for some, or cancel them")]
    TranscodesFull {
        /// How many.
        max: u32,
    },
    /// The tenant has no room for it.
    #[error(
        "{field}: {used_bytes} of {max_bytes} bytes are used and {wanted_bytes} more are wanted; cancel what is not needed"
    )]
    StorageFull {
        /// The input's field that asks for too much.
        field: &'static str,
        /// What is announced and kept.
        used_bytes: u64,
        /// What may be.
        max_bytes: u64,
        /// What was asked for.
        wanted_bytes: u64,
    },
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<Unmended> for ContentError {
    fn from(unmended: Unmended) -> Self {
        match unmended {
            Unmended::NothingToMend => Self::NothingToMend,
            Unmended::NotMendable(finding) => Self::NotMendable { finding },
        }
    }
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
            Self::PlatformUnknown { .. } => "platform_unknown",
            Self::UploadNotReady => "upload_not_ready",
            Self::NothingToMend => "nothing_to_mend",
            Self::NotMendable { .. } => "not_mendable",
            Self::TranscodesFull { .. } => "transcodes_full",
            Self::StorageFull { .. } => "storage_full",
            Self::Port(_) => "unavailable",
        }
    }
}
