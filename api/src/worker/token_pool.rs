//! Keeps tokens fresh.

use std::{sync::Arc, time::Duration};

use domain::{
    accounts::{Accounts, AccountsError, PoolTurn},
    kernel::{ids::AccountId, scope::TenantScope},
};
use tokio::{sync::watch, time::Instant};

use super::turns::Turns;
use crate::metrics::{Metrics, TokenLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_secs(1);

/// How often what the journal holds is taken in.
const RECOVER_EVERY: Duration = Duration::from_mins(1);

/// Pauses before a renewed token is tried to be taken in again, when the store did not take it at once.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

/// Tends accounts whose tokens are due, up to `width` at a time, until `stop` turns true. What is left then is tended by
/// whoever runs next: claims run out by themselves.
pub async fn tend_tokens(
    accounts: Arc<Accounts>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    let mut turns = Turns::new(width, IDLE, |error| {
        tracing::error!(error = %error, "a turn on an account's tokens broke off");
        metrics.tokens.get_or_create(&TokenLabels { result: "fault" }).inc();
    });
    let mut recovered: Option<Instant> = None;
    while !*stop.borrow() {
        if recovered.is_none_or(|at| at.elapsed() >= RECOVER_EVERY) {
            recover(&accounts, &metrics).await;
            recovered = Some(Instant::now());
        }
        let claimed = accounts.claim_due(turns.free()).await;
        let begun = turns.begin(claimed, "no tokens were claimed", &mut stop, |(scope, account)| {
            let (accounts, metrics) = (Arc::clone(&accounts), Arc::clone(&metrics));
            async move { tend(&accounts, &metrics, scope, account).await }
        });
        begun.await;
    }
    turns.finish().await;
}

/// One account's turn. What the store did not take is tried again right away: the next to claim the account may be on
/// another machine, which has another journal.
async fn tend(accounts: &Accounts, metrics: &Metrics, scope: TenantScope, account: AccountId) {
    let turn = accounts.refresh_tokens(scope, account).await;
    let failed = turn.is_err();
    count(metrics, &turn);
    if !failed {
        return;
    }
    for pause in AGAIN {
        tokio::time::sleep(pause).await;
        if accounts.recover_token(scope, account).await.is_ok() {
            return;
        }
    }
}

/// Takes in what the journal holds. One that can't be taken in now is in nobody's way.
async fn recover(accounts: &Accounts, metrics: &Metrics) {
    let waiting = match accounts.unrecovered().await {
        Ok(waiting) => waiting,
        Err(fault) => {
            tracing::warn!(error = %fault, "the journal can't be read");
            return;
        }
    };
    let mut left: i64 = 0;
    for (scope, account) in waiting {
        match accounts.recover_token(scope, account).await {
            Ok(true) => {
                tracing::info!(account.id = %account, "{account}: a renewed token was taken in from the journal");
            }
            Ok(false) => {}
            Err(fault) => {
                left += 1;
                tracing::warn!(account.id = %account, error = %fault, "{account}: the journal's token was not taken in");
            }
        }
    }
    metrics.token_journal.set(left);
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
            add("unkept", turn.unkept);
        }
        Err(fault) => {
            tracing::warn!(error = %fault, "an account's tokens were not tended");
            add("fault", 1);
        }
    }
}
