//! Derives all logs anew every now and then, and tells what differs.

use std::{sync::Arc, time::Duration};

use domain::{
    compliance::{LogVerifier, finding::LogReport},
    kernel::{clock::Clock, fault::PortError},
};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Pause after a check that did not come to its end.
const RETRY: Duration = Duration::from_mins(1);

/// Checks all logs at once, and `every` so often after that, until `stop` turns true. What is cut off then begins anew.
pub async fn verify_logs(
    verifier: LogVerifier,
    clock: Arc<dyn Clock>,
    every: Duration,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let pause = tokio::select! {
            checked = check(&verifier) => match checked {
                Ok(differences) => {
                    metrics.audit_differences.set(i64::try_from(differences).unwrap_or(i64::MAX));
                    metrics.audit_verified_at_s.set(clock.now().timestamp());
                    every
                }
                Err(fault) => {
                    tracing::warn!(port = fault.port, error = %fault.source, "the audit logs were not checked");
                    RETRY.min(every)
                }
            },
            _ = stop.changed() => return,
        };
        let _ = tokio::time::timeout(pause, stop.changed()).await;
    }
}

/// Checks every log there is, one after the other, and says how many differences there are.
async fn check(verifier: &LogVerifier) -> Result<u64, PortError> {
    let mut differences = 0;
    for log in verifier.logs(None).await? {
        let report = verifier.verify_log(log).await?;
        differences += report.count();
        tell(&report);
    }
    Ok(differences)
}

fn tell(report: &LogReport) {
    let log = report.log;
    for finding in &report.findings {
        tracing::error!(%log, place = %finding.place, field = finding.field,
            "an audit log is not what it should be: {} {}", finding.field, finding.problem);
    }
    if report.more > 0 {
        tracing::error!(%log, more = report.more, "and more");
    }
}
