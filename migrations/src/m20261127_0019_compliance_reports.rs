//! Reports that auditors ask for, and when each is looked after.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const REPORTS: &str = "
CREATE TABLE compliance.reports (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    stream text NOT NULL CHECK (stream IN ('iam', 'admin', 'data', 'access')),
    query jsonb NOT NULL,
    query_text text NOT NULL,
    zone text NOT NULL,
    kept_first bigint CHECK (kept_first >= 0),
    kept_last bigint CHECK (kept_last >= kept_first),
    compliance_id uuid NOT NULL,
    requested_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('making', 'ready', 'failed', 'cancelled', 'expired')),
    failure text CHECK (failure IN ('log_empty', 'log_broken', 'broke_off')),
    done_permille integer NOT NULL CHECK (done_permille BETWEEN 0 AND 1000),
    attempts integer NOT NULL,
    place text,
    size_bytes bigint,
    sha256 bytea CHECK (length(sha256) = 32),
    first_leaf bigint,
    end_leaf bigint,
    row_count bigint,
    is_timestamped boolean,
    expires_at timestamptz,
    ended_at timestamptz,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK ((failure IS NOT NULL) = (state = 'failed')),
    CHECK ((place IS NOT NULL) = (state IN ('ready', 'expired')))
);
CREATE INDEX reports_by_time ON compliance.reports (tenant_id, requested_at, id);
CREATE INDEX reports_counted ON compliance.reports (tenant_id, state) WHERE state IN ('making', 'ready');
CREATE INDEX audit_heads_by_time ON compliance.audit_heads (tenant_id, stream, signed_at);
CREATE INDEX platform_heads_by_time ON compliance.platform_heads (made_at) WHERE note IS NOT NULL AND is_witnessed;
";

const SCHEDULE: &str = "
CREATE TABLE compliance.report_schedule (
    tenant uuid NOT NULL,
    report uuid NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (tenant, report),
    FOREIGN KEY (tenant, report) REFERENCES compliance.reports (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE compliance.report_schedule IS
    'platform: reports of all tenants are made and thrown away in one place; reached only through the functions below';
CREATE INDEX report_schedule_by_time ON compliance.report_schedule (due_at);
CREATE INDEX report_schedule_leased ON compliance.report_schedule (leased_until);

CREATE FUNCTION compliance.schedule_report(wanted_report uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM compliance.report_schedule AS s
        WHERE due IS NULL AND s.tenant = current_setting('app.tenant_id')::uuid AND s.report = wanted_report;
        INSERT INTO compliance.report_schedule (tenant, report, due_at, leased_until)
        SELECT current_setting('app.tenant_id')::uuid, wanted_report, due, '-infinity'::timestamptz
        WHERE due IS NOT NULL
        ON CONFLICT (tenant, report)
        DO UPDATE SET due_at = excluded.due_at, leased_until = excluded.leased_until;
    $$;
CREATE FUNCTION compliance.claim_due_reports(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, report uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH due AS (
            SELECT s.tenant, s.report, s.due_at FROM compliance.report_schedule AS s
            WHERE s.due_at <= instant AND s.leased_until <= instant ORDER BY s.due_at LIMIT 1000
        ), turns AS (
            SELECT d.tenant, d.report, d.due_at,
                   row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at, d.report) + coalesce(l.held, 0) AS turn
            FROM due AS d LEFT JOIN (
                SELECT s.tenant, count(*) AS held FROM compliance.report_schedule AS s
                WHERE s.leased_until > instant GROUP BY s.tenant
            ) AS l ON l.tenant = d.tenant
        ), picked AS (
            SELECT s.tenant, s.report FROM compliance.report_schedule AS s
            JOIN turns AS t ON t.tenant = s.tenant AND t.report = s.report
            WHERE s.leased_until <= instant
            ORDER BY t.turn, t.due_at LIMIT most FOR UPDATE OF s SKIP LOCKED
        ), claimed AS (
            UPDATE compliance.report_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.report = p.report
            RETURNING s.tenant, s.report, s.due_at
        ) SELECT c.tenant, c.report FROM claimed AS c ORDER BY c.due_at, c.report
    $$;
REVOKE ALL ON FUNCTION compliance.schedule_report(uuid, timestamptz),
    compliance.claim_due_reports(timestamptz, integer, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.schedule_report(uuid, timestamptz),
    compliance.claim_due_reports(timestamptz, integer, interval) TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [REPORTS, SCHEDULE] {
            apply(manager, statements).await?;
        }
        apply(manager, &tenant_table("compliance.reports", "SELECT, INSERT, UPDATE")).await
    }
}
