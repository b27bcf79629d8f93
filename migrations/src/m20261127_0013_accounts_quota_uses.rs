//! What accounts used of platforms' quotas: a row for each account, quota, endpoint and period, counted up.

use sea_orm_migration::prelude::*;

use crate::{apply, wall::tenant_table};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const QUOTA_USES: &str = "
CREATE TABLE accounts.quota_uses (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    begins_at timestamptz NOT NULL,
    quota text NOT NULL,
    endpoint text NOT NULL,
    app_id uuid NOT NULL,
    answered bigint NOT NULL CHECK (answered >= 0),
    done bigint NOT NULL CHECK (done >= 0),
    unsure bigint NOT NULL CHECK (unsure >= 0),
    used_up_at timestamptz,
    PRIMARY KEY (tenant_id, account_id, begins_at, quota, endpoint),
    FOREIGN KEY (tenant_id, account_id) REFERENCES accounts.accounts (tenant_id, id)
);
CREATE INDEX quota_uses_by_app ON accounts.quota_uses (tenant_id, app_id, begins_at);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, QUOTA_USES).await?;
        apply(manager, &tenant_table("accounts.quota_uses", "SELECT, INSERT, UPDATE")).await
    }
}
