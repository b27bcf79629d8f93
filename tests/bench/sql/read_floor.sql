-- The page of members and their sessions as the product's two statements in one tenant's transaction: what reading it can
-- cost at least when Postgres is asked over a connection, row by row, with row-level security on.
\set t random(10, 59)
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
SELECT tenant_id, id, email_sealed, email_index, name_sealed, role, status, password_hash, totp_sealed,
       totp_confirmed_at, totp_last_step, created_at, version
FROM identity.members
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid
ORDER BY created_at, id LIMIT 21;
SELECT s.*
FROM (
    SELECT DISTINCT ('00000000-0000-4000-a000-0000000' || n::text)::uuid AS id
    FROM generate_series(:t::int * 1000, :t::int * 1000 + 19) AS n
) AS m
CROSS JOIN LATERAL (
    SELECT * FROM identity.sessions
    WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid AND member_id = m.id
      AND revoked_at IS NULL AND expires_at > now() AND last_seen_at > now() - interval '14 days'
      AND (created_at, id) > ('-infinity'::timestamptz, '00000000-0000-0000-0000-000000000000'::uuid)
    ORDER BY created_at, id LIMIT 6
) AS s;
COMMIT;
