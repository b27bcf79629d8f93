//! Types of publishing, converted by hand: the schema is a promise of its own.

use async_graphql::{Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    kernel::ids::{PlanId, PostId},
    publishing::model::{self, CreationEnd, PostFailure, PostState},
};
use output::Output;
use serde::{Deserialize, Serialize};

use super::{
    figures::PostFigures,
    lists::posts_of_plans,
    timeline::{PostNote, PostReceipt},
    warnings::PostWarning,
};
use crate::{
    graphql::{
        command::{app, caller},
        connection::{PageArgs, connection, connection_fields},
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

/// What a post waits for that should have come by now.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Overdue")]
pub enum PostOverdue {
    /// Its time has come and nobody has agreed to it.
    ForApproval,
    /// The platform has not taken it, a quarter of an hour after it was promised.
    ForPlatform,
    /// The platform has looked at it for two days.
    InReview,
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

impl From<&model::Candidate> for PostCandidate {
    fn from(candidate: &model::Candidate) -> Self {
        Self {
            item: candidate.item.clone(),
            caption: candidate.caption.clone(),
            created_at: candidate.created_at,
            is_likely: candidate.is_likely,
        }
    }
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

    /// Its posts that the caller reaches, by the time they are planned for.
    async fn posts(
        plans: &[&Self],
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Vec<Option<Result<PostConnection, ApiError>>>, ApiError> {
        let keys: Vec<_> = plans.iter().map(|plan| plan.key).collect();
        posts_of_plans(ctx, &keys, &PageArgs { first, after, last, before }).await
    }
}

/// One piece of content meant for one account.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Post {
    #[graphql(skip)]
    model: model::Post,
    /// Opaque.
    pub(in crate::graphql) id: ID,
}

impl From<model::Post> for Post {
    fn from(post: model::Post) -> Self {
        Self { id: global_id(Kind::Post, post.id.uuid()), model: post }
    }
}

impl Post {
    fn keys(posts: &[&Self]) -> Vec<PostId> {
        posts.iter().map(|post| post.model.id).collect()
    }
}

#[output::fields]
impl Post {
    /// The plan it is of.
    fn plan_id(&self) -> ID {
        global_id(Kind::Plan, self.model.plan.uuid())
    }

    /// The account.
    fn account_id(&self) -> ID {
        global_id(Kind::Account, self.model.account.uuid())
    }

    /// The file.
    fn upload_id(&self) -> ID {
        global_id(Kind::Upload, self.model.draft.upload.uuid())
    }

    /// Which of its account's posts in the plan it is, from 1.
    fn occurrence(&self) -> u32 {
        self.model.occurrence
    }

    /// The name it has in the file that it came from; null when it came from none.
    fn reference(&self) -> Option<&String> {
        self.model.reference.as_ref()
    }

    /// The text beside it.
    fn caption(&self) -> &String {
        &self.model.draft.caption
    }

    /// Which instant of the video is its cover, in milliseconds; null when it is left to the platform.
    fn cover_at_ms(&self) -> Option<String> {
        self.model.draft.cover_at_ms.map(|ms| ms.to_string())
    }

    /// Who may see it.
    fn visibility(&self) -> Visibility {
        self.model.draft.visibility.into()
    }

    /// Where it stands.
    fn status(&self) -> PostStatus {
        self.model.state.status().into()
    }

    /// When it is to be there.
    fn planned_at(&self) -> DateTime<Utc> {
        self.model.planned_at
    }

    /// When something is next done for it; null when there is nothing to do.
    fn due_at(&self) -> Option<DateTime<Utc>> {
        self.model.next_at()
    }

    /// When the platform took it.
    fn accepted_at(&self) -> Option<DateTime<Utc>> {
        self.model.accepted_at
    }

    /// The platform's name for it, once it is there.
    fn item(&self) -> Option<String> {
        self.model.state.item().map(ToOwned::to_owned)
    }

    /// What somebody agrees to with `approvePost`: SHA-256 over everything that will be posted, where and when.
    fn digest(&self) -> String {
        hex(&self.model.digest())
    }

    /// What was in the way when it was last tried; null when nothing is.
    fn hindered_by(&self) -> Option<&String> {
        self.model.progress.hindrance.as_ref().map(|hindrance| &hindrance.by)
    }

    /// Since when it is tried in vain.
    fn hindered_since(&self) -> Option<DateTime<Utc>> {
        self.model.progress.hindrance.as_ref().map(|hindrance| hindrance.since)
    }

    /// Why it came to nothing.
    fn failed_because(&self) -> Option<String> {
        let PostState::Failed(failure) = &self.model.state else { return None };
        Some(match failure {
            PostFailure::Refused(refusal) => format!("{} (code {})", refusal.kind.as_str(), refusal.code),
            PostFailure::TriesUsedUp => "tries_used_up".to_owned(),
            PostFailure::FileGone => "file_gone".to_owned(),
        })
    }

    /// Whether somebody must look at the platform and say with `resolvePost` what became of it.
    fn needs_decision(&self) -> bool {
        matches!(self.model.state, PostState::OutcomeUnknown { is_stuck: true, .. })
    }

    /// Posts found on the platform that may be it, while that is not known.
    fn candidates(&self) -> Vec<PostCandidate> {
        let PostState::OutcomeUnknown { candidates, .. } = &self.model.state else { return Vec::new() };
        candidates.iter().map(Into::into).collect()
    }

    /// Every time the platform was asked for it.
    fn creations(&self) -> Vec<PostCreation> {
        self.model.progress.creations.iter().map(Into::into).collect()
    }

    /// Posts that are there beside the one that is meant: there should be none.
    fn duplicates(&self) -> Vec<String> {
        self.model.duplicates().map(ToOwned::to_owned).collect()
    }

    /// What the caller may do to it now: what its state allows, and the caller's role or key.
    #[expect(clippy::unused_async, reason = "batched fields are asynchronous")]
    async fn allowed_actions(posts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Vec<PostOp>>, ApiError> {
        let actor = &caller(ctx)?.signed_in().actor;
        let allowed = |post: &&Self| {
            let ops = model::PostOp::ALL.into_iter().filter(|op| post.model.allows(*op));
            ops.filter(|op| actor.may(op.needs())).map(Into::into).collect()
        };
        Ok(posts.iter().map(allowed).collect())
    }

    /// What it waits for that should have come by now; null when it does not.
    #[expect(clippy::unused_async, reason = "batched fields are asynchronous")]
    async fn overdue(posts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<PostOverdue>>, ApiError> {
        let now = app(ctx).clock.now();
        Ok(posts.iter().map(|post| post.model.overdue(now).map(Into::into)).collect())
    }

    /// What happened to it, oldest first.
    #[graphql(directive = transport::list_size::apply(30))]
    async fn timeline(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PostNote>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "timeline").await?;
        let keys = Self::keys(posts);
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
        let keys = Self::keys(posts);
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
        let keys = Self::keys(posts);
        let mut found = app(ctx).publishing.warnings(&mut *work, &actor, &keys).await?;
        Ok(keys.iter().map(|key| Some(Ok(told(found.remove(key))))).collect())
    }

    /// Its figures as they were last read; null before that.
    async fn figures(
        posts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Option<PostFigures>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "figures").await?;
        let keys = Self::keys(posts);
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
        let keys = Self::keys(posts);
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
