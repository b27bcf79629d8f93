//! Root keys in a file on this machine: the key provider for one server, a laptop or a test.
//!
//! ```text
//! # one key a line; the highest version wraps, all unwrap
//! v1 3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
//! v2 ...
//! ```
//!
//! Invariants
//! - The file is read only when nobody but its owner can read or write it, and the owner is the user this
//!   process runs as, or root. The file that was opened is judged, so a link may lead to it and swapping one
//!   afterwards changes nothing.
//! - A wrap names its root key's version, and is bound to the tenant, purpose and version of the key inside.
//! - Lines are added, never edited or removed while keys wrapped by them are in use.
//!
//! Root keys are in memory as long as the process runs. Where that is not acceptable, use a provider that keeps
//! them in a key service or a hardware module.
//!
//! Absent on purpose: making a file that is missing while the server starts. A mistyped path would give an
//! empty keyring, and everything sealed with it would be lost with it; `create` is a deliberate act.

mod fault;
mod file;
mod signer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use domain::kernel::{fault::PortError, ids::Entropy};
use zeroize::Zeroizing;

use self::file::RootKey;
pub use self::{
    fault::{KeyringError, KeyringFault},
    signer::{LocalSigner, read_seed},
};
use crate::envelope::{KeyContext, KeyProvider, bound, keywrap};

const PORT: &str = "local_keyring";
/// First byte of a wrap, before the root key's version.
const WRAP_FORMAT: u8 = 1;

/// A [`KeyProvider`] over versioned 256-bit root keys.
pub struct LocalKeyring {
    /// Oldest first, never empty.
    keys: RwLock<Arc<Vec<RootKey>>>,
    /// Where they are from; read again when a key is asked for that is not among them: another process may wrap with one
    /// that was added since.
    path: Option<PathBuf>,
}

impl fmt::Debug for LocalKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKeyring(..)")
    }
}

/// Why a wrap is no good. No word of what it holds.
#[derive(Debug, thiserror::Error)]
enum WrapFault {
    #[error("the wrapped key has an unknown form")]
    Malformed,
    #[error("the wrapped key needs root key v{version}, which the keyring does not have")]
    UnknownRoot { version: u32 },
    #[error("the wrapped key does not open: it was changed, or belongs elsewhere")]
    Refused,
    #[error("the keyring is empty")]
    Empty,
}

impl From<WrapFault> for PortError {
    fn from(fault: WrapFault) -> Self {
        Self::lasting(PORT, fault)
    }
}

impl LocalKeyring {
    /// Reads the keyring in the file at `path`.
    ///
    /// # Errors
    /// [`KeyringError`] when there is no such file, others can read it, or it is not a keyring.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let keys = file::read(path).map_err(|fault| KeyringError::new(path, fault))?;
        Ok(Self { keys: RwLock::new(Arc::new(keys)), path: Some(path.to_owned()) })
    }

    /// Makes a keyring of one new key in a new file at `path`, which only this user can read.
    ///
    /// # Errors
    /// [`KeyringError`] when something is at `path` already, or the file can't be written.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyringError> {
        let key = RootKey { version: 1, key: Zeroizing::new(entropy.bytes32()) };
        file::create(path, &key).map_err(|fault| KeyringError::new(path, fault))?;
        Self::open(path)
    }

    /// A keyring of one new key that is nowhere but in memory: for tests and the sandbox.
    pub fn ephemeral(entropy: &dyn Entropy) -> Self {
        let key = RootKey { version: 1, key: Zeroizing::new(entropy.bytes32()) };
        Self { keys: RwLock::new(Arc::new(vec![key])), path: None }
    }

    /// The version that wraps now.
    pub fn newest_version(&self) -> u32 {
        self.held().last().map_or(0, |key| key.version)
    }

    fn held(&self) -> Arc<Vec<RootKey>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys, with that version among them.
    fn with(&self, version: u32) -> Result<Arc<Vec<RootKey>>, WrapFault> {
        let has = |keys: &[RootKey]| keys.iter().any(|key| key.version == version);
        let held = self.held();
        if has(&held) {
            return Ok(held);
        }
        let path = self.path.as_ref().ok_or(WrapFault::UnknownRoot { version })?;
        match file::read(path) {
            Ok(keys) if has(&keys) => {
                let keys = Arc::new(keys);
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
                Ok(keys)
            }
            Ok(_) | Err(_) => Err(WrapFault::UnknownRoot { version }),
        }
    }
}

fn place(context: &KeyContext, root_version: u32) -> Vec<u8> {
    bound(&[
        b"matricula local keyring",
        context.tenant.uuid().as_bytes(),
        context.purpose.as_bytes(),
        &context.version.to_be_bytes(),
        &root_version.to_be_bytes(),
    ])
}

#[async_trait]
impl KeyProvider for LocalKeyring {
    fn describe(&self) -> &'static str {
        "local-keyring"
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        let keys = self.held();
        let root = keys.last().ok_or(WrapFault::Empty)?;
        let wrapped =
            keywrap::wrap(&root.key, &place(context, root.version), key).map_err(|_| WrapFault::Refused)?;
        Ok([[WRAP_FORMAT].as_slice(), &root.version.to_be_bytes(), &wrapped].concat())
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        let (&[format], rest) = wrapped.split_first_chunk().ok_or(WrapFault::Malformed)?;
        let (version, rest) = rest.split_first_chunk().ok_or(WrapFault::Malformed)?;
        if format != WRAP_FORMAT {
            return Err(WrapFault::Malformed.into());
        }
        let version = u32::from_be_bytes(*version);
        let keys = self.with(version)?;
        let unknown = || WrapFault::UnknownRoot { version };
        let root = keys.iter().find(|key| key.version == version).ok_or_else(unknown)?;
        Ok(keywrap::unwrap(&root.key, &place(context, root.version), rest).map_err(|_| WrapFault::Refused)?)
    }
}
