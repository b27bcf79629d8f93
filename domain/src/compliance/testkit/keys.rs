//! Log keys that follow from the tenant's id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use async_trait::async_trait;
use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::lock;
use crate::{
    compliance::ports::LogKeys,
    kernel::{fault::PortError, ids::TenantId, scope::TenantScope},
};

/// Keys of each tenant, of which the newest signs; a tenant's can be taken away.
#[derive(Debug, Default)]
pub struct MemoryLogKeys(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    away: BTreeSet<TenantId>,
    /// How often a tenant has got a newer one.
    rotations: BTreeMap<TenantId, u32>,
}

impl MemoryLogKeys {
    /// Answers no more for this tenant.
    pub fn take_away(&self, tenant: TenantId) {
        lock(&self.0).away.insert(tenant);
    }

    /// Answers again.
    pub fn give_back(&self, tenant: TenantId) {
        lock(&self.0).away.remove(&tenant);
    }

    /// How often the tenant's key was rotated.
    fn rotations(&self, scope: &TenantScope) -> Result<u32, PortError> {
        let state = lock(&self.0);
        if state.away.contains(&scope.tenant()) {
            return Err(PortError::passing("memory.log_keys", "told to be away"));
        }
        Ok(state.rotations.get(&scope.tenant()).copied().unwrap_or_default())
    }
}

fn seed_of(tenant: TenantId, rotations: u32) -> Zeroizing<[u8; 32]> {
    let digest = Sha256::new().chain_update(tenant.uuid().as_bytes()).chain_update(rotations.to_be_bytes());
    Zeroizing::new(digest.finalize().into())
}

#[async_trait]
impl LogKeys for MemoryLogKeys {
    async fn seed(&self, scope: &TenantScope) -> Result<Zeroizing<[u8; 32]>, PortError> {
        Ok(seed_of(scope.tenant(), self.rotations(scope)?))
    }

    async fn public_keys(&self, scope: &TenantScope) -> Result<Vec<[u8; 32]>, PortError> {
        let public = |rotations| {
            SigningKey::from_bytes(&seed_of(scope.tenant(), rotations)).verifying_key().to_bytes()
        };
        Ok((0..=self.rotations(scope)?).rev().map(public).collect())
    }

    async fn rotate(&self, scope: &TenantScope) -> Result<(), PortError> {
        self.rotations(scope)?;
        *lock(&self.0).rotations.entry(scope.tenant()).or_default() += 1;
        Ok(())
    }

    async fn outlive(&self, scope: &TenantScope) -> Result<(), PortError> {
        self.seed(scope).await.map(drop)
    }
}
