//! A tenant into which nobody is let until who was erased is erased again.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const STATUS: &str = "
ALTER TABLE identity.tenants DROP CONSTRAINT tenants_status_check;
ALTER TABLE identity.tenants ADD CONSTRAINT tenants_status_check
    CHECK (status IN ('active', 'suspended', 'awaiting_erasure'));
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, STATUS).await
    }
}
