//! Whose file is next counts the work that is under way, and looks at every tenant: who has none under way comes before who
//! has many, however many of those wait and however long.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CLAIM: &str = "
CREATE INDEX upload_schedule_by_tenant ON content.upload_schedule (work, tenant, due_at);
CREATE INDEX upload_schedule_under_way ON content.upload_schedule (leased_until) WHERE leased_until > '-infinity';
CREATE FUNCTION content.claimable(kind text, instant timestamptz, most integer)
    RETURNS TABLE (tenant uuid, upload uuid, due_at timestamptz, place bigint)
    LANGUAGE sql STABLE SET search_path = pg_catalog
    AS $$
        WITH RECURSIVE walked AS (
            (SELECT s.tenant FROM content.upload_schedule AS s WHERE s.work = kind ORDER BY s.tenant LIMIT 1)
            UNION ALL
            SELECT (SELECT s.tenant FROM content.upload_schedule AS s
                    WHERE s.work = kind AND s.tenant > w.tenant ORDER BY s.tenant LIMIT 1)
            FROM walked AS w WHERE w.tenant IS NOT NULL
        ), held AS (
            SELECT s.tenant, count(*) AS uploads FROM content.upload_schedule AS s
            WHERE s.leased_until > instant AND s.leased_until > '-infinity' AND s.work = kind GROUP BY s.tenant
        ) SELECT d.tenant, d.upload, d.due_at, coalesce(h.uploads, 0)
              + row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.upload)
        FROM walked AS w LEFT JOIN held AS h ON h.tenant = w.tenant CROSS JOIN LATERAL (
            SELECT s.tenant, s.upload, s.due_at FROM content.upload_schedule AS s
            WHERE s.work = kind AND s.tenant = w.tenant AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY s.due_at LIMIT most + 16
        ) AS d
    $$;
CREATE OR REPLACE FUNCTION content.claim_due_uploads(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, upload uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT s.tenant, s.upload FROM content.upload_schedule AS s
            JOIN content.claimable('tend', instant, most) AS c ON c.tenant = s.tenant AND c.upload = s.upload
            WHERE s.work = 'tend' AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY c.place, c.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE content.upload_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.upload = p.upload
            RETURNING s.tenant, s.upload, s.due_at
        ) SELECT c.tenant, c.upload FROM claimed AS c ORDER BY c.due_at, c.upload
    $$;
CREATE OR REPLACE FUNCTION content.claim_due_transcodes(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, upload uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT s.tenant, s.upload FROM content.upload_schedule AS s
            JOIN content.claimable('transcode', instant, most) AS c ON c.tenant = s.tenant AND c.upload = s.upload
            LEFT JOIN content.transcode_turns AS l ON l.tenant = s.tenant
            WHERE s.work = 'transcode' AND s.due_at <= instant AND s.leased_until <= instant
            ORDER BY c.place, coalesce(l.claimed_at, '-infinity'), c.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
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
CREATE FUNCTION content.hold_transcode(wanted_upload uuid, until timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE content.upload_schedule AS s SET leased_until = until
        WHERE s.tenant = current_setting('app.tenant_id')::uuid AND s.upload = wanted_upload AND s.work = 'transcode'
    $$;
REVOKE ALL ON FUNCTION content.claimable(text, timestamptz, integer), content.hold_transcode(uuid, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION content.hold_transcode(uuid, timestamptz) TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, CLAIM).await
    }
}
