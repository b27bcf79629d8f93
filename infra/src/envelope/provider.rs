//! Who holds the root key: a file on this machine, a key service, a hardware module.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::kernel::{fault::PortError, ids::TenantId};
use zeroize::Zeroizing;

/// What a wrapped key is for. Providers bind it into the wrap (associated data, or the encryption context of a
/// key service), so that a wrapped key moved to another tenant, purpose or version does not unwrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyContext {
    /// Whose key.
    pub tenant: TenantId,
    /// What the key does, as `tenant-key`.
    pub purpose: &'static str,
    /// The key's own version, from 1.
    pub version: u32,
}

/// Wraps and unwraps 32-byte keys under a root key that it does not give out.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// What to call it. Stored beside each wrapped key, so that a wrong configuration is told from a broken
    /// key; it must not change while keys wrapped by it are in use.
    fn describe(&self) -> &str;

    /// Wraps `key` under the newest root key. The form is the provider's.
    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError>;

    /// Unwraps what [`Self::wrap`] made for the same context. Anything else is a lasting error, and so is a key
    /// of another length than 32 bytes.
    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError>;
}

/// The providers at hand. Which one wraps a tenant's keys is told by its newest tenant key; so a tenant changes its
/// provider when its keys are rotated, and needs the old one until nothing is wrapped by it any more.
#[derive(Clone)]
pub struct Providers {
    default: Arc<dyn KeyProvider>,
    others: Vec<Arc<dyn KeyProvider>>,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Providers {
    /// `default` wraps for tenants that have no key yet; `others` for those that were rotated to them.
    pub fn new(default: Arc<dyn KeyProvider>, others: Vec<Arc<dyn KeyProvider>>) -> Self {
        Self { default, others }
    }

    /// The one for tenants that have no key yet.
    pub fn default_one(&self) -> &Arc<dyn KeyProvider> {
        &self.default
    }

    /// The one of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<dyn KeyProvider>> {
        self.all().find(|provider| provider.describe() == name)
    }

    /// Their names, the default one's first.
    pub fn names(&self) -> Vec<&str> {
        self.all().map(|provider| provider.describe()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn KeyProvider>> {
        std::iter::once(&self.default).chain(&self.others)
    }
}

impl<P: KeyProvider + 'static> From<Arc<P>> for Providers {
    fn from(only: Arc<P>) -> Self {
        Self::new(only, Vec::new())
    }
}
