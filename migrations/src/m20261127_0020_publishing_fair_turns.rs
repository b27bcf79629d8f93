//! Whose turn is next counts the turns that are under way: who has none comes before who has many, however long those wait
//! and however few are claimed at once.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CLAIM: &str = "
CREATE INDEX account_turns_under_way ON publishing.account_turns (leased_until) WHERE leased_until > '-infinity';
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
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, CLAIM).await
    }
}
