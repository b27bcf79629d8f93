//! The key that signs the platform's log, in a file on this machine.

use std::{fmt, path::Path};

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use domain::{
    compliance::ports::CheckpointSigner,
    kernel::{fault::PortError, ids::Entropy},
};
use zeroize::Zeroizing;

use super::{
    KeyringError, PORT,
    file::{self, RootKey},
};

/// The newest seed in the file at `path`.
///
/// # Errors
/// There is no such file, others can read it, or it is not a keyring.
pub fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, PortError> {
    let keys = file::read(path).map_err(|fault| KeyringError::new(path, fault));
    let keys = keys.map_err(|e| PortError::lasting(PORT, e))?;
    let newest = keys.last().ok_or_else(|| PortError::lasting(PORT, "the keyring is empty"))?;
    Ok(newest.key.clone())
}

/// A [`CheckpointSigner`] over an Ed25519 seed in a file of the keyring's form; the highest version signs. A file of its
/// own: what wraps keys signs nothing.
pub struct LocalSigner {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalSigner(..)")
    }
}

impl LocalSigner {
    /// Reads the seed in the file at `path`.
    ///
    /// # Errors
    /// There is no such file, others can read it, or it is not a keyring.
    pub fn open(path: &Path) -> Result<Self, PortError> {
        let seed = read_seed(path)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| PortError::lasting(PORT, "the seed is refused"))?;
        Ok(Self { pair })
    }

    /// Makes a new seed in a new file at `path`, which only this user can read.
    ///
    /// # Errors
    /// Something is at `path` already, or the file can't be written.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<(), KeyringError> {
        let key = RootKey { version: 1, key: Zeroizing::new(entropy.bytes32()) };
        file::create(path, &key).map_err(|fault| KeyringError::new(path, fault))
    }
}

#[async_trait]
impl CheckpointSigner for LocalSigner {
    async fn public_key(&self) -> Result<[u8; 32], PortError> {
        let public = self.pair.public_key().as_ref();
        public.try_into().map_err(|_| PortError::lasting(PORT, "a public key is not 32 bytes"))
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], PortError> {
        let signature = self.pair.sign(message);
        signature.as_ref().try_into().map_err(|_| PortError::lasting(PORT, "a signature is not 64 bytes"))
    }
}
