//! What is posted, how it can stand, and what is heard of it.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::kernel::{
    actor::Permission,
    clock::Timestamp,
    ids::{AccountId, UploadId},
    platform::Refusal,
};

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

impl Visibility {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Public, Self::Friends, Self::OnlyMe];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Friends => "friends",
            Self::OnlyMe => "only_me",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.as_str() == text)
    }
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

impl PostDraft {
    /// What somebody agrees to: SHA-256 over everything that will be posted, where and when. Each field is preceded by its
    /// length, so that no two objects read the same.
    pub fn digest(&self, account: AccountId, planned_at: Timestamp) -> [u8; 32] {
        let cover = self.cover_at_ms.map(|ms| ms.to_string()).unwrap_or_default();
        let planned_at = planned_at.timestamp_millis().to_string();
        let mut hasher = Sha256::new();
        for field in [
            b"matricula post v1".as_slice(),
            account.uuid().as_bytes(),
            self.upload.uuid().as_bytes(),
            self.caption.as_bytes(),
            cover.as_bytes(),
            self.visibility.as_str().as_bytes(),
            planned_at.as_bytes(),
        ] {
            hasher.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(field);
        }
        hasher.finalize().into()
    }
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

impl Standing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Public, Self::Refused];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Public => "public",
            Self::Refused => "refused",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text)
    }
}

/// How asking for a post ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreationEnd {
    /// There is no answer.
    Open,
    /// It was done: the platform's name for the post.
    Done(String),
    /// It was not reached, or said that it was too busy: its word for having done nothing is not taken for more than it is.
    NotDone,
    /// It does not take the medium: it was posted with already, or is not known there.
    MediumRefused,
    /// It considered and refused, or was never asked: nothing came of it.
    Refused,
    /// Reading the platform showed that it was not done, or somebody said so.
    Absent,
}

/// One time the platform was asked for a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Which, from 1.
    pub number: u32,
    /// What it was asked with.
    pub medium: Medium,
    /// When it was written down that it would be.
    pub asked_at: Timestamp,
    /// What came of it.
    pub end: CreationEnd,
}

/// A post found on the platform that nobody here knows, and that may be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The platform's name for it.
    pub item: String,
    /// The text beside it there.
    pub caption: String,
    /// When the platform says it was made.
    pub created_at: Timestamp,
    /// How it stands.
    pub standing: Standing,
    /// Whether it has our text, and was made when ours would have been.
    pub is_likely: bool,
}

/// Why a post came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostFailure {
    /// The platform said no, and will again.
    Refused(Refusal),
    /// It was tried as often as is worth it.
    TriesUsedUp,
    /// The file is not there any more.
    FileGone,
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
        /// Which of the creations.
        number: u32,
    },
    /// The answer was lost. What was done is found out by reading.
    OutcomeUnknown {
        /// What was read that may be it.
        candidates: Vec<Candidate>,
        /// Whether reading has said all it can, so that somebody must look.
        is_stuck: bool,
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
    /// It was there, and is not any more: its owner or the platform took it away.
    Gone {
        /// The platform's name for it.
        item: String,
    },
    /// It came to nothing, and as far as can be known nothing is there.
    Failed(PostFailure),
    /// Somebody gave it up before it was there.
    Cancelled,
}

/// A state's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostStatus {
    /// [`PostState::Draft`].
    Draft,
    /// [`PostState::AwaitingApproval`].
    AwaitingApproval,
    /// [`PostState::Waiting`].
    Waiting,
    /// [`PostState::Uploading`].
    Uploading,
    /// [`PostState::Uploaded`].
    Uploaded,
    /// [`PostState::Creating`].
    Creating,
    /// [`PostState::OutcomeUnknown`].
    OutcomeUnknown,
    /// [`PostState::UnderReview`].
    UnderReview,
    /// [`PostState::Live`].
    Live,
    /// [`PostState::Rejected`].
    Rejected,
    /// [`PostState::Gone`].
    Gone,
    /// [`PostState::Failed`].
    Failed,
    /// [`PostState::Cancelled`].
    Cancelled,
}

impl PostStatus {
    /// All of them, in the order a post goes through them.
    pub const ALL: [Self; 13] = [
        Self::Draft,
        Self::AwaitingApproval,
        Self::Waiting,
        Self::Uploading,
        Self::Uploaded,
        Self::Creating,
        Self::OutcomeUnknown,
        Self::UnderReview,
        Self::Live,
        Self::Rejected,
        Self::Gone,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Waiting => "waiting",
            Self::Uploading => "uploading",
            Self::Uploaded => "uploaded",
            Self::Creating => "creating",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::UnderReview => "under_review",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl PostState {
    /// Its name.
    pub const fn status(&self) -> PostStatus {
        match self {
            Self::Draft => PostStatus::Draft,
            Self::AwaitingApproval => PostStatus::AwaitingApproval,
            Self::Waiting { .. } => PostStatus::Waiting,
            Self::Uploading { .. } => PostStatus::Uploading,
            Self::Uploaded { .. } => PostStatus::Uploaded,
            Self::Creating { .. } => PostStatus::Creating,
            Self::OutcomeUnknown { .. } => PostStatus::OutcomeUnknown,
            Self::UnderReview { .. } => PostStatus::UnderReview,
            Self::Live { .. } => PostStatus::Live,
            Self::Rejected { .. } => PostStatus::Rejected,
            Self::Gone { .. } => PostStatus::Gone,
            Self::Failed(_) => PostStatus::Failed,
            Self::Cancelled => PostStatus::Cancelled,
        }
    }

    /// The platform's name for the post, once it is or was there.
    pub fn item(&self) -> Option<&str> {
        match self {
            Self::UnderReview { item }
            | Self::Live { item }
            | Self::Rejected { item }
            | Self::Gone { item } => Some(item),
            Self::Draft
            | Self::AwaitingApproval
            | Self::Waiting { .. }
            | Self::Uploading { .. }
            | Self::Uploaded { .. }
            | Self::Creating { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Failed(_)
            | Self::Cancelled => None,
        }
    }
}

/// What somebody may do to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostOp {
    /// Somebody is to agree.
    Submit,
    /// Somebody agrees.
    Approve,
    /// What is posted, or when, is changed.
    Change,
    /// It is given up.
    Cancel,
    /// What failed is tried again.
    Retry,
    /// Somebody who has looked says what became of it.
    Resolve,
}

impl PostOp {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Submit, Self::Approve, Self::Change, Self::Cancel, Self::Retry, Self::Resolve];

    /// What an actor must be allowed to do it.
    pub const fn needs(self) -> Permission {
        match self {
            Self::Submit | Self::Change | Self::Cancel | Self::Retry => Permission::ManagePosts,
            Self::Approve | Self::Resolve => Permission::ApprovePosts,
        }
    }
}

/// What somebody who has looked says of a creation that had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is this post.
    Is(String),
    /// It is not there: post it.
    PostAgain,
    /// It is not there: give it up.
    GiveUp,
}

/// How a post ended, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It has a next step: ours, the platform's, or somebody's who must look.
    Open,
    /// It is, or was, on the platform.
    There,
    /// It is not.
    NotThere,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Bring the file there.
    Upload,
    /// Ask for the post.
    Create,
    /// Read what became of a creation.
    FindOut,
    /// Read how it stands.
    Look,
}

/// What reading the platform came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// It is there.
    Found,
    /// It is not there, and is asked for again or given up.
    Absent,
    /// Too early to say.
    NotYet,
    /// Reading says no more: somebody must look.
    Stuck,
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
    /// None of the posts found is called so.
    #[error("no post that was found on the platform has this name")]
    NoCandidate,
    /// The platform's lists may not show it yet.
    #[error("the platform's lists may not show it yet; try again in some minutes")]
    TooSoon,
}
