-- The same change and its audit event as two statements. Event ids grow with time, as the product's do.
\set t random(10, 59)
\set m :t * 1000 + random(1, 199)
BEGIN;
SELECT set_config('app.tenant_id', '00000000-0000-4000-8000-0000000000' || :t::text, true);
UPDATE identity.members SET role = 'analyst', version = version + 1
WHERE tenant_id = ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid
  AND id = ('00000000-0000-4000-a000-0000000' || :m::text)::uuid;
INSERT INTO compliance.audit_outbox
    (tenant_id, event_id, stream, compliance_id, type, outcome, actor_id, target_id, occurred_at, leaf)
VALUES (
    ('00000000-0000-4000-8000-0000000000' || :t::text)::uuid,
    (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0')
        || substr(md5(random()::text), 1, 16))::uuid,
    'iam', gen_random_uuid(), 'change_member_role', 'success',
    ('00000000-0000-4000-a000-0000000' || (:t::int * 1000)::text)::uuid,
    ('00000000-0000-4000-a000-0000000' || :m::text)::uuid,
    now(), convert_to(repeat('x', LEAF_BYTES), 'UTF8')
);
COMMIT;
