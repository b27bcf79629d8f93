//! Persons whose data is kept: what tells who they are can be taken away, unless it must be kept.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    compliance::erasure::{Erasure, ErasureBasis, LegalHold, Subject, TenantEnd, TenantFate},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{HoldId, ReportId, TenantId},
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};

/// What came of wrapping keys anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// The last subject that was looked at; `None` when there are no more.
    pub last: Option<Uuid>,
    /// Keys that can't be opened, and stay as they are.
    pub stuck: u32,
}

/// Keeps what there is about persons, takes it away, and remembers that it did.
#[async_trait]
pub trait SubjectStore: Send {
    /// Waits for whoever tells of rows about the subject, and keeps others from it until the transaction ends.
    async fn lock_subject(&mut self, subject: Uuid) -> Result<(), PortError>;
    /// Whether there is such a person, and what tells who they are.
    async fn has_subject(&mut self, subject: Subject) -> Result<bool, PortError>;
    /// Takes away the rows that tell who the subject is.
    async fn forget_subject(&mut self, subject: Subject) -> Result<(), PortError>;
    /// Of how many events about the subject there is what opens them.
    async fn count_openings(&mut self, subject: Uuid) -> Result<u64, PortError>;
    /// Remembers one, and that it is to be written down outside of the database; takes away what opens events about the subject,
    /// and the key it was sealed under. Of events of this transaction nothing more is kept about them either.
    async fn add_erasure(&mut self, erasure: &Erasure) -> Result<(), PortError>;
    /// Those of these subjects.
    async fn erasures_of(&mut self, subjects: &[Uuid]) -> Result<Vec<Erasure>, PortError>;
    /// Newest last.
    async fn erasures(&mut self, page: PageRequest) -> Result<Page<Erasure>, PortError>;
    /// It is written down outside of the database.
    async fn erasure_kept(&mut self, subject: Uuid) -> Result<(), PortError>;
    /// Stores a new one.
    async fn add_hold(&mut self, hold: &LegalHold) -> Result<(), PortError>;
    /// One, locked until the transaction ends.
    async fn lock_hold(&mut self, id: HoldId) -> Result<Option<LegalHold>, PortError>;
    /// One.
    async fn hold(&mut self, id: HoldId) -> Result<Option<LegalHold>, PortError>;
    /// Stores when it ended, and by whom.
    async fn update_hold(&mut self, hold: &LegalHold) -> Result<(), PortError>;
    /// Whether one on the subject is in force.
    async fn is_held(&mut self, subject: Uuid) -> Result<bool, PortError>;
    /// Whether any is in force.
    async fn is_anything_held(&mut self) -> Result<bool, PortError>;
    /// Newest last.
    async fn holds(&mut self, page: PageRequest) -> Result<Page<LegalHold>, PortError>;
    /// Reports that show what events commit to, and are there or being made. Nobody asks for one until the transaction ends.
    async fn disclosing_reports(&mut self) -> Result<Vec<ReportId>, PortError>;
    /// Wraps up to `most` keys, of subjects behind `after`, that are under the key of an older month under that of `epoch`.
    async fn rewrap_subject_keys(
        &mut self,
        epoch: i32,
        after: Option<Uuid>,
        most: u32,
    ) -> Result<Rewrapped, PortError>;
    /// Nobody of the tenant signs in, and no key of its works, until it is let in again. Whether that is news.
    async fn keep_tenant_out(&mut self, is_kept_out: bool) -> Result<bool, PortError>;
    /// Destroys the keys of months before `epoch` under which nothing has been since `emptied_before`; how many those were.
    async fn destroy_epochs(
        &mut self,
        epoch: i32,
        now: Timestamp,
        emptied_before: Timestamp,
    ) -> Result<u32, PortError>;
    /// The tenant's turn at a daily task is over; the next is due then.
    async fn daily_done(&mut self, task: &'static str, next_due: Timestamp) -> Result<(), PortError>;
}

/// What is not written down outside of the database yet, across tenants: names and nothing else.
#[async_trait]
pub trait ErasureSchedule: Send + Sync {
    /// Up to `most`, oldest first, and for how many seconds the oldest has waited.
    async fn unkept(&self, most: u32) -> Result<(Vec<(TenantScope, Uuid)>, f64), PortError>;
}

/// Whose turn it is at what is done for every tenant once a day.
#[async_trait]
pub trait DailySchedule: Send + Sync {
    /// Claims up to `most` tenants. Nobody else is given them before `lease` is over.
    async fn claim_daily(
        &self,
        task: &'static str,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<TenantScope>, PortError>;
}

/// Remembers erasures outside of the database: a backup that is put back brings nobody back for good.
#[async_trait]
pub trait ErasureLedger: Send + Sync {
    /// Writes one down, durably; no error when it is there already.
    async fn keep(&self, scope: &TenantScope, erasure: &Erasure) -> Result<(), PortError>;
    /// All there are.
    async fn all(&self) -> Result<Vec<(TenantScope, Subject, ErasureBasis)>, PortError>;
    /// Writes down what became of a tenant, durably; no error when it is there already.
    async fn keep_fate(&self, scope: &TenantScope, fate: TenantFate) -> Result<(), PortError>;
    /// What became last of each tenant of which anything is written down.
    async fn fates(&self) -> Result<BTreeMap<TenantId, TenantFate>, PortError>;
}

/// Keeps that a tenant is to end, and how far that is.
#[async_trait]
pub trait EndStore: Send {
    /// That it is to end, locked until the transaction ends; `None` when it is not closed.
    async fn end(&mut self) -> Result<Option<TenantEnd>, PortError>;
    /// Its end begins, if it is time: no work is given out for it any more, it can't be taken back, and its rows can be taken
    /// away. Since when.
    async fn begin_end(&mut self) -> Result<Option<Timestamp>, PortError>;
    /// Its turn is over; the next is due after a pause.
    async fn end_later(&mut self, pause: TimeDelta) -> Result<(), PortError>;
    /// All was taken away. Whether that is for good, as it was so as long ago before.
    async fn end_removed(&mut self, settling: TimeDelta) -> Result<bool, PortError>;
    /// It has ended, and is to do so once more.
    async fn end_anew(&mut self) -> Result<(), PortError>;
    /// Closes a tenant that had been closed, or had ended, before the database was put back. False when it is so already, or
    /// there is none.
    async fn close_again(
        &mut self,
        closed_at: Timestamp,
        ends_at: Timestamp,
        has_ended: bool,
    ) -> Result<bool, PortError>;
}

/// Whose end is due, across tenants: names and nothing else.
#[async_trait]
pub trait EndSchedule: Send + Sync {
    /// Claims up to `most`. Nobody else is given them before `lease` is over.
    async fn claim_ends(&self, most: u32, lease: TimeDelta) -> Result<Vec<TenantScope>, PortError>;
    /// For how many seconds the end of some tenant has been due.
    async fn end_overdue(&self) -> Result<f64, PortError>;
    /// Those of which nothing is left but the log.
    async fn ended(&self) -> Result<BTreeSet<TenantId>, PortError>;
}

/// Takes away what there is of a tenant whose end has begun, all but its log.
#[async_trait]
pub trait TenantRemains: Send + Sync {
    /// Some of them: keys of persons and files first, then rows, and the tenant's keys last. Whether nothing is left.
    async fn remove(&self, scope: &TenantScope) -> Result<bool, PortError>;
}
