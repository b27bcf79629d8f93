//! Writes erasures down outside of the database, erases again what a database that was put back has brought back, looks after keys
//! of persons, and has tenants end that are closed.

use std::{sync::Arc, time::Duration};

use domain::{
    compliance::{ComplianceError, Erasures, Kept},
    kernel::fault::with_causes,
};
use tokio::{sync::watch, time::Instant};

/// Pause when there was nothing to write down.
const IDLE: Duration = Duration::from_secs(1);

/// How often the database is held to what is written down, and it is asked whose keys are to be looked after.
const UPKEEP_EVERY: Duration = Duration::from_mins(1);

/// Works until `stop` turns true.
pub async fn keep_erasures(erasures: Arc<Erasures>, mut stop: watch::Receiver<bool>) {
    let mut upkeep_due = Instant::now();
    while !*stop.borrow() {
        if told("erasures were not written down", erasures.keep_erasures().await) > 0 {
            continue;
        }
        if upkeep_due <= Instant::now() {
            upkeep_due = Instant::now() + UPKEEP_EVERY;
            let again = told("who was erased before is not erased again", erasures.erase_again().await);
            if again > 0 {
                tracing::warn!(
                    subjects = again,
                    "the database was put back to before some were erased: they are again"
                );
            }
            let months = told("keys of persons were not looked after", erasures.tend_subject_keys().await);
            if months > 0 {
                tracing::info!(months, "keys of months were destroyed that no backup needs");
            }
        }
        let _ = tokio::time::timeout(IDLE, stop.changed()).await;
    }
}

/// Has tenants that are closed end, one after another, until `stop` turns true.
pub async fn end_tenants(erasures: Arc<Erasures>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match erasures.end_next().await {
            Ok(Some(turn)) => {
                if told("a tenant that is closed can't end", Ok(turn)) > 0 {
                    tracing::info!("nothing is left of a tenant that was closed but its log");
                }
            }
            Ok(None) => drop(tokio::time::timeout(UPKEEP_EVERY, stop.changed()).await),
            Err(error) => {
                tracing::warn!(error = %error, "tenants that are closed can't end");
                drop(tokio::time::timeout(UPKEEP_EVERY, stop.changed()).await);
            }
        }
    }
}

/// Tells of what failed, and gives how often it was done.
fn told(what: &str, turn: Result<Kept, ComplianceError>) -> u32 {
    match turn {
        Ok(Kept { done, faults }) => {
            for (scope, error) in faults {
                tracing::error!(tenant = %scope.tenant(), error = with_causes(&error), "{what}");
            }
            done
        }
        Err(error) => {
            tracing::warn!(error = with_causes(&error), "{what}");
            0
        }
    }
}
