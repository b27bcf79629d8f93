//! `accounts.token_schedule`, across tenants: names of accounts and when they are due, through functions that give
//! nothing else.

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    accounts::ports::TokenSchedule,
    kernel::{clock::Timestamp, fault::PortError, ids::AccountId, scope::TenantScope},
};

use crate::postgres::{claim::claim_due, error::port_error, pool::Db};

const PORT: &str = "postgres.token_schedule";

/// The schedule, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgTokenSchedule {
    db: Db,
}

impl PgTokenSchedule {
    /// Claims on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl TokenSchedule for PgTokenSchedule {
    async fn claim(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, AccountId)>, PortError> {
        const CLAIM: &str = "SELECT tenant, account FROM accounts.claim_due_tokens($1, $2, $3)";
        let claimed = claim_due(PORT, &self.db, CLAIM, (now, most, lease)).await?;
        Ok(claimed.into_iter().map(|(scope, account)| (scope, AccountId::from_uuid(account))).collect())
    }

    async fn claim_one(
        &self,
        scope: TenantScope,
        account: AccountId,
        now: Timestamp,
        lease: TimeDelta,
    ) -> Result<bool, PortError> {
        sqlx::query_scalar("SELECT accounts.claim_tokens_of($1, $2, $3, $4)")
            .bind(scope.tenant().uuid())
            .bind(account.uuid())
            .bind(now)
            .bind(lease)
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))
    }
}
