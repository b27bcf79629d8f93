//! What can be done with plans and posts.

use async_graphql::{Context, ID, Object};
use domain::{
    kernel::ids::{PlanId, PostId, TimetableId},
    publishing::actions,
};

use super::{
    fleet::{CreateFleetInput, Created, FleetRemainder},
    import::{ImportPostsInput, ImportRow, Imported, plans_of},
    inputs::{
        ApprovePlanInput, ApprovePostInput, CancelPlanInput, CancelPostInput, ChangePlanInput,
        ChangePostInput, CreatePlanInput, ResolvePostInput, RetryPostInput, digest,
    },
    query::{one_plan, one_post},
    timetables::{
        ChangeTimetableInput, CreateTimetableInput, RemoveTimetableInput, Timetable, one_timetable,
    },
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
    ChangePlanPayload, "changePlan", plan: Plan = one_plan(Plan), "The plan.";
    CreateTimetablePayload, "createTimetable", timetable: Timetable = one_timetable(Timetable), "The timetable.";
    ChangeTimetablePayload, "changeTimetable", timetable: Timetable = one_timetable(Timetable), "The timetable.";
    ApprovePlanPayload, "approvePlan", plan: Plan = one_plan(Plan), "The plan.";
    CancelPlanPayload, "cancelPlan", plan: Plan = one_plan(Plan), "The plan.";
    ApprovePostPayload, "approvePost", post: Post = one_post(Post), "The post.";
    ChangePostPayload, "changePost", post: Post = one_post(Post), "The post.";
    CancelPostPayload, "cancelPost", post: Post = one_post(Post), "The post.";
    RetryPostPayload, "retryPost", post: Post = one_post(Post), "The post.";
    ResolvePostPayload, "resolvePost", post: Post = one_post(Post), "The post.";
}

payload!(CreateFleetPayload, Created, "createFleet" {
    /// A plan for each file that found a place.
    #[graphql(directive = transport::list_size::apply(10))]
    plans: Option<Result<Vec<Plan>, ApiError>> = |done, ctx| Some(plans_of(ctx, &done.plans).await);
    /// What found no place.
    #[graphql(directive = transport::list_size::apply(10))]
    unplaced: Option<Vec<FleetRemainder>> = |done, _ctx| Some(done.unplaced.clone());
});

payload!(ImportPostsPayload, Imported, "importPosts" {
    /// The rows, in their order.
    #[graphql(directive = transport::list_size::apply(100))]
    rows: Option<Vec<ImportRow>> = |done, _ctx| Some(done.rows.clone());
    /// The plans that were made: one for each name and file.
    #[graphql(directive = transport::list_size::apply(10))]
    plans: Option<Result<Vec<Plan>, ApiError>> = |done, ctx| Some(plans_of(ctx, &done.plans).await);
});

payload!(RemoveTimetablePayload, Named, "removeTimetable" {
    /// The id of what was removed.
    removed_id: Option<ID> = |done, _ctx| Some(global_id(Kind::Timetable, done.id));
});

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

    /// Put many files on many accounts, where and when `fleetPlan` says: a plan for each file. All of them are planned, or
    /// none, unless it may be partial.
    async fn create_fleet(
        &self,
        ctx: &Context<'_>,
        input: CreateFleetInput,
    ) -> Option<Result<CreateFleetPayload, ApiError>> {
        let done = command(ctx, actions::CREATE_FLEET, |app, actor, work| {
            Box::pin(async move {
                let (draft, texts) = input.draft()?;
                Ok(app.publishing.create_fleet(work, actor, draft, texts).await?.into())
            })
        });
        Some(done.await.map(CreateFleetPayload))
    }

    /// Take posts in as rows of a file: what is new is planned, what is there by its reference is changed. The same file again
    /// changes nothing. All rows are taken, or none, unless those that can't be are passed over.
    async fn import_posts(
        &self,
        ctx: &Context<'_>,
        input: ImportPostsInput,
    ) -> Option<Result<ImportPostsPayload, ApiError>> {
        let done = command(ctx, actions::IMPORT_POSTS, |app, actor, work| {
            Box::pin(async move {
                let lines = input.lines()?;
                Ok(app.publishing.import_posts(work, actor, lines, input.skip_refused).await?.into())
            })
        });
        Some(done.await.map(ImportPostsPayload))
    }

    /// Change all posts of a plan that are not under way. Somebody must agree to them anew. All of them are changed, or none.
    async fn change_plan(
        &self,
        ctx: &Context<'_>,
        input: ChangePlanInput,
    ) -> Option<Result<ChangePlanPayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_PLAN, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Plan, &input.id)?;
                app.publishing.change_plan(work, actor, PlanId::from_uuid(id), input.change()?).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangePlanPayload))
    }

    /// Give local times a name: slots for posts.
    async fn create_timetable(
        &self,
        ctx: &Context<'_>,
        input: CreateTimetableInput,
    ) -> Option<Result<CreateTimetablePayload, ApiError>> {
        let done = command(ctx, actions::CREATE_TIMETABLE, |app, actor, work| {
            Box::pin(async move {
                let id = app.publishing.create_timetable(work, actor, input.draft()).await?;
                Ok(Named { id: id.uuid() })
            })
        });
        Some(done.await.map(CreateTimetablePayload))
    }

    /// Change a timetable. What is planned by it stays.
    async fn change_timetable(
        &self,
        ctx: &Context<'_>,
        input: ChangeTimetableInput,
    ) -> Option<Result<ChangeTimetablePayload, ApiError>> {
        let done = command(ctx, actions::CHANGE_TIMETABLE, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Timetable, &input.id)?;
                let timetable = TimetableId::from_uuid(id);
                app.publishing.change_timetable(work, actor, timetable, input.change()).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(ChangeTimetablePayload))
    }

    /// Remove a timetable. What is planned by it stays.
    async fn remove_timetable(
        &self,
        ctx: &Context<'_>,
        input: RemoveTimetableInput,
    ) -> Option<Result<RemoveTimetablePayload, ApiError>> {
        let done = command(ctx, actions::REMOVE_TIMETABLE, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Timetable, &input.id)?;
                app.publishing.remove_timetable(work, actor, TimetableId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(RemoveTimetablePayload))
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
