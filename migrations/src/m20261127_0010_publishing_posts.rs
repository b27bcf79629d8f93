//! Plans, posts, their timelines, and whose turn it is.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// `due_at` is when a worker is next to do something for a post; only what has one is in the index that is asked, so that
/// it stays small however many posts there are.
const POSTS: &str = "
CREATE SCHEMA publishing;
GRANT USAGE ON SCHEMA publishing TO matricula_app_rw;

CREATE TABLE publishing.plans (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    name text NOT NULL,
    upload_id uuid NOT NULL,
    planned_by uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX plans_by_age ON publishing.plans (tenant_id, created_at, id);

CREATE TABLE publishing.posts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    plan_id uuid NOT NULL,
    account_id uuid NOT NULL,
    upload_id uuid NOT NULL,
    caption text NOT NULL,
    cover_at_ms bigint CHECK (cover_at_ms >= 0),
    visibility text NOT NULL CHECK (visibility IN ('public', 'friends', 'only_me')),
    status text NOT NULL CHECK (status IN
        ('draft', 'awaiting_approval', 'waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown',
         'under_review', 'live', 'rejected', 'gone', 'failed', 'cancelled')),
    planned_at timestamptz NOT NULL,
    due_at timestamptz,
    holds_account boolean NOT NULL,
    item text,
    promised_at timestamptz,
    accepted_at timestamptz,
    progress jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, plan_id) REFERENCES publishing.plans (tenant_id, id)
);
CREATE INDEX posts_by_time ON publishing.posts (tenant_id, planned_at, id);
CREATE INDEX posts_by_plan ON publishing.posts (tenant_id, plan_id, planned_at, id);
CREATE INDEX posts_by_account ON publishing.posts (tenant_id, account_id, planned_at, id);
CREATE INDEX posts_due ON publishing.posts (tenant_id, account_id, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX posts_holding ON publishing.posts (tenant_id, account_id) WHERE holds_account;
CREATE UNIQUE INDEX posts_items ON publishing.posts (tenant_id, account_id, item) WHERE item IS NOT NULL;

CREATE TABLE publishing.post_notes (
    tenant_id uuid NOT NULL,
    post_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    detail text,
    compliance_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, post_id, id),
    FOREIGN KEY (tenant_id, post_id) REFERENCES publishing.posts (tenant_id, id)
);
";

/// A row for each account that ever had a post, however many posts wait: claiming costs the same with ten as with a
/// million. Rows stay, so that the number of a turn is never given out again.
///
/// Tenants are walked by the index, and each has its most urgent accounts looked at: the first of every tenant comes before
/// the second of any. Time is the database's: a replica whose clock is ahead takes nobody's turn.
const TURNS: &str = "
CREATE TABLE publishing.account_turns (
    tenant uuid NOT NULL,
    account uuid NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL,
    fence bigint NOT NULL,
    PRIMARY KEY (tenant, account)
);
COMMENT ON TABLE publishing.account_turns IS
    'platform: what is due is claimed across tenants in one place; reached only through the functions below';
CREATE INDEX account_turns_due ON publishing.account_turns (tenant, due_at) WHERE due_at < 'infinity';
CREATE INDEX account_turns_first ON publishing.account_turns (due_at) WHERE due_at < 'infinity';

CREATE FUNCTION publishing.wake_account(wanted uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO publishing.account_turns AS t (tenant, account, due_at, leased_until, fence)
        VALUES (current_setting('app.tenant_id')::uuid, wanted, due, '-infinity', 0)
        ON CONFLICT (tenant, account) DO UPDATE SET due_at = LEAST(t.due_at, excluded.due_at);
    $$;
CREATE FUNCTION publishing.hold_turn(wanted uuid, held bigint, lease interval) RETURNS timestamptz
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE publishing.account_turns AS t SET leased_until = clock_timestamp() + lease
        WHERE t.tenant = current_setting('app.tenant_id')::uuid AND t.account = wanted AND t.fence = held
        RETURNING clock_timestamp()
    $$;
CREATE FUNCTION publishing.end_turn(wanted uuid, held bigint, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE publishing.account_turns AS t SET due_at = due, leased_until = '-infinity'
        WHERE t.tenant = current_setting('app.tenant_id')::uuid AND t.account = wanted AND t.fence = held
    $$;
CREATE FUNCTION publishing.extend_turn(wanted_tenant uuid, wanted uuid, held bigint, lease interval) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH held AS (
            UPDATE publishing.account_turns AS t SET leased_until = clock_timestamp() + lease
            WHERE t.tenant = wanted_tenant AND t.account = wanted AND t.fence = held
            RETURNING 1
        ) SELECT EXISTS (SELECT FROM held)
    $$;
CREATE FUNCTION publishing.claim_turns(most integer, lease interval)
    RETURNS TABLE (tenant uuid, account uuid, fence bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    #variable_conflict use_column
    DECLARE
        instant CONSTANT timestamptz := clock_timestamp();
    BEGIN
        -- As a rule nothing is due, and one look at an index says so.
        IF NOT EXISTS (SELECT FROM publishing.account_turns AS t WHERE t.due_at <= instant AND t.due_at < 'infinity') THEN
            RETURN;
        END IF;
        RETURN QUERY WITH RECURSIVE tenants AS (
            (SELECT t.tenant FROM publishing.account_turns AS t WHERE t.due_at < 'infinity' ORDER BY t.tenant LIMIT 1)
            UNION ALL
            SELECT (SELECT t.tenant FROM publishing.account_turns AS t
                    WHERE t.due_at < 'infinity' AND t.tenant > seen.tenant ORDER BY t.tenant LIMIT 1)
            FROM tenants AS seen WHERE seen.tenant IS NOT NULL
        ), due AS (
            SELECT d.tenant, d.account, d.due_at, row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at) AS place
            FROM tenants CROSS JOIN LATERAL (
                SELECT t.tenant, t.account, t.due_at FROM publishing.account_turns AS t
                WHERE t.tenant = tenants.tenant AND t.due_at <= instant AND t.due_at < 'infinity'
                    AND t.leased_until <= instant
                ORDER BY t.due_at LIMIT most + 16
            ) AS d
        ), picked AS (
            SELECT t.tenant, t.account FROM publishing.account_turns AS t
            JOIN due AS d ON d.tenant = t.tenant AND d.account = t.account
            WHERE t.due_at <= instant AND t.leased_until <= instant
            ORDER BY d.place, d.due_at LIMIT most FOR UPDATE OF t SKIP LOCKED
        ) UPDATE publishing.account_turns AS t SET leased_until = instant + lease, fence = t.fence + 1
            FROM picked AS p WHERE t.tenant = p.tenant AND t.account = p.account
            RETURNING t.tenant, t.account, t.fence;
    END $$;
CREATE FUNCTION publishing.turns_behind() RETURNS TABLE (late bigint, oldest_s float8)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - l.due_at)), 0)::float8
        FROM (SELECT t.due_at FROM publishing.account_turns AS t
              WHERE t.due_at < clock_timestamp() - interval '5 seconds' AND t.due_at < 'infinity'
                  AND t.leased_until < clock_timestamp()
              ORDER BY t.due_at LIMIT 10000) AS l
    $$;
REVOKE ALL ON FUNCTION publishing.wake_account(uuid, timestamptz),
    publishing.hold_turn(uuid, bigint, interval),
    publishing.end_turn(uuid, bigint, timestamptz),
    publishing.extend_turn(uuid, uuid, bigint, interval),
    publishing.claim_turns(integer, interval), publishing.turns_behind() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publishing.wake_account(uuid, timestamptz),
    publishing.hold_turn(uuid, bigint, interval),
    publishing.end_turn(uuid, bigint, timestamptz),
    publishing.extend_turn(uuid, uuid, bigint, interval),
    publishing.claim_turns(integer, interval), publishing.turns_behind() TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [POSTS, TURNS] {
            apply(manager, statements).await?;
        }
        for (table, grants) in [
            ("publishing.plans", "SELECT, INSERT"),
            ("publishing.posts", "SELECT, INSERT, UPDATE"),
            ("publishing.post_notes", "SELECT, INSERT"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        Ok(())
    }
}
