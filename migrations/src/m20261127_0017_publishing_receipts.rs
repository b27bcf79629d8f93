//! Who agreed to posts; the order of what happened to them; and what accounts are held by.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A receipt is never changed. A note's place is the version of its post: clocks of workers may differ.
const TABLES: &str = "
CREATE TABLE publishing.receipts (
    tenant_id uuid NOT NULL,
    post_id uuid NOT NULL,
    id uuid NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    member_id uuid,
    at timestamptz NOT NULL,
    compliance_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, post_id, id),
    FOREIGN KEY (tenant_id, post_id) REFERENCES publishing.posts (tenant_id, id)
);
ALTER TABLE publishing.post_notes ADD COLUMN place integer NOT NULL DEFAULT 0;
CREATE INDEX posts_undecided ON publishing.posts (tenant_id, account_id)
    WHERE status = 'outcome_unknown' AND NOT holds_account;
CREATE INDEX posts_hindered ON publishing.posts (tenant_id, account_id)
    WHERE status IN ('waiting', 'uploading', 'uploaded', 'creating', 'outcome_unknown')
        AND (progress #>> '{hindrance,by}') IS NOT NULL;
";

/// What an account is held by is written when its turn ends, so that all can be counted without looking at any tenant's
/// rows.
const TURNS: &str = "
ALTER TABLE publishing.account_turns ADD COLUMN held_by text;
CREATE INDEX account_turns_held ON publishing.account_turns (held_by) WHERE held_by IS NOT NULL;

CREATE FUNCTION publishing.end_turn(wanted uuid, held bigint, due timestamptz, why text) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE publishing.account_turns AS t SET due_at = due, leased_until = '-infinity', held_by = why
        WHERE t.tenant = current_setting('app.tenant_id')::uuid AND t.account = wanted AND t.fence = held
    $$;
CREATE OR REPLACE FUNCTION publishing.end_turn(wanted uuid, held bigint, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT publishing.end_turn(wanted, held, due, NULL) $$;
CREATE FUNCTION publishing.turns_held() RETURNS TABLE (held_by text, accounts bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT t.held_by, count(*) FROM publishing.account_turns AS t WHERE t.held_by IS NOT NULL GROUP BY t.held_by
    $$;
REVOKE ALL ON FUNCTION publishing.end_turn(uuid, bigint, timestamptz, text), publishing.turns_held() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION publishing.end_turn(uuid, bigint, timestamptz, text), publishing.turns_held()
    TO matricula_app_rw;
";

/// As before, and at a cost that goes by what is claimed: whether anything is due is read off the first of all (a plan for
/// any instant looks through the whole table for one that is), and of each tenant only as many are looked at as may be its
/// share, and more only when that was too few.
const CLAIM: &str = "
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
                   WHERE t.tenant = w.tenant AND t.due_at < 'infinity' ORDER BY t.due_at LIMIT 1) <= instant;
        IF with_due IS NULL THEN
            RETURN;
        END IF;
        deep := (most + cardinality(with_due) - 1) / cardinality(with_due);
        LOOP
            RETURN QUERY WITH due AS (
                SELECT d.tenant, d.account, d.due_at, row_number() OVER (PARTITION BY d.tenant ORDER BY d.due_at) AS place
                FROM unnest(with_due) AS w (tenant) CROSS JOIN LATERAL (
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
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        apply(manager, TURNS).await?;
        apply(manager, CLAIM).await?;
        apply(manager, &tenant_table("publishing.receipts", "SELECT, INSERT")).await
    }
}
