//! Makes files of the range of reports before anybody asks.

use std::{sync::Arc, time::Duration};

use domain::compliance::{ComplianceError, Cutter};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Pause when there was nothing to make. A file is tens of thousands of events.
const IDLE: Duration = Duration::from_secs(10);

/// Makes them until `stop` turns true.
pub async fn cut_segments(cutter: Cutter, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let made = tokio::select! {
            made = cutter.cut_segments() => made,
            _ = stop.changed() => return,
        };
        match made {
            Ok(0) => {}
            Ok(made) => {
                metrics.segments_cut.inc_by(made.into());
                continue;
            }
            Err(ComplianceError::Port(fault)) => {
                tracing::warn!(port = fault.port, error = %fault.source, "files for reports were not made");
            }
            Err(error) => tracing::error!(error = %error, "files for reports were not made"),
        }
        let _ = tokio::time::timeout(IDLE, stop.changed()).await;
    }
}
