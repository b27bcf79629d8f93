//! What can be read of content.

use async_graphql::{Context, ID, Object};
use domain::{
    content::{UploadFilter, model},
    kernel::{ids::UploadId, page::Key},
};
use output::Written;

use super::types::{ContentRoom, Upload, UploadConnection, UploadState};
use crate::graphql::{
    command::app,
    connection::{Cursors, PageArgs, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, parse_global_id},
};

#[derive(Default)]
pub struct ContentQuery;

#[expect(clippy::too_many_arguments, reason = "a connection's four arguments and its filter")]
#[Object]
impl ContentQuery {
    /// A file on its way in, or arrived.
    async fn upload(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Upload>, ApiError>> {
        one_upload(ctx, &id).await.map(|upload| upload.map(Written)).transpose()
    }

    /// How many bytes of files the tenant has announced and keeps, and how many it may.
    async fn content_room(&self, ctx: &Context<'_>) -> Option<Result<ContentRoom, ApiError>> {
        Some(content_room(ctx).await)
    }

    /// Files on their way in, or arrived, oldest first. What is gone is left out unless it is asked for.
    async fn uploads(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those in this state.")] state: Option<UploadState>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<UploadConnection>, ApiError>> {
        Some(uploads(ctx, state, PageArgs { first, after, last, before }).await.map(Written))
    }
}

pub(super) async fn one_upload(ctx: &Context<'_>, id: &ID) -> Result<Option<Upload>, ApiError> {
    let (actor, mut work) = reading(ctx, "upload").await?;
    let Some((Kind::Upload, uuid)) = parse_global_id(id) else { return Ok(None) };
    let app = app(ctx);
    let found = app.content.upload(&mut *work, &actor, UploadId::from_uuid(uuid)).await?;
    Ok(found.map(|upload| Upload::new(upload, app)))
}

async fn content_room(ctx: &Context<'_>) -> Result<ContentRoom, ApiError> {
    let (actor, mut work) = reading(ctx, "contentRoom").await?;
    Ok(app(ctx).content.content_room(&mut *work, &actor).await?.into())
}

async fn uploads(
    ctx: &Context<'_>,
    state: Option<UploadState>,
    args: PageArgs,
) -> Result<UploadConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "uploads").await?;
    let app = app(ctx);
    let filter = UploadFilter { state: state.map(Into::into) };
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "uploads", format!("{filter:?}"));
    let request = cursors.request(&args)?;
    let page = app.content.uploads(&mut *work, &actor, filter, request).await?;
    let key = |upload: &model::Upload| Key { at: upload.created_at, id: upload.id.uuid() };
    Ok(UploadConnection::new(paged(page, &request, &cursors, key, |upload| Upload::new(upload, app))))
}
