//! What happens to a post: the notes of its timeline, and the facts subscribers are told, in the past tense.

use uuid::Uuid;

use super::model::PostStatus;
use crate::kernel::{
    clock::Timestamp,
    feed::{Fact, News},
    ids::{AccountId, ComplianceId, PlanId, PostId},
};

/// What a note is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// It was planned.
    Planned,
    /// Somebody changed it.
    Changed,
    /// Somebody agreed to it.
    Approved,
    /// Somebody gave it up.
    Cancelled,
    /// Somebody had it tried again.
    Retried,
    /// Somebody said what became of it.
    Resolved,
    /// A worker began.
    Begun,
    /// An upload in parts was begun.
    PartsBegun,
    /// The platform has the file.
    Uploaded,
    /// The platform is about to be asked for it.
    Asked,
    /// The platform was not asked after all.
    NotAsked,
    /// The platform posted it.
    Created,
    /// The answer was lost.
    AnswerLost,
    /// Reading showed that it is there.
    Found,
    /// Reading showed that it is not there.
    Absent,
    /// Reading does not show what became of it: somebody must look.
    Stuck,
    /// A step was not done, and is tried again.
    Hindered,
    /// It waits for something that is not the platform's to give.
    Held,
    /// It came to nothing.
    Failed,
    /// The platform looks at it again.
    Reviewing,
    /// The platform shows it.
    Live,
    /// The platform does not show it.
    Rejected,
    /// It is not there any more.
    Gone,
    /// It is there a second time.
    Duplicated,
}

impl NoteKind {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::Planned,
        Self::Changed,
        Self::Approved,
        Self::Cancelled,
        Self::Retried,
        Self::Resolved,
        Self::Begun,
        Self::PartsBegun,
        Self::Uploaded,
        Self::Asked,
        Self::NotAsked,
        Self::Created,
        Self::AnswerLost,
        Self::Found,
        Self::Absent,
        Self::Stuck,
        Self::Hindered,
        Self::Held,
        Self::Failed,
        Self::Reviewing,
        Self::Live,
        Self::Rejected,
        Self::Gone,
        Self::Duplicated,
    ];

    /// The word stores and audit events keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Changed => "changed",
            Self::Approved => "approved",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::Resolved => "resolved",
            Self::Begun => "begun",
            Self::PartsBegun => "parts_begun",
            Self::Uploaded => "uploaded",
            Self::Asked => "asked",
            Self::NotAsked => "not_asked",
            Self::Created => "created",
            Self::AnswerLost => "answer_lost",
            Self::Found => "found",
            Self::Absent => "absent",
            Self::Stuck => "stuck",
            Self::Hindered => "hindered",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Reviewing => "reviewing",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Gone => "gone",
            Self::Duplicated => "duplicated",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One line of a post's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostNote {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: NoteKind,
    /// How the post stood from then on.
    pub status: PostStatus,
    /// More of it: an answer's word, the platform's name of the post, what was found. Nothing secret.
    pub detail: Option<String>,
    /// The answer or turn it was part of; its events in the audit log are found by it.
    pub compliance_id: ComplianceId,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishingFact {
    /// A plan was made.
    PlanCreated(PlanId),
    /// A post stands otherwise than before.
    PostMoved(PostId),
    /// Figures of an account's posts are others than before.
    FiguresMoved(AccountId),
}

/// A fact and when it happened.
pub type PublishingEvent = News<PublishingFact>;

impl Fact for PublishingFact {
    const CONTEXT: &'static str = "publishing";

    fn name(self) -> &'static str {
        match self {
            Self::PlanCreated(_) => "plan_created",
            Self::PostMoved(_) => "post_moved",
            Self::FiguresMoved(_) => "figures_moved",
        }
    }

    fn subject(self) -> Uuid {
        match self {
            Self::PlanCreated(id) => id.uuid(),
            Self::PostMoved(id) => id.uuid(),
            Self::FiguresMoved(id) => id.uuid(),
        }
    }

    fn of(name: &str, subject: Uuid) -> Option<Self> {
        match name {
            "plan_created" => Some(Self::PlanCreated(PlanId::from_uuid(subject))),
            "post_moved" => Some(Self::PostMoved(PostId::from_uuid(subject))),
            "figures_moved" => Some(Self::FiguresMoved(AccountId::from_uuid(subject))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_again() {
        for kind in NoteKind::ALL {
            assert_eq!(NoteKind::parse(kind.as_str()), Some(kind));
        }
        let id = Uuid::from_u128(7);
        for fact in [
            PublishingFact::PlanCreated(PlanId::from_uuid(id)),
            PublishingFact::PostMoved(PostId::from_uuid(id)),
            PublishingFact::FiguresMoved(AccountId::from_uuid(id)),
        ] {
            assert_eq!(PublishingFact::of(fact.name(), fact.subject()), Some(fact));
        }
        assert_eq!(PublishingFact::of("post_lost", id), None);
    }
}
