//! Whole logs are read and derived anew, under a role that may read them and nothing else: of the keys that sign heads
//! it sees the public half.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const RIGHTS: &str = "
GRANT USAGE ON SCHEMA compliance TO matricula_verifier;
CREATE POLICY verifier_reads ON compliance.audit_leaves AS PERMISSIVE FOR SELECT
    TO matricula_verifier USING (true);
CREATE POLICY verifier_reads ON compliance.audit_tiles AS PERMISSIVE FOR SELECT
    TO matricula_verifier USING (true);
CREATE POLICY verifier_reads ON compliance.audit_heads AS PERMISSIVE FOR SELECT
    TO matricula_verifier USING (true);
CREATE POLICY verifier_reads ON compliance.log_keys AS PERMISSIVE FOR SELECT
    TO matricula_verifier USING (true);
GRANT SELECT ON compliance.audit_leaves, compliance.audit_tiles, compliance.audit_heads TO matricula_verifier;
GRANT SELECT (tenant_id, public_key, created_at) ON compliance.log_keys TO matricula_verifier;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, RIGHTS).await
    }
}
