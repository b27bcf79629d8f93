//! Data keys may be wrapped anew under a newer tenant key; what they are is not changed.

use sea_orm_migration::prelude::*;

use crate::apply;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apply(manager, "GRANT UPDATE (kek_version, wrapped) ON compliance.data_keys TO matricula_app_rw")
            .await
    }
}
