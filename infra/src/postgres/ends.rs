//! Tenants that are closed, in `identity.closings`, and what is taken away of one when it ends.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    compliance::{
        erasure::TenantEnd,
        ports::{EndSchedule, EndStore, TenantRemains},
    },
    content::ports::ObjectStore,
    identity::model::{Closing, TenantStatus},
    kernel::{clock::Timestamp, fault::PortError, ids::TenantId, scope::TenantScope},
};
use futures_util::{StreamExt as _, stream};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::{
    columns::word,
    error::{orm_error, port_error},
    pool::Db,
    scope::TenantTx,
    work::PgWork,
};
use crate::object_store::must_be_known;

const PORT: &str = "postgres.closings";

/// Rows that are taken away in one transaction.
const ROWS_AT_ONCE: i64 = 5_000;

/// Objects that are removed in one turn, and how many at a time.
const OBJECTS_AT_ONCE: usize = 5_000;
const OBJECTS_BESIDE: usize = 16;

/// Transactions of rows in one turn.
const BATCHES_AT_ONCE: u32 = 200;

/// Folders of objects that go with a tenant. What is made of the log alone stays with it (`segments`).
const FOLDERS: [&str; 3] = ["uploads", "reports", "subject-keys"];

/// Tables whose rows go with a tenant, those first that name others, each with the statement that takes some away: $1 tenant, $2
/// how many at most. A row's place may be another's in another part of a table, which goes too.
macro_rules! going {
    ($($table:literal $(where $condition:literal)?),+ $(,)?) => {
        const GOING: &[(&str, &str)] = &[$((
            $table,
            concat!(
                "DELETE FROM ", $table, " AS g WHERE g.tenant_id = $1 AND g.ctid = ANY (ARRAY(SELECT o.ctid FROM ",
                $table, " AS o WHERE o.tenant_id = $1 ", $("AND ", $condition,)? " LIMIT $2))"
            ),
        )),+];
    };
}

going![
    "publishing.figures",
    "publishing.newest_figures",
    "publishing.receipts",
    "publishing.post_notes",
    "publishing.posts",
    "publishing.plans",
    "publishing.timetables",
    "content.parts",
    "content.transcodes",
    "content.room",
    "content.uploads",
    "accounts.quota_uses",
    "accounts.tokens",
    "accounts.links",
    "accounts.accounts",
    "accounts.group_grants",
    "accounts.groups" where
        "NOT EXISTS (SELECT FROM accounts.groups AS c WHERE c.tenant_id = $1 AND c.parent_id = o.id)",
    "accounts.apps",
    "compliance.reports",
    "compliance.processing_records",
    "compliance.legal_holds",
    "compliance.audit_openings",
    "compliance.erasures",
    "compliance.subject_keys",
    "compliance.subject_epochs",
    "kernel.idempotency_keys",
    "identity.refresh_tokens",
    "identity.sessions",
    "identity.recovery_codes",
    "identity.password_resets",
    "identity.api_keys",
    "identity.invitations",
    "identity.members",
    "identity.tenants",
    "compliance.data_keys",
    "compliance.tenant_keys",
];

impl PgWork {
    pub(super) async fn closing_of_tenant(&self) -> Result<Option<Closing>, PortError> {
        let locked = TenantTx::statement("SELECT * FROM identity.lock_closing()", []);
        let Some(row) = self.tx.query_one_raw(locked).await.map_err(|e| orm_error(PORT, e))? else {
            return Ok(None);
        };
        let fault = |e| orm_error(PORT, e);
        let before: String = row.try_get("", "status_before").map_err(fault)?;
        Ok(Some(Closing {
            closed_at: row.try_get("", "closed_at").map_err(fault)?,
            ends_at: row.try_get("", "ends_at").map_err(fault)?,
            before: word(PORT, TenantStatus::parse(&before))?,
            is_put_back: row.try_get("", "is_put_back").map_err(fault)?,
            begun_at: row.try_get("", "begun_at").map_err(fault)?,
            ended_at: row.try_get("", "ended_at").map_err(fault)?,
        }))
    }

    async fn of_closing(&self, sql: &'static str, values: Vec<sea_orm::Value>) -> Result<u64, PortError> {
        let done = self.tx.execute_raw(TenantTx::statement(sql, values)).await;
        done.map(|done| done.rows_affected()).map_err(|e| orm_error(PORT, e))
    }

    /// The one value that a statement says.
    async fn told<T: sea_orm::TryGetable>(
        &self,
        sql: &'static str,
        values: Vec<sea_orm::Value>,
    ) -> Result<Option<T>, PortError> {
        let row = self.tx.query_one_raw(TenantTx::statement(sql, values)).await;
        let row = row.map_err(|e| orm_error(PORT, e))?;
        let said = row.map(|row| row.try_get::<Option<T>>("", "said")).transpose();
        Ok(said.map_err(|e| orm_error(PORT, e))?.flatten())
    }

    async fn be(&self, status: TenantStatus) -> Result<u64, PortError> {
        const BE: &str = "UPDATE identity.tenants SET status = $2 WHERE tenant_id = $1";
        self.of_closing(BE, vec![self.tenant(), status.as_str().into()]).await
    }

    pub(super) async fn close_tenant(&self, closing: &Closing) -> Result<(), PortError> {
        const CLOSE: &str = "SELECT identity.close_tenant($1, $2, $3)";
        let before = closing.before.as_str().into();
        self.of_closing(CLOSE, vec![closing.closed_at.into(), closing.ends_at.into(), before]).await?;
        self.be(TenantStatus::Closed).await.map(drop)
    }

    pub(super) async fn reopen_tenant(&self, before: TenantStatus) -> Result<(), PortError> {
        const PAUSE: &str = "
            UPDATE accounts.accounts SET paused_at = now(), version = version + 1
            WHERE tenant_id = $1 AND paused_at IS NULL AND state <> 'unlinked'";
        self.of_closing("SELECT identity.reopen_tenant()", Vec::new()).await?;
        self.of_closing(PAUSE, vec![self.tenant()]).await?;
        self.be(before).await.map(drop)
    }
}

#[async_trait]
impl EndStore for PgWork {
    async fn end(&mut self) -> Result<Option<TenantEnd>, PortError> {
        let closing = self.closing_of_tenant().await?;
        Ok(closing.map(|Closing { closed_at, is_put_back, begun_at, ended_at, .. }| TenantEnd {
            is_put_back,
            closed_at,
            begun_at,
            ended_at,
        }))
    }

    async fn begin_end(&mut self) -> Result<Option<Timestamp>, PortError> {
        let begun = self.told("SELECT identity.begin_end() AS said", Vec::new()).await?;
        if begun.is_some() {
            self.of_closing("SELECT identity.forget_schedules()", Vec::new()).await?;
        }
        Ok(begun)
    }

    async fn end_later(&mut self, pause: TimeDelta) -> Result<(), PortError> {
        self.of_closing("SELECT identity.end_later($1 * interval '1 second')", vec![seconds(pause)])
            .await
            .map(drop)
    }

    async fn end_removed(&mut self, settling: TimeDelta) -> Result<bool, PortError> {
        const REMOVED: &str = "SELECT identity.end_removed($1 * interval '1 second') AS said";
        Ok(self.told(REMOVED, vec![seconds(settling)]).await?.unwrap_or_default())
    }

    async fn end_anew(&mut self) -> Result<(), PortError> {
        self.of_closing("SELECT identity.end_anew()", Vec::new()).await.map(drop)
    }

    async fn close_again(
        &mut self,
        closed_at: Timestamp,
        ends_at: Timestamp,
        has_ended: bool,
    ) -> Result<bool, PortError> {
        const AGAIN: &str = "SELECT identity.close_again($1, $2, $3) AS said";
        if self.be(TenantStatus::Closed).await? == 0 {
            return Ok(false);
        }
        let values = vec![closed_at.into(), ends_at.into(), has_ended.into()];
        Ok(self.told(AGAIN, values).await?.unwrap_or_default())
    }
}

fn seconds(span: TimeDelta) -> sea_orm::Value {
    span.num_seconds().into()
}

/// Whose end is due, and what there is of tenants: rows on a pool of the application's own role, and objects.
pub struct PgEnds {
    db: Db,
    objects: Arc<dyn ObjectStore>,
}

impl PgEnds {
    /// Takes rows away on `db` and objects out of `objects`.
    pub const fn new(db: Db, objects: Arc<dyn ObjectStore>) -> Self {
        Self { db, objects }
    }
}

#[async_trait]
impl EndSchedule for PgEnds {
    async fn claim_ends(&self, most: u32, lease: TimeDelta) -> Result<Vec<TenantScope>, PortError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar("SELECT tenant FROM identity.claim_ends($1, $2)")
            .bind(i32::try_from(most).unwrap_or(i32::MAX))
            .bind(lease)
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        Ok(tenants.into_iter().map(|tenant| TenantScope::of(TenantId::from_uuid(tenant))).collect())
    }

    async fn end_overdue(&self) -> Result<f64, PortError> {
        let overdue = sqlx::query_scalar("SELECT identity.end_overdue()");
        overdue.fetch_one(self.db.pool()).await.map_err(|e| port_error(PORT, e))
    }

    async fn ended(&self) -> Result<BTreeSet<TenantId>, PortError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar("SELECT tenant FROM identity.ended_tenants()")
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        Ok(tenants.into_iter().map(TenantId::from_uuid).collect())
    }
}

impl PgEnds {
    /// Whether none is left.
    async fn remove_objects(&self, scope: &TenantScope) -> Result<bool, PortError> {
        // Of a store that is not the one it was, a volume that is not mounted or another bucket, nothing could be removed.
        must_be_known(&*self.objects).await?;
        let mut left = OBJECTS_AT_ONCE;
        for folder in FOLDERS {
            let keys = self.objects.below(&format!("{folder}/{}", scope.tenant().uuid().simple())).await?;
            let count = keys.len();
            let some = keys.into_iter().take(left).map(|key| {
                let objects = Arc::clone(&self.objects);
                async move { objects.remove(&key).await }
            });
            let mut removals = stream::iter(some).buffer_unordered(OBJECTS_BESIDE);
            while let Some(removed) = removals.next().await {
                removed?;
            }
            if count > left {
                return Ok(false);
            }
            left -= count;
        }
        Ok(true)
    }

    /// The same of rows.
    async fn remove_rows(&self, scope: &TenantScope) -> Result<bool, PortError> {
        let fault = |e| orm_error(PORT, e);
        let mut left = BATCHES_AT_ONCE;
        for (_, sql) in GOING {
            loop {
                let tx = TenantTx::begin(&self.db, *scope).await?;
                let values = [scope.tenant().uuid().into(), ROWS_AT_ONCE.into()];
                let some = tx.execute_raw(TenantTx::statement(sql, values)).await.map_err(fault)?;
                tx.commit().await?;
                if some.rows_affected() == 0 {
                    break;
                }
                left -= 1;
                if left == 0 {
                    return Ok(false);
                }
            }
        }
        // What was noted of rows that came late can't be told any more: there are no keys that it could be sealed by.
        let tx = TenantTx::begin(&self.db, *scope).await?;
        tx.execute_raw(TenantTx::statement("SELECT identity.forget_schedules()", [])).await.map_err(fault)?;
        tx.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl TenantRemains for PgEnds {
    async fn remove(&self, scope: &TenantScope) -> Result<bool, PortError> {
        Ok(self.remove_objects(scope).await? && self.remove_rows(scope).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::inventory::{HOLDINGS, OUTLIVES},
        BTreeSet, GOING,
    };

    #[test]
    fn every_table_goes_with_its_tenant_or_is_said_to_outlive_it() {
        let going = GOING.iter().map(|(table, _)| *table);
        let said: Vec<_> = going.chain(OUTLIVES).collect();
        let tables: BTreeSet<_> = HOLDINGS.iter().map(|holding| holding.table).collect();
        assert_eq!(said.iter().copied().collect::<BTreeSet<_>>(), tables);
        assert_eq!(said.len(), tables.len(), "each is said once");
    }
}
