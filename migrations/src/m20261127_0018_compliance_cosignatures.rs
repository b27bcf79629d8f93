//! Cosignatures of witnesses, kept with the heads of the platform's log that they are of. A head is shown once enough of
//! them are there.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CHANGES: &str = "
ALTER TABLE compliance.platform_heads ADD COLUMN is_witnessed boolean NOT NULL DEFAULT false;
GRANT UPDATE (is_witnessed) ON compliance.platform_heads TO matricula_notary;

CREATE TABLE compliance.platform_cosignatures (
    size bigint NOT NULL,
    witness text NOT NULL,
    line text NOT NULL,
    cosigned_at timestamptz NOT NULL,
    PRIMARY KEY (size, witness)
);
COMMENT ON TABLE compliance.platform_cosignatures IS 'platform: what witnesses say of its log, made to be shown to everybody';
GRANT SELECT ON compliance.platform_cosignatures TO matricula_app_rw, matricula_auditor_ro, matricula_verifier;
GRANT SELECT, INSERT ON compliance.platform_cosignatures TO matricula_notary;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, CHANGES).await
    }
}
