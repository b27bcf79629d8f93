//! Files that are to be posted: how they come in, and what is known of them.
//!
//! Vocabulary: an *upload* is a file on its way in, or one that has arrived; it comes in *parts*, runs of bytes that are
//! kept as one object each; a *partial* upload is a piece of a file that is sent beside others and *joined* with them
//! when all are there. A *transcode* is an upload that this service makes of another, so that a platform has nothing
//! against it.
//!
//! Invariants:
//! - A part is kept before it is counted, and counted at one offset only, the first byte that is missing: what was
//!   counted is there, whoever is killed at any moment.
//! - A file is of use only once all of it was read back and its digest is known, and is the one that was announced, if
//!   any was.
//! - An upload ends once: finished, given up, or too old. Nothing is added to it from then on, and what nobody refers
//!   to is thrown away.
//! - A file is made by one worker at a time: who begins counts the upload's version on, and what is told under an older one
//!   is refused. Nothing of it is counted before all of it is there.
//! - What is announced and kept of a tenant is never more than it may have.
//!
//! Absent on purpose: a copy of the file in one piece. Readers take the ranges they need from the parts.

pub mod actions;
mod error;
pub mod events;
pub mod model;
pub mod ports;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod use_cases;

pub use error::ContentError;
pub use ports::UploadFilter;
pub use use_cases::{
    Content, ContentPorts,
    begin_upload::BeginUpload,
    check_upload::UploadTurn,
    finish_transcode::TranscodeTurn,
    read_uploads::{ContentRoom, StoredFile},
    receive_parts::StagedPart,
};
