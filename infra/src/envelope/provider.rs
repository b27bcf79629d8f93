//! Who holds the root key: a file on this machine, a key service, a hardware module.

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
