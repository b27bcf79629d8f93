//! What came into a log long after it happened: where a report ends must be behind it.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Of heads from before it is not known how late their leaves came: they may be.
const LATE: &str = "
ALTER TABLE compliance.audit_heads ADD COLUMN oldest_at timestamptz;
CREATE INDEX audit_heads_late ON compliance.audit_heads (tenant_id, stream, size)
    WHERE oldest_at IS NULL OR signed_at - oldest_at > interval '300 seconds';

-- Whether something waits is the tenant's to know; what it says is not.
GRANT SELECT (tenant_id, event_id, stream, occurred_at) ON compliance.audit_outbox TO matricula_app_rw;

ALTER TABLE compliance.reports DROP CONSTRAINT reports_failure_check;
ALTER TABLE compliance.reports ADD CONSTRAINT reports_failure_check
    CHECK (failure IN ('log_empty', 'log_behind', 'log_broken', 'broke_off'));
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, LATE).await
    }
}
