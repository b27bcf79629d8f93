//! Writes erasures down outside of the database, and looks after keys of persons.

use std::{sync::Arc, time::Duration};

use domain::compliance::{Erasures, Kept};
use tokio::{sync::watch, time::Instant};

use crate::metrics::Metrics;

/// Pause when there was nothing to write down.
const IDLE: Duration = Duration::from_secs(1);

/// How often it is asked whose keys are to be looked after.
const KEYS_EVERY: Duration = Duration::from_mins(1);

/// Works until `stop` turns true.
pub async fn keep_erasures(erasures: Arc<Erasures>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut keys_due = Instant::now();
    while !*stop.borrow() {
        match erasures.keep_erasures().await {
            Ok(Kept { kept, oldest_s }) => {
                metrics.erasures_unkept_s.set(oldest_s);
                if kept > 0 {
                    continue;
                }
            }
            Err(error) => tracing::warn!(error = %error, "erasures were not written down"),
        }
        if keys_due <= Instant::now() {
            keys_due = Instant::now() + KEYS_EVERY;
            match erasures.tend_subject_keys().await {
                Ok(0) => {}
                Ok(months) => tracing::info!(months, "keys of months were destroyed that no backup needs"),
                Err(error) => tracing::warn!(error = %error, "keys of persons were not looked after"),
            }
        }
        let _ = tokio::time::timeout(IDLE, stop.changed()).await;
    }
}
