//! `identity.api_keys`.

use async_trait::async_trait;
use domain::{
    identity::{model::ApiKey, ports::ApiKeyStore},
    kernel::{
        actor::Permission,
        clock::Timestamp,
        fault::PortError,
        ids::{ApiKeyId, MemberId},
        page::{Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    sea_query::Expr,
};

use super::hash32;
use crate::postgres::{
    entity::api_key::{Column, Entity, Model},
    error::orm_error,
    scope::{Rows as _, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.api_keys";

fn api_key_of(row: Model) -> Result<ApiKey, PortError> {
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(row.id),
        name: row.name,
        // A scope this version does not know allows nothing.
        scopes: row.scopes.iter().filter_map(|scope| Permission::parse(scope)).collect(),
        secret_hash: hash32(PORT, row.secret_hash)?,
        issued_by: MemberId::from_uuid(row.issued_by),
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    })
}

#[async_trait]
impl ApiKeyStore for PgWork {
    async fn api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?.map(api_key_of).transpose()
    }

    async fn add_api_key(&mut self, key: &ApiKey) -> Result<(), PortError> {
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: key.id.uuid(),
            name: key.name.clone(),
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            secret_hash: key.secret_hash.to_vec(),
            issued_by: key.issued_by.uuid(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn touch_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError> {
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id.uuid()))
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError> {
        Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn api_keys(&mut self, page: PageRequest) -> Result<Page<ApiKey>, PortError> {
        let rows = keyset(self.tx.scoped::<Entity>(), Column::CreatedAt, Column::Id, page)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let keys = rows.into_iter().map(api_key_of).collect::<Result<_, _>>()?;
        Ok(Page::of_read(keys, &page))
    }
}
