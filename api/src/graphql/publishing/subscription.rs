//! What can be followed of posts.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    kernel::{actor::Permission, feed::Fact as _, ids::ComplianceId, outbox::Origin, scope::TenantScope},
    publishing::{
        events::{PublishingEvent, PublishingFact},
        ports::FigureTotal,
    },
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use super::figures::{Asked, FigureTotals, total};
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
            // Told by a subscription of their own.
            PublishingFact::FiguresMoved(_) => (None, None),
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

/// Figures as they were told in the last moments: who follows the same posts reads the same, and it is written once for all of
/// them.
pub(in crate::graphql) type RecentFigures = Recent<(TenantScope, FigureTotal), FigureTotals>;

pub(in crate::graphql) fn recent_figures() -> Arc<RecentFigures> {
    Arc::new(Recent::new(RECENT_MAX))
}

/// Movements of figures that are taken together, when as many have come while the last were told.
const MOVES_MAX: usize = 1_000;

/// How long it is before figures are read again when nothing is told to have moved: after a reading that failed, and after
/// one that did not, for what was told may have been missed.
const AGAIN: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(2)];

/// Least time between two readings of figures for one subscription.
const PACE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct PublishingSubscription;

#[expect(clippy::too_many_arguments, reason = "whose figures, and from when on")]
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
            let is_of_figures = matches!(event.fact, PublishingFact::FiguresMoved(_));
            let is_wanted =
                post_id.is_none() || PostEventNotice::from(*event).post_id.as_ref() == post_id.as_ref();
            let wanted = is_wanted && !is_of_figures;
            std::future::ready(wanted)
        });
        Ok(wanted.map(move |event| recent.share((scope, event), || event.into())))
    }

    /// Figures of all posts the caller reaches, together, now and whenever they move; only those of a group and below, of an
    /// account, of a plan, or of one post, where that is given. Who is slow is told the newest, and never a queue of older
    /// ones. Who comes back with the `seq` of what it was last told is told at once if they have moved since, and only then.
    async fn figures(
        &self,
        ctx: &Context<'_>,
        group_id: Option<ID>,
        account_id: Option<ID>,
        plan_id: Option<ID>,
        post_id: Option<ID>,
        since_seq: Option<String>,
    ) -> Result<impl Stream<Item = Result<Shared<FigureTotals>, ApiError>> + use<>, ApiError> {
        let is_seq = |seq: &String| seq.len() == 16 && seq.bytes().all(|byte| byte.is_ascii_hexdigit());
        if since_seq.as_ref().is_some_and(|seq| !is_seq(seq)) {
            return Err(ApiError::bad_input("sinceSeq must be a seq that figures had"));
        }
        let asked = Asked { group: group_id, account: account_id, plan: plan_id, post: post_id };
        let filter = asked.filter()?;
        let actor = caller(ctx)?.signed_in().actor.clone();
        actor.require(Permission::ReadPosts)?;
        let (app, scope) = (Arc::clone(app(ctx)), actor.scope());
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentFigures>>());
        let events = app.publishing_feed.subscribe(&scope).await?;
        let moved = events.filter(move |event| {
            let moved = matches!(event.fact, PublishingFact::FiguresMoved(account)
                if filter.account.is_none_or(|wanted| wanted == account));
            std::future::ready(moved)
        });
        // What has come together meanwhile is read once, and what reads the same is not told again.
        let moved = Box::pin(moved.ready_chunks(MOVES_MAX).map(drop));
        let from = (moved, None::<FigureTotal>, app, actor, since_seq, false);
        let told = futures_util::stream::unfold(
            from,
            move |(mut moved, mut last, app, actor, mut since, mut is_told)| async move {
                loop {
                    if is_told {
                        let again = AGAIN[usize::from(last.is_some())];
                        if let Ok(None) = tokio::time::timeout(again, moved.next()).await {
                            return None;
                        }
                        tokio::time::sleep(PACE).await;
                    }
                    is_told = true;
                    let id = ComplianceId::new(&*app.ids);
                    let read = async {
                        let mut work = app.units.begin(actor.scope(), &Origin::system(id, "figures")).await?;
                        total(&app, &mut *work, &actor, filter).await
                    };
                    let told = match read.await {
                        // That it was read again is no movement.
                        Ok(total) if last.is_some_and(|last| last.mark() == total.mark()) => continue,
                        Ok(total) if since.take().is_some_and(|seq| seq == total.mark()) => {
                            last = Some(total);
                            continue;
                        }
                        Ok(total) => {
                            last = Some(total);
                            Ok(total)
                        }
                        Err(error) => {
                            last = None;
                            Err(error)
                        }
                    };
                    return Some((told, (moved, last, app, actor, since, is_told)));
                }
            },
        );
        Ok(told.map(move |told: Result<FigureTotal, ApiError>| {
            told.map(|total| recent.share((scope, total), || total.into()))
        }))
    }
}
