//! What is posted, how it can stand, and what is heard of it.

use std::collections::BTreeSet;

use crate::kernel::{clock::Timestamp, ids::UploadId, platform::Refusal};

/// Who may see a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Friends of the account's owner.
    Friends,
    /// The owner alone.
    OnlyMe,
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostDraft {
    /// The file.
    pub upload: UploadId,
    /// The text beside it.
    pub caption: String,
    /// Which instant of the video is its cover, in milliseconds.
    pub cover_at_ms: Option<u64>,
    /// Who may see it.
    pub visibility: Visibility,
}

/// The file as the platform has it, good for one creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// The platform's name for it.
    pub id: String,
}

/// How far an upload in parts has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartMap {
    /// The platform's name for the upload.
    pub ticket: String,
    /// When it was begun: it is good for a while only.
    pub begun_at: Timestamp,
    /// Bytes of each part but the last.
    pub part_bytes: u64,
    /// Numbers of the parts that are there, from 1.
    pub there: BTreeSet<u32>,
}

/// How what was read on the platform stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// In review, or a word nobody knows.
    Pending,
    /// Passed.
    Public,
    /// Not fit to be shown, or taken down.
    Refused,
}

/// A post as it was found on the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The platform's name for it.
    pub item: String,
    /// When the platform says it was made.
    pub created_at: Timestamp,
    /// How it stands.
    pub standing: Standing,
}

/// What reading the platform showed of a creation that had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Exactly one post that can only be of this creation.
    One(Found),
    /// None, though all posts since before it was asked for were read.
    None,
    /// Several that may be: somebody must look.
    Several(u32),
}

/// Why a post came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostFailure {
    /// The platform said no, and will again.
    Refused(Refusal),
    /// It was tried as often as is worth it.
    TriesUsedUp,
}

/// Where a post stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostState {
    /// It can be changed.
    Draft,
    /// Somebody must agree to exactly this.
    AwaitingApproval,
    /// It is due at an instant, or again after a pause.
    Waiting {
        /// When.
        due_at: Timestamp,
    },
    /// The file is on its way to the platform.
    Uploading {
        /// How far, when it goes in parts.
        parts: Option<PartMap>,
    },
    /// The platform has the file, and has not been asked to post it.
    Uploaded {
        /// The file there.
        medium: Medium,
    },
    /// The platform was asked to post it, and nobody knows its answer yet.
    Creating {
        /// When it was written down that it would be.
        asked_at: Timestamp,
    },
    /// The answer was lost. What was done is found out by reading.
    OutcomeUnknown {
        /// When it had been asked for.
        asked_at: Timestamp,
        /// How many posts it may be, when there are several.
        candidates: u32,
    },
    /// The platform has posted it and is looking at it.
    UnderReview {
        /// The platform's name for it.
        item: String,
    },
    /// It can be seen by whom it is for.
    Live {
        /// The platform's name for it.
        item: String,
    },
    /// The platform has looked at it and does not show it, or not any more.
    Rejected {
        /// The platform's name for it.
        item: String,
    },
    /// It came to nothing, and surely nothing is there.
    Failed(PostFailure),
    /// Somebody gave it up before it was asked for.
    Cancelled,
}

/// What is done to a post; for who asks what may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostOp {
    /// Somebody is to agree.
    Submit,
    /// Somebody agrees.
    Approve,
    /// It is given up.
    Cancel,
    /// What failed is tried again.
    Retry,
}

impl PostOp {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Approve, Self::Cancel, Self::Retry];
}

/// How a post ended, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It has a next step, ours or the platform's.
    Open,
    /// It is on the platform.
    There,
    /// It is not.
    NotThere,
}

/// Why a step was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostFault {
    /// Its state does not allow it.
    #[error("the post does not stand so that this can be done")]
    NotNow,
    /// It may be on the platform: that has to be found out first.
    #[error("whether it was posted is not known yet; it is being found out")]
    OutcomeUnknown,
    /// What was agreed to is another.
    #[error("the post was changed after it was looked at; look again")]
    Changed,
    /// The platform was asked too soon for its silence to mean anything.
    #[error("the platform's lists may not show it yet")]
    TooSoon,
}
