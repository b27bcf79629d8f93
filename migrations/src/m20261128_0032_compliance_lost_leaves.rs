//! Leaves of the platform's log of which nothing but the hash is left, since a database was put back.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const LOST: &str = "
CREATE TABLE compliance.platform_lost_leaves (
    index bigint NOT NULL PRIMARY KEY CHECK (index >= 0),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32)
);
COMMENT ON TABLE compliance.platform_lost_leaves IS
    'platform: hashes of salted leaves, which say nothing of whose they are';
GRANT SELECT, INSERT ON compliance.platform_lost_leaves TO matricula_notary;
GRANT SELECT ON compliance.platform_lost_leaves TO matricula_auditor_ro, matricula_verifier;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, LOST).await
    }
}
