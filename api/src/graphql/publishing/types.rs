//! Types of publishing, converted by hand: the schema is a promise of its own.

use async_graphql::{Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::ids::{PlanId, PostId},
    publishing::{
        events,
        model::{self, CreationEnd, PostFailure, PostState},
        ports,
    },
};
use output::Output;
use serde::{Deserialize, Serialize};

use super::{figures::PostFigures, warnings::PostWarning};
use crate::{
    graphql::{
        command::{app, caller},
        connection::{connection, connection_fields},
        error::ApiError,
        reading::reading,
        scalars::{Kind, global_id},
    },
    hex::hex,
};

/// Most readings of a post's figures that are told.
const HISTORY_MAX: u32 = 500;

/// Who may see a post.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Visibility")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Friends of the account's owner.
    Friends,
    /// The owner alone.
    OnlyMe,
}

/// Where a post stands.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[graphql(remote = "model::PostStatus")]
pub enum PostStatus {
    /// It can be changed.
    Draft,
    /// Somebody must agree to exactly this.
    AwaitingApproval,
    /// It is due at its time.
    Waiting,
    /// The file is on its way to the platform.
    Uploading,
    /// The platform has the file, and was not asked to post it, or said that it did not.
    Uploaded,
    /// The platform was asked to post it, and has not answered yet.
    Creating,
    /// The answer was lost. Whether it was posted is being found out; nothing is asked for before.
    OutcomeUnknown,
    /// The platform has posted it and is looking at it.
    UnderReview,
    /// It can be seen by whom it is for.
    Live,
    /// The platform has looked at it and does not show it, or not any more.
    Rejected,
    /// It was there, and is not any more.
    Gone,
    /// It came to nothing.
    Failed,
    /// Somebody gave it up before it was there.
    Cancelled,
}

/// What somebody may do to a post.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::PostOp")]
pub enum PostOp {
    /// Put it before somebody who agrees.
    Submit,
    /// `approvePost`.
    Approve,
    /// `changePost`.
    Change,
    /// `cancelPost`.
    Cancel,
    /// `retryPost`.
    Retry,
    /// `resolvePost`.
    Resolve,
}

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

/// A post found on the platform that nobody here knows, and that may be this one.
#[derive(SimpleObject, Output, Clone)]
pub struct PostCandidate {
    /// The platform's name for it.
    item: String,
    /// The text beside it there.
    caption: String,
    /// When the platform says it was made.
    created_at: DateTime<Utc>,
    /// Whether it has the post's text, and was made when the post would have been.
    is_likely: bool,
}

/// What came of asking the platform for a post.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreationOutcome {
    /// There is no answer.
    Unknown,
    /// It was done.
    Done,
    /// It was not reached, or too busy.
    NotDone,
    /// The platform did not take the medium: it was posted with already, or is no good.
    MediumRefused,
    /// It was refused, or not asked after all.
    Refused,
    /// Reading showed that it was not done, or somebody said so.
    Absent,
}

/// One time the platform was asked for a post.
#[derive(SimpleObject, Output, Clone)]
pub struct PostCreation {
    /// Which, from 1.
    number: u32,
    /// When it was written down that it would be.
    asked_at: DateTime<Utc>,
    /// What came of it.
    outcome: CreationOutcome,
    /// The platform's name for what it made.
    item: Option<String>,
}

impl From<&model::Creation> for PostCreation {
    fn from(creation: &model::Creation) -> Self {
        let (outcome, item) = match &creation.end {
            CreationEnd::Open => (CreationOutcome::Unknown, None),
            CreationEnd::Done(item) => (CreationOutcome::Done, Some(item.clone())),
            CreationEnd::NotDone => (CreationOutcome::NotDone, None),
            CreationEnd::MediumRefused => (CreationOutcome::MediumRefused, None),
            CreationEnd::Refused => (CreationOutcome::Refused, None),
            CreationEnd::Absent => (CreationOutcome::Absent, None),
        };
        Self { number: creation.number, asked_at: creation.asked_at, outcome, item }
    }
}

/// One piece of content, put on many accounts.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Plan {
    #[graphql(skip)]
    key: PlanId,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What people call it.
    name: String,
    /// The file.
    upload_id: ID,
    /// The member who planned it; null when a machine did.
    created_by_id: Option<ID>,
    /// When it was planned.
    created_at: DateTime<Utc>,
}

impl From<model::Plan> for Plan {
    fn from(plan: model::Plan) -> Self {
        Self {
            key: plan.id,
            id: global_id(Kind::Plan, plan.id.uuid()),
            name: plan.name,
            upload_id: global_id(Kind::Upload, plan.upload.uuid()),
            created_by_id: plan.planned_by.map(|member| global_id(Kind::Member, member.uuid())),
            created_at: plan.created_at,
        }
    }
}

#[output::fields]
impl Plan {
    /// What `approvePlan` takes: a digest of all its posts that wait for somebody to agree; null when none does.
    async fn approval_digest(
        plans: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Option<String>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "approvalDigest").await?;
        let keys: Vec<_> = plans.iter().map(|plan| plan.key).collect();
        let digests = app(ctx).publishing.plan_digests(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(digests.get(key).map(|digest| hex(digest))))).collect())
    }
}

/// One piece of content meant for one account.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Post {
    #[graphql(skip)]
    key: PostId,
    #[graphql(skip)]
    allows: Vec<model::PostOp>,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// The plan it is of.
    plan_id: ID,
    /// The account.
    account_id: ID,
    /// The file.
    upload_id: ID,
    /// Which of its account's posts in the plan it is, from 1.
    occurrence: u32,
    /// The name it has in the file that it came from; null when it came from none.
    reference: Option<String>,
    /// The text beside it.
    caption: String,
    /// Which instant of the video is its cover, in milliseconds; null when it is left to the platform.
    cover_at_ms: Option<String>,
    /// Who may see it.
    visibility: Visibility,
    /// Where it stands.
    status: PostStatus,
    /// When it is to be there.
    planned_at: DateTime<Utc>,
    /// When something is next done for it; null when there is nothing to do.
    due_at: Option<DateTime<Utc>>,
    /// When the platform took it.
    accepted_at: Option<DateTime<Utc>>,
    /// The platform's name for it, once it is there.
    item: Option<String>,
    /// What somebody agrees to with `approvePost`: SHA-256 over everything that will be posted, where and when.
    digest: String,
    /// What was in the way when it was last tried; null when nothing is.
    hindered_by: Option<String>,
    /// Since when it is tried in vain.
    hindered_since: Option<DateTime<Utc>>,
    /// Why it came to nothing.
    failed_because: Option<String>,
    /// Whether somebody must look at the platform and say with `resolvePost` what became of it.
    needs_decision: bool,
    /// Posts found on the platform that may be it, while that is not known.
    candidates: Vec<PostCandidate>,
    /// Every time the platform was asked for it.
    creations: Vec<PostCreation>,
    /// Posts that are there beside the one that is meant: there should be none.
    duplicates: Vec<String>,
}

impl From<model::Post> for Post {
    fn from(post: model::Post) -> Self {
        let (mut candidates, mut is_stuck): (&[model::Candidate], bool) = (&[], false);
        if let PostState::OutcomeUnknown { candidates: found, is_stuck: stuck } = &post.state {
            (candidates, is_stuck) = (found, *stuck);
        }
        let candidate = |candidate: &model::Candidate| PostCandidate {
            item: candidate.item.clone(),
            caption: candidate.caption.clone(),
            created_at: candidate.created_at,
            is_likely: candidate.is_likely,
        };
        let failed_because = if let PostState::Failed(failure) = &post.state {
            Some(match failure {
                PostFailure::Refused(refusal) => {
                    format!("{} (code {})", refusal.kind.as_str(), refusal.code)
                }
                PostFailure::TriesUsedUp => "tries_used_up".to_owned(),
                PostFailure::FileGone => "file_gone".to_owned(),
            })
        } else {
            None
        };
        let hindrance = post.progress.hindrance.as_ref();
        Self {
            key: post.id,
            id: global_id(Kind::Post, post.id.uuid()),
            plan_id: global_id(Kind::Plan, post.plan.uuid()),
            account_id: global_id(Kind::Account, post.account.uuid()),
            upload_id: global_id(Kind::Upload, post.draft.upload.uuid()),
            occurrence: post.occurrence,
            reference: post.reference.clone(),
            cover_at_ms: post.draft.cover_at_ms.map(|ms| ms.to_string()),
            visibility: post.draft.visibility.into(),
            status: post.state.status().into(),
            planned_at: post.planned_at,
            due_at: post.next_at(),
            accepted_at: post.accepted_at,
            item: post.state.item().map(ToOwned::to_owned),
            digest: hex(&post.digest()),
            allows: model::PostOp::ALL.into_iter().filter(|op| post.allows(*op)).collect(),
            hindered_by: hindrance.map(|hindrance| hindrance.by.clone()),
            hindered_since: hindrance.map(|hindrance| hindrance.since),
            failed_because,
            needs_decision: is_stuck,
            candidates: candidates.iter().map(candidate).collect(),
            creations: post.progress.creations.iter().map(Into::into).collect(),
            duplicates: post.duplicates().map(ToOwned::to_owned).collect(),
            caption: post.draft.caption,
        }
    }
}

#[output::fields]
impl Post {
    /// What the caller may do to it now: what its state allows, and the caller's role or key.
    #[expect(clippy::unused_async, reason = "batched fields are asynchronous")]
    async fn allowed_actions(posts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Vec<PostOp>>, ApiError> {
        let actor = &caller(ctx)?.signed_in().actor;
        let allowed = |post: &&Self| {
            let ops = post.allows.iter().filter(|op| actor.may(op.needs()));
            ops.copied().map(Into::into).collect()
        };
        Ok(posts.iter().map(allowed).collect())
    }

    /// What happened to it, oldest first.
    #[graphql(directive = transport::list_size::apply(30))]
    async fn timeline(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PostNote>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "timeline").await?;
        let keys: Vec<_> = posts.iter().map(|post| post.key).collect();
        let mut found = app(ctx).publishing.notes(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(told(found.remove(key))))).collect())
    }

    /// Who agreed to it, and to what, oldest first. Nothing is asked for at the platform without a receipt of its present
    /// `digest`, where the platform demands consent for each post.
    #[graphql(directive = transport::list_size::apply(3))]
    async fn receipts(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PostReceipt>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "receipts").await?;
        let keys: Vec<_> = posts.iter().map(|post| post.key).collect();
        let mut found = app(ctx).publishing.receipts(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(told(found.remove(key))))).collect())
    }

    /// What speaks against it beside the others there are, and does not stop it.
    #[graphql(directive = transport::list_size::apply(3))]
    async fn warnings(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PostWarning>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "warnings").await?;
        let keys: Vec<_> = posts.iter().map(|post| post.key).collect();
        let mut found = app(ctx).publishing.warnings(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(told(found.remove(key))))).collect())
    }

    /// Its figures as they were last read; null before that.
    async fn figures(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Option<PostFigures>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "figures").await?;
        let keys: Vec<_> = posts.iter().map(|post| post.key).collect();
        let mut newest = app(ctx).publishing.newest_figures(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(newest.remove(key).map(Into::into)))).collect())
    }

    /// How its figures moved, newest first, at most 500 readings.
    #[graphql(directive = transport::list_size::apply(100))]
    async fn figure_history(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PostFigures>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "figureHistory").await?;
        let keys: Vec<_> = posts.iter().map(|post| post.key).collect();
        let mut found = app(ctx).publishing.figures_of(&mut *work, &actor, &keys, HISTORY_MAX).await?;
        Ok(keys.iter().map(|key| Some(Ok(told(found.remove(key))))).collect())
    }
}

/// What was found of one of many; nothing is an empty list.
fn told<F, T: From<F>>(found: Option<Vec<F>>) -> Vec<T> {
    found.unwrap_or_default().into_iter().map(Into::into).collect()
}

connection!(PlanConnection, PlanEdge, Plan, "plans");
connection_fields!(PlanConnection, Plan);
connection!(PostConnection, PostEdge, Post, "posts");
connection_fields!(PostConnection, Post);
