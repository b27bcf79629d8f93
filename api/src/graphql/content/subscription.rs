//! What can be followed of content.

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Enum, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    content::events::{ContentEvent, ContentFact},
    kernel::{
        actor::{Actor, Permission},
        feed::Fact as _,
        ids::{ComplianceId, UploadId},
        outbox::Origin,
        scope::TenantScope,
    },
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use super::types::{TranscodeFailure, UploadState};
use crate::{
    app::App,
    graphql::{
        command::{app, caller},
        error::ApiError,
        scalars::{Kind, global_id, parse_global_id},
    },
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
    /// A file was given up, did not arrive in time, or could not be made.
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
            // The latter is told by a subscription of its own.
            ContentFact::UploadReceived(_) | ContentFact::TranscodeMoved(_) => UploadEventKind::Received,
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

/// How far files are, as it was told in the last moments: written once for all who follow the same.
pub(in crate::graphql) type RecentProgress = Recent<(TenantScope, TranscodeProgress), TranscodeProgress>;

pub(in crate::graphql) fn recent_progress() -> Arc<RecentProgress> {
    Arc::new(Recent::new(RECENT_MAX))
}

/// Movements that are taken together, when as many have come while the last were told.
const MOVES_MAX: usize = 1_000;

/// How long nothing need be told before it is read again.
const AGAIN: Duration = Duration::from_secs(10);

/// Least time between two readings for one subscription.
const PACE: Duration = Duration::from_millis(250);

/// How far a file is that is made of another.
#[derive(SimpleObject, Output, Clone, PartialEq, Eq)]
pub struct TranscodeProgress {
    /// The upload that is made.
    upload_id: ID,
    /// Where it stands.
    state: UploadState,
    /// How much of it is done, of 1,000.
    done_permille: u32,
    /// Why it came to nothing; null otherwise.
    failure: Option<TranscodeFailure>,
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
            let is_progress = matches!(event.fact, ContentFact::TranscodeMoved(_));
            let wanted = !is_progress
                && upload_id.as_ref().is_none_or(|id| UploadEventNotice::from(*event).upload_id == *id);
            std::future::ready(wanted)
        });
        Ok(wanted.map(move |event| recent.share((scope, event), || event.into())))
    }

    /// How far a file is that is made of another, now and whenever it moves, until it can be used or came to nothing. Who is
    /// slow is told the newest, and never a queue of older ones.
    async fn transcode_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The upload that is made.")] id: ID,
    ) -> Result<impl Stream<Item = Result<Shared<TranscodeProgress>, ApiError>> + use<>, ApiError> {
        let upload = match parse_global_id(&id) {
            Some((Kind::Upload, uuid)) => UploadId::from_uuid(uuid),
            _ => return Err(no_transcode()),
        };
        let actor = caller(ctx)?.signed_in().actor.clone();
        // Who may have a file made may see how far that is.
        if actor.require(Permission::ManageContent).is_err() {
            actor.require(Permission::ReadContent)?;
        }
        let (app, scope) = (Arc::clone(app(ctx)), actor.scope());
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentProgress>>());
        let events = app.content_feed.subscribe(&scope).await?;
        let moved = events.filter(move |event| std::future::ready(event.fact.subject() == upload.uuid()));
        // What has come together meanwhile is read once, and what reads the same is not told again.
        let moved = Box::pin(moved.ready_chunks(MOVES_MAX).map(drop));
        let from = Some((moved, None::<TranscodeProgress>, app, actor));
        let told = futures_util::stream::unfold(from, move |from| async move {
            let (mut moved, mut last, app, actor) = from?;
            loop {
                if last.is_some() {
                    // Read again now and then whatever is told: news may be lost, and its end must not be.
                    if let Ok(None) = tokio::time::timeout(AGAIN, moved.next()).await {
                        return None;
                    }
                    tokio::time::sleep(PACE).await;
                }
                match progress(&app, &actor, upload).await {
                    Ok(now) if last.as_ref() == Some(&now) => {}
                    Ok(now) => {
                        let goes_on = matches!(now.state, UploadState::Transcoding | UploadState::Checking);
                        last = Some(now.clone());
                        return Some((Ok(now), goes_on.then_some((moved, last, app, actor))));
                    }
                    Err(error) => return Some((Err(error), None)),
                }
            }
        });
        Ok(told.map(move |told: Result<TranscodeProgress, ApiError>| {
            told.map(|now| recent.share((scope, now.clone()), || now))
        }))
    }
}

fn no_transcode() -> ApiError {
    ApiError::bad_input("id names no upload that is made of another".to_owned())
}

/// How far it is now, under the reader's own permissions.
async fn progress(app: &App, actor: &Actor, id: UploadId) -> Result<TranscodeProgress, ApiError> {
    let origin = Origin::system(ComplianceId::new(&*app.ids), "transcodeProgress");
    let mut work = app.units.begin(actor.scope(), &origin).await?;
    let upload = app.content.upload(&mut *work, actor, id).await?.ok_or_else(no_transcode)?;
    let transcode = app.content.transcodes(&mut *work, actor, &[id]).await?.remove(&id);
    let transcode = transcode.ok_or_else(no_transcode)?;
    Ok(TranscodeProgress {
        upload_id: global_id(Kind::Upload, id.uuid()),
        state: upload.state.into(),
        done_permille: transcode.done_permille,
        failure: transcode.failure.map(Into::into),
    })
}
