//! Root keys in a hardware security module, or in what speaks PKCS #11 (OASIS PKCS #11 v2.40 and later).
//!
//! Invariants
//! - The root key never leaves the module: a key that the module would give out (`CKA_EXTRACTABLE`, or not
//!   `CKA_SENSITIVE`) is refused.
//! - A wrap is AES-256-GCM (`CKM_AES_GCM`) inside the module under a random 96-bit nonce, bound to the tenant, purpose
//!   and version of the key inside and to the root key's own version. Few keys are wrapped under one root key, far
//!   below the 2^32 at which random nonces become a risk (NIST SP 800-38D section 8.3).
//! - Root keys are the secret keys with one label, told apart by `CKA_ID`, which holds the version as a big-endian
//!   number of 1 to 4 bytes. The highest wraps, all unwrap. With OpenSC:
//!
//! ```text
//! pkcs11-tool --module M --login --keygen --key-type AES:32 --label matricula --id 01 --sensitive
//! ```
//!
//! Modules that make nonces themselves (some in FIPS mode) are not supported: they would refuse ours.

mod pair;
mod report;
mod session;
mod signer;

use std::{fmt, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use domain::kernel::fault::PortError;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use self::report::Pkcs11ReportSigner;
use self::session::{Connection, ModuleFault};
pub use self::signer::Pkcs11Signer;
use crate::envelope::{KeyContext, KeyProvider, bound};

const PORT: &str = "pkcs11";

/// First byte of a wrap, before the root key's version and the nonce.
const WRAP_FORMAT: u8 = 1;

/// Bytes before the nonce.
const HEADER_LEN: usize = 5;

/// Where the keys are.
#[derive(Clone)]
pub struct Pkcs11Settings {
    /// The module's shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The user's PIN.
    pub pin: Zeroizing<String>,
    /// The keys' label.
    pub key: String,
}

impl fmt::Debug for Pkcs11Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Settings")
            .field("module", &self.module)
            .field("token", &self.token)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A [`KeyProvider`] over AES-256 keys in a PKCS #11 token. Calls wait for one another: there is one session.
#[derive(Clone, Debug)]
pub struct Pkcs11Token {
    connection: Arc<Connection>,
    /// One call at a time, so that a module that hangs holds one thread up and no more.
    turn: Arc<Semaphore>,
}

impl Pkcs11Token {
    /// Loads the module, opens a session and finds the keys.
    ///
    /// # Errors
    /// The module does not load, there is no such token, the PIN is wrong, there is no key of that label, or one could
    /// be taken out.
    pub async fn open(settings: Pkcs11Settings) -> Result<Self, PortError> {
        let token =
            Self { connection: Arc::new(Connection::new(settings)), turn: Arc::new(Semaphore::new(1)) };
        token.call(|connection| connection.with(|_| Ok(()))).await?;
        Ok(token)
    }

    /// Modules block: over a network, for as long as it takes.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> Result<T, ModuleFault> + Send + 'static,
    ) -> Result<T, PortError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|e| PortError::passing(PORT, e))?;
        let connection = Arc::clone(&self.connection);
        let done = tokio::task::spawn_blocking(move || {
            let done = call(&connection);
            drop(turn);
            done
        });
        done.await.map_err(|e| PortError::passing(PORT, e))?.map_err(|fault| {
            if fault.is_passing() { PortError::passing(PORT, fault) } else { PortError::lasting(PORT, fault) }
        })
    }
}

fn place(context: &KeyContext, root_version: u32) -> Vec<u8> {
    bound(&[
        b"matricula pkcs11",
        context.tenant.uuid().as_bytes(),
        context.purpose.as_bytes(),
        &context.version.to_be_bytes(),
        &root_version.to_be_bytes(),
    ])
}

#[async_trait]
impl KeyProvider for Pkcs11Token {
    fn describe(&self) -> &'static str {
        "pkcs11"
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        let (context, key) = (*context, Zeroizing::new(*key));
        self.call(move |connection| {
            connection.with(|open| {
                let root = open.newest();
                let aad = place(&context, root.version);
                let (nonce, sealed) = open.seal(root, &aad, key.as_slice())?;
                Ok([&[WRAP_FORMAT], root.version.to_be_bytes().as_slice(), &nonce, &sealed].concat())
            })
        })
        .await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        let (context, wrapped) = (*context, wrapped.to_vec());
        self.call(move |connection| {
            let (header, sealed) = wrapped.split_first_chunk::<HEADER_LEN>().ok_or(ModuleFault::Malformed)?;
            let [WRAP_FORMAT, version @ ..] = *header else { return Err(ModuleFault::Malformed) };
            let version = u32::from_be_bytes(version);
            connection.with(|open| {
                let root = open.root(version)?;
                let opened = open.open(root, &place(&context, version), sealed)?;
                let key: &[u8; 32] = opened.as_slice().try_into().map_err(|_| ModuleFault::Refused)?;
                Ok(Zeroizing::new(*key))
            })
        })
        .await
    }
}
