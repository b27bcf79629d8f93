//! Envelope encryption: the [`Vault`] of tenants and of the platform itself.
//!
//! ```text
//! root key (key provider) -> tenant key (versioned row) -> data key per purpose (versioned row) -> key per value
//! ```
//!
//! Invariants
//! - An unwrapped key is used for at most [`KEY_TTL_MAX_S`] seconds *since it was unwrapped*, however busy it
//!   is, on a clock that can't be set back; and wiped at most [`SWEEP_EVERY_S`] seconds later, when
//!   [`Envelope::sweeper`] runs. When the provider is away by then, sealing and opening fail.
//! - A value opens only for the tenant, table, column and row it was sealed for, under the key version it
//!   names; and under one key only, because that key is committed to.
//! - However many ask for a key at once, the provider is asked once.
//! - What is wrapped under a retired tenant key opens no more, wherever the wrap came from: not one put back from an
//!   old backup either.
//! - A key is used only after a round trip through the provider has shown that it can be had again.
//!
//! The key of a blind index (`keyed_hash`) has one version per tenant and is never rotated in passing: every
//! hash made with it would be orphaned. Changing it is a migration of its own, with both read for a while.
//!
//! Absent on purpose: a second suite, keys in any shared store, extension of a key's life when the provider is
//! away, and associated data chosen by callers. Copies the operating system makes (swap, core dumps) and
//! registers are beyond this module: turn both off where it runs.

mod bound;
mod cache;
mod data_key;
mod derive;
mod fault;
pub(crate) mod keywrap;
mod load;
mod memory;
mod message;
mod provider;
mod settings;
mod store;
mod subjects;
mod ticks;
#[cfg(test)]
mod vectors;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    compliance::ports::{KeyCustody, KeyVersion},
    kernel::{
        fault::PortError,
        ids::{Entropy, TenantId},
        scope::TenantScope,
        secret::{Place, Sealed, Secret, Vault},
    },
};

pub(crate) use self::bound::bound;
use self::{
    cache::{Cache, Which},
    data_key::DataKey,
    fault::Fault,
    load::Core,
};
pub use self::{
    memory::MemoryKeyStore,
    provider::{KeyContext, KeyProvider, Providers},
    settings::{
        EnvelopeSettings, KEY_BYTES_MAX, KEY_MESSAGES_MAX, KEY_TTL_MAX_S, SWEEP_EVERY_S, SettingsFault,
    },
    store::{DataKeyRow, KeyStore, Purpose, TenantKeyRow},
    subjects::SubjectVault,
    ticks::{ManualTicks, SystemTicks, Ticks},
};

/// Whether two sealed values are under the same version of a data key.
pub(crate) fn under_one_key(one: &Sealed, other: &Sealed) -> bool {
    let version = |sealed: &Sealed| message::parse(&sealed.0).map(|parts| parts.key_version).ok();
    version(one).is_some_and(|of_one| Some(of_one) == version(other))
}

/// Times a key is asked for before giving up. More than one is needed only when a fresh key is used up by
/// others between its fetching and its first use.
const ATTEMPTS: usize = 4;

/// Seals and opens under keys that a [`KeyProvider`] guards.
pub struct Envelope {
    core: Arc<Core>,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Envelope(..)")
    }
}

impl Envelope {
    /// An envelope with no keys in memory yet. Run [`Self::sweeper`] beside it.
    ///
    /// # Errors
    /// [`SettingsFault`] when a setting is out of its range.
    pub fn new(
        providers: impl Into<Providers>,
        store: Arc<dyn KeyStore>,
        entropy: Arc<dyn Entropy>,
        ticks: Arc<dyn Ticks>,
        settings: EnvelopeSettings,
    ) -> Result<Self, SettingsFault> {
        settings.check()?;
        let core = Core {
            providers: providers.into(),
            store,
            entropy,
            ticks,
            settings,
            cache: Cache::default(),
            closed: AtomicBool::new(false),
            generations: AtomicU64::new(0),
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// Seals a secret of the platform itself, as the key that signs tokens.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub async fn seal_platform(&self, place: Place, plain: &[u8]) -> Result<Sealed, PortError> {
        self.seal_for(&self.platform(), Purpose::Platform, place, plain).await
    }

    /// Opens what [`Self::seal_platform`] sealed for the same place.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn open_platform(&self, place: Place, sealed: &Sealed) -> Result<Secret, PortError> {
        self.open_for(&self.platform(), Purpose::Platform, place, sealed).await
    }

    /// The names of the providers at hand, first the one for tenants that have no key yet.
    pub fn providers(&self) -> Vec<&str> {
        self.core.providers.names()
    }

    /// Wipes the tenant's keys from memory: after its key was revoked, or it left.
    pub fn evict(&self, tenant: TenantId) {
        self.core.cache.evict(tenant);
    }

    /// Wipes all keys from memory. They are fetched again when needed.
    pub fn evict_all(&self) {
        self.core.cache.evict_all();
    }

    /// Wipes all keys and fetches none again: for shutdown.
    pub fn close(&self) {
        self.core.closed.store(true, Ordering::SeqCst);
        self.core.cache.evict_all();
    }

    /// Wipes keys that are past their time.
    pub fn sweep(&self) {
        self.core.cache.sweep(self.core.ticks.elapsed());
    }

    /// Calls [`Self::sweep`] every [`SWEEP_EVERY_S`] seconds until the envelope is gone. To be spawned once.
    pub fn sweeper(&self) -> impl Future<Output = ()> + Send + 'static {
        let core = Arc::downgrade(&self.core);
        async move {
            let mut every = tokio::time::interval(Duration::from_secs(SWEEP_EVERY_S));
            loop {
                every.tick().await;
                let Some(core) = core.upgrade() else { return };
                core.cache.sweep(core.ticks.elapsed());
            }
        }
    }

    /// How many tenants have keys in memory.
    pub fn tenants_held(&self) -> usize {
        self.core.cache.tenants()
    }

    fn platform(&self) -> TenantScope {
        TenantScope::of(self.core.settings.platform)
    }

    /// The key from memory, or the generation of the one there that can't be used any more (0 when none).
    fn held(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        which: Which,
        bytes: u64,
    ) -> Result<Arc<DataKey>, u64> {
        let now = self.core.ticks.elapsed();
        let partition = self.core.cache.partition(scope.tenant(), now).ok_or(0_u64)?;
        let key = partition.data_key(purpose, which).ok_or(0_u64)?;
        if !key.take(now, bytes, &self.core.settings) {
            return Err(key.life.generation);
        }
        if key.claim_refresh(now) {
            self.refresh(*scope, purpose, which, key.life.generation);
        }
        Ok(key)
    }

    /// Fetches a key anew while the old one is still good.
    fn refresh(&self, scope: TenantScope, purpose: Purpose, which: Which, seen: u64) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let core = Arc::downgrade(&self.core);
        runtime.spawn(async move {
            let Some(core) = core.upgrade() else { return };
            if let Err(error) = core.load(&scope, purpose, which, seen).await {
                let source = error.source.to_string();
                tracing::warn!(tenant = %scope.tenant(), purpose = purpose.as_str(), source,
                    "a key in use could not be fetched again before the end of its life");
            }
        });
    }

    async fn key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        which: Which,
        len: usize,
    ) -> Result<Arc<DataKey>, PortError> {
        let bytes = u64::try_from(len).unwrap_or(u64::MAX);
        let mut seen = match self.held(scope, purpose, which, bytes) {
            Ok(key) => return Ok(key),
            Err(seen) => seen,
        };
        for _ in 0..ATTEMPTS {
            let key = self.core.load(scope, purpose, which, seen).await?;
            if key.take(self.core.ticks.elapsed(), bytes, &self.core.settings) {
                return Ok(key);
            }
            seen = key.life.generation;
        }
        Err(Fault::ProviderFailedRecently.passing())
    }

    async fn seal_for(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        place: Place,
        plain: &[u8],
    ) -> Result<Sealed, PortError> {
        let key = self.key(scope, purpose, Which::Newest, plain.len()).await?;
        let salt = self.core.entropy.bytes32();
        message::seal(key.keys(), key.version, &salt, scope.tenant(), place, plain)
            .map(Sealed)
            .map_err(Fault::lasting)
    }

    async fn open_for(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        place: Place,
        sealed: &Sealed,
    ) -> Result<Secret, PortError> {
        let parts = message::parse(&sealed.0).map_err(Fault::lasting)?;
        let key = self.key(scope, purpose, Which::Version(parts.key_version), sealed.0.len()).await?;
        let mut opened = message::open(key.keys(), &parts, scope.tenant(), place).map_err(Fault::lasting)?;
        Ok(Secret::new(std::mem::take(&mut *opened)))
    }
}

#[async_trait]
impl Vault for Envelope {
    async fn seal(&self, scope: &TenantScope, place: Place, plain: &[u8]) -> Result<Sealed, PortError> {
        self.seal_for(scope, Purpose::Fields, place, plain).await
    }

    async fn open(&self, scope: &TenantScope, place: Place, sealed: &Sealed) -> Result<Secret, PortError> {
        self.open_for(scope, Purpose::Fields, place, sealed).await
    }

    async fn keyed_hash(
        &self,
        scope: &TenantScope,
        label: &str,
        value: &[u8],
    ) -> Result<[u8; 32], PortError> {
        let key = self.key(scope, Purpose::Index, Which::Newest, value.len()).await?;
        key.keyed_hash(label, value).map_err(Fault::lasting)
    }
}

/// Values sealed so far go on opening with the older data keys; new ones are sealed with the newest, on other replicas
/// within [`KEY_TTL_MAX_S`].
#[async_trait]
impl KeyCustody for Envelope {
    async fn versions(&self, scope: &TenantScope) -> Result<Vec<KeyVersion>, PortError> {
        let store = &self.core.store;
        let data_keys = store.data_keys(scope).await?;
        let under = |version| data_keys.iter().filter(|(_, key)| key.kek_version == version).count();
        let versions = store.tenant_keys(scope).await?.into_iter();
        let told = |key: TenantKeyRow| KeyVersion {
            version: key.version,
            provider: key.provider,
            data_keys: under(key.version),
            is_retired: key.is_retired,
        };
        Ok(versions.map(told).collect())
    }

    async fn rotate(&self, scope: &TenantScope, to: Option<&str>) -> Result<(), PortError> {
        self.core.rotate(scope, to).await
    }

    async fn rewrap(&self, scope: &TenantScope) -> Result<u32, PortError> {
        self.core.rewrap(scope).await
    }

    async fn retire(&self, scope: &TenantScope) -> Result<u32, PortError> {
        let count = self.core.store.retire_tenant_keys(scope).await?;
        self.core.cache.evict(scope.tenant());
        Ok(count)
    }
}
