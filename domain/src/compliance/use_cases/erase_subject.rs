//! What is kept about a person is taken away for good, and stays so when the database is put back.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;

use super::{
    super::{
        actions::ERASE_SUBJECT,
        erasure::{Erasure, ErasureBasis, LegalHold, Subject, epoch_of},
        ports::{ComplianceUnits, DailySchedule, ErasureLedger, ErasureSchedule, ReportTx},
        report::ReportState,
    },
    ComplianceError,
};
use crate::kernel::{
    actor::{Actor, Permission},
    clock::Clock,
    ids::{ComplianceId, HoldId, IdSource, MemberId},
    outbox::{Origin, Record},
    page::{Page, PageRequest},
    scope::TenantScope,
};

/// Changes that are told before somebody is forgotten, at a time.
const TOLD_AT_ONCE: u32 = 256;

/// Erasures that are written down in one go.
const KEPT_AT_ONCE: u32 = 64;

/// Keys that are wrapped anew in one transaction.
const KEYS_AT_ONCE: u32 = 500;

/// The daily task of looking after keys.
const TASK: &str = "subject_keys";

/// Tenants whose keys are looked after in one go, and for how long nobody else does.
const TENANTS: u32 = 16;
const LEASE_S: i64 = 300;

/// Why it was erased, in events, when that was done before.
const AGAIN: &str = "database_put_back";

/// What erasing is built from.
pub struct ErasurePorts {
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// What is to be written down.
    pub schedule: Arc<dyn ErasureSchedule>,
    /// Where.
    pub ledger: Arc<dyn ErasureLedger>,
    /// Whose keys are to be looked after.
    pub daily: Arc<dyn DailySchedule>,
    /// How long backups of the database are kept.
    pub backups: TimeDelta,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Erases what is kept about persons, or says that it must be kept.
pub struct Erasures(pub(super) ErasurePorts);

/// What was written down outside of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kept {
    /// How many.
    pub kept: u32,
    /// How long the oldest had waited, in seconds.
    pub oldest_s: f64,
}

impl Erasures {
    /// Takes its ports.
    pub const fn new(ports: ErasurePorts) -> Self {
        Self(ports)
    }

    /// Takes away what tells who the subject is: rows, and what opens events about them. The events stay, and so does every
    /// proof. Whatever else may still be done in the subject's name is ended before, by whose it is.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `OnHold`, `Port`.
    pub async fn erase_subject(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        subject: Subject,
        basis: ErasureBasis,
    ) -> Result<(), ComplianceError> {
        actor.require(Permission::ManagePrivacy)?;
        tx.lock_subject(subject.id).await?;
        if !tx.has_subject(subject).await? {
            return Err(ComplianceError::NotFound { field: "id" });
        }
        if tx.is_held(subject.id).await? {
            return Err(ComplianceError::OnHold);
        }
        self.erase(tx, (subject, basis), actor.member(), basis.as_str()).await
    }

    async fn erase(
        &self,
        tx: &mut dyn ReportTx,
        (subject, basis): (Subject, ErasureBasis),
        by: Option<MemberId>,
        reason: &'static str,
    ) -> Result<(), ComplianceError> {
        // What is told afterwards would be told of somebody whom nobody can forget any more.
        while tx.tell_left_changes(TOLD_AT_ONCE).await? == TOLD_AT_ONCE {}
        let now = self.0.clock.now();
        let mut reports = Vec::new();
        for id in tx.disclosing_reports().await? {
            let Some(mut report) = tx.lock_report(id).await? else { continue };
            if report.state == ReportState::Ready {
                report.state = ReportState::Expired;
                report.ended_at = Some(now);
                reports.push(id);
            }
            // Whoever is making one finds that it is not theirs any more, and it is begun anew.
            tx.update_report(&report).await?;
            tx.schedule_report(id, Some(now)).await?;
        }
        let openings = tx.forget_subject(subject).await?;
        tx.record(Record { reason: Some(reason), ..Record::success(ERASE_SUBJECT, subject.party()) }).await?;
        tx.add_erasure(&Erasure { subject, basis, at: now, by, openings, reports }).await?;
        Ok(())
    }

    /// Writes some erasures down outside of the database.
    ///
    /// # Errors
    /// `Port`: those that are not written down yet are the next time.
    pub async fn keep_erasures(&self) -> Result<Kept, ComplianceError> {
        let (unkept, oldest_s) = self.0.schedule.unkept(KEPT_AT_ONCE).await?;
        let mut turn = Kept { kept: 0, oldest_s };
        for (scope, subject) in unkept {
            let mut tx = self.begin(scope).await?;
            for erasure in tx.erasures_of(&[subject]).await? {
                self.0.ledger.keep(&scope, &erasure).await?;
            }
            tx.erasure_kept(subject).await?;
            tx.commit().await?;
            turn.kept += 1;
        }
        Ok(turn)
    }

    /// Erases again what was erased before the database was put back to a time when it was not: to be done before anything
    /// is served. Says how many subjects those were.
    ///
    /// # Errors
    /// `Port`.
    pub async fn erase_again(&self) -> Result<u32, ComplianceError> {
        let mut by_tenant: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (scope, subject, basis) in self.0.ledger.all().await? {
            by_tenant.entry(scope.tenant()).or_default().push((subject, basis));
        }
        let mut again = 0;
        for (tenant, erased) in by_tenant {
            let mut tx = self.begin(TenantScope::of(tenant)).await?;
            let ids: Vec<_> = erased.iter().map(|(subject, _)| subject.id).collect();
            let known: Vec<_> = tx.erasures_of(&ids).await?.into_iter().map(|known| known.subject).collect();
            for (subject, basis) in erased {
                tx.lock_subject(subject.id).await?;
                if known.contains(&subject) || !tx.has_subject(subject).await? {
                    continue;
                }
                self.erase(&mut *tx, (subject, basis), None, AGAIN).await?;
                again += 1;
            }
            tx.commit().await?;
        }
        Ok(again)
    }

    /// Has keys of persons be wrapped under this month's key, for tenants whose turn it is, and destroys the keys of months
    /// that only backups could have needed that are kept no more. Says how many months' keys were destroyed.
    ///
    /// # Errors
    /// `Port`: it is done another time.
    pub async fn tend_subject_keys(&self) -> Result<u32, ComplianceError> {
        let now = self.0.clock.now();
        let epoch = epoch_of(now);
        let mut destroyed = 0;
        for scope in self.0.daily.claim_daily(TASK, now, TENANTS, TimeDelta::seconds(LEASE_S)).await? {
            loop {
                let mut tx = self.begin(scope).await?;
                let wrapped = tx.rewrap_subject_keys(epoch, KEYS_AT_ONCE).await?;
                if wrapped < KEYS_AT_ONCE {
                    destroyed += tx.destroy_epochs(epoch, now, now - self.0.backups).await?;
                    tx.daily_done(TASK, now + TimeDelta::days(1)).await?;
                }
                tx.commit().await?;
                if wrapped < KEYS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(destroyed)
    }

    /// Erasures by when they were done.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn erasures(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Erasure>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.erasures(page).await?)
    }

    /// That of one subject.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn erasure(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        subject: uuid::Uuid,
    ) -> Result<Option<Erasure>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.erasures_of(&[subject]).await?.pop())
    }

    /// Holds by when they were placed.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn holds(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<LegalHold>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.holds(page).await?)
    }

    /// One hold.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn hold(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: HoldId,
    ) -> Result<Option<LegalHold>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.hold(id).await?)
    }

    async fn begin(
        &self,
        scope: TenantScope,
    ) -> Result<Box<dyn super::super::ports::ComplianceUnit>, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), ERASE_SUBJECT.name);
        Ok(self.0.units.begin(scope, &origin).await?)
    }
}
