//! Tenants that are closed, in `identity.closings`, and what is taken away of one when it ends.

use std::sync::Arc;

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
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use super::{
    columns::word,
    error::{orm_error, port_error},
    pool::Db,
    scope::TenantTx,
    work::PgWork,
};

const PORT: &str = "postgres.closings";

/// Rows that are taken away in one transaction.
const ROWS_AT_ONCE: i64 = 5_000;

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

struct Row {
    closed_at: Timestamp,
    ends_at: Timestamp,
    status_before: String,
    is_put_back: bool,
    begun_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl PgWork {
    async fn closing_row(&self) -> Result<Option<Row>, PortError> {
        let locked = TenantTx::statement("SELECT * FROM identity.lock_closing()", []);
        let Some(row) = self.tx.query_one_raw(locked).await.map_err(|e| orm_error(PORT, e))? else {
            return Ok(None);
        };
        let fault = |e| orm_error(PORT, e);
        Ok(Some(Row {
            closed_at: row.try_get("", "closed_at").map_err(fault)?,
            ends_at: row.try_get("", "ends_at").map_err(fault)?,
            status_before: row.try_get("", "status_before").map_err(fault)?,
            is_put_back: row.try_get("", "is_put_back").map_err(fault)?,
            begun_at: row.try_get("", "begun_at").map_err(fault)?,
            ended_at: row.try_get("", "ended_at").map_err(fault)?,
        }))
    }

    async fn of_closing(&self, sql: &'static str, values: Vec<sea_orm::Value>) -> Result<u64, PortError> {
        let done = self.tx.execute_raw(TenantTx::statement(sql, values)).await;
        done.map(|done| done.rows_affected()).map_err(|e| orm_error(PORT, e))
    }

    async fn be(&self, status: TenantStatus) -> Result<u64, PortError> {
        const BE: &str = "UPDATE identity.tenants SET status = $2 WHERE tenant_id = $1";
        self.of_closing(BE, vec![self.tenant(), status.as_str().into()]).await
    }

    pub(super) async fn closing_of_tenant(&self) -> Result<Option<Closing>, PortError> {
        let row = self.closing_row().await?;
        row.map(|row| {
            Ok(Closing {
                closed_at: row.closed_at,
                ends_at: row.ends_at,
                before: word(PORT, TenantStatus::parse(&row.status_before))?,
                begun_at: row.begun_at,
                ended_at: row.ended_at,
            })
        })
        .transpose()
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
        let row = self.closing_row().await?;
        Ok(row.map(|Row { is_put_back, begun_at, ended_at, .. }| TenantEnd {
            is_put_back,
            begun_at,
            ended_at,
        }))
    }

    async fn begin_end(&mut self, now: Timestamp) -> Result<(), PortError> {
        self.of_closing("SELECT identity.begin_end($1)", vec![now.into()]).await.map(drop)
    }

    async fn end_later(&mut self, due: Timestamp) -> Result<(), PortError> {
        self.of_closing("SELECT identity.end_later($1)", vec![due.into()]).await.map(drop)
    }

    async fn end_done(&mut self, now: Timestamp) -> Result<(), PortError> {
        self.of_closing("SELECT identity.end_done($1)", vec![now.into()]).await.map(drop)
    }

    async fn end_again(&mut self, now: Timestamp) -> Result<bool, PortError> {
        if self.be(TenantStatus::Closed).await? == 0 {
            return Ok(false);
        }
        let again = TenantTx::statement("SELECT identity.close_again($1) AS is_news", [now.into()]);
        let row = self.tx.query_one_raw(again).await.map_err(|e| orm_error(PORT, e))?;
        row.map_or(Ok(false), |row| row.try_get("", "is_news").map_err(|e| orm_error(PORT, e)))
    }
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
    async fn claim_ends(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<TenantScope>, PortError> {
        let tenants: Vec<Uuid> = sqlx::query_scalar("SELECT tenant FROM identity.claim_ends($1, $2, $3)")
            .bind(now)
            .bind(i32::try_from(most).unwrap_or(i32::MAX))
            .bind(lease)
            .fetch_all(self.db.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        Ok(tenants.into_iter().map(|tenant| TenantScope::of(TenantId::from_uuid(tenant))).collect())
    }

    async fn end_overdue(&self, now: Timestamp) -> Result<f64, PortError> {
        let overdue = sqlx::query_scalar("SELECT identity.end_overdue($1)").bind(now);
        overdue.fetch_one(self.db.pool()).await.map_err(|e| port_error(PORT, e))
    }
}

#[async_trait]
impl TenantRemains for PgEnds {
    async fn remove_objects(&self, scope: &TenantScope) -> Result<(), PortError> {
        for folder in FOLDERS {
            let folder = format!("{folder}/{}", scope.tenant().uuid().simple());
            for key in self.objects.below(&folder).await? {
                self.objects.remove(&key).await?;
            }
        }
        Ok(())
    }

    async fn remove_rows(&self, scope: &TenantScope) -> Result<u64, PortError> {
        let fault = |e| orm_error(PORT, e);
        let tx = TenantTx::begin(&self.db, *scope).await?;
        tx.execute_raw(TenantTx::statement("SELECT identity.forget_schedules()", [])).await.map_err(fault)?;
        tx.commit().await?;
        let mut gone = 0;
        for (_, sql) in GOING {
            loop {
                let tx = TenantTx::begin(&self.db, *scope).await?;
                let values = [scope.tenant().uuid().into(), ROWS_AT_ONCE.into()];
                let some = tx.execute_raw(TenantTx::statement(sql, values)).await.map_err(fault)?;
                tx.commit().await?;
                if some.rows_affected() == 0 {
                    break;
                }
                gone += some.rows_affected();
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        super::inventory::{HOLDINGS, OUTLIVES},
        GOING,
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
