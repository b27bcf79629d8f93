-- A change without an audit event.
\set t random(10, 59)
\set m :t * 1000 + random(1, 199)
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
UPDATE identity.members SET role = 'analyst', version = version + 1
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid
  AND id = ('00000000-0000-4000-a000-0000000' || :m::text)::uuid;
COMMIT;
