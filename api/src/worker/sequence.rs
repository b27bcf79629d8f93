//! Keeps the audit logs growing.

use std::{sync::Arc, time::Duration};

use domain::compliance::Sequencer;
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Most events sequenced in one transaction.
const BATCH: u32 = 1_024;

/// Pause when nothing was left to do. Commands wait for their event's index, on average half of this.
const IDLE: Duration = Duration::from_millis(50);

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Sequences until `stop` turns true. What waits then is sequenced by whoever runs next.
pub async fn sequence(mut sequencer: Sequencer, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let turn = sequencer.sequence(BATCH).await;
        for (tenant, fault) in sequencer.unfit() {
            tracing::warn!(tenant = %tenant.uuid(), port = fault.port, error = %fault.source, "an audit log can't grow");
        }
        let pause = match turn {
            Ok(done) => {
                metrics.audit_sequenced.inc_by(u64::try_from(done.count).unwrap_or(u64::MAX));
                if done.more { Duration::ZERO } else { IDLE }
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
