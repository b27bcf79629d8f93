//! What can be followed of content.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    content::events::{ContentEvent, ContentFact},
    kernel::{actor::Permission, feed::Fact as _, scope::TenantScope},
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use crate::graphql::{
    command::{app, caller},
    error::ApiError,
    scalars::{Kind, global_id},
};

/// What happened to an upload.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadEventKind {
    /// Room was made for a file.
    Begun,
    /// More of a file is here.
    Received,
    /// A file can be used.
    Ready,
    /// A file is not the one that was announced.
    Refused,
    /// A file was given up, or did not arrive in time.
    Ended,
}

/// One thing that happened. It names; what is named is read by `upload`, under the reader's own permissions.
#[derive(SimpleObject, Output, Clone)]
pub struct UploadEventNotice {
    /// Rises from event to event of a tenant; two events at once may share one.
    seq: String,
    /// When it happened.
    at: DateTime<Utc>,
    /// What happened.
    kind: UploadEventKind,
    /// The id of the upload it happened to.
    upload_id: ID,
}

impl From<ContentEvent> for UploadEventNotice {
    fn from(event: ContentEvent) -> Self {
        let kind = match event.fact {
            ContentFact::UploadBegun(_) => UploadEventKind::Begun,
            ContentFact::UploadReceived(_) => UploadEventKind::Received,
            ContentFact::UploadReady(_) => UploadEventKind::Ready,
            ContentFact::UploadRefused(_) => UploadEventKind::Refused,
            ContentFact::UploadEnded(_) => UploadEventKind::Ended,
        };
        let upload_id = global_id(Kind::Upload, event.fact.subject());
        Self { seq: event.at.timestamp_micros().to_string(), at: event.at, kind, upload_id }
    }
}

/// Events of the last moments, so that each selection of one is written once for all who listen.
pub(in crate::graphql) type RecentEvents = Recent<(TenantScope, ContentEvent), UploadEventNotice>;

/// Events of all tenants together that are kept. Listeners are told within milliseconds of one another.
const RECENT_MAX: usize = 64;

pub(in crate::graphql) fn recent_events() -> Arc<RecentEvents> {
    Arc::new(Recent::new(RECENT_MAX))
}

#[derive(Default)]
pub struct ContentSubscription;

#[Subscription]
impl ContentSubscription {
    /// What happens to uploads, from now on. With `uploadId`, to that one alone.
    async fn upload_events(
        &self,
        ctx: &Context<'_>,
        upload_id: Option<ID>,
    ) -> Result<impl Stream<Item = Shared<UploadEventNotice>> + use<>, ApiError> {
        let actor = caller(ctx)?.signed_in().actor.clone();
        actor.require(Permission::ReadContent)?;
        let scope = actor.scope();
        let events = app(ctx).content_feed.subscribe(&scope).await?;
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentEvents>>());
        let wanted = events.filter(move |event| {
            let wanted = upload_id.as_ref().is_none_or(|id| UploadEventNotice::from(*event).upload_id == *id);
            std::future::ready(wanted)
        });
        Ok(wanted.map(move |event| recent.share((scope, event), || event.into())))
    }
}
