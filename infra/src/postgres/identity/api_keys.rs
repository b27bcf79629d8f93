//! `identity.api_keys`.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    identity::{
        model::{ApiKey, MemberStatus},
        ports::{ApiKeyStore, IssuedKey},
    },
    kernel::{
        actor::{Permission, Role},
        clock::Timestamp,
        fault::PortError,
        ids::{ApiKeyId, MemberId},
        page::{Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryResult, Value,
    sea_query::{ArrayType, Expr},
};
use uuid::Uuid;

use super::hash32;
use crate::postgres::{
    entity::api_key::{Column, Entity, Model},
    error::orm_error,
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.api_keys";

/// Keys that are good, and their issuers' roles. $1 tenant, $2 keys, $3 now, $4 the status of members who may sign in.
const ISSUED: &str = "
    SELECT k.id, k.scopes, m.role
    FROM identity.api_keys AS k
    JOIN identity.members AS m ON m.tenant_id = k.tenant_id AND m.id = k.issued_by
    WHERE k.tenant_id = $1 AND k.id = ANY ($2)
      AND k.revoked_at IS NULL AND k.expires_at > $3 AND m.status = $4";

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

    async fn issued_keys(
        &mut self,
        keys: &[ApiKeyId],
        now: Timestamp,
    ) -> Result<HashMap<ApiKeyId, IssuedKey>, PortError> {
        let ids = keys.iter().map(|key| Value::from(key.uuid())).collect();
        let statement = TenantTx::statement(
            ISSUED,
            [
                self.tx.scope().tenant().uuid().into(),
                Value::Array(ArrayType::Uuid, Some(Box::new(ids))),
                now.into(),
                MemberStatus::Active.as_str().into(),
            ],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        let issued = |row: QueryResult| {
            let (id, scopes, role): (Uuid, Vec<String>, String) =
                row.try_get_many_by_index().map_err(|e| orm_error(PORT, e))?;
            let scopes = scopes.iter().filter_map(|scope| Permission::parse(scope)).collect();
            // A role that is none of ours holds nothing.
            Ok(Role::parse(&role).map(|issuer| (ApiKeyId::from_uuid(id), IssuedKey { scopes, issuer })))
        };
        rows.into_iter().filter_map(|row| issued(row).transpose()).collect()
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
