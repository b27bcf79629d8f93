-- The sessions of one member in a transaction of their own; run once for each member of the page.
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
SELECT tenant_id, id, member_id, created_at, last_seen_at, expires_at, revoked_at, device, geo, mfa
FROM identity.sessions
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid
  AND member_id = ('00000000-0000-4000-a000-0000000' || (:t::int * 1000 + MEMBER)::text)::uuid
  AND revoked_at IS NULL AND expires_at > now() AND last_seen_at > now() - interval '14 days'
ORDER BY created_at, id LIMIT 6;
ROLLBACK;
