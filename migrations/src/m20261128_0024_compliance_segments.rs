//! Files of the range of reports that are made before anybody asks, and what a bundle is made of.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE TABLE compliance.audit_segments (
    tenant_id uuid NOT NULL,
    stream text NOT NULL,
    first bigint NOT NULL CHECK (first >= 0 AND first % 65536 = 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    crc bigint NOT NULL CHECK (crc BETWEEN 0 AND 4294967295),
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    runs jsonb NOT NULL,
    PRIMARY KEY (tenant_id, stream, first)
);
-- What a bundle is made of; one from before is objects of 8 MiB that are named by its place.
ALTER TABLE compliance.reports ADD COLUMN pieces jsonb;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        apply(manager, &tenant_table("compliance.audit_segments", "SELECT, INSERT")).await
    }
}
