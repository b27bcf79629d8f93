//! Values that must not be seen, and the port that seals them.

use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{fault::PortError, scope::TenantScope};

/// A value that is wiped when dropped and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the one place that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The text, when the bytes are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Sealed bytes, safe to store. The form is the vault's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// Where a sealed value lives. It is bound into the seal, so a value moved to another row, column, table or
/// tenant does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Schema and table, as `identity.members`.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's id.
    pub row: Uuid,
}

/// Seals values under the tenant's keys.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Seals `plain` for `place`.
    async fn seal(&self, scope: &TenantScope, place: Place, plain: &[u8]) -> Result<Sealed, PortError>;

    /// Opens what was sealed for the same `place`; anything else is a lasting error.
    async fn open(&self, scope: &TenantScope, place: Place, sealed: &Sealed) -> Result<Secret, PortError>;

    /// HMAC-SHA-256 of `value` under a key of this tenant and `label` alone: blind indexes and pseudonyms.
    /// The same value under another tenant or label gives an unrelated result.
    async fn keyed_hash(&self, scope: &TenantScope, label: &str, value: &[u8])
    -> Result<[u8; 32], PortError>;
}
