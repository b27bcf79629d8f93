//! `compliance.tenant_keys`, `compliance.data_keys` and `identity.signing_keys`: wrapped keys.
//!
//! Give these stores a pool of their own: keys are looked up by who holds a transaction already, and must not
//! wait for a connection that such a holder has.

use async_trait::async_trait;
use domain::kernel::{fault::PortError, scope::TenantScope};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, OnConflict},
};

use super::{
    entity::{data_key, tenant_key},
    error::orm_error,
    pool::Db,
    scope::TenantTx,
};
use crate::envelope::{DataKeyRow, KeyStore, Purpose, TenantKeyRow};

const TENANT_KEYS: &str = "postgres.tenant_keys";
const DATA_KEYS: &str = "postgres.data_keys";

/// Wrapped keys in the database.
#[derive(Clone, Debug)]
pub struct PgKeyStore {
    pub(super) db: Db,
}

impl PgKeyStore {
    /// Keeps them on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

fn version(port: &'static str, number: i32) -> Result<u32, PortError> {
    u32::try_from(number).map_err(|e| PortError::lasting(port, e))
}

fn column(port: &'static str, number: u32) -> Result<i32, PortError> {
    i32::try_from(number).map_err(|e| PortError::lasting(port, e))
}

fn tenant_key_row(row: tenant_key::Model) -> Result<TenantKeyRow, PortError> {
    Ok(TenantKeyRow {
        version: version(TENANT_KEYS, row.version)?,
        provider: row.provider,
        wrapped: row.wrapped,
        is_retired: row.retired_at.is_some(),
    })
}

fn data_key_row(row: data_key::Model) -> Result<DataKeyRow, PortError> {
    Ok(DataKeyRow {
        version: version(DATA_KEYS, row.version)?,
        kek_version: version(DATA_KEYS, row.kek_version)?,
        wrapped: row.wrapped,
    })
}

async fn one_tenant_key(
    tx: &TenantTx,
    select: Select<tenant_key::Entity>,
) -> Result<Option<TenantKeyRow>, PortError> {
    let row = select.one(tx).await.map_err(|e| orm_error(TENANT_KEYS, e))?;
    row.map(tenant_key_row).transpose()
}

async fn one_data_key(
    tx: &TenantTx,
    select: Select<data_key::Entity>,
) -> Result<Option<DataKeyRow>, PortError> {
    let row = select.one(tx).await.map_err(|e| orm_error(DATA_KEYS, e))?;
    row.map(data_key_row).transpose()
}

#[async_trait]
impl KeyStore for PgKeyStore {
    async fn newest_tenant_key(&self, scope: &TenantScope) -> Result<Option<TenantKeyRow>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        one_tenant_key(&tx, tx.scoped::<tenant_key::Entity>().order_by_desc(tenant_key::Column::Version))
            .await
    }

    async fn tenant_key(&self, scope: &TenantScope, version: u32) -> Result<Option<TenantKeyRow>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let version = column(TENANT_KEYS, version)?;
        one_tenant_key(&tx, tx.scoped::<tenant_key::Entity>().filter(tenant_key::Column::Version.eq(version)))
            .await
    }

    async fn add_tenant_key(
        &self,
        scope: &TenantScope,
        row: TenantKeyRow,
    ) -> Result<TenantKeyRow, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let version = column(TENANT_KEYS, row.version)?;
        let model = tenant_key::Model {
            tenant_id: scope.tenant().uuid(),
            version,
            provider: row.provider,
            wrapped: row.wrapped,
            retired_at: None,
        };
        tenant_key::Entity::insert(model.into_active_model().reset_all())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&tx)
            .await
            .map_err(|e| orm_error(TENANT_KEYS, e))?;
        tx.commit().await?;
        let kept = self.tenant_key(scope, row.version).await?;
        kept.ok_or_else(|| PortError::lasting(TENANT_KEYS, "a row just added is not there"))
    }

    async fn newest_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
    ) -> Result<Option<DataKeyRow>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let select = tx
            .scoped::<data_key::Entity>()
            .filter(data_key::Column::Purpose.eq(purpose.as_str()))
            .order_by_desc(data_key::Column::Version);
        one_data_key(&tx, select).await
    }

    async fn data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        version: u32,
    ) -> Result<Option<DataKeyRow>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let select = tx
            .scoped::<data_key::Entity>()
            .filter(data_key::Column::Purpose.eq(purpose.as_str()))
            .filter(data_key::Column::Version.eq(column(DATA_KEYS, version)?));
        one_data_key(&tx, select).await
    }

    async fn add_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        row: DataKeyRow,
    ) -> Result<DataKeyRow, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let model = data_key::Model {
            tenant_id: scope.tenant().uuid(),
            purpose: purpose.as_str().to_owned(),
            version: column(DATA_KEYS, row.version)?,
            kek_version: column(DATA_KEYS, row.kek_version)?,
            wrapped: row.wrapped,
        };
        data_key::Entity::insert(model.into_active_model().reset_all())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&tx)
            .await
            .map_err(|e| orm_error(DATA_KEYS, e))?;
        tx.commit().await?;
        let kept = self.data_key(scope, purpose, row.version).await?;
        kept.ok_or_else(|| PortError::lasting(DATA_KEYS, "a row just added is not there"))
    }

    async fn tenant_keys(&self, scope: &TenantScope) -> Result<Vec<TenantKeyRow>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let rows = tx.scoped::<tenant_key::Entity>().order_by_asc(tenant_key::Column::Version).all(&tx).await;
        rows.map_err(|e| orm_error(TENANT_KEYS, e))?.into_iter().map(tenant_key_row).collect()
    }

    async fn data_keys(&self, scope: &TenantScope) -> Result<Vec<(Purpose, DataKeyRow)>, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        let rows = tx
            .scoped::<data_key::Entity>()
            .order_by_asc(data_key::Column::Purpose)
            .order_by_asc(data_key::Column::Version)
            .all(&tx)
            .await
            .map_err(|e| orm_error(DATA_KEYS, e))?;
        rows.into_iter()
            .map(|row| {
                let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == row.purpose);
                let purpose =
                    purpose.ok_or_else(|| PortError::lasting(DATA_KEYS, "a purpose is not one of ours"))?;
                Ok((purpose, data_key_row(row)?))
            })
            .collect()
    }

    async fn rewrap_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        old: &DataKeyRow,
        row: DataKeyRow,
    ) -> Result<(), PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        data_key::Entity::update_many()
            .col_expr(data_key::Column::KekVersion, Expr::value(column(DATA_KEYS, row.kek_version)?))
            .col_expr(data_key::Column::Wrapped, Expr::value(row.wrapped))
            .filter(data_key::Column::TenantId.eq(scope.tenant().uuid()))
            .filter(data_key::Column::Purpose.eq(purpose.as_str()))
            .filter(data_key::Column::Version.eq(column(DATA_KEYS, old.version)?))
            .filter(data_key::Column::Wrapped.eq(old.wrapped.clone()))
            .exec(&tx)
            .await
            .map_err(|e| orm_error(DATA_KEYS, e))?;
        tx.commit().await
    }

    async fn retire_tenant_keys(&self, scope: &TenantScope) -> Result<u32, PortError> {
        let tx = TenantTx::begin(&self.db, *scope).await?;
        // Who is about to put a data key under one of them holds a lock on it; what they did is seen afterwards.
        let in_use = tx
            .scoped::<tenant_key::Entity>()
            .filter(tenant_key::Column::RetiredAt.is_null())
            .order_by_asc(tenant_key::Column::Version)
            .lock_exclusive()
            .all(&tx)
            .await
            .map_err(|e| orm_error(TENANT_KEYS, e))?;
        let newest = in_use.last().map(|key| key.version);
        let needed = tx.scoped::<data_key::Entity>().all(&tx).await.map_err(|e| orm_error(DATA_KEYS, e))?;
        let is_needed = |key: i32| needed.iter().any(|data_key| data_key.kek_version == key);
        let idle = in_use.into_iter().map(|key| key.version);
        let idle: Vec<_> = idle.filter(|key| Some(*key) != newest && !is_needed(*key)).collect();
        let retired = tenant_key::Entity::update_many()
            .col_expr(tenant_key::Column::RetiredAt, Expr::cust("now()"))
            .filter(tenant_key::Column::TenantId.eq(scope.tenant().uuid()))
            .filter(tenant_key::Column::Version.is_in(idle))
            .exec(&tx)
            .await
            .map_err(|e| orm_error(TENANT_KEYS, e))?;
        tx.commit().await?;
        u32::try_from(retired.rows_affected).map_err(|e| PortError::lasting(TENANT_KEYS, e))
    }
}
