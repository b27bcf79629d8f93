//! Tenants, members and their credentials. Columns that end in `_sealed` hold envelopes, `_index` keyed
//! hashes for look-ups.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE SCHEMA identity;
GRANT USAGE ON SCHEMA identity TO matricula_app_rw;

CREATE TABLE identity.tenant_directory (
    slug text PRIMARY KEY CHECK (slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
    tenant uuid NOT NULL UNIQUE
);
COMMENT ON TABLE identity.tenant_directory IS
    'platform: public names must be unique across tenants; reached only through the two functions below';

CREATE FUNCTION identity.find_tenant(wanted text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
    AS $$ SELECT tenant FROM identity.tenant_directory WHERE slug = wanted $$;
CREATE FUNCTION identity.claim_slug(wanted text, claimant uuid) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
    AS $$
        WITH claimed AS (
            INSERT INTO identity.tenant_directory (slug, tenant) VALUES (wanted, claimant)
            ON CONFLICT DO NOTHING RETURNING 1
        ) SELECT EXISTS (SELECT FROM claimed)
    $$;
REVOKE ALL ON FUNCTION identity.find_tenant(text), identity.claim_slug(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION identity.find_tenant(text), identity.claim_slug(text, uuid) TO matricula_app_rw;

CREATE TABLE identity.tenants (
    tenant_id uuid PRIMARY KEY,
    slug text NOT NULL,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    members_max integer NOT NULL CHECK (members_max > 0),
    created_at timestamptz NOT NULL
);

CREATE TABLE identity.members (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    email_sealed bytea NOT NULL,
    email_index bytea NOT NULL,
    name_sealed bytea NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'analyst', 'auditor')),
    status text NOT NULL CHECK (status IN ('active', 'suspended')),
    password_hash text NOT NULL,
    totp_sealed bytea,
    totp_confirmed_at timestamptz,
    totp_last_step bigint,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, email_index)
);
CREATE INDEX members_by_age ON identity.members (tenant_id, created_at, id);

CREATE TABLE identity.recovery_codes (
    tenant_id uuid NOT NULL,
    member_id uuid NOT NULL,
    hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, member_id, hash),
    FOREIGN KEY (tenant_id, member_id) REFERENCES identity.members (tenant_id, id)
);

CREATE TABLE identity.invitations (
    tenant_id uuid NOT NULL REFERENCES identity.tenants,
    id uuid NOT NULL,
    email_sealed bytea NOT NULL,
    email_index bytea NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'operator', 'analyst', 'auditor')),
    invited_by uuid,
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    accepted_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, invited_by) REFERENCES identity.members (tenant_id, id)
);
CREATE INDEX invitations_by_age ON identity.invitations (tenant_id, created_at, id);
CREATE INDEX invitations_by_email ON identity.invitations (tenant_id, email_index);

CREATE TABLE identity.sessions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    device text,
    geo jsonb,
    mfa text NOT NULL CHECK (mfa IN ('not_enrolled', 'missing', 'passed')),
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES identity.members (tenant_id, id)
);
CREATE INDEX sessions_by_member ON identity.sessions (tenant_id, member_id, created_at, id);

CREATE TABLE identity.refresh_tokens (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    session_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES identity.sessions (tenant_id, id)
);
CREATE INDEX refresh_tokens_by_session ON identity.refresh_tokens (tenant_id, session_id);

CREATE TABLE identity.password_resets (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES identity.members (tenant_id, id)
);
CREATE INDEX password_resets_by_member ON identity.password_resets (tenant_id, member_id);

CREATE TABLE identity.api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    secret_hash bytea NOT NULL,
    issued_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, issued_by) REFERENCES identity.members (tenant_id, id)
);
CREATE INDEX api_keys_by_age ON identity.api_keys (tenant_id, created_at, id);

CREATE TABLE identity.signing_keys (
    kid text PRIMARY KEY,
    public_key bytea NOT NULL,
    private_key_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE identity.signing_keys IS
    'platform: access tokens of all tenants are signed with the installation''s own keys';
GRANT SELECT, INSERT ON identity.signing_keys TO matricula_app_rw;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, TABLES).await?;
        for (table, grants) in [
            ("identity.tenants", "SELECT, INSERT, UPDATE"),
            ("identity.members", "SELECT, INSERT, UPDATE"),
            ("identity.recovery_codes", "SELECT, INSERT, UPDATE, DELETE"),
            ("identity.invitations", "SELECT, INSERT, UPDATE"),
            ("identity.sessions", "SELECT, INSERT, UPDATE"),
            ("identity.refresh_tokens", "SELECT, INSERT, UPDATE"),
            ("identity.password_resets", "SELECT, INSERT, UPDATE"),
            ("identity.api_keys", "SELECT, INSERT, UPDATE"),
        ] {
            apply(manager, &tenant_table(table, grants)).await?;
        }
        Ok(())
    }
}
