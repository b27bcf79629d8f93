-- The page of members in a transaction of its own.
\set t random(10, 59)
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
SELECT tenant_id, id, email_sealed, email_index, name_sealed, role, status, password_hash, totp_sealed,
       totp_confirmed_at, totp_last_step, created_at, version
FROM identity.members
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid
ORDER BY created_at, id LIMIT 21;
ROLLBACK;
