//! The platform's log: heads of tenants' logs as leaves that say nothing without their salt, the tiles of the tree over
//! them, its heads, and the keys that sign those.
//!
//! A salt is the tenant's, and behind the wall with the place of its leaf. The rest says nothing of any tenant and can be
//! read by all. The notary, which makes the log grow, reads all tenants' heads and writes nothing of theirs.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE TABLE compliance.platform_anchors (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    size bigint NOT NULL CHECK (size > 0),
    index bigint NOT NULL CHECK (index >= 0),
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    PRIMARY KEY (tenant_id, stream, size)
);
CREATE INDEX platform_anchors_by_index ON compliance.platform_anchors (index);

CREATE TABLE compliance.platform_tiles (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    width smallint NOT NULL CHECK (width BETWEEN 1 AND 256),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 32 * width),
    PRIMARY KEY (level, index)
);
COMMENT ON TABLE compliance.platform_tiles IS
    'platform: hashes of salted leaves, which say nothing of whose they are';

CREATE TABLE compliance.platform_heads (
    size bigint NOT NULL PRIMARY KEY CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text,
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE compliance.platform_heads IS 'platform: one tree over all tenants'' heads, made to be shown to everybody';

CREATE TABLE compliance.platform_keys (
    public_key bytea NOT NULL PRIMARY KEY CHECK (octet_length(public_key) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE compliance.platform_keys IS 'platform: public keys that sign the platform''s log';
";

const RIGHTS: &str = "
GRANT SELECT ON compliance.platform_tiles, compliance.platform_heads, compliance.platform_keys
    TO matricula_app_rw, matricula_auditor_ro, matricula_verifier;
GRANT SELECT ON compliance.platform_anchors TO matricula_auditor_ro;

CREATE POLICY verifier_reads ON compliance.platform_anchors AS PERMISSIVE FOR SELECT
    TO matricula_verifier USING (true);
GRANT SELECT ON compliance.platform_anchors TO matricula_verifier;

GRANT USAGE ON SCHEMA compliance TO matricula_notary;
CREATE POLICY notary_reads ON compliance.audit_heads AS PERMISSIVE FOR SELECT TO matricula_notary USING (true);
GRANT SELECT ON compliance.audit_heads TO matricula_notary;
CREATE POLICY notary_reads ON compliance.platform_anchors AS PERMISSIVE FOR SELECT TO matricula_notary USING (true);
CREATE POLICY notary_adds ON compliance.platform_anchors AS PERMISSIVE FOR INSERT
    TO matricula_notary WITH CHECK (true);
GRANT SELECT (tenant_id, stream, size), INSERT ON compliance.platform_anchors TO matricula_notary;
GRANT SELECT, INSERT, UPDATE (width, hashes) ON compliance.platform_tiles TO matricula_notary;
GRANT SELECT, INSERT, UPDATE (note) ON compliance.platform_heads TO matricula_notary;
GRANT SELECT, INSERT ON compliance.platform_keys TO matricula_notary;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        apply(manager, &tenant_table("compliance.platform_anchors", "SELECT")).await?;
        apply(manager, RIGHTS).await
    }
}
