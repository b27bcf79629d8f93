//! Does what is due for posts.

use std::{sync::Arc, time::Duration};

use domain::publishing::{Publishing, PublishingError, TurnEnd, ports::Turn};
use tokio::sync::watch;

use super::turns::Turns;
use crate::metrics::{Metrics, PostLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(250);

/// How often a turn is extended while it is used: several times in the time it lasts.
const EXTEND_EVERY: Duration = Duration::from_secs(5);

/// Works for accounts that something is due for, up to `width` at a time, until `stop` turns true. What is under way then
/// is finished: what the platform answers can't be asked for again.
pub async fn publish_posts(
    publishing: Arc<Publishing>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    let mut turns = Turns::new(width, IDLE, |error| {
        tracing::error!(error = %error, "a turn on an account's posts broke off");
        metrics.posts.get_or_create(&PostLabels { step: "fault" }).inc();
    });
    while !*stop.borrow() {
        let claimed = publishing.claim_turns(turns.free()).await;
        let begun = turns.begin(claimed, "no turns were claimed", &mut stop, |turn| {
            let (publishing, metrics) = (Arc::clone(&publishing), Arc::clone(&metrics));
            async move { use_turn(&publishing, &metrics, turn).await }
        });
        begun.await;
    }
    turns.finish().await;
}

/// One account's turn, extended while it lasts. Once it is somebody else's, what is being done under it is broken off.
async fn use_turn(publishing: &Publishing, metrics: &Metrics, turn: Turn) {
    let ended = tokio::select! {
        ended = publishing.publish_due(turn) => ended,
        () = until_lost(publishing, &turn) => {
            tracing::warn!(account.id = %turn.account, "{}: another worker has the account's turn", turn.account);
            return;
        }
    };
    note(metrics, turn, ended);
}

async fn until_lost(publishing: &Publishing, turn: &Turn) {
    loop {
        tokio::time::sleep(EXTEND_EVERY).await;
        match publishing.extend_turn(turn).await {
            Ok(true) => {}
            Ok(false) => return,
            // Whether it is ours still is seen before anything is written.
            Err(fault) => tracing::warn!(error = %fault, "a turn was not extended"),
        }
    }
}

fn note(metrics: &Metrics, turn: Turn, ended: Result<TurnEnd, PublishingError>) {
    match ended {
        Ok(end) => {
            for step in end.did {
                metrics.posts.get_or_create(&PostLabels { step: step.as_str() }).inc();
            }
            if let Some(late) = end.accepted_after {
                metrics.post_lateness_s.observe(late.as_seconds_f64().max(0.0));
            }
        }
        Err(PublishingError::Port(fault)) => {
            tracing::warn!(
                account.id = %turn.account, port = fault.port, error = %fault.source,
                "{}: an account's posts were not worked on", turn.account
            );
            metrics.posts.get_or_create(&PostLabels { step: "fault" }).inc();
        }
        Err(error) => {
            tracing::error!(account.id = %turn.account, error = %error, "{}: not worked on", turn.account);
            metrics.posts.get_or_create(&PostLabels { step: "fault" }).inc();
        }
    }
}
