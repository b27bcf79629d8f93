//! Keys of single persons, so that what is sealed under one is gone with it.
//!
//! ```text
//! vault (data key of the tenant) -> key of a month, an object outside of the database -> key of a person (a wrapped row)
//! ```
//!
//! A person's key is wrapped under the key of the month, and every month under the newest one's anew. A month's key is thrown
//! away when no backup is kept any more that is older than that: whatever is in one that somebody kept all the same, opens
//! nothing.
//!
//! Invariants: an unwrapped key of a month is used for a minute since it was read, and wiped within a sweep after that, so that
//! it outlives the tenant's key by no more; a person's own key is never kept; a store that does not answer is waited for a moment
//! and then left alone for another, as whoever asks holds a transaction.
//!
//! Absent on purpose: throwing away versions that a bucket keeps of objects. Have it let them expire.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    content::ports::ObjectStore,
    kernel::{
        fault::{PortError, Retry},
        ids::{Entropy, TenantId},
        scope::TenantScope,
        secret::{Place, Sealed, Secret, Vault},
    },
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    bound::bound,
    derive::extract,
    fault::{Fault, PORT},
    keywrap,
    message::{self, HEADER_LEN, TAG_LEN},
    settings::SWEEP_EVERY_S,
    ticks::Ticks,
};

/// The folder of keys of months.
const FOLDER: &str = "subject-keys";

const TABLE: &str = "compliance.subject_epochs";

const EXTRACT_SALT: &[u8] = b"matricula subject key v1";

/// How long a month's key is used after it was read.
const KEY_TTL: Duration = Duration::from_mins(1);

/// Longest the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long it is left alone after it failed.
const STORE_REST: Duration = Duration::from_secs(1);

/// There is one version of a person's key.
const VERSION: u32 = 1;

/// How long a sealed key is.
const SEALED_BYTES: usize = 32 + HEADER_LEN + TAG_LEN;

type Key = Zeroizing<[u8; 32]>;

struct Held {
    key: Arc<Key>,
    deadline: Duration,
}

/// Keys of months, and what is sealed under keys of persons.
pub struct SubjectVault {
    vault: Arc<dyn Vault>,
    objects: Arc<dyn ObjectStore>,
    entropy: Arc<dyn Entropy>,
    ticks: Arc<dyn Ticks>,
    held: Mutex<HashMap<(TenantId, Uuid), Held>>,
    /// Until when the store is left alone.
    rests_until: Mutex<Duration>,
}

impl fmt::Debug for SubjectVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectVault(..)")
    }
}

fn name(scope: &TenantScope, epoch: Uuid) -> String {
    format!("{FOLDER}/{}/{}", scope.tenant().uuid().simple(), epoch.simple())
}

fn wrap_place(scope: &TenantScope, epoch: Uuid, subject: Uuid) -> Vec<u8> {
    bound(&[b"matricula subject key", scope.tenant().uuid().as_bytes(), epoch.as_bytes(), subject.as_bytes()])
}

impl SubjectVault {
    /// Keeps keys of months in `objects`, sealed by `vault`. Run [`Self::sweeper`] beside it.
    pub fn new(
        vault: Arc<dyn Vault>,
        objects: Arc<dyn ObjectStore>,
        entropy: Arc<dyn Entropy>,
        ticks: Arc<dyn Ticks>,
    ) -> Self {
        Self { vault, objects, entropy, ticks, held: Mutex::default(), rests_until: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<(TenantId, Uuid), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the key of a month, which is called `epoch`, and keeps it.
    pub(crate) async fn make_epoch(&self, scope: &TenantScope, epoch: Uuid) -> Result<(), PortError> {
        let key = Zeroizing::new(self.entropy.bytes32());
        let place = Place { table: TABLE, column: "key", row: epoch };
        let sealed = self.vault.seal(scope, place, key.as_slice()).await?;
        self.in_time(self.objects.put(&name(scope, epoch), sealed.0)).await
    }

    fn rests_until(&self) -> MutexGuard<'_, Duration> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store, unless it failed a moment ago. Who asks holds a connection to the database: there are no more of them
    /// than of those, and none waits for another's answer.
    async fn in_time<T: Send>(
        &self,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        if self.ticks.elapsed() < *self.rests_until() {
            return Err(PortError::passing(PORT, "the store of keys failed a moment ago"));
        }
        let answer = tokio::time::timeout(STORE_TIMEOUT, call).await;
        let answer = answer.unwrap_or_else(|_| Err(PortError::passing(PORT, "the store does not answer")));
        if answer.as_ref().is_err_and(|fault| fault.retry == Retry::MayHelp) {
            *self.rests_until() = self.ticks.elapsed().saturating_add(STORE_REST);
        }
        answer
    }

    /// Throws the key of a month away for good.
    pub(crate) async fn destroy_epoch(&self, scope: &TenantScope, epoch: Uuid) -> Result<(), PortError> {
        self.held().remove(&(scope.tenant(), epoch));
        self.in_time(self.objects.remove(&name(scope, epoch))).await
    }

    async fn epoch(&self, scope: &TenantScope, epoch: Uuid) -> Result<Arc<Key>, PortError> {
        let of = (scope.tenant(), epoch);
        let now = self.ticks.elapsed();
        let known = self.held().get(&of).filter(|held| now < held.deadline).map(|held| Arc::clone(&held.key));
        if let Some(key) = known {
            return Ok(key);
        }
        let length = u64::try_from(SEALED_BYTES).map_err(|_| Fault::Malformed.lasting())?;
        let object = name(scope, epoch);
        let sealed = self.in_time(self.objects.get(&object, 0..length)).await?;
        let place = Place { table: TABLE, column: "key", row: epoch };
        let opened = self.vault.open(scope, place, &Sealed(sealed)).await?;
        let key: &[u8; 32] = opened.expose().try_into().map_err(|_| Fault::Malformed.lasting())?;
        let key = Arc::new(Zeroizing::new(*key));
        let deadline = now.saturating_add(KEY_TTL);
        self.held().insert(of, Held { key: Arc::clone(&key), deadline });
        Ok(key)
    }

    /// Makes a person's key, and the wrap of it that is to be kept.
    pub(crate) async fn make_key(
        &self,
        scope: &TenantScope,
        epoch: Uuid,
        subject: Uuid,
    ) -> Result<(Key, Vec<u8>), PortError> {
        let key = Zeroizing::new(self.entropy.bytes32());
        let wrapped = self.wrap(scope, epoch, subject, &key).await?;
        Ok((key, wrapped))
    }

    /// Wraps a person's key under that of a month.
    pub(crate) async fn wrap(
        &self,
        scope: &TenantScope,
        epoch: Uuid,
        subject: Uuid,
        key: &Key,
    ) -> Result<Vec<u8>, PortError> {
        let under = self.epoch(scope, epoch).await?;
        keywrap::wrap(&under, &wrap_place(scope, epoch, subject), key).map_err(|_| Fault::Library.lasting())
    }

    /// The person's key that was wrapped under that of a month.
    pub(crate) async fn unwrap(
        &self,
        scope: &TenantScope,
        epoch: Uuid,
        subject: Uuid,
        wrapped: &[u8],
    ) -> Result<Key, PortError> {
        let under = self.epoch(scope, epoch).await?;
        let place = wrap_place(scope, epoch, subject);
        keywrap::unwrap(&under, &place, wrapped).map_err(|_| Fault::DataKeyRefused.lasting())
    }

    /// Seals a value under a person's key.
    pub(crate) fn seal(
        &self,
        scope: &TenantScope,
        key: &Key,
        place: Place,
        plain: &[u8],
    ) -> Result<Vec<u8>, PortError> {
        let keys = extract(EXTRACT_SALT, key.as_slice()).map_err(Fault::lasting)?;
        let salt = self.entropy.bytes32();
        message::seal(&keys, VERSION, &salt, scope.tenant(), place, plain).map_err(Fault::lasting)
    }

    /// Opens what was sealed under it for the same place.
    pub(crate) fn open(
        scope: &TenantScope,
        key: &Key,
        place: Place,
        sealed: &[u8],
    ) -> Result<Secret, PortError> {
        let keys = extract(EXTRACT_SALT, key.as_slice()).map_err(Fault::lasting)?;
        let parts = message::parse(sealed).map_err(Fault::lasting)?;
        let mut opened = message::open(&keys, &parts, scope.tenant(), place).map_err(Fault::lasting)?;
        Ok(Secret::new(std::mem::take(&mut *opened)))
    }

    /// Wipes keys that are past their time.
    pub fn sweep(&self) {
        let now = self.ticks.elapsed();
        self.held().retain(|_, held| now < held.deadline);
    }

    /// Calls [`Self::sweep`] every [`SWEEP_EVERY_S`] seconds until the vault is gone. To be spawned once.
    pub fn sweeper(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let vault = Arc::downgrade(self);
        async move {
            let mut every = tokio::time::interval(Duration::from_secs(SWEEP_EVERY_S));
            loop {
                every.tick().await;
                let Some(vault) = vault.upgrade() else { return };
                vault.sweep();
            }
        }
    }
}
