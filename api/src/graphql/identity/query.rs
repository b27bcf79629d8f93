//! What can be read of identity.

use async_graphql::{Context, ID, Object};
use domain::kernel::{ids::MemberId, page::Key};
use output::Written;

use super::types::{ApiKeyConnection, InvitationConnection, Member, MemberConnection, Tenant, Viewer};
use super::{ApiKey, Invitation};
use crate::graphql::{
    command::{app, caller},
    connection::{Cursors, PageArgs, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, parse_global_id},
};

#[derive(Default)]
pub struct IdentityQuery;

#[Object]
impl IdentityQuery {
    /// Who is asking; null when nobody is signed in.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Viewer> {
        caller(ctx).ok().map(|caller| Viewer::new(&caller.signed_in().actor))
    }

    /// The tenant acted in.
    async fn tenant(&self, ctx: &Context<'_>) -> Option<Result<Tenant, ApiError>> {
        tenant(ctx).await.transpose()
    }

    /// A member of this tenant.
    async fn member(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Member>, ApiError>> {
        member(ctx, &id).await.map(|member| member.map(Written)).transpose()
    }

    /// The members of this tenant, oldest first.
    async fn members(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<MemberConnection>, ApiError>> {
        Some(members(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// Invitations to this tenant, oldest first.
    async fn invitations(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<InvitationConnection>, ApiError>> {
        Some(invitations(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// API keys of this tenant, oldest first.
    async fn api_keys(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<ApiKeyConnection>, ApiError>> {
        Some(api_keys(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }
}

async fn tenant(ctx: &Context<'_>) -> Result<Option<Tenant>, ApiError> {
    let (_, mut work) = reading(ctx, "tenant").await?;
    Ok(app(ctx).identity.tenant(&mut *work).await?.map(Into::into))
}

async fn member(ctx: &Context<'_>, id: &ID) -> Result<Option<Member>, ApiError> {
    let (actor, mut work) = reading(ctx, "member").await?;
    let Some((Kind::Member, uuid)) = parse_global_id(id) else { return Ok(None) };
    Ok(app(ctx).identity.member(&mut *work, &actor, MemberId::from_uuid(uuid)).await?.map(Into::into))
}

async fn members(ctx: &Context<'_>, args: PageArgs) -> Result<MemberConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "members").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "members", "");
    let request = cursors.request(&args)?;
    let page = app.identity.members(&mut *work, &actor, request).await?;
    let key = |m: &domain::identity::model::Member| Key { at: m.created_at, id: m.id.uuid() };
    Ok(MemberConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

async fn invitations(ctx: &Context<'_>, args: PageArgs) -> Result<InvitationConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "invitations").await?;
    let app = app(ctx);
    let now = app.clock.now();
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "invitations", "");
    let request = cursors.request(&args)?;
    let page = app.identity.invitations(&mut *work, &actor, request).await?;
    let key = |i: &domain::identity::model::Invitation| Key { at: i.created_at, id: i.id.uuid() };
    Ok(InvitationConnection::new(paged(page, &request, &cursors, key, |i| Invitation::new(&i, now))))
}

async fn api_keys(ctx: &Context<'_>, args: PageArgs) -> Result<ApiKeyConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "api_keys").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "api_keys", "");
    let request = cursors.request(&args)?;
    let page = app.identity.api_keys(&mut *work, &actor, request).await?;
    let key = |k: &domain::identity::model::ApiKey| Key { at: k.created_at, id: k.id.uuid() };
    Ok(ApiKeyConnection::new(paged(page, &request, &cursors, key, ApiKey::from)))
}
