//! Keeps tokens fresh.

use std::{sync::Arc, time::Duration};

use domain::accounts::{Accounts, AccountsError, PoolTurn};
use tokio::{sync::watch, task::JoinSet};

use crate::metrics::{Metrics, TokenLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_secs(1);

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Tends accounts whose tokens are due, up to `width` at a time, until `stop` turns true. What is left then is tended by
/// whoever runs next: claims run out by themselves.
pub async fn tend_tokens(
    accounts: Arc<Accounts>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    recover(&accounts, &mut stop).await;
    let mut turns = JoinSet::new();
    while !*stop.borrow() {
        let busy = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        let pause = match accounts.claim_due(width.saturating_sub(busy)).await {
            Ok(claimed) => {
                let pause = if claimed.is_empty() { IDLE } else { Duration::ZERO };
                for (scope, account) in claimed {
                    let (accounts, metrics) = (Arc::clone(&accounts), Arc::clone(&metrics));
                    turns.spawn(
                        async move { count(&metrics, &accounts.refresh_tokens(scope, account).await) },
                    );
                }
                pause
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "no tokens were claimed");
                RETRY
            }
        };
        tokio::select! {
            _ = turns.join_next(), if turns.len() >= usize::try_from(width).unwrap_or(usize::MAX) => {}
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        while turns.try_join_next().is_some() {}
    }
    while turns.join_next().await.is_some() {}
}

/// Takes in what a crash left in the journal, before anybody asks for the same again.
async fn recover(accounts: &Accounts, stop: &mut watch::Receiver<bool>) {
    while !*stop.borrow() {
        match accounts.recover_tokens().await {
            Ok(0) => return,
            Ok(count) => {
                tracing::info!(count, "renewed tokens were taken in from the journal");
                return;
            }
            Err(fault) => tracing::warn!(error = %fault, "the journal was not taken in"),
        }
        let _ = tokio::time::timeout(RETRY, stop.changed()).await;
    }
}

fn count(metrics: &Metrics, turn: &Result<PoolTurn, AccountsError>) {
    let add = |result: &'static str, times: u32| {
        if times > 0 {
            metrics.tokens.get_or_create(&TokenLabels { result }).inc_by(times.into());
        }
    };
    match turn {
        Ok(turn) => {
            add("refreshed", turn.refreshed);
            add("renewed", turn.renewed);
            add("failed", turn.failed);
            add("ended", turn.ended);
        }
        Err(fault) => {
            tracing::warn!(error = %fault, "an account's tokens were not tended");
            add("fault", 1);
        }
    }
}
