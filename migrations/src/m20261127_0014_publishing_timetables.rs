//! Timetables; posts that recur, that come from somebody's file, and whose file is known by its digest.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What is new about posts has defaults: those there are were planned once, from no file.
const TABLES: &str = "
CREATE TABLE publishing.timetables (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    name text NOT NULL,
    zone text NOT NULL,
    rules text[] NOT NULL CHECK (cardinality(rules) > 0),
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX timetables_by_age ON publishing.timetables (tenant_id, created_at, id);

ALTER TABLE publishing.posts
    ADD COLUMN occurrence integer NOT NULL DEFAULT 1 CHECK (occurrence > 0),
    ADD COLUMN variables jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN reference text,
    ADD COLUMN file_digest bytea CHECK (octet_length(file_digest) = 32);
CREATE UNIQUE INDEX posts_references ON publishing.posts (tenant_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX posts_by_file ON publishing.posts (tenant_id, file_digest) WHERE file_digest IS NOT NULL;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        let grants = "SELECT, INSERT, UPDATE, DELETE";
        apply(manager, &tenant_table("publishing.timetables", grants)).await
    }
}
