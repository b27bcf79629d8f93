//! `accounts.quota_uses`, read: what was used of platforms' quotas.

use std::{collections::HashMap, hash::Hash};

use async_trait::async_trait;
use domain::{
    accounts::{
        model::{QuotaTally, QuotaUse},
        ports::QuotaStore,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, AppId},
    },
};
use sea_orm::{ConnectionTrait as _, DbErr, QueryResult};
use uuid::Uuid;

use crate::postgres::{error::orm_error, scope::TenantTx, work::PgWork};

const PORT: &str = "postgres.quota_uses";

/// $1 tenant, $2 apps, $3 since when.
const OF_APPS: &str = "
    SELECT app_id AS owner_id, quota, begins_at, sum(answered)::bigint AS answered, sum(done)::bigint AS done,
           sum(unsure)::bigint AS unsure, max(used_up_at) AS used_up_at
    FROM accounts.quota_uses WHERE tenant_id = $1 AND app_id = ANY ($2) AND begins_at >= $3
    GROUP BY app_id, quota, begins_at";

/// $1 tenant, $2 accounts, $3 since when.
const OF_ACCOUNTS: &str = "
    SELECT account_id AS owner_id, quota, begins_at, sum(answered)::bigint AS answered, sum(done)::bigint AS done,
           sum(unsure)::bigint AS unsure, max(used_up_at) AS used_up_at
    FROM accounts.quota_uses WHERE tenant_id = $1 AND account_id = ANY ($2) AND begins_at >= $3
    GROUP BY account_id, quota, begins_at";

fn used(row: &QueryResult) -> Result<(Uuid, QuotaUse), DbErr> {
    let count = |name| row.try_get::<i64>("", name).map(|count| u64::try_from(count).unwrap_or_default());
    let tally = QuotaTally {
        answered: count("answered")?,
        done: count("done")?,
        unsure: count("unsure")?,
        used_up_at: row.try_get("", "used_up_at")?,
    };
    let quota = row.try_get("", "quota")?;
    Ok((row.try_get("", "owner_id")?, QuotaUse { quota, begins_at: row.try_get("", "begins_at")?, tally }))
}

async fn uses<K: Eq + Hash>(
    tx: &TenantTx,
    sql: &'static str,
    owners: Vec<Uuid>,
    since: Timestamp,
    key: impl Fn(Uuid) -> K,
) -> Result<HashMap<K, Vec<QuotaUse>>, PortError> {
    let values = [tx.scope().tenant().uuid().into(), owners.into(), since.into()];
    let rows = tx.query_all_raw(TenantTx::statement(sql, values)).await.map_err(|e| orm_error(PORT, e))?;
    let mut found: HashMap<K, Vec<QuotaUse>> = HashMap::new();
    for row in rows {
        let (owner, used) = used(&row).map_err(|e| orm_error(PORT, e))?;
        found.entry(key(owner)).or_default().push(used);
    }
    Ok(found)
}

/// What the accounts of each of these apps used together.
pub(super) async fn uses_of_apps(
    tx: &TenantTx,
    apps: &[AppId],
    since: Timestamp,
) -> Result<HashMap<AppId, Vec<QuotaUse>>, PortError> {
    uses(tx, OF_APPS, apps.iter().map(|app| app.uuid()).collect(), since, AppId::from_uuid).await
}

/// What each of these accounts used.
pub(super) async fn uses_of_accounts(
    tx: &TenantTx,
    accounts: &[AccountId],
    since: Timestamp,
) -> Result<HashMap<AccountId, Vec<QuotaUse>>, PortError> {
    let ids = accounts.iter().map(|account| account.uuid()).collect();
    uses(tx, OF_ACCOUNTS, ids, since, AccountId::from_uuid).await
}

#[async_trait]
impl QuotaStore for PgWork {
    async fn quota_uses_of_apps(
        &mut self,
        apps: &[AppId],
        since: Timestamp,
    ) -> Result<HashMap<AppId, Vec<QuotaUse>>, PortError> {
        uses_of_apps(&self.tx, apps, since).await
    }

    async fn quota_uses_of_accounts(
        &mut self,
        accounts: &[AccountId],
        since: Timestamp,
    ) -> Result<HashMap<AccountId, Vec<QuotaUse>>, PortError> {
        uses_of_accounts(&self.tx, accounts, since).await
    }
}
