//! Records of processing, a row for each version.

use sea_orm_migration::prelude::*;

use crate::{
    apply,
    wall::{noted_table, tenant_table},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const RECORDS: &str = "
CREATE TABLE compliance.processing_records (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    activity text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    content text NOT NULL,
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    changed text[] NOT NULL,
    made_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    reviewed_at timestamptz,
    reviewed_by uuid,
    signature bytea,
    signed_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, activity, version),
    CHECK ((signature IS NULL) = (signed_at IS NULL))
);
CREATE INDEX processing_records_by_time ON compliance.processing_records (tenant_id, made_at, id);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, RECORDS).await?;
        apply(manager, &tenant_table("compliance.processing_records", "SELECT, INSERT, UPDATE")).await?;
        apply(manager, &noted_table("compliance.processing_records", "id", "", "", "checked_at")).await
    }
}
