//! Tenants' public names, and letters that never leave.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;

use super::lock;
use crate::{
    identity::{
        model::{EmailAddress, Slug},
        ports::{Courier, TenantDirectory},
    },
    kernel::{fault::PortError, ids::TenantId, scope::TenantScope, secret::Secret},
};

/// Public names, each given once.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<BTreeMap<String, TenantId>>);

#[async_trait]
impl TenantDirectory for MemoryDirectory {
    async fn find(&self, slug: &Slug) -> Result<Option<TenantId>, PortError> {
        Ok(lock(&self.0).get(slug.as_str()).copied())
    }

    async fn find_ever(&self, slug: &Slug) -> Result<Option<TenantId>, PortError> {
        self.find(slug).await
    }

    async fn claim(&self, slug: &Slug, tenant: TenantId) -> Result<bool, PortError> {
        Ok(*lock(&self.0).entry(slug.as_str().to_owned()).or_insert(tenant) == tenant)
    }
}

/// A one-time token on its way to somebody.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Of which tenant.
    pub scope: TenantScope,
    /// To whom.
    pub to: EmailAddress,
    /// What is in it.
    pub token: Secret,
}

/// Keeps what it was to send.
#[derive(Debug, Default)]
pub struct MemoryCourier(Mutex<Vec<Letter>>);

impl MemoryCourier {
    /// Everything sent, in order.
    pub fn sent(&self) -> Vec<Letter> {
        lock(&self.0).clone()
    }
}

#[async_trait]
impl Courier for MemoryCourier {
    async fn send_password_reset(
        &self,
        scope: &TenantScope,
        to: &EmailAddress,
        token: &Secret,
    ) -> Result<(), PortError> {
        lock(&self.0).push(Letter { scope: *scope, to: to.clone(), token: token.clone() });
        Ok(())
    }
}
