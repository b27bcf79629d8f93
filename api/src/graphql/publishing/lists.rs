//! Posts of many accounts or plans at once.

use std::collections::HashMap;

use async_graphql::Context;
use domain::{
    kernel::{
        actor::Actor,
        ids::{AccountId, PlanId},
        page::{Key, Page, PageRequest},
    },
    publishing::{PostFilter, model},
};
use uuid::Uuid;

use super::types::PostConnection;
use crate::{
    app::App,
    graphql::{
        command::app,
        connection::{Cursors, PageArgs, Parts, paged},
        error::ApiError,
        reading::reading,
    },
};

/// Cursors of a list of posts: the same wherever it is asked for.
pub(super) fn cursors(app: &App, actor: &Actor, filter: PostFilter) -> Cursors {
    let mut text = String::new();
    for id in [filter.account.map(AccountId::uuid), filter.plan.map(PlanId::uuid)] {
        text.push_str(id.unwrap_or_default().simple().encode_lower(&mut Uuid::encode_buffer()));
    }
    text.push_str(filter.status.map_or("", model::PostStatus::as_str));
    Cursors::new(&app.cursor_key, actor.tenant, "posts", text)
}

/// A part of a list of posts.
pub(super) fn connection(
    page: Page<model::Post>,
    request: &PageRequest,
    cursors: &Cursors,
) -> PostConnection {
    let key = |post: &model::Post| Key { at: post.planned_at, id: post.id.uuid() };
    PostConnection::new(paged(page, request, cursors, key, Into::into))
}

const NONE: Page<model::Post> = Page { items: Vec::new(), more: false };

/// For each account, in order.
pub(in crate::graphql) async fn posts_of_accounts(
    ctx: &Context<'_>,
    accounts: &[AccountId],
    args: &PageArgs,
) -> Result<Vec<Option<Result<PostConnection, ApiError>>>, ApiError> {
    let (actor, mut work) = reading(ctx, "posts").await?;
    let app = app(ctx);
    let filter = |account| PostFilter { account: Some(account), ..PostFilter::default() };
    let parts = Parts::new(accounts, args, |account| cursors(app, &actor, filter(account)));
    let mut pages = match parts.accepted() {
        None => HashMap::default(),
        Some((ids, request)) => app.publishing.posts_of_accounts(&mut *work, &actor, &ids, request).await?,
    };
    let told = parts.each(|account, cursors, request| {
        Ok(connection(pages.remove(&account.uuid()).unwrap_or(NONE), request, cursors))
    });
    Ok(told.into_iter().map(Some).collect())
}

/// For each plan, in order.
pub(super) async fn posts_of_plans(
    ctx: &Context<'_>,
    plans: &[PlanId],
    args: &PageArgs,
) -> Result<Vec<Option<Result<PostConnection, ApiError>>>, ApiError> {
    let (actor, mut work) = reading(ctx, "posts").await?;
    let app = app(ctx);
    let filter = |plan| PostFilter { plan: Some(plan), ..PostFilter::default() };
    let parts = Parts::new(plans, args, |plan| cursors(app, &actor, filter(plan)));
    let mut pages = match parts.accepted() {
        None => HashMap::default(),
        Some((ids, request)) => app.publishing.posts_of_plans(&mut *work, &actor, &ids, request).await?,
    };
    let told = parts.each(|plan, cursors, request| {
        Ok(connection(pages.remove(&plan.uuid()).unwrap_or(NONE), request, cursors))
    });
    Ok(told.into_iter().map(Some).collect())
}
