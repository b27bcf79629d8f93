//! A tenant that was closed and not taken back ends: all there is of it goes, but its log.
//!
//! The log stays provable, is looked after as before and ends with its own time: leaves, tiles, heads, what was signed of them,
//! and the key that signs, which is sealed by the installation's own key from then on. What opened events is gone with the keys
//! of the tenant and of its persons.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{
    super::{actions::END_TENANT, erasure::TenantFate},
    ComplianceError, Erasures, Kept,
    erase_subject::AGAIN,
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::TenantId,
    outbox::{Party, Record},
    scope::TenantScope,
};

const PORT: &str = "compliance.end_tenant";

/// For how long nobody else has a tenant end.
const LEASE_S: i64 = 1_800;

/// When it is tried again where that failed, in seconds.
const RETRY_S: i64 = 600;

/// How long after all was taken away it is once more, in seconds: what was under way then has come to its end, and left what it
/// left.
const SETTLING_S: i64 = 3_600;

/// Why a tenant ends, in events, when nobody took it back.
const NOT_TAKEN_BACK: &str = "not_taken_back";

impl Erasures {
    /// For how many seconds the end of some tenant has been due.
    ///
    /// # Errors
    /// `Port`.
    pub async fn end_overdue_s(&self) -> Result<f64, ComplianceError> {
        Ok(self.0.ends.end_overdue().await?)
    }

    /// Has one tenant go on ending whose time to be taken back is over: `None` when there is none.
    ///
    /// # Errors
    /// `Port`: it can't be said which.
    pub async fn end_next(&self) -> Result<Option<Kept>, ComplianceError> {
        let lease = TimeDelta::seconds(LEASE_S);
        let Some(scope) = self.0.ends.claim_ends(1, lease).await?.pop() else { return Ok(None) };
        let mut turn = Kept::default();
        match self.end_tenant(scope).await {
            Ok(is_ended) => turn.done += u32::from(is_ended),
            Err(error) => {
                turn.faults.push((scope, error));
                self.turn_over(scope, TimeDelta::seconds(RETRY_S)).await?;
            }
        }
        Ok(Some(turn))
    }

    /// Takes away some of what there is of one tenant, and all that is left an hour later; whether it is done for good. Killed half
    /// way, it goes on where it was the next time.
    ///
    /// # Errors
    /// `OnHold`: the data of somebody in it must be kept. `Port`.
    pub async fn end_tenant(&self, scope: TenantScope) -> Result<bool, ComplianceError> {
        if !self.has_begun(scope).await? {
            return Ok(false);
        }
        // Said outside of the database before anything goes: put back, it has the tenant end again.
        self.0.ledger.keep_fate(&scope, TenantFate::Ended).await?;
        self.0.log_keys.outlive(&scope).await?;
        if !self.0.remains.remove(&scope).await? {
            self.turn_over(scope, TimeDelta::zero()).await?;
            return Ok(false);
        }
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        let is_ended = tx.end_removed(TimeDelta::seconds(SETTLING_S)).await?;
        tx.commit().await?;
        Ok(is_ended)
    }

    /// Whether the end has begun, or does now: not before its time, nor when it is over.
    async fn has_begun(&self, scope: TenantScope) -> Result<bool, ComplianceError> {
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        let Some(end) = tx.end().await?.filter(|end| end.ended_at.is_none()) else { return Ok(false) };
        if end.begun_at.is_some() {
            return Ok(true);
        }
        // What has ended once ends again, whatever was placed since.
        if !end.is_put_back && tx.is_anything_held().await? {
            return Err(ComplianceError::OnHold);
        }
        let fate = self.0.ledger.fates().await?.remove(&scope.tenant());
        if !end.is_put_back
            && fate.is_some_and(
                |fate| matches!(fate, TenantFate::Reopened { closed_at } if closed_at >= end.closed_at),
            )
        {
            let problem = "it was taken back, before the database was put back: take it back again";
            return Err(PortError::lasting(PORT, problem).into());
        }
        // With a key that can't be had, the log's could not outlive it; that is to be known while it can still be taken back.
        self.0.log_keys.seed(&scope).await?;
        let reason = if end.is_put_back { AGAIN } else { NOT_TAKEN_BACK };
        let target = Party::new("tenant", scope.tenant().uuid());
        tx.record(Record { reason: Some(reason), ..Record::success(END_TENANT, target) }).await?;
        if tx.begin_end().await?.is_none() {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn turn_over(&self, scope: TenantScope, pause: TimeDelta) -> Result<(), ComplianceError> {
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        tx.end_later(pause).await?;
        Ok(tx.commit().await?)
    }

    /// Whether the data of somebody in the tenant must be kept, so that it can't end.
    ///
    /// # Errors
    /// `Port`.
    pub async fn is_held(&self, scope: TenantScope) -> Result<bool, ComplianceError> {
        Ok(self.begin_as(scope, END_TENANT).await?.is_anything_held().await?)
    }

    /// Writes down outside of the database that a tenant was closed.
    ///
    /// # Errors
    /// `Port`.
    pub async fn keep_closing(
        &self,
        scope: TenantScope,
        closed_at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), ComplianceError> {
        Ok(self.0.ledger.keep_fate(&scope, TenantFate::Closed { closed_at, ends_at }).await?)
    }

    /// Writes down outside of the database that a tenant is taken back that was closed then: before it is, so that a database
    /// that is put back has it end no more.
    ///
    /// # Errors
    /// `Port`.
    pub async fn keep_reopening(
        &self,
        scope: TenantScope,
        closed_at: Timestamp,
    ) -> Result<(), ComplianceError> {
        Ok(self.0.ledger.keep_fate(&scope, TenantFate::Reopened { closed_at }).await?)
    }

    /// Closes tenants that had been closed, or had ended, before the database was put back; has those end once more of which the
    /// store of files has forgotten that they did. Gives all that have ended, now or before.
    pub(super) async fn close_all_again(
        &self,
        turn: &mut Kept,
    ) -> Result<BTreeSet<TenantId>, ComplianceError> {
        let known = self.0.ends.ended().await?;
        let fates = self.0.ledger.fates().await?;
        for (tenant, fate) in fates.iter().filter(|(tenant, _)| !known.contains(tenant)) {
            let now = self.0.clock.now();
            let (closed_at, ends_at, has_ended) = match *fate {
                TenantFate::Closed { closed_at, ends_at } => (closed_at, ends_at, false),
                TenantFate::Ended => (now, now, true),
                TenantFate::Reopened { .. } => continue,
            };
            let mut tx = self.begin_as(TenantScope::of(*tenant), END_TENANT).await?;
            turn.done += u32::from(tx.close_again(closed_at, ends_at, has_ended).await?);
            tx.commit().await?;
        }
        let is_ended = |fate: Option<&TenantFate>| fate == Some(&TenantFate::Ended);
        for tenant in known.iter().filter(|tenant| !is_ended(fates.get(tenant))) {
            let mut tx = self.begin_as(TenantScope::of(*tenant), END_TENANT).await?;
            tx.end_anew().await?;
            tx.commit().await?;
        }
        let ended = fates.iter().filter(|(_, fate)| is_ended(Some(fate))).map(|(tenant, _)| *tenant);
        Ok(known.iter().copied().chain(ended).collect())
    }
}
