//! Sequencing takes from every tenant in turn, and who records access sees which logs keep up.
//!
//! Within a tenant the outbox is read by event id, which is by time of making, so its primary key serves; the index
//! by time across tenants only cost writes. The recorder may see which events wait and which have their index: names
//! of rows, never what they tell.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CHANGES: &str = "
DROP INDEX compliance.audit_outbox_by_time;

CREATE POLICY recorder_counts ON compliance.audit_outbox AS PERMISSIVE FOR SELECT
    TO matricula_recorder USING (true);
GRANT SELECT (tenant_id, event_id) ON compliance.audit_outbox TO matricula_recorder;
CREATE POLICY recorder_looks_up ON compliance.audit_leaves AS PERMISSIVE FOR SELECT
    TO matricula_recorder USING (true);
GRANT SELECT (tenant_id, event_id) ON compliance.audit_leaves TO matricula_recorder;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, CHANGES).await
    }
}
