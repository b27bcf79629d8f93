//! A tenant is closed, and may be taken back until it ends for good.

use chrono::TimeDelta;

use super::{
    super::actions,
    super::model::{Closing, Slug, TAKE_BACK_DAYS, TenantStatus},
    Identity,
};
use crate::{
    identity::IdentityError,
    kernel::{
        outbox::{Origin, Party, Record},
        scope::TenantScope,
    },
};

/// Where a tenant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether it may work; `None` once it has ended.
    pub status: Option<TenantStatus>,
    /// That it is closed.
    pub closing: Option<Closing>,
}

const fn refused(problem: &'static str) -> IdentityError {
    IdentityError::Invalid { field: "slug", problem }
}

impl Identity {
    /// Closes a tenant: nobody signs in, no key works, nothing is posted, and when the days are over, all there is of it goes
    /// but its log. For the operator of this installation, on the command line.
    ///
    /// # Errors
    /// `Invalid`, `Port`.
    pub async fn close_tenant(
        &self,
        origin: &Origin,
        scope: TenantScope,
        take_back_days: u16,
    ) -> Result<Closing, IdentityError> {
        if !TAKE_BACK_DAYS.contains(&take_back_days) {
            return Err(IdentityError::Invalid { field: "days", problem: "must be 1 to 365" });
        }
        let mut tx = self.0.units.begin(scope, origin).await?;
        let closed = tx.closing().await?;
        let Some(tenant) = tx.tenant().await? else { return Err(refused("is of no tenant any more")) };
        if closed.is_some() {
            return Err(refused("is of a tenant that is closed already"));
        }
        let now = self.0.clock.now();
        let closing = Closing {
            closed_at: now,
            ends_at: now + TimeDelta::days(take_back_days.into()),
            before: tenant.status,
            is_put_back: false,
            begun_at: None,
            ended_at: None,
        };
        tx.close(&closing).await?;
        let target = Party::new("tenant", scope.tenant().uuid());
        tx.record(Record::success(actions::CLOSE_TENANT, target)).await?;
        tx.commit().await?;
        Ok(closing)
    }

    /// Takes back a tenant that is closed. Its accounts are paused, so that what was due meanwhile does not go out all at once.
    ///
    /// # Errors
    /// `Invalid`, `Port`.
    pub async fn reopen_tenant(&self, origin: &Origin, scope: TenantScope) -> Result<(), IdentityError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let closing = tx.closing().await?.ok_or_else(|| refused("is of a tenant that is not closed"))?;
        if closing.begun_at.is_some() {
            return Err(refused("is of a tenant whose end has begun"));
        }
        if closing.is_put_back {
            return Err(refused("is of a tenant that had ended before the database was put back"));
        }
        tx.reopen(closing.before).await?;
        let target = Party::new("tenant", scope.tenant().uuid());
        tx.record(Record::success(actions::REOPEN_TENANT, target)).await?;
        Ok(tx.commit().await?)
    }

    /// Where a tenant is, or what became of it; `None` when there never was one of that public name.
    ///
    /// # Errors
    /// `Port`.
    pub async fn tenant_standing(
        &self,
        origin: &Origin,
        slug: &str,
    ) -> Result<Option<(TenantScope, Standing)>, IdentityError> {
        let Ok(slug) = Slug::parse(slug) else { return Ok(None) };
        let Some(tenant) = self.0.directory.find_ever(&slug).await? else { return Ok(None) };
        let scope = TenantScope::of(tenant);
        let mut tx = self.0.units.begin(scope, origin).await?;
        let status = tx.tenant().await?.map(|tenant| tenant.status);
        let closing = tx.closing().await?;
        Ok(Some((scope, Standing { status, closing })))
    }
}
