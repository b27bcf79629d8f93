//! What the tests share: a provider that misbehaves when told, and replicas that have it in common.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use domain::kernel::{
    fault::{PortError, Retry},
    ids::TenantId,
    scope::TenantScope,
    secret::{Place, Vault as _},
};
use infra::{
    envelope::{
        DataKeyRow, Envelope, EnvelopeSettings, KeyContext, KeyProvider, KeyStore, ManualTicks,
        MemoryKeyStore, Purpose, TenantKeyRow,
    },
    local_keyring::LocalKeyring,
    system::System,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A provider that counts, and misbehaves when told.
pub(crate) struct Probe {
    pub(crate) inner: LocalKeyring,
    pub(crate) name: Mutex<&'static str>,
    pub(crate) unwraps: AtomicU64,
    pub(crate) wraps: AtomicU64,
    pub(crate) down: AtomicBool,
    pub(crate) hangs: AtomicBool,
    pub(crate) another_key: AtomicBool,
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: LocalKeyring::ephemeral(&System),
            name: Mutex::new("probe"),
            unwraps: AtomicU64::new(0),
            wraps: AtomicU64::new(0),
            down: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            another_key: AtomicBool::new(false),
        })
    }

    pub(crate) fn unwraps(&self) -> u64 {
        self.unwraps.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> Result<(), PortError> {
        // Lets others queue up behind the one who asks.
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(PortError::passing("probe", "down"));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyProvider for Probe {
    fn describe(&self) -> &str {
        *self.name.lock().unwrap()
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        self.wraps.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        self.inner.wrap(context, key).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        if self.another_key.load(Ordering::SeqCst) {
            return Ok(Zeroizing::new([9; 32]));
        }
        self.inner.unwrap(context, wrapped).await
    }
}

/// A store that counts how often it is read.
#[derive(Default)]
pub(crate) struct CountedStore {
    inner: MemoryKeyStore,
    reads: AtomicU64,
}

impl CountedStore {
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    fn read(&self) -> &MemoryKeyStore {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

#[async_trait]
impl KeyStore for CountedStore {
    async fn newest_tenant_key(&self, scope: &TenantScope) -> Result<Option<TenantKeyRow>, PortError> {
        self.read().newest_tenant_key(scope).await
    }

    async fn tenant_key(&self, scope: &TenantScope, version: u32) -> Result<Option<TenantKeyRow>, PortError> {
        self.read().tenant_key(scope, version).await
    }

    async fn add_tenant_key(
        &self,
        scope: &TenantScope,
        row: TenantKeyRow,
    ) -> Result<TenantKeyRow, PortError> {
        self.inner.add_tenant_key(scope, row).await
    }

    async fn newest_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
    ) -> Result<Option<DataKeyRow>, PortError> {
        self.read().newest_data_key(scope, purpose).await
    }

    async fn data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        version: u32,
    ) -> Result<Option<DataKeyRow>, PortError> {
        self.read().data_key(scope, purpose, version).await
    }

    async fn add_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        row: DataKeyRow,
    ) -> Result<DataKeyRow, PortError> {
        self.inner.add_data_key(scope, purpose, row).await
    }

    async fn tenant_keys(&self, scope: &TenantScope) -> Result<Vec<TenantKeyRow>, PortError> {
        self.inner.tenant_keys(scope).await
    }

    async fn data_keys(&self, scope: &TenantScope) -> Result<Vec<(Purpose, DataKeyRow)>, PortError> {
        self.inner.data_keys(scope).await
    }

    async fn rewrap_data_key(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        old: &DataKeyRow,
        row: DataKeyRow,
    ) -> Result<(), PortError> {
        self.inner.rewrap_data_key(scope, purpose, old, row).await
    }
}

/// Replicas share a provider and a store; ticks are everybody's.
pub(crate) struct World {
    pub(crate) probe: Arc<Probe>,
    pub(crate) store: Arc<CountedStore>,
    pub(crate) ticks: Arc<ManualTicks>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { probe: Probe::new(), store: Arc::default(), ticks: Arc::default() }
    }

    pub(crate) fn replica_with(&self, change: impl FnOnce(&mut EnvelopeSettings)) -> Envelope {
        let mut settings = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
        change(&mut settings);
        let (probe, store, ticks) = (self.probe.clone(), self.store.clone(), self.ticks.clone());
        Envelope::new(probe, store, Arc::new(System), ticks, settings).unwrap()
    }

    pub(crate) fn replica(&self) -> Envelope {
        self.replica_with(|_| {})
    }
}

pub(crate) fn tenant(n: u128) -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)))
}

pub(crate) const EMAIL: Place = Place { table: "identity.members", column: "email", row: Uuid::from_u128(5) };

pub(crate) fn is_lasting<T>(result: Result<T, PortError>) -> bool {
    result.is_err_and(|error| error.retry == Retry::Useless)
}

/// The keyed hash that tests compare.
pub(crate) async fn sealed_hash(vault: &Envelope) -> [u8; 32] {
    vault.keyed_hash(&tenant(1), "label", b"value").await.unwrap()
}
