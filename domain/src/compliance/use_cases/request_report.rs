//! An auditor asks for a report, looks after it, and fetches it.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        log::trust::TrustPolicy,
        ports::{ComplianceUnits, LogKeys, ReportBinder, ReportSchedule, ReportTx},
        report::{Bundle, REPORTS_KEPT_MAX, REPORTS_MAX, Report, ReportDraft, ReportState},
    },
    ComplianceError,
};
use crate::kernel::{
    actor::{Actor, Permission},
    clock::Clock,
    fault::PortError,
    ids::{ComplianceId, IdSource, ReportId},
    outbox::{Party, Record},
    page::{Page, PageRequest},
};

/// What making reports is built from.
pub struct ReportPorts {
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Which reports are to be looked after.
    pub schedule: Arc<dyn ReportSchedule>,
    /// Binds them.
    pub binder: Arc<dyn ReportBinder>,
    /// Keys that sign checkpoints.
    pub log_keys: Arc<dyn LogKeys>,
    /// Who witnesses the platform's log, and how many are enough.
    pub trust: TrustPolicy,
    /// The host part of a log's origin.
    pub host: String,
    /// How long a report is kept once it is there.
    pub keep: TimeDelta,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Makes reports for auditors.
pub struct Reports(pub(super) ReportPorts);

/// Bytes of a bundle that are read at once.
const READ_BYTES: usize = 1024 * 1024;

impl Reports {
    /// Takes its ports.
    pub const fn new(ports: ReportPorts) -> Self {
        Self(ports)
    }

    /// Has a report made.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotSetUp`, `ReportsFull`, `Port`.
    pub async fn request_report(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        answer: ComplianceId,
        draft: ReportDraft,
    ) -> Result<Report, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let now = self.0.clock.now();
        if let Some((field, problem)) = draft.fault(now) {
            return Err(ComplianceError::Invalid { field, problem });
        }
        for size in draft.kept.into_iter().flat_map(|(least, most)| [least, most]) {
            if size > 0 && tx.head(draft.stream, Some(size)).await?.is_none() {
                let problem = "must be sizes of checkpoints of this log, or 0";
                return Err(ComplianceError::Invalid { field: "keptSizes", problem });
            }
        }
        if !self.0.binder.can_sign() {
            return Err(ComplianceError::NotSetUp);
        }
        let (under_way, kept) = tx.count_reports().await?;
        for (count, max) in [(under_way, REPORTS_MAX), (kept, REPORTS_KEPT_MAX)] {
            if count >= max {
                return Err(ComplianceError::ReportsFull { max });
            }
        }
        let report = Report::new(ReportId::new(&*self.0.ids), draft, answer, now);
        tx.add_report(&report).await?;
        tx.schedule_report(report.id, Some(now)).await?;
        tx.record(Record::success(actions::REQUEST_REPORT, Party::new("report", report.id.uuid()))).await?;
        Ok(report)
    }

    /// Gives up a report that is being made, or throws away one that is there.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `ReportEnded`, `Port`.
    pub async fn cancel_report(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: ReportId,
    ) -> Result<(), ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let mut report = tx.lock_report(id).await?.ok_or(ComplianceError::NotFound { field: "id" })?;
        if !matches!(report.state, ReportState::Making | ReportState::Ready) {
            return Err(ComplianceError::ReportEnded);
        }
        let now = self.0.clock.now();
        report.state = ReportState::Cancelled;
        report.bundle = None;
        report.ended_at = Some(now);
        tx.update_report(&report).await?;
        // Whoever is at it finds out when it notes how far it is; what it kept is thrown away then.
        tx.schedule_report(id, Some(now)).await?;
        tx.record(Record::success(actions::CANCEL_REPORT, Party::new("report", id.uuid()))).await?;
        Ok(())
    }

    /// One report; `None` when the actor's tenant has none of that id.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn report(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: ReportId,
    ) -> Result<Option<Report>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.report(id).await?)
    }

    /// Reports by when they were asked for.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn reports(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Report>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.reports(page).await?)
    }

    /// Lets the actor have a bundle, and logs that it was taken. `None` when it is not there: yet, any more, or at all.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn download_report(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: ReportId,
    ) -> Result<Option<Bundle>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let report = tx.report(id).await?.filter(|report| report.is_there(self.0.clock.now()));
        let Some(bundle) = report.and_then(|report| report.bundle) else { return Ok(None) };
        tx.record(Record::success(actions::DOWNLOAD_REPORT, Party::new("report", id.uuid()))).await?;
        Ok(Some(bundle))
    }

    /// Bytes of a bundle that [`download_report`](Self::download_report) let the actor have, from there on, as many as are
    /// read at once; none at its end.
    ///
    /// # Errors
    /// `Port`.
    pub async fn read_bundle(&self, bundle: &Bundle, offset_bytes: u64) -> Result<Vec<u8>, ComplianceError> {
        let left = bundle.size_bytes.saturating_sub(offset_bytes);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
        if most == 0 {
            return Ok(Vec::new());
        }
        let read = self.0.binder.read(&bundle.pieces, offset_bytes, most).await?;
        if read.is_empty() {
            return Err(PortError::lasting("compliance.bundles", "a bundle ends before its end").into());
        }
        Ok(read)
    }
}
