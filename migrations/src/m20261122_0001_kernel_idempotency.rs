//! Answers kept so that a repeated command is answered, not repeated.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(
            manager,
            "CREATE SCHEMA kernel;
             GRANT USAGE ON SCHEMA kernel TO matricula_app_rw;
             CREATE TABLE kernel.idempotency_keys (
                 tenant_id uuid NOT NULL,
                 caller text NOT NULL,
                 action text NOT NULL,
                 key text NOT NULL,
                 arguments bytea NOT NULL,
                 answer bytea,
                 created_at timestamptz NOT NULL,
                 PRIMARY KEY (tenant_id, caller, action, key)
             );
             CREATE INDEX idempotency_keys_by_age ON kernel.idempotency_keys (tenant_id, created_at);",
        )
        .await?;
        apply(manager, &tenant_table("kernel.idempotency_keys", "SELECT, INSERT, UPDATE, DELETE")).await
    }
}
