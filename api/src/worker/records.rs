//! Makes records of processing, each tenant's once a day.

use std::{sync::Arc, time::Duration};

use domain::compliance::{Records, RecordsTurn};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// How often it is asked whose turn it is.
const EVERY: Duration = Duration::from_secs(5);

/// Works until `stop` turns true.
pub async fn make_records(records: Arc<Records>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match records.make_records().await {
            Ok(RecordsTurn { made, signed, faults, broken }) => {
                for (scope, error) in &broken {
                    metrics.record_faults.inc();
                    tracing::warn!(tenant = %scope.tenant(), error = %error, "records of processing were not made");
                }
                metrics.records_made.inc_by(made.into());
                for (scope, activity, fault) in &faults {
                    metrics.record_faults.inc();
                    tracing::warn!(tenant = %scope.tenant(), activity = activity.as_str(), fault = %fault,
                        "a record of processing was not made");
                }
                if made + signed > 0 {
                    tracing::info!(made, signed, "records of processing");
                }
            }
            Err(error) => tracing::warn!(error = %error, "records of processing were not made"),
        }
        let _ = tokio::time::timeout(EVERY, stop.changed()).await;
    }
}
