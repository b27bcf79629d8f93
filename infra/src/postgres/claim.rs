//! Claims of what is due, across tenants: names and nothing else, given out by functions of the database.

use chrono::TimeDelta;
use domain::kernel::{clock::Timestamp, fault::PortError, ids::TenantId, scope::TenantScope};
use uuid::Uuid;

use super::{error::port_error, pool::Db};

/// What `sql` names: a tenant and something of its, at most `most`. Nobody else is given them before `lease` is over.
pub(super) async fn claim_due(
    port: &'static str,
    db: &Db,
    sql: &'static str,
    (now, most, lease): (Timestamp, u32, TimeDelta),
) -> Result<Vec<(TenantScope, Uuid)>, PortError> {
    let claimed: Vec<(Uuid, Uuid)> = sqlx::query_as(sql)
        .bind(now)
        .bind(i32::try_from(most).unwrap_or(i32::MAX))
        .bind(lease)
        .fetch_all(db.pool())
        .await
        .map_err(|e| port_error(port, e))?;
    Ok(claimed.into_iter().map(|(tenant, id)| (TenantScope::of(TenantId::from_uuid(tenant)), id)).collect())
}
