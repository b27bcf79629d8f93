//! What others outside vouch for of the platform's log.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "
CREATE TABLE compliance.platform_attestations (
    attester text NOT NULL CHECK (length(attester) BETWEEN 1 AND 64),
    size bigint NOT NULL CHECK (size > 0),
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    prepared bytea NOT NULL CHECK (octet_length(prepared) <= 65536),
    prepared_at timestamptz NOT NULL,
    proof text CHECK (length(proof) <= 400000),
    settled_at timestamptz,
    PRIMARY KEY (attester, size),
    CHECK ((proof IS NULL) = (settled_at IS NULL))
);
CREATE UNIQUE INDEX platform_attestations_open ON compliance.platform_attestations (attester) WHERE settled_at IS NULL;
COMMENT ON TABLE compliance.platform_attestations IS 'platform: who outside has seen heads of its log, made to be shown to everybody';
GRANT SELECT (attester, size, salt, digest, prepared_at, proof, settled_at) ON compliance.platform_attestations
    TO matricula_app_rw, matricula_auditor_ro;
GRANT SELECT, INSERT, UPDATE (prepared, proof, settled_at) ON compliance.platform_attestations TO matricula_notary;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLE).await
    }
}
