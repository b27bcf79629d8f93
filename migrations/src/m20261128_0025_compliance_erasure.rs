//! What is about one person can be taken away for good: keys of persons, erasures and what holds them up, and what is done for
//! each tenant once a day.

use sea_orm_migration::prelude::*;

use crate::{
    apply,
    wall::{noted_table, tenant_table},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What opens events about a person is sealed under that person's key, which is wrapped under the key of a month. The keys of
/// months are not in the database: a backup of it opens nothing once the month's key is gone.
const KEYS: &str = "
CREATE TABLE compliance.subject_epochs (
    tenant_id uuid NOT NULL,
    epoch integer NOT NULL CHECK (epoch > 0),
    object_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    emptied_at timestamptz,
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, epoch)
);
CREATE TABLE compliance.subject_keys (
    tenant_id uuid NOT NULL,
    subject uuid NOT NULL,
    epoch integer NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subject),
    FOREIGN KEY (tenant_id, epoch) REFERENCES compliance.subject_epochs (tenant_id, epoch)
);
CREATE INDEX subject_keys_by_epoch ON compliance.subject_keys (tenant_id, epoch);
ALTER TABLE compliance.audit_openings
    ADD COLUMN sealed_under text NOT NULL DEFAULT 'tenant' CHECK (sealed_under IN ('tenant', 'subject'));
GRANT DELETE ON compliance.audit_openings TO matricula_app_rw;
";

const ERASURES: &str = "
CREATE TABLE compliance.erasures (
    tenant_id uuid NOT NULL,
    subject uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('member', 'account')),
    basis text NOT NULL CHECK (basis IN
        ('not_needed', 'consent_withdrawn', 'objected', 'unlawful', 'obliged')),
    erased_at timestamptz NOT NULL,
    erased_by uuid,
    openings bigint NOT NULL CHECK (openings >= 0),
    reports uuid[] NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);
CREATE INDEX erasures_by_time ON compliance.erasures (tenant_id, erased_at, subject);

CREATE TABLE compliance.legal_holds (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    subject uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('member', 'account')),
    matter text NOT NULL,
    placed_at timestamptz NOT NULL,
    placed_by uuid,
    released_at timestamptz,
    released_by uuid,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX legal_holds_by_time ON compliance.legal_holds (tenant_id, placed_at, id);
CREATE INDEX legal_holds_in_force ON compliance.legal_holds (tenant_id, subject) WHERE released_at IS NULL;

-- The application takes away what opens events of nobody but of who was erased.
CREATE POLICY only_of_the_erased ON compliance.audit_openings AS RESTRICTIVE FOR DELETE TO matricula_app_rw
    USING (EXISTS (
        SELECT FROM compliance.erasures AS e WHERE e.tenant_id = audit_openings.tenant_id AND e.subject = audit_openings.subject
    ));

GRANT DELETE ON identity.members, identity.invitations, identity.sessions, identity.refresh_tokens,
    identity.password_resets, identity.api_keys TO matricula_app_rw;
";

/// What is not yet written down outside of the database, and whose turn it is.
///
/// What was not told to the log yet lies open: of who is erased no more is left than that there was a change.
const SCHEDULES: &str = "
CREATE FUNCTION compliance.forget_left_changes(wanted_subject uuid) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE compliance.left_changes AS l SET changes = (
            SELECT string_agg(
                CASE WHEN n.note::jsonb ->> 'subject' = wanted_subject::text
                     THEN (n.note::jsonb - 'before' - 'after')::text ELSE n.note END, E'\\n' ORDER BY n.place)
            FROM unnest(string_to_array(l.changes, E'\\n')) WITH ORDINALITY AS n (note, place))
        WHERE l.tenant = current_setting('app.tenant_id')::uuid AND strpos(l.changes, wanted_subject::text) > 0
    $$;
CREATE TABLE compliance.unkept_erasures (
    tenant uuid NOT NULL,
    subject uuid NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, subject)
);
COMMENT ON TABLE compliance.unkept_erasures IS
    'platform: erasures of all tenants are written down in one place outside of the database; holds ids alone; reached only through the functions below';

CREATE FUNCTION compliance.note_erasure(wanted_subject uuid) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO compliance.unkept_erasures (tenant, subject)
        VALUES (current_setting('app.tenant_id')::uuid, wanted_subject) ON CONFLICT DO NOTHING
    $$;
CREATE FUNCTION compliance.erasure_kept(wanted_subject uuid) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM compliance.unkept_erasures AS u
        WHERE u.tenant = current_setting('app.tenant_id')::uuid AND u.subject = wanted_subject
    $$;
CREATE FUNCTION compliance.erasures_to_keep(most integer)
    RETURNS TABLE (tenant uuid, subject uuid, oldest_s double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        SELECT u.tenant, u.subject, extract(epoch FROM now() - u.since)::float8
        FROM compliance.unkept_erasures AS u ORDER BY u.since LIMIT most
    $$;

CREATE TABLE compliance.daily_turns (
    tenant uuid NOT NULL,
    task text NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (tenant, task)
);
COMMENT ON TABLE compliance.daily_turns IS
    'platform: what is done for every tenant once a day; holds names alone; reached only through the functions below';
CREATE INDEX daily_turns_by_time ON compliance.daily_turns (task, due_at);

CREATE FUNCTION compliance.claim_daily(wanted text, instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO compliance.daily_turns (tenant, task, due_at, leased_until)
        SELECT d.tenant, wanted, instant, '-infinity'::timestamptz FROM identity.tenant_directory AS d
        WHERE NOT EXISTS (SELECT FROM compliance.daily_turns AS t WHERE t.tenant = d.tenant AND t.task = wanted)
        ON CONFLICT DO NOTHING;
        WITH picked AS (
            SELECT t.tenant FROM compliance.daily_turns AS t
            WHERE t.task = wanted AND t.due_at <= instant AND t.leased_until <= instant
            ORDER BY t.due_at LIMIT most FOR UPDATE SKIP LOCKED
        )
        UPDATE compliance.daily_turns AS t SET leased_until = instant + lease
        FROM picked AS p WHERE t.tenant = p.tenant AND t.task = wanted RETURNING t.tenant
    $$;
CREATE FUNCTION compliance.daily_done(wanted text, next_due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        UPDATE compliance.daily_turns AS t SET due_at = next_due, leased_until = '-infinity'
        WHERE t.tenant = current_setting('app.tenant_id')::uuid AND t.task = wanted
    $$;

REVOKE ALL ON FUNCTION compliance.forget_left_changes(uuid), compliance.note_erasure(uuid), compliance.erasure_kept(uuid), compliance.erasures_to_keep(integer),
    compliance.claim_daily(text, timestamptz, integer, interval), compliance.daily_done(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.forget_left_changes(uuid), compliance.note_erasure(uuid), compliance.erasure_kept(uuid),
    compliance.erasures_to_keep(integer), compliance.claim_daily(text, timestamptz, integer, interval),
    compliance.daily_done(text, timestamptz) TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [KEYS, ERASURES, SCHEDULES] {
            apply(manager, statements).await?;
        }
        for (table, grants) in [
            ("compliance.subject_epochs", "SELECT, INSERT, UPDATE"),
            ("compliance.subject_keys", "SELECT, INSERT, UPDATE, DELETE"),
            ("compliance.erasures", "SELECT, INSERT, UPDATE"),
            ("compliance.legal_holds", "SELECT, INSERT, UPDATE"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        apply(manager, &noted_table("compliance.erasures", "subject", "", "", "")).await?;
        apply(manager, &noted_table("compliance.legal_holds", "id", "", "", "")).await
    }
}
