//! What can be followed of posts.

use std::sync::Arc;

use async_graphql::{Context, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    kernel::{actor::Permission, feed::Fact as _, scope::TenantScope},
    publishing::events::{PublishingEvent, PublishingFact},
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use crate::graphql::{
    command::{app, caller},
    error::ApiError,
    scalars::{Kind, global_id},
};

/// One thing that happened. It names; what is named is read by `post` or `plan`, under the reader's own permissions.
#[derive(SimpleObject, Output, Clone)]
pub struct PostEventNotice {
    /// Rises from event to event of a tenant; two events at once may share one.
    seq: String,
    /// When it happened.
    at: DateTime<Utc>,
    /// The post that stands otherwise than before; null when a plan was made.
    post_id: Option<ID>,
    /// The plan that was made; null otherwise.
    plan_id: Option<ID>,
}

impl From<PublishingEvent> for PostEventNotice {
    fn from(event: PublishingEvent) -> Self {
        let subject = event.fact.subject();
        let (post_id, plan_id) = match event.fact {
            PublishingFact::PostMoved(_) => (Some(global_id(Kind::Post, subject)), None),
            PublishingFact::PlanCreated(_) => (None, Some(global_id(Kind::Plan, subject))),
        };
        Self { seq: event.at.timestamp_micros().to_string(), at: event.at, post_id, plan_id }
    }
}

/// Events of the last moments, so that each selection of one is written once for all who listen.
pub(in crate::graphql) type RecentEvents = Recent<(TenantScope, PublishingEvent), PostEventNotice>;

/// Events of all tenants together that are kept. Listeners are told within milliseconds of one another.
const RECENT_MAX: usize = 64;

pub(in crate::graphql) fn recent_events() -> Arc<RecentEvents> {
    Arc::new(Recent::new(RECENT_MAX))
}

#[derive(Default)]
pub struct PublishingSubscription;

#[Subscription]
impl PublishingSubscription {
    /// What happens to plans and posts, from now on. With `postId`, to that post alone.
    async fn post_events(
        &self,
        ctx: &Context<'_>,
        post_id: Option<ID>,
    ) -> Result<impl Stream<Item = Shared<PostEventNotice>> + use<>, ApiError> {
        let actor = caller(ctx)?.signed_in().actor.clone();
        actor.require(Permission::ReadPosts)?;
        let scope = actor.scope();
        let events = app(ctx).publishing_feed.subscribe(&scope).await?;
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentEvents>>());
        let wanted = events.filter(move |event| {
            let wanted =
                post_id.is_none() || PostEventNotice::from(*event).post_id.as_ref() == post_id.as_ref();
            std::future::ready(wanted)
        });
        Ok(wanted.map(move |event| recent.share((scope, event), || event.into())))
    }
}
