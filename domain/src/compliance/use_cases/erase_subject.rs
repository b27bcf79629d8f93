//! What is kept about a person is taken away for good, and stays so when the database is put back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    super::{
        actions::ERASE_SUBJECT,
        erasure::{Erasure, ErasureBasis, LegalHold, Subject, epoch_of},
        ports::{
            ComplianceUnit, ComplianceUnits, DailySchedule, EndSchedule, ErasureLedger, ErasureSchedule,
            LogKeys, ReportTx, TenantRemains,
        },
        report::ReportState,
    },
    ComplianceError,
};
use crate::kernel::{
    action::Action,
    actor::{Actor, Permission},
    clock::{Clock, Timestamp},
    fault::PortError,
    ids::{ComplianceId, HoldId, IdSource, MemberId},
    outbox::{Origin, Outcome, Record},
    page::{Page, PageRequest},
    scope::TenantScope,
};

/// Entries of the ledger that are compared with the database at a time.
const COMPARED_AT_ONCE: usize = 1_000;

/// Erasures that are written down in one go.
const KEPT_AT_ONCE: u32 = 64;

/// How often somebody is erased again before their tenant is kept out.
const TRIES: u32 = 3;

/// Keys that are wrapped anew in one transaction.
const KEYS_AT_ONCE: u32 = 500;

/// The daily task of looking after keys.
const TASK: &str = "subject_keys";

/// Tenants whose keys are looked after in one go, and for how long nobody else does.
const TENANTS: u32 = 16;
const LEASE_S: i64 = 300;

/// When it is tried again where that failed, in seconds.
const AGAIN_S: i64 = 3_600;

/// Why it was erased, in events, when that was done before.
pub(super) const AGAIN: &str = "database_put_back";

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
    /// Tenants that are to end.
    pub ends: Arc<dyn EndSchedule>,
    /// What there is of one.
    pub remains: Arc<dyn TenantRemains>,
    /// Keys of logs, which outlive tenants.
    pub log_keys: Arc<dyn LogKeys>,
    /// How long backups of the database are kept.
    pub backups: TimeDelta,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Erases what is kept about persons, or says that it must be kept.
pub struct Erasures(pub(super) ErasurePorts);

/// What came of a turn.
#[derive(Debug, Default)]
pub struct Kept {
    /// For how many it was done.
    pub done: u32,
    /// For which tenants it could not be done, and why. It is tried again.
    pub faults: Vec<(TenantScope, ComplianceError)>,
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
        if !tx.has_subject(subject).await? {
            return Err(ComplianceError::NotFound { field: "id" });
        }
        if tx.is_held(subject.id).await? {
            return Err(ComplianceError::OnHold);
        }
        if !self.erase(tx, (subject, basis), actor.member(), basis.as_str()).await? {
            return Err(ComplianceError::NotFound { field: "id" });
        }
        Ok(())
    }

    /// Rows first: whoever holds one of them ends before, and tells of it under the key that is then taken away. False when
    /// somebody else was first.
    async fn erase(
        &self,
        tx: &mut dyn ReportTx,
        (subject, basis): (Subject, ErasureBasis),
        by: Option<MemberId>,
        reason: &'static str,
    ) -> Result<bool, ComplianceError> {
        tx.forget_subject(subject).await?;
        tx.lock_subject(subject.id).await?;
        if !tx.erasures_of(&[subject.id]).await?.is_empty() {
            return Ok(false);
        }
        // Placed meanwhile. What was erased before is erased again, whatever was placed since.
        if reason != AGAIN && tx.is_held(subject.id).await? {
            return Err(ComplianceError::OnHold);
        }
        let now = self.0.clock.now();
        let mut reports = Vec::new();
        for id in tx.disclosing_reports().await? {
            let Some(mut report) = tx.lock_report(id).await? else { continue };
            if report.state == ReportState::Ready {
                report.state = ReportState::Expired;
                report.ended_at = Some(now);
                reports.push(id);
            }
            // Whoever is making one finds that it is not theirs any more, and it is begun anew: through no fault of its.
            report.attempts = report.attempts.saturating_sub(1);
            tx.update_report(&report).await?;
            tx.schedule_report(id, Some(now)).await?;
        }
        let openings = tx.count_openings(subject.id).await?;
        tx.record(Record { reason: Some(reason), ..Record::success(ERASE_SUBJECT, subject.party()) }).await?;
        tx.add_erasure(&Erasure { subject, basis, at: now, by, openings, reports }).await?;
        Ok(true)
    }

    /// How long the oldest erasure has waited to be written down outside of the database, in seconds.
    ///
    /// # Errors
    /// `Port`.
    pub async fn unkept_s(&self) -> Result<f64, ComplianceError> {
        Ok(self.0.schedule.unkept(1).await?.1)
    }

    /// Writes some erasures down outside of the database.
    ///
    /// # Errors
    /// `Port`: it can't be said which.
    pub async fn keep_erasures(&self) -> Result<Kept, ComplianceError> {
        let mut turn = Kept::default();
        for (scope, subject) in self.0.schedule.unkept(KEPT_AT_ONCE).await?.0 {
            match self.keep(scope, subject).await {
                Ok(()) => turn.done += 1,
                Err(error) => turn.faults.push((scope, error)),
            }
        }
        Ok(turn)
    }

    async fn keep(&self, scope: TenantScope, subject: Uuid) -> Result<(), ComplianceError> {
        let mut tx = self.begin(scope).await?;
        for erasure in tx.erasures_of(&[subject]).await? {
            self.0.ledger.keep(&scope, &erasure).await?;
        }
        tx.erasure_kept(subject).await?;
        Ok(tx.commit().await?)
    }

    /// Erases again what was erased before the database was put back to a time when it was not, and closes tenants that had
    /// ended or been closed: to be done before anything is served, and now and then. Nobody is let into a tenant that has
    /// somebody in it who can't be erased again, until they are.
    ///
    /// # Errors
    /// `Port`: it can't be said who was erased.
    pub async fn erase_again(&self) -> Result<Kept, ComplianceError> {
        let mut turn = Kept::default();
        let ended = self.close_all_again(&mut turn).await?;
        let mut by_tenant: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let all = self.0.ledger.all().await?;
        for (scope, subject, basis) in all.into_iter().filter(|(scope, ..)| !ended.contains(&scope.tenant()))
        {
            by_tenant.entry(scope.tenant()).or_default().insert((subject, basis));
        }
        for (tenant, erased) in by_tenant {
            let scope = TenantScope::of(tenant);
            // Whom there is may not be known now, for reasons that have nothing to do with them.
            if let Err(error) = self.erase_all_again(scope, erased, &mut turn).await {
                turn.faults.push((scope, error));
            }
        }
        Ok(turn)
    }

    async fn erase_all_again(
        &self,
        scope: TenantScope,
        erased: BTreeSet<(Subject, ErasureBasis)>,
        turn: &mut Kept,
    ) -> Result<(), ComplianceError> {
        let faults = turn.faults.len();
        let erased: Vec<_> = erased.into_iter().collect();
        for some in erased.chunks(COMPARED_AT_ONCE) {
            let ids: Vec<_> = some.iter().map(|(subject, _)| subject.id).collect();
            let known = self.begin(scope).await?.erasures_of(&ids).await?;
            let known: BTreeSet<_> = known.into_iter().map(|erasure| erasure.subject).collect();
            for of in some.iter().filter(|(subject, _)| !known.contains(subject)) {
                match self.erase_one_again(scope, *of).await? {
                    Ok(is_done) => turn.done += u32::from(is_done),
                    Err(error) => turn.faults.push((scope, error)),
                }
            }
        }
        let mut tx = self.begin(scope).await?;
        let is_kept_out = turn.faults.len() > faults;
        if tx.keep_tenant_out(is_kept_out).await? && is_kept_out {
            let refused = Record::refused(ERASE_SUBJECT, None, AGAIN);
            tx.record(Record { outcome: Outcome::Failure, ..refused }).await?;
        }
        Ok(tx.commit().await?)
    }

    /// False when there was nobody to forget; why not, when there is and each try failed.
    async fn erase_one_again(
        &self,
        scope: TenantScope,
        of: (Subject, ErasureBasis),
    ) -> Result<Result<bool, ComplianceError>, ComplianceError> {
        let mut tries = 0;
        loop {
            let mut tx = self.begin(scope).await?;
            // Put back to before they came, there is nobody to forget.
            if !tx.has_subject(of.0).await? {
                return Ok(Ok(false));
            }
            let done = match self.erase(&mut *tx, of, None, AGAIN).await {
                Ok(true) => tx.commit().await.map(|()| true).map_err(ComplianceError::from),
                other => other,
            };
            tries += 1;
            if done.is_ok() || tries == TRIES {
                return Ok(done);
            }
        }
    }

    /// Has keys of persons be wrapped under this month's key, for tenants whose turn it is, and destroys the keys of months
    /// that only backups could have needed that are kept no more. Says how many months' keys were destroyed.
    ///
    /// # Errors
    /// `Port`: it can't be said whose turn it is.
    pub async fn tend_subject_keys(&self) -> Result<Kept, ComplianceError> {
        let now = self.0.clock.now();
        let mut turn = Kept::default();
        for scope in self.0.daily.claim_daily(TASK, now, TENANTS, TimeDelta::seconds(LEASE_S)).await? {
            match self.tend(scope, now).await {
                Ok(destroyed) => turn.done += destroyed,
                Err(error) => {
                    self.next_turn(scope, now + TimeDelta::seconds(AGAIN_S)).await?;
                    turn.faults.push((scope, error));
                }
            }
        }
        Ok(turn)
    }

    async fn tend(&self, scope: TenantScope, now: Timestamp) -> Result<u32, ComplianceError> {
        let epoch = epoch_of(now);
        let (mut after, mut stuck) = (None, 0);
        loop {
            let mut tx = self.begin(scope).await?;
            let wrapped = tx.rewrap_subject_keys(epoch, after, KEYS_AT_ONCE).await?;
            tx.commit().await?;
            stuck += wrapped.stuck;
            after = wrapped.last;
            if after.is_none() {
                break;
            }
        }
        // What was wrapped anew is so for good.
        let mut tx = self.begin(scope).await?;
        let destroyed = tx.destroy_epochs(epoch, now, now - self.0.backups).await?;
        tx.commit().await?;
        if stuck > 0 {
            let told =
                format!("keys of {stuck} persons open no more, and hold up the end of their month's key");
            return Err(PortError::lasting("subject_keys", told).into());
        }
        self.next_turn(scope, now + TimeDelta::days(1)).await?;
        Ok(destroyed)
    }

    async fn next_turn(&self, scope: TenantScope, due: Timestamp) -> Result<(), ComplianceError> {
        let mut tx = self.begin(scope).await?;
        tx.daily_done(TASK, due).await?;
        Ok(tx.commit().await?)
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
        subject: Uuid,
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

    async fn begin(&self, scope: TenantScope) -> Result<Box<dyn ComplianceUnit>, ComplianceError> {
        self.begin_as(scope, ERASE_SUBJECT).await
    }

    pub(super) async fn begin_as(
        &self,
        scope: TenantScope,
        action: Action,
    ) -> Result<Box<dyn ComplianceUnit>, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), action.name);
        Ok(self.0.units.begin(scope, &origin).await?)
    }
}
