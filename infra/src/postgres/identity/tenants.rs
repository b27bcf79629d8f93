//! `identity.tenants`.

use async_trait::async_trait;
use domain::{
    identity::{
        model::{Closing, Slug, Tenant, TenantStatus},
        ports::TenantStore,
    },
    kernel::{fault::PortError, ids::TenantId},
};
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};

use super::word;
use crate::postgres::{entity::tenant, error::orm_error, work::PgWork};

const PORT: &str = "postgres.tenants";

#[async_trait]
impl TenantStore for PgWork {
    async fn tenant(&mut self) -> Result<Option<Tenant>, PortError> {
        let row = self.tx.scoped::<tenant::Entity>().one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        row.map(|row| {
            Ok(Tenant {
                id: TenantId::from_uuid(row.tenant_id),
                slug: word(PORT, Slug::parse(&row.slug).ok())?,
                name: row.name,
                status: word(PORT, TenantStatus::parse(&row.status))?,
                members_max: word(PORT, u32::try_from(row.members_max).ok())?,
                created_at: row.created_at,
            })
        })
        .transpose()
    }

    async fn add_tenant(&mut self, tenant: &Tenant) -> Result<(), PortError> {
        let row = tenant::Model {
            tenant_id: tenant.id.uuid(),
            slug: tenant.slug.as_str().to_owned(),
            name: tenant.name.clone(),
            status: tenant.status.as_str().to_owned(),
            members_max: i32::try_from(tenant.members_max).unwrap_or(i32::MAX),
            created_at: tenant.created_at,
        };
        tenant::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn closing(&mut self) -> Result<Option<Closing>, PortError> {
        self.closing_of_tenant().await
    }

    async fn close(&mut self, closing: &Closing) -> Result<(), PortError> {
        self.close_tenant(closing).await
    }

    async fn reopen(&mut self, before: TenantStatus) -> Result<(), PortError> {
        self.reopen_tenant(before).await
    }
}
