//! Records of processing are made once a day of what is so, compared with what was, and signed once somebody has looked at what
//! changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::TimeDelta;

use super::{
    super::{
        actions::{MAKE_RECORD, REVIEW_RECORD, SIGN_RECORD},
        ports::{ComplianceUnit, ComplianceUnits, DailySchedule, RecordFilter, ReportBinder, ReportTx},
        processing::{House, ProcessingRecord, RecordFault, TenantFacts, changed, compose},
        records::{Activity, Category},
    },
    ComplianceError,
};
use crate::kernel::{
    actor::{Actor, Denied, Permission},
    clock::Clock,
    ids::{ComplianceId, IdSource, RecordId},
    outbox::{Origin, Outcome, Party, Record},
    page::{Page, PageRequest},
    scope::TenantScope,
};

/// The daily task.
const TASK: &str = "records";

/// Tenants in one go, and for how long nobody else is given them.
const TENANTS: u32 = 16;
const LEASE_S: i64 = 300;

/// When it is a tenant's turn that has its name and is not open yet, in seconds.
const SOON_S: i64 = 5;

/// When a record that could not be made is tried again, in seconds.
const AGAIN_S: i64 = 3_600;

/// What making records is built from.
pub struct RecordPorts {
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Whose turn it is.
    pub daily: Arc<dyn DailySchedule>,
    /// What signs.
    pub binder: Arc<dyn ReportBinder>,
    /// What is the same for all tenants; `None` where no records are made.
    pub house: Option<House>,
    /// What there is about persons in each activity's tables.
    pub categories: BTreeMap<Activity, BTreeSet<Category>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Makes and keeps records of processing.
pub struct Records(RecordPorts);

/// What came of a turn.
#[derive(Debug, Default)]
pub struct RecordsTurn {
    /// Versions that were made.
    pub made: u32,
    /// Those that were signed.
    pub signed: u32,
    /// Records that could not be made.
    pub faults: Vec<(TenantScope, Activity, RecordFault)>,
    /// Tenants whose turn broke off, and why. They have another one.
    pub broken: Vec<(TenantScope, ComplianceError)>,
}

impl Records {
    /// Takes its ports.
    pub const fn new(ports: RecordPorts) -> Self {
        Self(ports)
    }

    /// Makes the records of tenants whose turn it is.
    ///
    /// # Errors
    /// `Port`: those that were not made are another time.
    pub async fn make_records(&self) -> Result<RecordsTurn, ComplianceError> {
        let mut turn = RecordsTurn::default();
        let Some(house) = &self.0.house else { return Ok(turn) };
        let (now, lease) = (self.0.clock.now(), TimeDelta::seconds(LEASE_S));
        for scope in self.0.daily.claim_daily(TASK, now, TENANTS, lease).await? {
            if let Err(error) = self.of_tenant(scope, house, &mut turn).await {
                let mut tx = self.begin(scope).await?;
                tx.daily_done(TASK, now + TimeDelta::seconds(AGAIN_S)).await?;
                tx.commit().await?;
                turn.broken.push((scope, error));
            }
        }
        Ok(turn)
    }

    async fn begin(&self, scope: TenantScope) -> Result<Box<dyn ComplianceUnit>, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), MAKE_RECORD.name);
        Ok(self.0.units.begin(scope, &origin).await?)
    }

    async fn of_tenant(
        &self,
        scope: TenantScope,
        house: &House,
        turn: &mut RecordsTurn,
    ) -> Result<(), ComplianceError> {
        let mut tx = self.begin(scope).await?;
        let Some(facts) = tx.tenant_facts().await? else {
            return self.next_turn(scope, TimeDelta::seconds(SOON_S)).await;
        };
        let newest = tx.newest_records().await?;
        let (mut made, mut faults) = (0, Vec::new());
        for activity in Activity::ALL {
            let before = newest.iter().find(|record| record.activity == activity);
            match self.make_record(&mut *tx, (scope, &facts, house), (activity, before)).await? {
                Ok(is_new) => made += u32::from(is_new),
                Err(fault) => faults.push((scope, activity, fault)),
            }
        }
        // Made is made, also where nothing can be signed now.
        tx.commit().await?;
        turn.made += made;
        let next = if faults.is_empty() { TimeDelta::days(1) } else { TimeDelta::seconds(AGAIN_S) };
        turn.faults.append(&mut faults);
        if self.0.binder.can_sign() {
            let newest = self.begin(scope).await?.newest_records().await?;
            for record in newest.iter().filter(|record| record.may_be_signed()) {
                let signature = self.0.binder.sign(record.content.text.as_bytes()).await?;
                let mut tx = self.begin(scope).await?;
                let is_new = self.sign_record(&mut *tx, record, signature).await?;
                tx.commit().await?;
                turn.signed += u32::from(is_new);
            }
        }
        self.next_turn(scope, next).await
    }

    async fn next_turn(&self, scope: TenantScope, next: TimeDelta) -> Result<(), ComplianceError> {
        let now = self.0.clock.now();
        let mut tx = self.begin(scope).await?;
        tx.daily_done(TASK, now + next).await?;
        // Whoever has looked at one meanwhile has waited for the turn's row, or is seen here.
        if self.0.binder.can_sign() && tx.newest_records().await?.iter().any(ProcessingRecord::may_be_signed)
        {
            tx.daily_done(TASK, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes a version of one when what it says is not what it said before; whether it did, or why it can't be said.
    ///
    /// # Errors
    /// `Port`.
    pub async fn make_record(
        &self,
        tx: &mut dyn ReportTx,
        (scope, facts, house): (TenantScope, &TenantFacts, &House),
        (activity, before): (Activity, Option<&ProcessingRecord>),
    ) -> Result<Result<bool, RecordFault>, ComplianceError> {
        let none = BTreeSet::new();
        let categories = self.0.categories.get(&activity).unwrap_or(&none);
        let now = self.0.clock.now();
        let content = match compose(activity, (scope.tenant(), facts), house, categories) {
            Ok(content) => content,
            Err(fault) => {
                let refused = Record::refused(MAKE_RECORD, None, fault.reason());
                tx.record(Record { outcome: Outcome::Failure, ..refused }).await?;
                return Ok(Err(fault));
            }
        };
        if let Some(same) = before.filter(|before| before.content == content) {
            tx.record_checked(same.id, now).await?;
            return Ok(Ok(false));
        }
        // Since somebody looked: what nobody has looked at yet is among it.
        let changed = match tx.looked_at(activity).await? {
            Some(known) => changed(&known.content.text, &content.text)?,
            None => Vec::new(),
        };
        let record = ProcessingRecord {
            id: RecordId::new(&*self.0.ids),
            activity,
            version: before.map_or(1, |before| before.version + 1),
            changed,
            content,
            made_at: now,
            checked_at: now,
            reviewed: None,
            signature: None,
        };
        tx.add_record(&record).await?;
        tx.record(Record::success(MAKE_RECORD, party(&record))).await?;
        Ok(Ok(true))
    }

    /// Keeps its signature; whether it had none.
    ///
    /// # Errors
    /// `Port`.
    pub async fn sign_record(
        &self,
        tx: &mut dyn ReportTx,
        record: &ProcessingRecord,
        signature: Vec<u8>,
    ) -> Result<bool, ComplianceError> {
        let is_new = tx.record_signed(record.id, self.0.clock.now(), signature).await?;
        if is_new {
            tx.record(Record::success(SIGN_RECORD, party(record))).await?;
        }
        Ok(is_new)
    }

    /// Somebody has looked at what changed: the version they name by its hash is signed from then on. A key looks at nothing.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`, `Port`.
    pub async fn review_record(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: RecordId,
        sha256: &str,
    ) -> Result<(), ComplianceError> {
        actor.require(Permission::ManagePrivacy)?;
        let by = actor.member().ok_or(Denied(Permission::ManagePrivacy))?;
        let record = tx.lock_record(id).await?.ok_or(ComplianceError::NotFound { field: "id" })?;
        let newest = tx.newest_records().await?;
        let is_newest = newest.iter().any(|newest| newest.id == id);
        if !is_newest || super::super::log::merkle::Hash(record.content.sha256).to_hex() != sha256 {
            let problem = "is not that of the newest version: look at it again";
            return Err(ComplianceError::Invalid { field: "sha256", problem });
        }
        let now = self.0.clock.now();
        tx.record_reviewed(id, now, by).await?;
        // Now, and not tomorrow.
        tx.daily_done(TASK, now).await?;
        tx.record(Record::success(REVIEW_RECORD, party(&record))).await?;
        Ok(())
    }

    /// Records by when they were made.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn records(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        filter: RecordFilter,
        page: PageRequest,
    ) -> Result<Page<ProcessingRecord>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.records(filter, page).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn record(
        &self,
        tx: &mut dyn ReportTx,
        actor: &Actor,
        id: RecordId,
    ) -> Result<Option<ProcessingRecord>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.record_of(id).await?)
    }
}

fn party(record: &ProcessingRecord) -> Party {
    Party::new("processing_record", record.id.uuid())
}
