//! Wrapped keys. Each row is useless without the key provider that wrapped it.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(
            manager,
            "CREATE SCHEMA compliance;
             GRANT USAGE ON SCHEMA compliance
                 TO matricula_app_rw, matricula_sequencer, matricula_recorder, matricula_auditor_ro;
             CREATE TABLE compliance.tenant_keys (
                 tenant_id uuid NOT NULL,
                 version integer NOT NULL,
                 provider text NOT NULL,
                 wrapped bytea NOT NULL,
                 created_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (tenant_id, version)
             );
             CREATE TABLE compliance.data_keys (
                 tenant_id uuid NOT NULL,
                 purpose text NOT NULL,
                 version integer NOT NULL,
                 kek_version integer NOT NULL,
                 wrapped bytea NOT NULL,
                 created_at timestamptz NOT NULL DEFAULT now(),
                 PRIMARY KEY (tenant_id, purpose, version),
                 FOREIGN KEY (tenant_id, kek_version) REFERENCES compliance.tenant_keys (tenant_id, version)
             );
             CREATE TABLE compliance.log_keys (
                 tenant_id uuid NOT NULL,
                 id uuid NOT NULL,
                 public_key bytea NOT NULL,
                 seed_sealed bytea NOT NULL,
                 created_at timestamptz NOT NULL,
                 PRIMARY KEY (tenant_id, id)
             );",
        )
        .await?;
        for table in ["compliance.tenant_keys", "compliance.data_keys", "compliance.log_keys"] {
            apply(manager, &tenant_table(table, "SELECT, INSERT")).await?;
        }
        Ok(())
    }
}
