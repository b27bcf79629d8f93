//! Does what is due for posts.

use std::{sync::Arc, time::Duration};

use domain::publishing::{Publishing, PublishingError, TurnEnd, Yes, events::NoteKind, ports::Turn};
use tokio::{sync::watch, time::Instant};

use super::turns::Turns;
use crate::metrics::{Metrics, PostLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(250);

/// How often a turn is extended while it is used: several times in the time it lasts.
const EXTEND_EVERY: Duration = Duration::from_secs(5);

/// How long a turn is extended at most: no file takes as long, and what hangs would keep its account for ever. Whoever comes
/// next sees how far it got.
const TURN_MAX: Duration = Duration::from_hours(2);

/// Pauses before a yes of the platform is tried to be written down again: the database may be away for some minutes.
const AGAIN: [Duration; 8] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_mins(1),
    Duration::from_mins(2),
];

/// How often room is made for figures of the months to come.
const ROOM_EVERY: Duration = Duration::from_hours(6);

/// Works for accounts that something is due for, up to `width` at a time, until `stop` turns true. What is under way then
/// is finished: what the platform answers can't be asked for again.
pub async fn publish_posts(
    publishing: Arc<Publishing>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    // Rises from nothing to one are seen only by who has seen the nothing.
    for step in NoteKind::ALL.map(NoteKind::as_str).into_iter().chain(["fault"]) {
        drop(metrics.posts.get_or_create(&PostLabels { step }));
    }
    let mut turns = Turns::new(width, IDLE, |error| {
        tracing::error!(error = %error, "a turn on an account's posts broke off");
        metrics.posts.get_or_create(&PostLabels { step: "fault" }).inc();
    });
    let mut room_made: Option<Instant> = None;
    while !*stop.borrow() && !publishing.is_stopping() {
        if room_made.is_none_or(|at| at.elapsed() >= ROOM_EVERY) {
            match publishing.make_room().await {
                Ok(()) => room_made = Some(Instant::now()),
                Err(fault) => tracing::warn!(error = %fault, "no room was made for figures"),
            }
        }
        let claimed = publishing.claim_turns(turns.free()).await;
        let begun = turns.begin(claimed, "no turns were claimed", &mut stop, |turn| {
            let (publishing, metrics) = (Arc::clone(&publishing), Arc::clone(&metrics));
            async move { use_turn(&publishing, &metrics, turn).await }
        });
        begun.await;
    }
    turns.finish().await;
}

/// One account's turn, extended while it lasts. It is not broken off when it is somebody else's by then: nothing is written
/// under it any more, but for a yes of the platform, and that is worth waiting for.
async fn use_turn(publishing: &Publishing, metrics: &Metrics, turn: Turn) {
    let mut work = std::pin::pin!(publishing.publish_due(turn));
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = until_lost(publishing, &turn) => {
            tracing::warn!(account.id = %turn.account, "{}: another worker has the account's turn", turn.account);
            work.await
        }
    };
    if let Some(yes) = note(metrics, turn, ended) {
        keep(publishing, metrics, &yes, turn).await;
    }
}

async fn until_lost(publishing: &Publishing, turn: &Turn) {
    let begun_at = Instant::now();
    loop {
        tokio::time::sleep(EXTEND_EVERY).await;
        if begun_at.elapsed() > TURN_MAX {
            tracing::error!(account.id = %turn.account, "{}: a turn hangs, and is left to others", turn.account);
            return;
        }
        match publishing.extend_turn(turn).await {
            Ok(true) => {}
            Ok(false) => return,
            // Whether it is ours still is seen before anything is written.
            Err(fault) => tracing::warn!(error = %fault, "a turn was not extended"),
        }
    }
}

/// Writes down what the platform said, as soon as the database is there again. When it is not, somebody reads it there.
async fn keep(publishing: &Publishing, metrics: &Metrics, yes: &Yes, turn: Turn) {
    for pause in AGAIN {
        tokio::time::sleep(pause).await;
        match publishing.keep_yes(yes).await {
            Ok(end) => {
                note(metrics, turn, Ok(end));
                return;
            }
            Err(fault) => tracing::warn!(error = %fault, "a platform's answer was not written down"),
        }
    }
    tracing::error!(?yes, "a platform's answer was given up; it will be read on the platform");
}

/// Counts what came of a turn; what is still to be written down of it.
fn note(metrics: &Metrics, turn: Turn, ended: Result<TurnEnd, PublishingError>) -> Option<Yes> {
    let (end, fault) = match ended {
        Ok(mut end) => {
            let fault = end.fault.take();
            (end, fault)
        }
        Err(fault) => (TurnEnd::default(), Some(fault)),
    };
    for step in end.did {
        metrics.posts.get_or_create(&PostLabels { step: step.as_str() }).inc();
    }
    if let Some(late) = end.late {
        metrics.post_lateness_s.observe(late.as_secs_f64());
        metrics.observe_lateness(turn.scope.tenant().uuid(), late);
    }
    if let Some(fault) = fault {
        let cause =
            if let PublishingError::Port(fault) = &fault { fault.source.to_string() } else { String::new() };
        tracing::warn!(
            account.id = %turn.account, error = %fault, cause,
            "{}: an account's posts were not worked on", turn.account
        );
        metrics.posts.get_or_create(&PostLabels { step: "fault" }).inc();
    }
    end.unkept
}
