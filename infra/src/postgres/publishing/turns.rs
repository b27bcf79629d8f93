//! `publishing.account_turns`, across tenants.

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, TenantId},
        scope::TenantScope,
    },
    publishing::{
        model::Overdue,
        ports::{HeldBy, Turn, TurnSchedule},
    },
};
use uuid::Uuid;

use crate::postgres::{error::port_error, pool::Db};

const PORT: &str = "postgres.account_turns";

/// The schedule, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgTurnSchedule {
    db: Db,
}

impl PgTurnSchedule {
    /// Claims on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl TurnSchedule for PgTurnSchedule {
    async fn claim(&self, most: u32, lease: TimeDelta) -> Result<Vec<Turn>, PortError> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let sql = "SELECT tenant, account, fence FROM publishing.claim_turns($1, $2)";
        let claimed: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(sql)
            .bind(i32::try_from(most).unwrap_or(i32::MAX))
            .bind(lease)
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        let turn = |(tenant, account, fence)| Turn {
            scope: TenantScope::of(TenantId::from_uuid(tenant)),
            account: AccountId::from_uuid(account),
            fence,
        };
        Ok(claimed.into_iter().map(turn).collect())
    }

    async fn behind(&self) -> Result<(u64, f64), PortError> {
        let (late, oldest_s): (i64, f64) =
            sqlx::query_as("SELECT late, oldest_s FROM publishing.turns_behind()")
                .fetch_one(self.db.pool())
                .await
                .map_err(|e| port_error(PORT, e))?;
        Ok((u64::try_from(late).unwrap_or_default(), oldest_s))
    }

    async fn held(&self) -> Result<Vec<(HeldBy, u64)>, PortError> {
        let held: Vec<(String, i64)> =
            sqlx::query_as("SELECT held_by, accounts FROM publishing.turns_held()")
                .fetch_all(self.db.pool())
                .await
                .map_err(|e| port_error(PORT, e))?;
        let known = |(word, accounts): (String, i64)| {
            Some((HeldBy::parse(&word)?, u64::try_from(accounts).unwrap_or_default()))
        };
        Ok(held.into_iter().filter_map(known).collect())
    }

    async fn overdue(&self, waits: Overdue) -> Result<u64, PortError> {
        let posts: i64 = sqlx::query_scalar("SELECT publishing.posts_waiting($1, $2)")
            .bind(waits.as_str())
            .bind(TimeDelta::seconds(waits.patience_s()))
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        Ok(u64::try_from(posts).unwrap_or_default())
    }

    async fn make_room(&self, now: Timestamp) -> Result<(), PortError> {
        sqlx::query("SELECT publishing.make_figures_room($1)")
            .bind(now)
            .execute(self.db.pool())
            .await
            .map(drop)
            .map_err(|e| port_error(PORT, e))
    }

    async fn extend(&self, turn: &Turn, lease: TimeDelta) -> Result<bool, PortError> {
        sqlx::query_scalar("SELECT publishing.extend_turn($1, $2, $3, $4)")
            .bind(turn.scope.tenant().uuid())
            .bind(turn.account.uuid())
            .bind(turn.fence)
            .bind(lease)
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))
    }
}
