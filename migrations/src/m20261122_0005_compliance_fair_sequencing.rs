//! Sequencing takes from every tenant in turn, and who records access sees which logs keep up.
//!
//! Within a tenant the outbox is read by event id, which is by time of making, so its primary key serves; the index
//! by time across tenants only cost writes. The recorder may see which events wait and which have their index: names
//! and streams of rows, never what they tell.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CHANGES: &str = "
DROP INDEX compliance.audit_outbox_by_time;

CREATE POLICY recorder_counts ON compliance.audit_outbox AS PERMISSIVE FOR SELECT
    TO matricula_recorder USING (true);
GRANT SELECT (tenant_id, event_id, stream) ON compliance.audit_outbox TO matricula_recorder;
-- Every row comes and goes within a moment: what is left of them is cleared away before it slows the next look.
ALTER TABLE compliance.audit_outbox SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);
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
