//! `identity.password_resets`.

use async_trait::async_trait;
use domain::{
    identity::{model::PasswordReset, ports::PasswordResetStore},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{MemberId, PasswordResetId},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QuerySelect as _, sea_query::Expr,
};

use super::hash32;
use crate::postgres::{
    entity::password_reset::{Column, Entity, Model},
    error::orm_error,
    work::PgWork,
};

const PORT: &str = "postgres.password_resets";

#[async_trait]
impl PasswordResetStore for PgWork {
    async fn password_reset(&mut self, id: PasswordResetId) -> Result<Option<PasswordReset>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive();
        let row = found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        row.map(|row| {
            Ok(PasswordReset {
                id,
                member: MemberId::from_uuid(row.member_id),
                secret_hash: hash32(PORT, row.secret_hash)?,
                created_at: row.created_at,
                expires_at: row.expires_at,
                used_at: row.used_at,
            })
        })
        .transpose()
    }

    async fn add_password_reset(&mut self, reset: &PasswordReset) -> Result<(), PortError> {
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: reset.id.uuid(),
            member_id: reset.member.uuid(),
            secret_hash: reset.secret_hash.to_vec(),
            created_at: reset.created_at,
            expires_at: reset.expires_at,
            used_at: reset.used_at,
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn open_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<u64, PortError> {
        self.tx
            .scoped::<Entity>()
            .filter(Column::MemberId.eq(member.uuid()))
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .count(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))
    }

    async fn use_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<(), PortError> {
        Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::MemberId.eq(member.uuid()))
            .filter(Column::UsedAt.is_null())
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }
}
