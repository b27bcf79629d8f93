//! Makes reports for auditors, and throws away those whose time is over.

use std::{sync::Arc, time::Duration};

use domain::{
    compliance::{ComplianceError, ReportTurn, Reports},
    kernel::{ids::ReportId, scope::TenantScope},
};
use tokio::sync::watch;

use super::turns::Turns;
use crate::metrics::{Metrics, ReportLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(250);

/// Makes reports that are due, `width` at a time, until `stop` turns true. What is left then is begun again by whoever runs
/// next, as soon as nothing was heard of this worker for a minute.
pub async fn make_reports(
    reports: Arc<Reports>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    let mut turns = Turns::new(width, IDLE, |error| {
        tracing::error!(error = %error, "a turn on a report broke off");
        metrics.reports.get_or_create(&ReportLabels { result: "fault" }).inc();
    });
    while !*stop.borrow() {
        let claimed = reports.claim_reports(turns.free()).await;
        let begun = turns.begin(claimed, "no reports were claimed", &mut stop, |(scope, report)| {
            let (reports, metrics) = (Arc::clone(&reports), Arc::clone(&metrics));
            async move { make(&reports, &metrics, scope, report).await }
        });
        begun.await;
    }
    // It may take minutes, and nothing of it counts before its end.
    turns.abandon().await;
}

async fn make(reports: &Reports, metrics: &Metrics, scope: TenantScope, report: ReportId) {
    let result = match Box::pin(reports.make_report(scope, report)).await {
        Ok(ReportTurn::Nothing) => return,
        Ok(ReportTurn::Made) => "made",
        Ok(ReportTurn::Failed) => "failed",
        Ok(ReportTurn::Removed) => "removed",
        Err(ComplianceError::Port(fault)) => {
            tracing::warn!(report.id = %report, port = fault.port, error = %fault.source, "{report}: not made");
            "fault"
        }
        Err(error) => {
            tracing::error!(report.id = %report, error = %error, "{report}: not made");
            "fault"
        }
    };
    metrics.reports.get_or_create(&ReportLabels { result }).inc();
}
