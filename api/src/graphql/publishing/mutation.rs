//! What can be done with plans and posts.

use async_graphql::{Context, Object};
use domain::{
    kernel::ids::{PlanId, PostId},
    publishing::actions,
};

use super::{
    inputs::{
        ApprovePlanInput, ApprovePostInput, CancelPlanInput, CancelPostInput, ChangePostInput,
        CreatePlanInput, ResolvePostInput, RetryPostInput, digest,
    },
    query::{one_plan, one_post},
    types::{Plan, Post},
};
use crate::graphql::{
    command::command,
    error::ApiError,
    payload::{Named, payload},
    scalars::{Kind, global_id, id_of},
};

/// Payloads of what is done to plans, and to posts.
macro_rules! payloads {
    ($($name:ident, $of:literal, $field:ident: $type:ty = $one:ident($kind:ident), $doc:literal;)+) => {$(
        payload!($name, Named, $of {
            #[doc = $doc]
            $field: Option<Result<$type, ApiError>> =
                |done, ctx| $one(ctx, &global_id(Kind::$kind, done.id)).await.transpose();
        });
    )+};
}

payloads! {
    CreatePlanPayload, "createPlan", plan: Plan = one_plan(Plan), "The plan.";
    ApprovePlanPayload, "approvePlan", plan: Plan = one_plan(Plan), "The plan.";
    CancelPlanPayload, "cancelPlan", plan: Plan = one_plan(Plan), "The plan.";
    ApprovePostPayload, "approvePost", post: Post = one_post(Post), "The post.";
    ChangePostPayload, "changePost", post: Post = one_post(Post), "The post.";
    CancelPostPayload, "cancelPost", post: Post = one_post(Post), "The post.";
    RetryPostPayload, "retryPost", post: Post = one_post(Post), "The post.";
    ResolvePostPayload, "resolvePost", post: Post = one_post(Post), "The post.";
}

#[derive(Default)]
pub struct PublishingMutation;

#[Object]
impl PublishingMutation {
    /// Put one piece of content on many accounts. Each post waits for somebody to agree. All of them are planned, or none.
    async fn create_plan(
        &self,
        ctx: &Context<'_>,
        input: CreatePlanInput,
    ) -> Option<Result<CreatePlanPayload, ApiError>> {
        let done = command(ctx, actions::CREATE_PLAN, |app, actor, work| {
            Box::pin(async move {
                let plan = app.publishing.create_plan(work, actor, input.draft()?).await?;
                Ok(Named { id: plan.id.uuid() })
            })
        });
        Some(done.await.map(CreatePlanPayload))
    }

    /// Agree to all posts of a plan that wait for it, exactly as they were looked at.
    async fn approve_plan(
        &self,
        ctx: &Context<'_>,
        input: ApprovePlanInput,
    ) -> Option<Result<ApprovePlanPayload, ApiError>> {
        let done = command(ctx, actions::APPROVE_PLAN, |app, actor, work| {
            Box::pin(async move {
                let (id, digest) = (id_of(Kind::Plan, &input.id)?, digest(&input.digest)?);
                app.publishing.approve_plan(work, actor, PlanId::from_uuid(id), &digest).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ApprovePlanPayload))
    }

    /// Give up every post of a plan that the platform was not asked for yet.
    async fn cancel_plan(
        &self,
        ctx: &Context<'_>,
        input: CancelPlanInput,
    ) -> Option<Result<CancelPlanPayload, ApiError>> {
        let done = command(ctx, actions::CANCEL_PLAN, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Plan, &input.id)?;
                app.publishing.cancel_plan(work, actor, PlanId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(CancelPlanPayload))
    }

    /// Agree to a post, exactly as it was looked at.
    async fn approve_post(
        &self,
        ctx: &Context<'_>,
        input: ApprovePostInput,
    ) -> Option<Result<ApprovePostPayload, ApiError>> {
        let done = command(ctx, actions::APPROVE_POST, |app, actor, work| {
            Box::pin(async move {
                let (id, digest) = (id_of(Kind::Post, &input.id)?, digest(&input.digest)?);
                app.publishing.approve_post(work, actor, PostId::from_uuid(id), &digest).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ApprovePostPayload))
    }

    /// Change a post that is not under way. Somebody must agree to it anew.
    async fn change_post(
        &self,
        ctx: &Context<'_>,
        input: ChangePostInput,
    ) -> Option<Result<ChangePostPayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_POST, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Post, &input.id)?;
                app.publishing.change_post(work, actor, PostId::from_uuid(id), input.change()?).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangePostPayload))
    }

    /// Give up a post that the platform was not asked for yet.
    async fn cancel_post(
        &self,
        ctx: &Context<'_>,
        input: CancelPostInput,
    ) -> Option<Result<CancelPostPayload, ApiError>> {
        let done = command(ctx, actions::CANCEL_POST, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Post, &input.id)?;
                app.publishing.cancel_post(work, actor, PostId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(CancelPostPayload))
    }

    /// Try a post that failed again. Refused while it may be on the platform: that is found out first.
    async fn retry_post(
        &self,
        ctx: &Context<'_>,
        input: RetryPostInput,
    ) -> Option<Result<RetryPostPayload, ApiError>> {
        let done = command(ctx, actions::RETRY_POST, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Post, &input.id)?;
                app.publishing.retry_post(work, actor, PostId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RetryPostPayload))
    }

    /// Say what became of a post that nobody knows of, after looking at the platform.
    async fn resolve_post(
        &self,
        ctx: &Context<'_>,
        input: ResolvePostInput,
    ) -> Option<Result<ResolvePostPayload, ApiError>> {
        let done = command(ctx, actions::RESOLVE_POST, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Post, &input.id)?;
                app.publishing.resolve_post(work, actor, PostId::from_uuid(id), input.resolution()?).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ResolvePostPayload))
    }
}
