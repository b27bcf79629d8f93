//! What changes in rows is noted where it can't be forgotten: by triggers. Events commit to it, and what opens those commitments
//! is kept, sealed, beside the log.

use sea_orm_migration::prelude::*;

use crate::{
    apply,
    wall::{noted_table, tenant_table},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Values and salts of what events commit to; a row for each event that commits to anything.
const OPENINGS: &str = "
CREATE TABLE compliance.audit_openings (
    tenant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    subject uuid,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX audit_openings_by_subject ON compliance.audit_openings (tenant_id, subject) WHERE subject IS NOT NULL;
ALTER TABLE compliance.reports ADD COLUMN disclosed text[] NOT NULL DEFAULT '{}';
";

/// Notes are kept in settings of the transaction: they cost no write, come and go with it, and a rolled-back savepoint takes
/// its own along. A setting holds some of them, so that adding one to thousands does not copy the thousands.
///
/// Whoever changes rows takes the notes before the commit. What nobody took is left behind in a table by the deferred trigger,
/// and told to the log afterwards.
const NOTES: &str = "
CREATE TABLE compliance.left_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    role text NOT NULL,
    told_by jsonb,
    changes text NOT NULL
);
COMMENT ON TABLE compliance.left_changes IS
    'platform: rows of any tenant may be changed by who tells no log; reached only through the functions below';
CREATE INDEX left_changes_by_tenant ON compliance.left_changes (tenant, id);

CREATE FUNCTION compliance.add_note(relation text, tenant uuid, op text, arguments text[], was jsonb, becomes jsonb)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog
    AS $$
    DECLARE
        whole CONSTANT jsonb := coalesce(becomes, was);
        unnoted CONSTANT text[] := string_to_array(arguments[4], ',') || ARRAY['tenant_id'];
        key jsonb;
        name text;
        place integer := coalesce(nullif(current_setting('app.changes_at', true), ''), '0')::integer;
        held text := coalesce(current_setting('app.changes_' || place, true), '');
    BEGIN
        SELECT coalesce(jsonb_object_agg(k, whole -> k), '{}') INTO key FROM unnest(string_to_array(arguments[1], ',')) AS k;
        FOREACH name IN ARRAY unnoted LOOP
            was := was #- string_to_array(name, '.');
            becomes := becomes #- string_to_array(name, '.');
        END LOOP;
        IF was IS NOT NULL AND becomes IS NOT NULL THEN
            SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, becomes -> o.key) INTO was, becomes
            FROM jsonb_each(was) AS o WHERE becomes -> o.key IS DISTINCT FROM o.value;
            IF was IS NULL THEN
                RETURN;
            END IF;
        END IF;
        FOREACH name IN ARRAY string_to_array(arguments[3], ',') LOOP
            IF was ->> name IS NOT NULL THEN
                was := was || jsonb_build_object(name, 'sha256:' || encode(sha256(convert_to(was ->> name, 'UTF8')), 'hex'));
            END IF;
            IF becomes ->> name IS NOT NULL THEN
                becomes := becomes
                    || jsonb_build_object(name, 'sha256:' || encode(sha256(convert_to(becomes ->> name, 'UTF8')), 'hex'));
            END IF;
            IF key ->> name IS NOT NULL THEN
                key := key || jsonb_build_object(name, 'sha256:' || encode(sha256(convert_to(key ->> name, 'UTF8')), 'hex'));
            END IF;
        END LOOP;
        IF length(held) > 60000 THEN
            place := place + 1;
            held := '';
        END IF;
        PERFORM set_config('app.changes_' || place, held || jsonb_build_object('tenant', tenant, 'table', relation, 'op', op,
            'key', key, 'subject', whole -> arguments[2], 'before', was, 'after', becomes)::text || E'\\n', true);
        PERFORM set_config('app.changes_at', place::text, true);
    END $$;

CREATE FUNCTION compliance.note_change() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        relation CONSTANT text := TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME;
        arguments CONSTANT text[] := ARRAY[TG_ARGV[0], TG_ARGV[1], TG_ARGV[2], TG_ARGV[3]];
    BEGIN
        IF TG_OP = 'INSERT' THEN
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'insert', arguments, NULL, to_jsonb(NEW));
        ELSIF TG_OP = 'DELETE' THEN
            PERFORM compliance.add_note(relation, OLD.tenant_id, 'delete', arguments, to_jsonb(OLD), NULL);
        ELSIF OLD.tenant_id = NEW.tenant_id THEN
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'update', arguments, to_jsonb(OLD), to_jsonb(NEW));
        ELSE
            -- Moved: one tenant loses a row, another gets one.
            PERFORM compliance.add_note(relation, OLD.tenant_id, 'delete', arguments, to_jsonb(OLD), NULL);
            PERFORM compliance.add_note(relation, NEW.tenant_id, 'insert', arguments, NULL, to_jsonb(NEW));
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION compliance.take_changes() RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog
    AS $$
    DECLARE
        last CONSTANT integer := coalesce(nullif(current_setting('app.changes_at', true), ''), '-1')::integer;
    BEGIN
        FOR place IN 0..last LOOP
            RETURN NEXT current_setting('app.changes_' || place);
            PERFORM set_config('app.changes_' || place, '', true);
        END LOOP;
        PERFORM set_config('app.changes_at', '', true);
    END $$;

CREATE FUNCTION compliance.leave_changes() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
    DECLARE
        piece text;
    BEGIN
        IF coalesce(current_setting('app.changes_at', true), '') <> '' THEN
            FOR piece IN SELECT p FROM compliance.take_changes() AS p LOOP
                INSERT INTO compliance.left_changes (tenant, role, told_by, changes)
                SELECT (n.note::jsonb ->> 'tenant')::uuid, session_user,
                    nullif(current_setting('app.changed_by', true), '')::jsonb, string_agg(n.note, E'\\n' ORDER BY n.place)
                FROM unnest(string_to_array(rtrim(piece, E'\\n'), E'\\n')) WITH ORDINALITY AS n (note, place)
                GROUP BY 1;
            END LOOP;
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION compliance.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog
    AS $$
    BEGIN
        RAISE EXCEPTION '%.% is not truncated: DELETE its rows, so that each is noted', TG_TABLE_SCHEMA, TG_TABLE_NAME;
    END $$;

CREATE FUNCTION compliance.tenants_with_left_changes(most integer) RETURNS TABLE (tenant uuid, oldest_s double precision)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH RECURSIVE one (tenant) AS (
            (SELECT l.tenant FROM compliance.left_changes AS l ORDER BY l.tenant LIMIT 1)
            UNION ALL
            SELECT (SELECT l.tenant FROM compliance.left_changes AS l WHERE l.tenant > o.tenant ORDER BY l.tenant LIMIT 1)
            FROM one AS o WHERE o.tenant IS NOT NULL
        )
        SELECT o.tenant, extract(epoch FROM now() - l.at)::float8 FROM one AS o CROSS JOIN LATERAL (
            SELECT f.at FROM compliance.left_changes AS f WHERE f.tenant = o.tenant ORDER BY f.id LIMIT 1
        ) AS l ORDER BY random() LIMIT most
    $$;

-- What the service's own login left says who made the changes; what others say of that is not believed.
CREATE FUNCTION compliance.take_left_changes(most integer)
    RETURNS TABLE (at timestamptz, role text, told_by jsonb, changes text)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT l.id FROM compliance.left_changes AS l
            WHERE l.tenant = current_setting('app.tenant_id')::uuid ORDER BY l.id LIMIT most FOR UPDATE SKIP LOCKED
        ), taken AS (
            DELETE FROM compliance.left_changes AS l USING picked AS p WHERE l.id = p.id
            RETURNING l.id, l.at, l.role, CASE WHEN l.role = session_user THEN l.told_by END AS told_by, l.changes
        ) SELECT t.at, t.role, t.told_by, t.changes FROM taken AS t ORDER BY t.id
    $$;

REVOKE ALL ON FUNCTION compliance.add_note(text, uuid, text, text[], jsonb, jsonb), compliance.note_change(), compliance.take_changes(), compliance.leave_changes(),
    compliance.refuse_truncate(), compliance.tenants_with_left_changes(integer), compliance.take_left_changes(integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION compliance.take_changes(), compliance.tenants_with_left_changes(integer),
    compliance.take_left_changes(integer) TO matricula_app_rw;
";

/// Tables whose changes are noted: keys, subject, columns that are noted as digests, columns (or parts of one) that are not:
/// versions, timers, and counts of how often something was looked at or how far it is. Which tables are not, and why, is said
/// where all tables are described.
const NOTED: [[&str; 5]; 20] = [
    ["identity.tenants", "", "", "", ""],
    [
        "identity.members",
        "id",
        "id",
        "email_sealed,email_index,name_sealed,password_hash,totp_sealed",
        "totp_last_step,version",
    ],
    ["identity.recovery_codes", "member_id,hash", "member_id", "hash", ""],
    ["identity.invitations", "id", "", "email_sealed,email_index,secret_hash", ""],
    ["identity.sessions", "id", "member_id", "", "last_seen_at"],
    ["identity.password_resets", "id", "member_id", "secret_hash", ""],
    ["identity.api_keys", "id", "", "secret_hash", "last_used_at"],
    ["accounts.apps", "id", "", "secret_sealed", "version"],
    ["accounts.groups", "id", "", "", "version"],
    ["accounts.group_grants", "group_id,member_id", "member_id", "", ""],
    [
        "accounts.accounts",
        "id",
        "id",
        "open_id_sealed,open_id_index,profile_sealed",
        "version,tokens_version",
    ],
    ["accounts.tokens", "account_id", "account_id", "access_sealed,refresh_sealed", "version"],
    ["accounts.links", "id", "member_id", "secret_hash,verifier_sealed", ""],
    ["content.uploads", "id", "", "", "received_bytes,parts,version"],
    ["content.transcodes", "upload_id", "", "", "done_permille,attempts"],
    ["publishing.plans", "id", "", "", ""],
    [
        "publishing.posts",
        "id",
        "",
        "",
        "version,due_at,progress.looks,progress.not_before,progress.parts,progress.hindrance.tries",
    ],
    ["publishing.post_notes", "post_id,id", "", "", ""],
    ["publishing.receipts", "post_id,id", "", "", ""],
    ["publishing.timetables", "id", "", "", "version"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, OPENINGS).await?;
        apply(manager, &tenant_table("compliance.audit_openings", "SELECT, INSERT")).await?;
        apply(manager, NOTES).await?;
        for [table, keys, subject, digested, unnoted] in NOTED {
            apply(manager, &noted_table(table, keys, subject, digested, unnoted)).await?;
        }
        apply(manager, &noted_table("compliance.reports", "id", "", "", "done_permille,attempts,version"))
            .await
    }
}
