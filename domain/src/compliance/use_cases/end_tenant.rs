//! A tenant that was closed and not taken back ends: all there is of it goes, but its log.
//!
//! The log stays provable, is looked after as before and ends with its own time: leaves, tiles, heads, what was signed of them,
//! and the key that signs, which is sealed by the installation's own key from then on. What opened events is gone with the keys
//! of the tenant and of its persons.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{
    super::{actions::END_TENANT, ports::ComplianceUnit},
    ComplianceError, Erasures, Kept,
    erase_subject::AGAIN,
};
use crate::kernel::{
    clock::Timestamp,
    ids::TenantId,
    outbox::{Party, Record},
    scope::TenantScope,
};

/// Tenants that end in one go, and for how long nobody else has them end.
const TENANTS: u32 = 4;
const LEASE_S: i64 = 1_800;

/// When it is tried again where that failed, in seconds.
const RETRY_S: i64 = 600;

/// How long after it was first done it is done once more, in seconds: what was under way then has come to its end, and left
/// what it left.
const SETTLED_S: i64 = 3_600;

/// Why a tenant ends, in events, when nobody took it back.
const NOT_TAKEN_BACK: &str = "not_taken_back";

impl Erasures {
    /// For how many seconds the end of some tenant has been due.
    ///
    /// # Errors
    /// `Port`.
    pub async fn end_overdue_s(&self) -> Result<f64, ComplianceError> {
        Ok(self.0.ends.end_overdue(self.0.clock.now()).await?)
    }

    /// Ends tenants whose time to be taken back is over.
    ///
    /// # Errors
    /// `Port`: it can't be said which.
    pub async fn end_tenants(&self) -> Result<Kept, ComplianceError> {
        let now = self.0.clock.now();
        let mut turn = Kept::default();
        for scope in self.0.ends.claim_ends(now, TENANTS, TimeDelta::seconds(LEASE_S)).await? {
            match self.end_tenant(scope).await {
                Ok(is_ended) => turn.done += u32::from(is_ended),
                Err(error) => {
                    turn.faults.push((scope, error));
                    self.turn_over(scope, now + TimeDelta::seconds(RETRY_S)).await?;
                }
            }
        }
        Ok(turn)
    }

    /// Takes away what there is of one tenant, and again an hour later; whether it is done for good. Killed half way, it goes on
    /// where it was the next time.
    ///
    /// # Errors
    /// `OnHold`: the data of somebody in it must be kept. `Port`.
    pub async fn end_tenant(&self, scope: TenantScope) -> Result<bool, ComplianceError> {
        let now = self.0.clock.now();
        let Some(begun_at) = self.begun(scope, now).await? else { return Ok(false) };
        // Said outside of the database before anything goes: put back, it has the tenant end again.
        self.0.ledger.keep_end(&scope, begun_at).await?;
        self.0.log_keys.outlive(&scope).await?;
        self.0.remains.remove_objects(&scope).await?;
        self.0.remains.remove_rows(&scope).await?;
        let settled = begun_at + TimeDelta::seconds(SETTLED_S);
        if now < settled {
            self.turn_over(scope, settled).await?;
            return Ok(false);
        }
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        tx.end_done(now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// When the end began, which may be now; `None` when it is not to be, or is over.
    async fn begun(&self, scope: TenantScope, now: Timestamp) -> Result<Option<Timestamp>, ComplianceError> {
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        let Some(end) = tx.end().await?.filter(|end| end.ended_at.is_none()) else { return Ok(None) };
        if end.begun_at.is_some() {
            return Ok(end.begun_at);
        }
        // What has ended once ends again, whatever was placed since.
        if !end.is_put_back && tx.is_anything_held().await? {
            return Err(ComplianceError::OnHold);
        }
        let reason = if end.is_put_back { AGAIN } else { NOT_TAKEN_BACK };
        let target = Party::new("tenant", scope.tenant().uuid());
        tx.record(Record { reason: Some(reason), ..Record::success(END_TENANT, target) }).await?;
        tx.begin_end(now).await?;
        tx.commit().await?;
        Ok(Some(now))
    }

    async fn turn_over(&self, scope: TenantScope, due: Timestamp) -> Result<(), ComplianceError> {
        let mut tx = self.begin_as(scope, END_TENANT).await?;
        tx.end_later(due).await?;
        Ok(tx.commit().await?)
    }

    /// Closes tenants that had ended before the database was put back; all that have ended.
    pub(super) async fn end_all_again(&self, turn: &mut Kept) -> Result<BTreeSet<TenantId>, ComplianceError> {
        let ended = self.0.ledger.ended().await?;
        for scope in ended.iter().copied().map(TenantScope::of) {
            match self.close_again(scope).await {
                Ok(is_news) => turn.done += u32::from(is_news),
                Err(error) => turn.faults.push((scope, error)),
            }
        }
        Ok(ended)
    }

    async fn close_again(&self, scope: TenantScope) -> Result<bool, ComplianceError> {
        let mut tx: Box<dyn ComplianceUnit> = self.begin_as(scope, END_TENANT).await?;
        let is_news = tx.end_again(self.0.clock.now()).await?;
        tx.commit().await?;
        Ok(is_news)
    }
}
