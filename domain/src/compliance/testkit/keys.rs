//! Log keys that follow from the tenant's id.

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::lock;
use crate::{
    compliance::ports::LogKeys,
    kernel::{fault::PortError, ids::TenantId, scope::TenantScope},
};

/// One key for each tenant; a tenant's can be taken away.
#[derive(Debug, Default)]
pub struct MemoryLogKeys(Mutex<BTreeSet<TenantId>>);

impl MemoryLogKeys {
    /// Answers no more for this tenant.
    pub fn take_away(&self, tenant: TenantId) {
        lock(&self.0).insert(tenant);
    }

    /// Answers again.
    pub fn give_back(&self, tenant: TenantId) {
        lock(&self.0).remove(&tenant);
    }
}

#[async_trait]
impl LogKeys for MemoryLogKeys {
    async fn seed(&self, scope: &TenantScope) -> Result<Zeroizing<[u8; 32]>, PortError> {
        if lock(&self.0).contains(&scope.tenant()) {
            return Err(PortError::passing("memory.log_keys", "told to be away"));
        }
        Ok(Zeroizing::new(Sha256::digest(scope.tenant().uuid().as_bytes()).into()))
    }

    async fn public_keys(&self, scope: &TenantScope) -> Result<Vec<[u8; 32]>, PortError> {
        let seed = self.seed(scope).await?;
        Ok(vec![SigningKey::from_bytes(&seed).verifying_key().to_bytes()])
    }

    async fn outlive(&self, scope: &TenantScope) -> Result<(), PortError> {
        self.seed(scope).await.map(drop)
    }
}
