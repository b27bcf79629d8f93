//! The audit log: events that wait for an index, leaves, the tiles of the Merkle trees over them, and signed
//! heads.
//!
//! The application may only add to the outbox and read the rest. The recorder may add access events of any
//! tenant, unread; the sequencer moves events from the outbox into the logs of all tenants.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE TABLE compliance.audit_outbox (
    tenant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    stream text NOT NULL CHECK (stream IN ('iam', 'admin', 'data', 'access')),
    compliance_id uuid NOT NULL,
    type text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('success', 'refused', 'failure')),
    actor_id uuid,
    target_id uuid,
    occurred_at timestamptz NOT NULL,
    leaf bytea NOT NULL CHECK (octet_length(leaf) BETWEEN 1 AND 65535),
    PRIMARY KEY (tenant_id, event_id)
);

CREATE INDEX audit_outbox_by_time ON compliance.audit_outbox (occurred_at, event_id);

CREATE TABLE compliance.audit_leaves (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    index bigint NOT NULL CHECK (index >= 0),
    event_id uuid NOT NULL,
    compliance_id uuid NOT NULL,
    type text NOT NULL,
    outcome text NOT NULL,
    actor_id uuid,
    target_id uuid,
    occurred_at timestamptz NOT NULL,
    leaf bytea NOT NULL,
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    PRIMARY KEY (tenant_id, stream, index),
    UNIQUE (tenant_id, event_id)
);
CREATE INDEX audit_leaves_by_answer ON compliance.audit_leaves (tenant_id, compliance_id);
CREATE INDEX audit_leaves_by_time ON compliance.audit_leaves (tenant_id, occurred_at, event_id);

CREATE TABLE compliance.audit_tiles (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    index bigint NOT NULL CHECK (index >= 0),
    width smallint NOT NULL CHECK (width BETWEEN 1 AND 256),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 32 * width),
    PRIMARY KEY (tenant_id, stream, level, index)
);

CREATE TABLE compliance.audit_heads (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    size bigint NOT NULL CHECK (size > 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, stream, size)
);
";

/// Rights of the roles that work across tenants, each on what its work needs and nothing else.
const CROSS_TENANT: &str = "
CREATE POLICY recorder_adds ON compliance.audit_outbox AS PERMISSIVE FOR INSERT
    TO matricula_recorder WITH CHECK (stream = 'access');
GRANT INSERT ON compliance.audit_outbox TO matricula_recorder;

CREATE POLICY sequencer_takes ON compliance.audit_outbox AS PERMISSIVE FOR ALL
    TO matricula_sequencer USING (true) WITH CHECK (false);
GRANT SELECT, DELETE ON compliance.audit_outbox TO matricula_sequencer;
CREATE POLICY sequencer_grows ON compliance.audit_leaves AS PERMISSIVE FOR ALL
    TO matricula_sequencer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON compliance.audit_leaves TO matricula_sequencer;
CREATE POLICY sequencer_grows ON compliance.audit_tiles AS PERMISSIVE FOR ALL
    TO matricula_sequencer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON compliance.audit_tiles TO matricula_sequencer;
CREATE POLICY sequencer_grows ON compliance.audit_heads AS PERMISSIVE FOR ALL
    TO matricula_sequencer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON compliance.audit_heads TO matricula_sequencer;

GRANT SELECT ON compliance.audit_leaves, compliance.audit_tiles, compliance.audit_heads
    TO matricula_auditor_ro;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        for (table, grants) in [
            ("compliance.audit_outbox", "INSERT"),
            ("compliance.audit_leaves", "SELECT"),
            ("compliance.audit_tiles", "SELECT"),
            ("compliance.audit_heads", "SELECT"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        apply(manager, CROSS_TENANT).await
    }
}
