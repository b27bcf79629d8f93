//! Files that are made of others, how much room a tenant's files take, and which store they are in.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What is made of another file is an upload as any other, and more is known of it here.
const TRANSCODES: &str = "
ALTER TABLE content.uploads DROP CONSTRAINT uploads_piece_check, DROP CONSTRAINT uploads_state_check;
ALTER TABLE content.uploads
    ADD CONSTRAINT uploads_piece_check CHECK (piece IN ('whole', 'partial', 'joined', 'transcoded')),
    ADD CONSTRAINT uploads_state_check CHECK (state IN ('receiving', 'checking', 'ready', 'digest_wrong', 'cancelled',
        'expired', 'absorbed', 'transcoding', 'transcode_failed'));
CREATE INDEX uploads_transcoding ON content.uploads (tenant_id) WHERE state = 'transcoding';

CREATE TABLE content.transcodes (
    tenant_id uuid NOT NULL,
    upload_id uuid NOT NULL,
    source_id uuid NOT NULL,
    platform text NOT NULL,
    recipe text NOT NULL,
    mends text[] NOT NULL,
    done_permille integer NOT NULL CHECK (done_permille BETWEEN 0 AND 1000),
    attempts integer NOT NULL,
    failure text CHECK (failure IN ('unreadable', 'too_large', 'too_slow', 'source_gone', 'broke_off')),
    PRIMARY KEY (tenant_id, upload_id),
    FOREIGN KEY (tenant_id, upload_id) REFERENCES content.uploads (tenant_id, id),
    FOREIGN KEY (tenant_id, source_id) REFERENCES content.uploads (tenant_id, id)
);
CREATE INDEX transcodes_by_source ON content.transcodes (tenant_id, source_id);

CREATE TABLE content.room (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    used_bytes bigint NOT NULL CHECK (used_bytes >= 0),
    PRIMARY KEY (tenant_id)
);
";

/// Work of two kinds, each with claims of its own: minutes of transcoding are in nobody's way who waits for a check.
const SCHEDULE: &str = "
ALTER TABLE content.upload_schedule
    ADD COLUMN work text NOT NULL DEFAULT 'tend' CHECK (work IN ('tend', 'transcode'));
DROP INDEX content.upload_schedule_by_time;
CREATE INDEX upload_schedule_tend ON content.upload_schedule (due_at) WHERE work = 'tend';
CREATE INDEX upload_schedule_transcode ON content.upload_schedule (due_at) WHERE work = 'transcode';

CREATE OR REPLACE FUNCTION content.schedule_upload(wanted_upload uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM content.upload_schedule AS s
        WHERE due IS NULL AND s.tenant = current_setting('app.tenant_id')::uuid AND s.upload = wanted_upload;
        INSERT INTO content.upload_schedule (tenant, upload, due_at, leased_until, work)
        SELECT current_setting('app.tenant_id')::uuid, wanted_upload, due, '-infinity'::timestamptz, 'tend'
        WHERE due IS NOT NULL
        ON CONFLICT (tenant, upload)
        DO UPDATE SET due_at = excluded.due_at, leased_until = excluded.leased_until, work = excluded.work;
    $$;
CREATE FUNCTION content.schedule_transcode(wanted_upload uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO content.upload_schedule (tenant, upload, due_at, leased_until, work)
        SELECT current_setting('app.tenant_id')::uuid, wanted_upload, due, '-infinity'::timestamptz, 'transcode'
        ON CONFLICT (tenant, upload)
        DO UPDATE SET due_at = excluded.due_at, leased_until = excluded.leased_until, work = excluded.work;
    $$;
CREATE OR REPLACE FUNCTION content.claim_due_uploads(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, upload uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH due AS (
            SELECT s.tenant, s.upload, s.due_at FROM content.upload_schedule AS s
            WHERE s.work = 'tend' AND s.due_at <= instant AND s.leased_until <= instant ORDER BY s.due_at LIMIT 1000
        ), turns AS (
            SELECT d.tenant, d.upload, d.due_at,
                   row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.upload) AS turn
            FROM due AS d
        ), picked AS (
            SELECT s.tenant, s.upload FROM content.upload_schedule AS s
            JOIN turns AS t ON t.tenant = s.tenant AND t.upload = s.upload
            WHERE s.work = 'tend' AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY t.turn, t.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE content.upload_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.upload = p.upload
            RETURNING s.tenant, s.upload, s.due_at
        ) SELECT c.tenant, c.upload FROM claimed AS c ORDER BY c.due_at, c.upload
    $$;
CREATE TABLE content.transcode_turns (
    tenant uuid PRIMARY KEY,
    claimed_at timestamptz NOT NULL
);
COMMENT ON TABLE content.transcode_turns IS
    'platform: who waited longest is served first, across tenants; reached only through the function below';
CREATE FUNCTION content.claim_due_transcodes(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, upload uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH due AS (
            SELECT s.tenant, s.upload, s.due_at FROM content.upload_schedule AS s
            WHERE s.work = 'transcode' AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY s.due_at LIMIT 1000
        ), turns AS (
            SELECT d.tenant, d.upload, d.due_at,
                   row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.upload) AS turn
            FROM due AS d
        ), picked AS (
            SELECT s.tenant, s.upload FROM content.upload_schedule AS s
            JOIN turns AS t ON t.tenant = s.tenant AND t.upload = s.upload
            LEFT JOIN content.transcode_turns AS l ON l.tenant = s.tenant
            WHERE s.work = 'transcode' AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY t.turn, coalesce(l.claimed_at, '-infinity'), t.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE content.upload_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.upload = p.upload
            RETURNING s.tenant, s.upload, s.due_at
        ), noted AS (
            INSERT INTO content.transcode_turns (tenant, claimed_at)
            SELECT c.tenant, instant FROM claimed AS c GROUP BY c.tenant ORDER BY c.tenant
            ON CONFLICT (tenant) DO UPDATE SET claimed_at = excluded.claimed_at
        ) SELECT c.tenant, c.upload FROM claimed AS c ORDER BY c.due_at, c.upload
    $$;
REVOKE ALL ON FUNCTION content.schedule_transcode(uuid, timestamptz),
    content.claim_due_transcodes(timestamptz, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content.schedule_transcode(uuid, timestamptz),
    content.claim_due_transcodes(timestamptz, integer, interval) TO matricula_app_rw;
";

/// One row at the most: all replicas keep files in the same store, or files are missed.
const STORE: &str = "
CREATE TABLE content.file_store (
    is_one boolean NOT NULL DEFAULT true CHECK (is_one),
    marker uuid NOT NULL,
    PRIMARY KEY (is_one)
);
COMMENT ON TABLE content.file_store IS
    'platform: the marker of the one folder or bucket that files of all tenants are in; it names nothing of theirs';
GRANT SELECT, INSERT ON content.file_store TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [TRANSCODES, SCHEDULE, STORE] {
            apply(manager, statements).await?;
        }
        for (table, grants) in
            [("content.transcodes", "SELECT, INSERT, UPDATE"), ("content.room", "SELECT, INSERT, UPDATE")]
        {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        Ok(())
    }
}
