-- The page of accounts and their posts as the product's two statements in one tenant's transaction: what reading it can
-- cost at least when Postgres is asked over a connection, row by row, with row-level security on.
\set t random(11, 59)
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
SELECT tenant_id, id, app_id, platform, open_id_sealed, open_id_index, profile_sealed, kind, group_id, tags, state,
       consent_end, state_since, paused_at, paused_by, created_at, version
FROM accounts.accounts
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid AND state <> 'unlinked'
ORDER BY created_at, id LIMIT 21;
SELECT p.tenant_id, p.id, p.plan_id, p.account_id, p.upload_id, p.caption, p.cover_at_ms, p.visibility, p.status,
       p.planned_at, p.due_at, p.holds_account, p.item, p.promised_at, p.accepted_at, p.progress, p.created_at,
       p.version, p.occurrence, p.variables, p.reference, p.file_digest
FROM (
    SELECT DISTINCT ('00000000-0000-4000-b000-0000000' || n::text)::uuid AS id
    FROM generate_series(:t::int * 1000, :t::int * 1000 + 19) AS n
) AS list
CROSS JOIN LATERAL (
    SELECT * FROM publishing.posts
    WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid AND account_id = list.id
      AND (planned_at, id) > ('-infinity'::timestamptz, '00000000-0000-0000-0000-000000000000'::uuid)
    ORDER BY planned_at, id LIMIT 6
) AS p;
COMMIT;
