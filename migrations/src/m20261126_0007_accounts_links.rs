//! Accounts on platforms, what they were linked with, their tokens and their matrices. Columns that end in `_sealed`
//! hold envelopes, `_index` keyed hashes for look-ups.
//!
//! What an attempt to link names beside its app and its member is not held by foreign keys: the attempt is told of
//! longer than its session lasts, its group is there, or its account is looked at.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const APPS_AND_GROUPS: &str = "
CREATE SCHEMA accounts;
GRANT USAGE ON SCHEMA accounts TO matricula_app_rw;

CREATE TABLE accounts.apps (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    platform text NOT NULL,
    name text NOT NULL,
    client_key text NOT NULL,
    secret_sealed bytea NOT NULL,
    scopes text[] NOT NULL,
    scopes_off text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'switched_off')),
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, platform, client_key)
);
CREATE INDEX apps_by_age ON accounts.apps (tenant_id, created_at, id);

CREATE TABLE accounts.groups (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    parent_id uuid,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES accounts.groups (tenant_id, id)
);

CREATE TABLE accounts.group_grants (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    member_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, group_id, member_id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES accounts.groups (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, member_id) REFERENCES identity.members (tenant_id, id)
);
CREATE INDEX group_grants_by_member ON accounts.group_grants (tenant_id, member_id);
";

/// An account keeps the highest version its tokens had when they were thrown away: those of the next consent count on
/// from there, so that who still holds the old ones is never taken for up to date.
const ACCOUNTS: &str = "
CREATE TABLE accounts.accounts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    app_id uuid NOT NULL,
    platform text NOT NULL,
    open_id_sealed bytea NOT NULL,
    open_id_index bytea NOT NULL,
    profile_sealed bytea NOT NULL,
    kind text,
    group_id uuid,
    tags text[] NOT NULL,
    state text NOT NULL CHECK (state IN ('connected', 'consent_needed', 'unlinked')),
    consent_end text CHECK (consent_end IN ('revoked', 'expired', 'refused', 'owner_gone')),
    state_since timestamptz,
    paused_at timestamptz,
    paused_by uuid,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    tokens_version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, app_id, open_id_index),
    FOREIGN KEY (tenant_id, app_id) REFERENCES accounts.apps (tenant_id, id),
    FOREIGN KEY (tenant_id, group_id) REFERENCES accounts.groups (tenant_id, id),
    FOREIGN KEY (tenant_id, paused_by) REFERENCES identity.members (tenant_id, id),
    CHECK ((state = 'consent_needed') = (consent_end IS NOT NULL)),
    CHECK ((state = 'connected') = (state_since IS NULL)),
    CHECK (paused_by IS NULL OR paused_at IS NOT NULL)
);
CREATE INDEX accounts_by_age ON accounts.accounts (tenant_id, created_at, id);
CREATE INDEX accounts_by_group ON accounts.accounts (tenant_id, group_id, created_at, id);

CREATE TABLE accounts.tokens (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    app_id uuid NOT NULL,
    access_sealed bytea NOT NULL,
    refresh_sealed bytea,
    scopes text[] NOT NULL,
    consented_at timestamptz NOT NULL,
    access_issued_at timestamptz NOT NULL,
    access_expires_at timestamptz NOT NULL,
    refresh_expires_at timestamptz,
    refresh_life_s bigint NOT NULL,
    renewals_used bigint NOT NULL CHECK (renewals_used >= 0),
    renewals_max bigint NOT NULL CHECK (renewals_max >= 0),
    renewing_since timestamptz,
    refreshed_at timestamptz NOT NULL,
    last_error text,
    failures bigint NOT NULL CHECK (failures >= 0),
    consent_ends_at timestamptz NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    PRIMARY KEY (tenant_id, account_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts.accounts (tenant_id, id),
    FOREIGN KEY (tenant_id, app_id) REFERENCES accounts.apps (tenant_id, id)
);
CREATE INDEX tokens_by_end_of_consent ON accounts.tokens (tenant_id, consent_ends_at, account_id);

CREATE TABLE accounts.links (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    app_id uuid NOT NULL,
    platform text NOT NULL,
    member_id uuid NOT NULL,
    session_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    verifier_sealed bytea,
    scopes text[] NOT NULL,
    group_id uuid,
    again_account_id uuid,
    created_at timestamptz NOT NULL,
    returned_at timestamptz,
    outcome text NOT NULL CHECK (outcome IN ('open', 'linked', 'failed')),
    account_id uuid,
    trace jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, app_id) REFERENCES accounts.apps (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES identity.members (tenant_id, id),
    CHECK ((outcome = 'linked') = (account_id IS NOT NULL))
);
CREATE INDEX links_by_app ON accounts.links (tenant_id, app_id);
";

/// Who schedules says so in a transaction of its tenant and reaches that tenant's rows alone; who claims gets names of
/// tenants and accounts, and must open a transaction of each tenant to see more. A claim never waits: a row that
/// somebody has locked is somebody's.
const SCHEDULE: &str = "
CREATE TABLE accounts.token_schedule (
    tenant uuid NOT NULL,
    account uuid NOT NULL,
    due_at timestamptz NOT NULL,
    leased_until timestamptz NOT NULL,
    PRIMARY KEY (tenant, account),
    FOREIGN KEY (tenant, account) REFERENCES accounts.accounts (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE accounts.token_schedule IS
    'platform: the pool of tokens works across tenants; holds no secret; reached only through the functions below';
CREATE INDEX token_schedule_by_time ON accounts.token_schedule (due_at);

CREATE FUNCTION accounts.schedule_tokens(wanted_account uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        DELETE FROM accounts.token_schedule AS s
        WHERE due IS NULL AND s.tenant = current_setting('app.tenant_id')::uuid AND s.account = wanted_account;
        INSERT INTO accounts.token_schedule (tenant, account, due_at, leased_until)
        SELECT current_setting('app.tenant_id')::uuid, wanted_account, due, '-infinity'::timestamptz WHERE due IS NOT NULL
        ON CONFLICT (tenant, account)
        DO UPDATE SET due_at = excluded.due_at, leased_until = excluded.leased_until;
    $$;
CREATE FUNCTION accounts.hurry_tokens(wanted_account uuid, due timestamptz) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        INSERT INTO accounts.token_schedule AS s (tenant, account, due_at, leased_until)
        VALUES (current_setting('app.tenant_id')::uuid, wanted_account, due, '-infinity'::timestamptz)
        ON CONFLICT (tenant, account) DO UPDATE SET due_at = least(s.due_at, excluded.due_at);
    $$;
CREATE FUNCTION accounts.claim_due_tokens(instant timestamptz, most integer, lease interval)
    RETURNS TABLE (tenant uuid, account uuid)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT s.tenant, s.account FROM accounts.token_schedule AS s
            WHERE s.due_at <= instant AND s.leased_until <= instant
            ORDER BY s.due_at LIMIT most FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE accounts.token_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.account = p.account
            RETURNING s.tenant, s.account, s.due_at
        ) SELECT c.tenant, c.account FROM claimed AS c ORDER BY c.due_at, c.account
    $$;
CREATE FUNCTION accounts.claim_tokens_of(
    wanted_tenant uuid, wanted_account uuid, instant timestamptz, lease interval
) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH picked AS (
            SELECT s.tenant, s.account FROM accounts.token_schedule AS s
            WHERE s.tenant = wanted_tenant AND s.account = wanted_account AND s.leased_until <= instant
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE accounts.token_schedule AS s SET leased_until = instant + lease
            FROM picked AS p WHERE s.tenant = p.tenant AND s.account = p.account
            RETURNING 1
        ) SELECT EXISTS (SELECT FROM claimed)
    $$;
REVOKE ALL ON FUNCTION accounts.schedule_tokens(uuid, timestamptz), accounts.hurry_tokens(uuid, timestamptz),
    accounts.claim_due_tokens(timestamptz, integer, interval),
    accounts.claim_tokens_of(uuid, uuid, timestamptz, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.schedule_tokens(uuid, timestamptz), accounts.hurry_tokens(uuid, timestamptz),
    accounts.claim_due_tokens(timestamptz, integer, interval),
    accounts.claim_tokens_of(uuid, uuid, timestamptz, interval) TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statements in [APPS_AND_GROUPS, ACCOUNTS, SCHEDULE] {
            apply(manager, statements).await?;
        }
        for (table, grants) in [
            ("accounts.apps", "SELECT, INSERT, UPDATE, DELETE"),
            ("accounts.groups", "SELECT, INSERT, UPDATE, DELETE"),
            ("accounts.group_grants", "SELECT, INSERT, DELETE"),
            ("accounts.accounts", "SELECT, INSERT, UPDATE, DELETE"),
            ("accounts.tokens", "SELECT, INSERT, UPDATE, DELETE"),
            ("accounts.links", "SELECT, INSERT, UPDATE, DELETE"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        Ok(())
    }
}
