//! Keeps the audit logs growing.

use std::{sync::Arc, time::Duration};

use domain::compliance::Sequencer;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Most events sequenced in one transaction.
const BATCH: u32 = 1_024;

/// Pause when there was nothing to do: half the second an event may wait at most, halved again.
const IDLE: Duration = Duration::from_millis(200);

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Sequences until `stop` turns true. What waits then is sequenced by whoever runs next.
pub async fn sequence(mut sequencer: Sequencer, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let pause = match sequencer.sequence(BATCH).await {
            Ok(0) => IDLE,
            Ok(count) => {
                metrics.audit_sequenced.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
                // A full batch means that more is waiting.
                if u32::try_from(count).is_ok_and(|count| count < BATCH) { IDLE } else { Duration::ZERO }
            }
            Err(fault) => {
                tracing::warn!(port = fault.port, error = %fault.source, "audit events were not sequenced");
                RETRY
            }
        };
        if !pause.is_zero() {
            let _ = tokio::time::timeout(pause, stop.changed()).await;
        }
    }
}
