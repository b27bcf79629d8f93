//! Leaves that need not be kept any longer are thrown away, and it is said which.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const PRUNES: &str = "
CREATE TABLE compliance.prunes (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    until bigint NOT NULL CHECK (until > 0 AND until % 256 = 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    note text NOT NULL,
    pruned_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, stream, until)
);
";

/// Who moves events into logs takes them out again: leaves that a statement names, with what opens them, and no others.
const RIGHTS: &str = "
CREATE POLICY sequencer_prunes ON compliance.prunes AS PERMISSIVE FOR SELECT TO matricula_sequencer USING (true);
CREATE POLICY verifier_reads ON compliance.prunes AS PERMISSIVE FOR SELECT TO matricula_verifier USING (true);
GRANT SELECT ON compliance.prunes TO matricula_sequencer, matricula_verifier;

CREATE POLICY only_what_is_said ON compliance.audit_leaves AS RESTRICTIVE FOR DELETE TO matricula_sequencer
    USING (EXISTS (
        SELECT FROM compliance.prunes AS p
        WHERE p.tenant_id = audit_leaves.tenant_id AND p.stream = audit_leaves.stream AND audit_leaves.index < p.until
    ));
GRANT DELETE ON compliance.audit_leaves TO matricula_sequencer;

CREATE POLICY sequencer_reads ON compliance.audit_openings AS PERMISSIVE FOR SELECT TO matricula_sequencer USING (true);
CREATE POLICY sequencer_prunes ON compliance.audit_openings AS PERMISSIVE FOR DELETE TO matricula_sequencer
    USING (EXISTS (
        SELECT FROM compliance.audit_leaves AS l JOIN compliance.prunes AS p ON p.tenant_id = l.tenant_id AND p.stream = l.stream
        WHERE l.tenant_id = audit_openings.tenant_id AND l.event_id = audit_openings.event_id AND l.index < p.until
    ));
GRANT SELECT (tenant_id, event_id), DELETE ON compliance.audit_openings TO matricula_sequencer;

GRANT DELETE ON compliance.audit_segments TO matricula_app_rw;

-- The installation's own logs, which are no tenant's.
INSERT INTO compliance.daily_turns (tenant, task, due_at, leased_until)
VALUES ('6d617472-6963-8000-8000-000000000001', 'retention', now(), '-infinity');
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, PRUNES).await?;
        apply(manager, &tenant_table("compliance.prunes", "SELECT, INSERT")).await?;
        apply(manager, RIGHTS).await
    }
}
