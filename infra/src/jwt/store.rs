//! Where signing keys are kept.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use domain::kernel::{clock::Timestamp, fault::PortError, secret::Sealed};

/// A signing key at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// The key's id: its thumbprint (RFC 7638), 43 characters. Unique.
    pub kid: String,
    /// The Ed25519 public key.
    pub public: [u8; 32],
    /// The Ed25519 seed, sealed by [`crate::envelope::Envelope::seal_platform`].
    pub private: Sealed,
    /// When it was made. The latest signs.
    pub created_at: Timestamp,
}

/// Signing keys of the platform. Rows are added and never changed.
#[async_trait]
pub trait SigningKeyStore: Send + Sync {
    /// All keys, in any order. Retired ones may be left out once they have been so for an hour.
    async fn all(&self) -> Result<Vec<SigningKeyRow>, PortError>;

    /// Stores a new key, durably: [`Self::all`] has it from now on, on every replica.
    async fn add(&self, row: &SigningKeyRow) -> Result<(), PortError>;
}

/// A [`SigningKeyStore`] that forgets everything when dropped: for tests and the sandbox.
#[derive(Debug, Default)]
pub struct MemorySigningKeys(Mutex<Vec<SigningKeyRow>>);

#[async_trait]
impl SigningKeyStore for MemorySigningKeys {
    async fn all(&self) -> Result<Vec<SigningKeyRow>, PortError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn add(&self, row: &SigningKeyRow) -> Result<(), PortError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(row.clone());
        Ok(())
    }
}
