//! Tenants are closed, may be taken back for a while, and then go for good; what stays of one is its log.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::goes_with_its_tenant};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Of all tenants in one place: which are to end now is asked of all of them at once, and work for tenants that are closed is
/// passed over where it is given out.
const CLOSINGS: &str = "
ALTER TABLE identity.tenants DROP CONSTRAINT tenants_status_check;
ALTER TABLE identity.tenants ADD CONSTRAINT tenants_status_check
    CHECK (status IN ('active', 'suspended', 'awaiting_erasure', 'closed'));

CREATE TABLE identity.closings (
    tenant uuid PRIMARY KEY,
    closed_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status_before text NOT NULL,
    is_put_back boolean NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    begun_at timestamptz,
    removed_at timestamptz,
    ended_at timestamptz,
    CHECK (is_put_back OR ends_at >= closed_at + interval '23 hours')
);
COMMENT ON TABLE identity.closings IS
    'platform: tenants that are closed or gone, which have no rows of their own any more; holds ids and times alone; reached only through the functions below';
CREATE INDEX closings_due ON identity.closings (due_at) WHERE ended_at IS NULL;

CREATE FUNCTION identity.close_tenant(instant timestamptz, ends timestamptz, before text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO identity.closings (tenant, closed_at, ends_at, status_before, is_put_back, due_at)
        VALUES (current_setting('app.tenant_id')::uuid, instant, ends, before, false, ends);
        -- Whoever has a turn under way finds that it is theirs no more before they ask a platform to post.
        UPDATE publishing.account_turns AS t SET fence = t.fence + 1, leased_until = '-infinity'
        WHERE t.tenant = current_setting('app.tenant_id')::uuid;
    $$;
CREATE FUNCTION identity.close_again(closed timestamptz, ends timestamptz, has_ended boolean) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH closed AS (
            INSERT INTO identity.closings AS c (tenant, closed_at, ends_at, status_before, is_put_back, due_at)
            VALUES (current_setting('app.tenant_id')::uuid, closed, ends, 'active', has_ended, ends)
            ON CONFLICT (tenant) DO UPDATE
                SET closed_at = excluded.closed_at, ends_at = excluded.ends_at, due_at = excluded.due_at, is_put_back = has_ended
            WHERE c.begun_at IS NULL AND NOT c.is_put_back AND (has_ended OR c.closed_at < excluded.closed_at)
            RETURNING 1
        ) SELECT EXISTS (SELECT FROM closed)
    $$;
CREATE FUNCTION identity.lock_closing()
    RETURNS TABLE (closed_at timestamptz, ends_at timestamptz, status_before text, is_put_back boolean,
        begun_at timestamptz, removed_at timestamptz, ended_at timestamptz)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT c.closed_at, c.ends_at, c.status_before, c.is_put_back, c.begun_at,
            c.removed_at, c.ended_at FROM identity.closings AS c
        WHERE c.tenant = current_setting('app.tenant_id')::uuid FOR UPDATE
    $$;
CREATE FUNCTION identity.reopen_tenant() RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM identity.closings AS c
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.begun_at IS NULL AND NOT c.is_put_back
    $$;
-- Whether somebody waits to be erased again in a tenant that is closed, should it be taken back.
CREATE FUNCTION identity.keep_out_of_closed(is_kept_out boolean) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE identity.closings AS c SET status_before = CASE WHEN is_kept_out THEN 'awaiting_erasure' ELSE 'active' END
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.begun_at IS NULL
            AND c.status_before = CASE WHEN is_kept_out THEN 'active' ELSE 'awaiting_erasure' END
    $$;
CREATE FUNCTION identity.is_ending() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT EXISTS (SELECT FROM identity.closings AS c
            WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.begun_at IS NOT NULL)
    $$;
-- By the database's clock: a host whose clock is ahead has nobody end.
CREATE FUNCTION identity.begin_end() RETURNS timestamptz
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE identity.closings AS c SET begun_at = clock_timestamp()
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.begun_at IS NULL AND c.ends_at <= clock_timestamp()
        RETURNING c.begun_at
    $$;
CREATE FUNCTION identity.end_later(pause interval) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE identity.closings AS c SET due_at = clock_timestamp() + pause, leased_until = '-infinity'
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.ended_at IS NULL
    $$;
CREATE FUNCTION identity.end_removed(settling interval) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE identity.closings AS c SET
            removed_at = coalesce(c.removed_at, clock_timestamp()),
            ended_at = CASE WHEN c.removed_at <= clock_timestamp() - settling THEN clock_timestamp() END,
            due_at = coalesce(c.removed_at, clock_timestamp()) + settling,
            leased_until = '-infinity'
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.begun_at IS NOT NULL AND c.ended_at IS NULL
        RETURNING c.ended_at IS NOT NULL
    $$;
CREATE FUNCTION identity.end_anew() RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE identity.closings AS c SET ended_at = NULL, removed_at = NULL, due_at = clock_timestamp()
        WHERE c.tenant = current_setting('app.tenant_id')::uuid AND c.ended_at IS NOT NULL
    $$;
CREATE FUNCTION identity.claim_ends(most integer, lease interval) RETURNS TABLE (tenant uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT c.tenant FROM identity.closings AS c
            WHERE c.ended_at IS NULL AND c.due_at <= clock_timestamp() AND c.leased_until <= clock_timestamp()
            ORDER BY c.due_at LIMIT most FOR UPDATE SKIP LOCKED
        )
        UPDATE identity.closings AS c SET leased_until = clock_timestamp() + lease FROM picked AS p WHERE c.tenant = p.tenant
        RETURNING c.tenant
    $$;
CREATE FUNCTION identity.ended_tenants() RETURNS TABLE (tenant uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT c.tenant FROM identity.closings AS c WHERE c.ended_at IS NOT NULL $$;
CREATE FUNCTION identity.end_overdue() RETURNS double precision
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - c.ends_at)), 0)::float8 FROM identity.closings AS c
        WHERE c.ended_at IS NULL AND c.ends_at <= clock_timestamp()
    $$;

-- What is handed out across tenants, of one.
CREATE FUNCTION identity.forget_schedules() RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        gone CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    BEGIN
        IF NOT identity.is_ending() THEN
            RETURN;
        END IF;
        DELETE FROM publishing.account_turns AS t WHERE t.tenant = gone;
        DELETE FROM accounts.token_schedule AS s WHERE s.tenant = gone;
        DELETE FROM content.upload_schedule AS s WHERE s.tenant = gone;
        DELETE FROM content.transcode_turns AS t WHERE t.tenant = gone;
        DELETE FROM compliance.report_schedule AS s WHERE s.tenant = gone;
        DELETE FROM compliance.unkept_erasures AS u WHERE u.tenant = gone;
        DELETE FROM compliance.left_changes AS l WHERE l.tenant = gone;
        DELETE FROM compliance.daily_turns AS t WHERE t.tenant = gone AND t.task <> 'retention';
    END $$;

-- A name leads nowhere once its tenant's end has begun; it is never given to another.
CREATE OR REPLACE FUNCTION identity.find_tenant(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT d.tenant FROM identity.tenant_directory AS d WHERE d.slug = wanted AND NOT EXISTS (
            SELECT FROM identity.closings AS c WHERE c.tenant = d.tenant AND c.begun_at IS NOT NULL)
    $$;
CREATE FUNCTION identity.find_tenant_ever(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT d.tenant FROM identity.tenant_directory AS d WHERE d.slug = wanted $$;

REVOKE ALL ON FUNCTION identity.close_tenant(timestamptz, timestamptz, text), identity.close_again(timestamptz, timestamptz, boolean),
    identity.lock_closing(), identity.reopen_tenant(), identity.is_ending(), identity.begin_end(), identity.keep_out_of_closed(boolean),
    identity.end_later(interval), identity.end_removed(interval), identity.end_anew(), identity.ended_tenants(),
    identity.claim_ends(integer, interval), identity.end_overdue(), identity.forget_schedules(),
    identity.find_tenant_ever(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.close_tenant(timestamptz, timestamptz, text), identity.close_again(timestamptz, timestamptz, boolean),
    identity.lock_closing(), identity.reopen_tenant(), identity.is_ending(), identity.begin_end(), identity.keep_out_of_closed(boolean),
    identity.end_later(interval), identity.end_removed(interval), identity.end_anew(), identity.ended_tenants(),
    identity.claim_ends(integer, interval), identity.end_overdue(), identity.forget_schedules(),
    identity.find_tenant_ever(text) TO matricula_app_rw;
";

/// Nothing is posted for a tenant that is closed, and nobody is told that it should have been.
const POSTS: &str = "
CREATE OR REPLACE FUNCTION publishing.claim_turns(most integer, lease interval)
    RETURNS TABLE (tenant uuid, account uuid, fence bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    #variable_conflict use_column
    DECLARE
        instant CONSTANT timestamptz := clock_timestamp();
        first_due timestamptz;
        with_due uuid[];
        deep integer;
        wanted integer := most;
        got integer;
    BEGIN
        SELECT t.due_at INTO first_due FROM publishing.account_turns AS t
            WHERE t.due_at < 'infinity' ORDER BY t.due_at LIMIT 1;
        IF first_due IS NULL OR first_due > instant THEN
            RETURN;
        END IF;
        WITH RECURSIVE walked AS (
            (SELECT t.tenant FROM publishing.account_turns AS t WHERE t.due_at < 'infinity' ORDER BY t.tenant LIMIT 1)
            UNION ALL
            SELECT (SELECT t.tenant FROM publishing.account_turns AS t
                    WHERE t.due_at < 'infinity' AND t.tenant > w.tenant ORDER BY t.tenant LIMIT 1)
            FROM walked AS w WHERE w.tenant IS NOT NULL
        ) SELECT array_agg(w.tenant) INTO with_due FROM walked AS w
            WHERE (SELECT t.due_at FROM publishing.account_turns AS t
                   WHERE t.tenant = w.tenant AND t.due_at < 'infinity' ORDER BY t.due_at LIMIT 1) <= instant
                AND NOT EXISTS (SELECT FROM identity.closings AS c WHERE c.tenant = w.tenant);
        IF with_due IS NULL THEN
            RETURN;
        END IF;
        deep := (most + cardinality(with_due) - 1) / cardinality(with_due);
        LOOP
            RETURN QUERY WITH held AS (
                SELECT t.tenant, count(*) AS turns FROM publishing.account_turns AS t
                WHERE t.leased_until > instant GROUP BY t.tenant
            ), due AS (
                SELECT d.tenant, d.account, d.due_at, coalesce(h.turns, 0)
                    + row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at) AS place
                FROM unnest(with_due) AS w (tenant) LEFT JOIN held AS h ON h.tenant = w.tenant CROSS JOIN LATERAL (
                    SELECT t.tenant, t.account, t.due_at FROM publishing.account_turns AS t
                    WHERE t.tenant = w.tenant AND t.due_at <= instant AND t.due_at < 'infinity'
                        AND t.leased_until <= instant
                    ORDER BY t.due_at LIMIT deep
                ) AS d
            ), picked AS (
                SELECT t.tenant, t.account FROM publishing.account_turns AS t
                JOIN due AS d ON d.tenant = t.tenant AND d.account = t.account
                WHERE t.due_at <= instant AND t.leased_until <= instant
                ORDER BY d.place, d.due_at LIMIT wanted FOR UPDATE OF t SKIP LOCKED
            ) UPDATE publishing.account_turns AS t SET leased_until = instant + lease, fence = t.fence + 1
                FROM picked AS p WHERE t.tenant = p.tenant AND t.account = p.account
                RETURNING t.tenant, t.account, t.fence;
            GET DIAGNOSTICS got = ROW_COUNT;
            wanted := wanted - got;
            EXIT WHEN wanted <= 0 OR deep >= most + 16;
            deep := LEAST(deep * 8, most + 16);
        END LOOP;
    END $$;
CREATE OR REPLACE FUNCTION publishing.turns_behind() RETURNS TABLE (late bigint, oldest_s float8)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - l.due_at)), 0)::float8
        FROM (SELECT t.due_at FROM publishing.account_turns AS t
              WHERE t.due_at < clock_timestamp() - interval '5 seconds' AND t.due_at < 'infinity'
                  AND t.leased_until < clock_timestamp()
                  AND NOT EXISTS (SELECT FROM identity.closings AS c WHERE c.tenant = t.tenant)
              ORDER BY t.due_at LIMIT 10000) AS l
    $$;
CREATE OR REPLACE FUNCTION publishing.turns_held() RETURNS TABLE (held_by text, accounts bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT t.held_by, count(*) FROM publishing.account_turns AS t
        WHERE t.held_by IS NOT NULL AND NOT EXISTS (SELECT FROM identity.closings AS c WHERE c.tenant = t.tenant)
        GROUP BY t.held_by
    $$;
CREATE OR REPLACE FUNCTION publishing.posts_waiting(waiting_for text, patience interval) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT count(*) FROM (SELECT FROM publishing.post_watch AS w
            WHERE w.waits = waiting_for AND w.since < statement_timestamp() - patience
                AND NOT EXISTS (SELECT FROM identity.closings AS c WHERE c.tenant = w.tenant) LIMIT 10000) AS late
    $$;
";

/// That rows go with their tenant is one event; a record of each of them would be sealed under keys that go too. The log is
/// looked after on: what need not be kept any longer of it is thrown away when its time is over.
const LOG: &str = "
CREATE OR REPLACE FUNCTION compliance.note_change() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        relation CONSTANT text := TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME;
        arguments CONSTANT text[] := ARRAY[TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], TG_ARGV[3]];
    BEGIN
        IF TG_OP = 'INSERT' THEN
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'insert', arguments, NULL, to_jsonb(NEW));
        ELSIF TG_OP = 'DELETE' THEN
            IF NOT EXISTS (SELECT FROM identity.closings AS c WHERE c.tenant = OLD.tenant_id AND c.begun_at IS NOT NULL) THEN
                PERFORM compliance.add_note(relation, OLD.tenant_id, 'delete', arguments, to_jsonb(OLD), NULL);
            END IF;
        ELSIF OLD.tenant_id = NEW.tenant_id THEN
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'update', arguments, to_jsonb(OLD), to_jsonb(NEW));
        ELSE
            -- Moved: one tenant loses a row, another gets one.
            PERFORM compliance.add_note(relation, OLD.tenant_id, 'delete', arguments, to_jsonb(OLD), NULL);
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'insert', arguments, NULL, to_jsonb(NEW));
        END IF;
        RETURN NULL;
    END $$;
CREATE OR REPLACE FUNCTION compliance.claim_daily(wanted text, instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO compliance.daily_turns (tenant, task, due_at, leased_until)
        SELECT d.tenant, wanted, instant, '-infinity'::timestamptz FROM identity.tenant_directory AS d
        WHERE NOT EXISTS (SELECT FROM compliance.daily_turns AS t WHERE t.tenant = d.tenant AND t.task = wanted)
            AND (wanted = 'retention' OR NOT EXISTS (
                SELECT FROM identity.closings AS c WHERE c.tenant = d.tenant AND c.begun_at IS NOT NULL))
        ON CONFLICT DO NOTHING;
        WITH picked AS (
            SELECT t.tenant FROM compliance.daily_turns AS t
            WHERE t.task = wanted AND t.due_at <= instant AND t.leased_until <= instant
            ORDER BY t.due_at LIMIT most FOR UPDATE SKIP LOCKED
        )
        UPDATE compliance.daily_turns AS t SET leased_until = instant + lease
        FROM picked AS p WHERE t.tenant = p.tenant AND t.task = wanted RETURNING t.tenant
    $$;
DROP POLICY only_of_the_erased ON compliance.audit_openings;
CREATE POLICY only_of_the_erased ON compliance.audit_openings AS RESTRICTIVE FOR DELETE TO matricula_app_rw
    USING ((SELECT identity.is_ending()) OR EXISTS (
        SELECT FROM compliance.erasures AS e WHERE e.tenant_id = audit_openings.tenant_id AND e.subject = audit_openings.subject
    ));

-- The key that signs the log outlives those of the tenant, under the installation's own.
ALTER TABLE compliance.log_keys
    ADD COLUMN sealed_by text NOT NULL DEFAULT 'tenant' CHECK (sealed_by IN ('tenant', 'platform'));
GRANT UPDATE (seed_sealed, sealed_by) ON compliance.log_keys TO matricula_app_rw;
CREATE POLICY only_with_its_tenant ON compliance.log_keys AS RESTRICTIVE FOR UPDATE TO matricula_app_rw
    USING ((SELECT identity.is_ending())) WITH CHECK ((SELECT identity.is_ending()));

-- Who comes late makes no new keys.
CREATE POLICY none_for_who_is_gone ON compliance.tenant_keys AS RESTRICTIVE FOR INSERT TO matricula_app_rw
    WITH CHECK (NOT (SELECT identity.is_ending()));
";

/// Tables of which the application could take nothing away before.
const GO: [&str; 18] = [
    "accounts.quota_uses",
    "content.transcodes",
    "content.room",
    "content.uploads",
    "publishing.receipts",
    "publishing.post_notes",
    "publishing.newest_figures",
    "publishing.figures",
    "publishing.posts",
    "publishing.plans",
    "compliance.reports",
    "compliance.subject_epochs",
    "compliance.erasures",
    "compliance.processing_records",
    "compliance.legal_holds",
    "compliance.data_keys",
    "compliance.tenant_keys",
    "identity.tenants",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [CLOSINGS, POSTS, LOG] {
            apply(manager, statements).await?;
        }
        for table in GO {
            apply(manager, &goes_with_its_tenant(table)).await?;
        }
        Ok(())
    }
}
