//! Tells the log of rows that were changed by who did not tell it.

use std::{sync::Arc, time::Duration};

use domain::compliance::{Changes, ToldLate};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Pause when there was nothing to tell.
const IDLE: Duration = Duration::from_secs(1);

/// Tells until `stop` turns true.
pub async fn tell_changes(changes: Arc<Changes>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match changes.change_rows().await {
            Ok(ToldLate { told, oldest_s, faults }) => {
                metrics.changes_told_late.inc_by(told.into());
                metrics.changes_untold_s.set(oldest_s);
                for (scope, fault) in &faults {
                    tracing::warn!(tenant = %scope.tenant(), port = fault.port, error = %fault.source,
                        "changes of rows were not told to the log");
                }
                if told > 0 && faults.is_empty() {
                    continue;
                }
            }
            Err(error) => tracing::warn!(error = %error, "changes of rows were not told to the log"),
        }
        let _ = tokio::time::timeout(IDLE, stop.changed()).await;
    }
}
