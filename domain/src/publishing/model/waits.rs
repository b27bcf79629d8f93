//! Posts that stand where they are for too long.

use super::{post::Post, state::PostStatus};
use crate::kernel::clock::Timestamp;

/// What a post waits for that should have come by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overdue {
    /// Its time has come and nobody has agreed to it.
    ForApproval,
    /// The platform has not taken it, a quarter of an hour after it was promised.
    ForPlatform,
    /// The platform has looked at it for two days.
    InReview,
}

impl Overdue {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ForApproval, Self::ForPlatform, Self::InReview];

    /// The word stores and figures keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForApproval => "for_approval",
            Self::ForPlatform => "for_platform",
            Self::InReview => "in_review",
        }
    }

    /// For how long a post may wait for it, in seconds.
    pub const fn patience_s(self) -> i64 {
        match self {
            Self::ForApproval => 0,
            Self::ForPlatform => 900,
            Self::InReview => 2 * 86_400,
        }
    }
}

impl Post {
    /// What it waits for too long; `None` when it does not.
    pub fn overdue(&self, now: Timestamp) -> Option<Overdue> {
        let (waits, since) = match self.state.status() {
            PostStatus::AwaitingApproval => (Overdue::ForApproval, self.planned_at),
            PostStatus::Waiting
            | PostStatus::Uploading
            | PostStatus::Uploaded
            | PostStatus::Creating
            | PostStatus::OutcomeUnknown => {
                (Overdue::ForPlatform, self.promised_at.unwrap_or(self.planned_at))
            }
            PostStatus::UnderReview => (Overdue::InReview, self.accepted_at.unwrap_or(self.planned_at)),
            PostStatus::Draft
            | PostStatus::Live
            | PostStatus::Rejected
            | PostStatus::Gone
            | PostStatus::Failed
            | PostStatus::Cancelled => return None,
        };
        ((now - since).num_seconds() > waits.patience_s()).then_some(waits)
    }
}
