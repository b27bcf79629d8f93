//! Throws away what of logs need not be kept any longer.

use std::time::Duration;

use domain::compliance::{Pruned, Pruner};
use tokio::sync::watch;

/// How often it is asked whose turn it is.
const EVERY: Duration = Duration::from_secs(10);

/// Works until `stop` turns true.
pub async fn prune_logs(pruner: Pruner, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match pruner.prune_logs().await {
            Ok(Pruned { logs, leaves, faults }) => {
                for (scope, error) in &faults {
                    tracing::error!(tenant = %scope.tenant(), error = %error, "a log was not pruned");
                }
                if leaves > 0 {
                    tracing::info!(logs, leaves, "leaves were thrown away that need not be kept any longer");
                }
            }
            Err(error) => tracing::warn!(error = %error, "logs were not pruned"),
        }
        let _ = tokio::time::timeout(EVERY, stop.changed()).await;
    }
}
