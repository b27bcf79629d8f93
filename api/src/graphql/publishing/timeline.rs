//! What happened to a post, and who agreed to it.

use async_graphql::{Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::publishing::{events, ports};
use output::Output;

use super::types::PostStatus;
use crate::{
    graphql::scalars::{Kind, global_id},
    hex::hex,
};

/// What happened to a post.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "events::NoteKind")]
pub enum PostNoteKind {
    /// It was planned.
    Planned,
    /// Somebody changed it.
    Changed,
    /// Somebody agreed to it; the detail is the digest agreed to.
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

/// One line of a post's timeline.
#[derive(SimpleObject, Output, Clone)]
pub struct PostNote {
    /// When.
    at: DateTime<Utc>,
    /// What.
    kind: PostNoteKind,
    /// How the post stood from then on.
    status: PostStatus,
    /// More of it.
    detail: Option<String>,
    /// What it was part of; `auditTrail` resolves it to its events.
    compliance_id: ID,
}

impl From<events::PostNote> for PostNote {
    fn from(note: events::PostNote) -> Self {
        Self {
            at: note.at,
            kind: note.kind.into(),
            status: note.status.into(),
            detail: note.detail,
            compliance_id: note.compliance_id.uuid().to_string().into(),
        }
    }
}

/// That somebody agreed to a post as it was.
#[derive(SimpleObject, Output, Clone)]
pub struct PostReceipt {
    /// What was agreed to: the post's `digest` then. It is worth something while it is the post's digest now.
    digest: String,
    /// The member who did; null for a machine.
    confirmed_by_id: Option<ID>,
    /// When.
    confirmed_at: DateTime<Utc>,
    /// What it was part of; `auditTrail` resolves it to its events.
    compliance_id: ID,
}

impl From<ports::PostReceipt> for PostReceipt {
    fn from(receipt: ports::PostReceipt) -> Self {
        Self {
            digest: hex(&receipt.digest),
            confirmed_by_id: receipt.member.map(|member| global_id(Kind::Member, member.uuid())),
            confirmed_at: receipt.at,
            compliance_id: receipt.compliance_id.uuid().to_string().into(),
        }
    }
}
