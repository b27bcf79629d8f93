//! Files on their way in. Bytes are elsewhere, in objects that parts name.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// An index holds what is open alone: it stays small however many files there are.
const UPLOADS: &str = "
CREATE SCHEMA content;
GRANT USAGE ON SCHEMA content TO matricula_app_rw;

CREATE TABLE content.uploads (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    piece text NOT NULL CHECK (piece IN ('whole', 'partial', 'joined')),
    pieces uuid[] NOT NULL,
    name text NOT NULL,
    media_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    metadata text NOT NULL,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    received_bytes bigint NOT NULL CHECK (received_bytes BETWEEN 0 AND size_bytes),
    parts integer NOT NULL,
    state text NOT NULL CHECK (state IN
        ('receiving', 'checking', 'ready', 'digest_wrong', 'cancelled', 'expired', 'absorbed')),
    digest bytea CHECK (octet_length(digest) = 32),
    probed jsonb,
    begun_by uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX uploads_by_age ON content.uploads (tenant_id, created_at, id) WHERE piece <> 'partial';
CREATE INDEX uploads_joined ON content.uploads (tenant_id, (pieces[1])) WHERE piece = 'joined';
CREATE INDEX uploads_open ON content.uploads (tenant_id) WHERE state = 'receiving';

CREATE TABLE content.parts (
    tenant_id uuid NOT NULL,
    upload_id uuid NOT NULL,
    offset_bytes bigint NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes > 0),
    object_key text NOT NULL,
    PRIMARY KEY (tenant_id, upload_id, offset_bytes),
    UNIQUE (tenant_id, object_key),
    FOREIGN KEY (tenant_id, upload_id) REFERENCES content.uploads (tenant_id, id)
);
";

const SCHEDULE: &str = "
CREATE TABLE content.upload_schedule (
    tenant uuid NOT NULL,
    upload uuid NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (tenant, upload),
    FOREIGN KEY (tenant, upload) REFERENCES content.uploads (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE content.upload_schedule IS
    'platform: files of all tenants are checked and thrown away in one place; reached only through the functions below';
CREATE INDEX upload_schedule_by_time ON content.upload_schedule (due_at);

CREATE FUNCTION content.schedule_upload(wanted_upload uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM content.upload_schedule AS s
        WHERE due IS NULL AND s.tenant = current_setting('app.tenant_id')::uuid AND s.upload = wanted_upload;
        INSERT INTO content.upload_schedule (tenant, upload, due_at, leased_until)
        SELECT current_setting('app.tenant_id')::uuid, wanted_upload, due, '-infinity'::timestamptz
        WHERE due IS NOT NULL
        ON CONFLICT (tenant, upload)
        DO UPDATE SET due_at = excluded.due_at, leased_until = excluded.leased_until;
    $$;
CREATE FUNCTION content.claim_due_uploads(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, upload uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH due AS (
            SELECT s.tenant, s.upload, s.due_at FROM content.upload_schedule AS s
            WHERE s.due_at <= instant AND s.leased_until <= instant ORDER BY s.due_at LIMIT 1000
        ), turns AS (
            SELECT d.tenant, d.upload, d.due_at,
                   row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.upload) AS turn
            FROM due AS d
        ), picked AS (
            SELECT s.tenant, s.upload FROM content.upload_schedule AS s
            JOIN turns AS t ON t.tenant = s.tenant AND t.upload = s.upload
            WHERE s.leased_until <= instant
            ORDER BY t.turn, t.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE content.upload_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.upload = p.upload
            RETURNING s.tenant, s.upload, s.due_at
        ) SELECT c.tenant, c.upload FROM claimed AS c ORDER BY c.due_at, c.upload
    $$;
REVOKE ALL ON FUNCTION content.schedule_upload(uuid, timestamptz),
    content.claim_due_uploads(timestamptz, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content.schedule_upload(uuid, timestamptz),
    content.claim_due_uploads(timestamptz, integer, interval) TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [UPLOADS, SCHEDULE] {
            apply(manager, statements).await?;
        }
        for (table, grants) in [
            ("content.uploads", "SELECT, INSERT, UPDATE"),
            ("content.parts", "SELECT, INSERT, UPDATE, DELETE"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        Ok(())
    }
}
