//! `content.room`: one number for each tenant, so that nothing is summed up when a file is announced. The row is made when
//! it is first needed, of what is there then.

use async_trait::async_trait;
use domain::{content::ports::RoomStore, kernel::fault::PortError};
use sea_orm::{ConnectionTrait as _, Value};

use super::{
    super::{error::orm_error, scope::TenantTx, work::PgWork},
    signed, unsigned,
};

const PORT: &str = "postgres.room";

/// Uploads in one of these states count; all others keep nothing, or will not for long.
const MAKE: &str = "
    INSERT INTO content.room (tenant_id, used_bytes)
    SELECT $1, coalesce(sum(size_bytes), 0)::bigint FROM content.uploads
    WHERE tenant_id = $1 AND state IN ('receiving', 'checking', 'ready', 'transcoding')
    HAVING NOT EXISTS (SELECT FROM content.room WHERE tenant_id = $1)
    ON CONFLICT (tenant_id) DO NOTHING";

/// Under a lock on the row, which who comes second waits for, and looks again then.
const TAKE: &str = "
    UPDATE content.room SET used_bytes = used_bytes + $2 WHERE tenant_id = $1 AND used_bytes + $2 <= $3";

/// Never below nothing: a release before this one may have announced what was not counted.
const GIVE: &str = "
    UPDATE content.room SET used_bytes = greatest(used_bytes - $2, 0) WHERE tenant_id = $1";

const USED: &str = "
    SELECT coalesce(
        (SELECT used_bytes FROM content.room WHERE tenant_id = $1),
        (SELECT coalesce(sum(size_bytes), 0)::bigint FROM content.uploads
         WHERE tenant_id = $1 AND state IN ('receiving', 'checking', 'ready', 'transcoding'))) AS used_bytes";

impl PgWork {
    fn tenant_value(&self) -> Value {
        self.tx.scope().tenant().uuid().into()
    }

    /// Runs a statement on the tenant's row; how many rows it changed.
    async fn change_room<const N: usize>(
        &self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<u64, PortError> {
        let done = self.tx.execute_raw(TenantTx::statement(sql, values)).await;
        done.map(|done| done.rows_affected()).map_err(|e| orm_error(PORT, e))
    }
}

#[async_trait]
impl RoomStore for PgWork {
    async fn used_bytes(&mut self) -> Result<u64, PortError> {
        let row = self.tx.query_one_raw(TenantTx::statement(USED, [self.tenant_value()])).await;
        let row = row.map_err(|e| orm_error(PORT, e))?;
        let row = row.ok_or_else(|| PortError::lasting(PORT, "a sum has no row"))?;
        let used: i64 = row.try_get("", "used_bytes").map_err(|e| orm_error(PORT, e))?;
        unsigned(PORT, used)
    }

    async fn take_room(&mut self, bytes: u64, max_bytes: u64) -> Result<bool, PortError> {
        let (bytes, max_bytes) = (signed(PORT, bytes)?, signed(PORT, max_bytes)?);
        self.change_room(MAKE, [self.tenant_value()]).await?;
        let values = [self.tenant_value(), bytes.into(), max_bytes.into()];
        Ok(self.change_room(TAKE, values).await? == 1)
    }

    async fn give_room(&mut self, bytes: u64) -> Result<(), PortError> {
        let bytes = signed(PORT, bytes)?;
        self.change_room(MAKE, [self.tenant_value()]).await?;
        self.change_room(GIVE, [self.tenant_value(), bytes.into()]).await.map(drop)
    }
}
