//! What can be read of plans and posts.

use async_graphql::{Context, ID, Object};
use domain::{
    kernel::{
        ids::{AccountId, PlanId, PostId},
        page::Key,
    },
    publishing::{PostFilter, model},
};
use output::Written;

use super::{
    figures::{Asked, FigureTotals, Lateness, totals},
    fleet::{FleetPlan, FleetPlanInput, fleet_plan},
    import::{ImportPostsInput, ImportPreview, preview},
    lists,
    timetables::{Timetable, TimetableConnection, one_timetable, timetables},
    types::{Plan, PlanConnection, Post, PostConnection, PostStatus},
};
use crate::graphql::{
    command::app,
    connection::{Cursors, PageArgs, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, id_of, parse_global_id},
};

#[derive(Default)]
pub struct PublishingQuery;

#[expect(clippy::too_many_arguments, reason = "a connection's four arguments and its filter")]
#[Object]
impl PublishingQuery {
    /// One piece of content, put on many accounts.
    async fn plan(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Plan>, ApiError>> {
        one_plan(ctx, &id).await.map(|plan| plan.map(Written)).transpose()
    }

    /// Plans, oldest first.
    async fn plans(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<PlanConnection>, ApiError>> {
        Some(plans(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// One piece of content meant for one account.
    async fn post(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Post>, ApiError>> {
        one_post(ctx, &id).await.map(|post| post.map(Written)).transpose()
    }

    /// Posts of the accounts the caller reaches, by the time they are planned for; only those of an account, of a plan, and
    /// that stand so, where that is given.
    async fn posts(
        &self,
        ctx: &Context<'_>,
        account_id: Option<ID>,
        plan_id: Option<ID>,
        status: Option<PostStatus>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<PostConnection>, ApiError>> {
        let args = PageArgs { first, after, last, before };
        Some(posts(ctx, account_id, plan_id, status, args).await.map(Written))
    }

    /// Figures of all posts the caller reaches, together; only those of a group and below, of an account, of a plan, or of
    /// one post, where that is given.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        group_id: Option<ID>,
        account_id: Option<ID>,
        plan_id: Option<ID>,
        post_id: Option<ID>,
    ) -> Option<Result<Written<FigureTotals>, ApiError>> {
        let asked = Asked { group: group_id, account: account_id, plan: plan_id, post: post_id };
        Some(totals(ctx, &asked).await.map(Written))
    }

    /// Where and when many posts are best put on many accounts, within quotas, spacing, consents and what is planned already:
    /// as many as can be, and so that the last is as early as can be. Nothing is planned by asking.
    async fn fleet_plan(
        &self,
        ctx: &Context<'_>,
        input: FleetPlanInput,
    ) -> Option<Result<Written<FleetPlan>, ApiError>> {
        Some(fleet_plan(ctx, input).await.map(Written))
    }

    /// What `importPosts` would do with a file, row by row. Nothing is planned or changed by asking.
    async fn import_preview(
        &self,
        ctx: &Context<'_>,
        input: ImportPostsInput,
    ) -> Option<Result<Written<ImportPreview>, ApiError>> {
        Some(preview(ctx, input).await.map(Written))
    }

    /// Local times for posts.
    async fn timetable(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Timetable>, ApiError>> {
        one_timetable(ctx, &id).await.map(|timetable| timetable.map(Written)).transpose()
    }

    /// Timetables, oldest first.
    async fn timetables(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<TimetableConnection>, ApiError>> {
        Some(timetables(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// How late the platform took the posts the caller reaches that were promised in the last days, 1 to 366.
    async fn lateness(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 7)] days: i32,
    ) -> Option<Result<Written<Lateness>, ApiError>> {
        Some(lateness(ctx, days).await.map(Written))
    }
}

async fn lateness(ctx: &Context<'_>, days: i32) -> Result<Lateness, ApiError> {
    let out = || ApiError::bad_input("days must be 1 to 366");
    let days = u32::try_from(days).ok().filter(|days| (1..=366).contains(days)).ok_or_else(out)?;
    let (actor, mut work) = reading(ctx, "lateness").await?;
    Ok(app(ctx).publishing.lateness(&mut *work, &actor, days).await?.into())
}

pub(super) async fn one_plan(ctx: &Context<'_>, id: &ID) -> Result<Option<Plan>, ApiError> {
    let (actor, mut work) = reading(ctx, "plan").await?;
    let Some((Kind::Plan, uuid)) = parse_global_id(id) else { return Ok(None) };
    Ok(app(ctx).publishing.plan(&mut *work, &actor, PlanId::from_uuid(uuid)).await?.map(Into::into))
}

pub(super) async fn one_post(ctx: &Context<'_>, id: &ID) -> Result<Option<Post>, ApiError> {
    let (actor, mut work) = reading(ctx, "post").await?;
    let Some((Kind::Post, uuid)) = parse_global_id(id) else { return Ok(None) };
    Ok(app(ctx).publishing.post(&mut *work, &actor, PostId::from_uuid(uuid)).await?.map(Into::into))
}

/// Which posts are asked for by global ids; `None` when one is none of this API's.
pub(crate) fn post_filter(account: Option<&str>, plan: Option<&str>) -> Option<PostFilter> {
    let of = |wanted, id: Option<&str>| match id.map(|id| parse_global_id(&ID(id.to_owned()))) {
        None => Some(None),
        Some(Some((kind, uuid))) if kind == wanted => Some(Some(uuid)),
        Some(_) => None,
    };
    Some(PostFilter {
        account: of(Kind::Account, account)?.map(AccountId::from_uuid),
        plan: of(Kind::Plan, plan)?.map(PlanId::from_uuid),
        status: None,
    })
}

async fn plans(ctx: &Context<'_>, args: PageArgs) -> Result<PlanConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "plans").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "plans", "");
    let request = cursors.request(&args)?;
    let page = app.publishing.plans(&mut *work, &actor, request).await?;
    let key = |plan: &model::Plan| Key { at: plan.created_at, id: plan.id.uuid() };
    Ok(PlanConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

async fn posts(
    ctx: &Context<'_>,
    account: Option<ID>,
    plan: Option<ID>,
    status: Option<PostStatus>,
    args: PageArgs,
) -> Result<PostConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "posts").await?;
    let app = app(ctx);
    let account = account.map(|id| id_of(Kind::Account, &id)).transpose()?;
    let plan = plan.map(|id| id_of(Kind::Plan, &id)).transpose()?;
    let filter = PostFilter {
        account: account.map(AccountId::from_uuid),
        plan: plan.map(PlanId::from_uuid),
        status: status.map(Into::into),
    };
    let cursors = lists::cursors(app, &actor, filter);
    let request = cursors.request(&args)?;
    let page = app.publishing.posts(&mut *work, &actor, filter, request).await?;
    Ok(lists::connection(page, &request, &cursors))
}
