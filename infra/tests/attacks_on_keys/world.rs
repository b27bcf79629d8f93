//! What the tests share: a provider that misbehaves when told, and replicas that have it in common.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::kernel::{
    fault::{PortError, Retry},
    ids::{Entropy, TenantId},
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
use tracing::{
    field::{Field, Visit},
    span,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How a provider behaves.
#[derive(Clone, Copy)]
pub(crate) enum Behaves {
    /// As it should.
    Well,
    /// Refuses, and asking again may help: it is away, or throttles.
    RefusesForNow(&'static str),
    /// Refuses, and asking again does not help: the key is disabled, or to be deleted.
    Refuses(&'static str),
    /// Unwraps no key of a lower version: the root key that wrapped those is disabled.
    RefusesBelow(u32),
    /// Never answers.
    Hangs,
    /// Answers after so many seconds, on the envelope's ticks and on tokio's clock.
    Takes(u64),
    /// Answers with a key that is not the one wrapped.
    GivesAnotherKey,
    /// Panics.
    Panics,
}

/// A provider that counts, and misbehaves when told.
pub(crate) struct Probe {
    pub(crate) inner: LocalKeyring,
    pub(crate) name: Mutex<&'static str>,
    unwraps: AtomicU64,
    /// And towards whom alone, if anybody.
    behaves: Mutex<(Behaves, Option<TenantId>)>,
    ticks: Arc<ManualTicks>,
}

impl Probe {
    fn new(ticks: Arc<ManualTicks>, entropy: &dyn Entropy) -> Arc<Self> {
        Arc::new(Self {
            inner: LocalKeyring::ephemeral(entropy),
            name: Mutex::new("probe"),
            unwraps: AtomicU64::new(0),
            behaves: Mutex::new((Behaves::Well, None)),
            ticks,
        })
    }

    pub(crate) fn unwraps(&self) -> u64 {
        self.unwraps.load(Ordering::SeqCst)
    }

    pub(crate) fn behaves(&self, how: Behaves) {
        *self.behaves.lock().unwrap() = (how, None);
    }

    pub(crate) fn behaves_towards(&self, whom: &TenantScope, how: Behaves) {
        *self.behaves.lock().unwrap() = (how, Some(whom.tenant()));
    }

    fn behaviour(&self, context: &KeyContext) -> Behaves {
        let (how, whom) = *self.behaves.lock().unwrap();
        if whom.is_none_or(|tenant| tenant == context.tenant) { how } else { Behaves::Well }
    }

    async fn answer(&self, context: &KeyContext) -> Result<(), PortError> {
        // Lets others queue up behind the one who asks.
        tokio::task::yield_now().await;
        match self.behaviour(context) {
            Behaves::RefusesForNow(why) => Err(PortError::passing("probe", why)),
            Behaves::Refuses(why) => Err(PortError::lasting("probe", why)),
            Behaves::RefusesBelow(version) if context.version < version => {
                Err(PortError::lasting("probe", "the root key is disabled"))
            }
            Behaves::Hangs => std::future::pending().await,
            Behaves::Takes(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                self.ticks.advance_s(seconds);
                Ok(())
            }
            Behaves::Panics => panic!("the provider panicked"),
            Behaves::Well | Behaves::GivesAnotherKey | Behaves::RefusesBelow(_) => Ok(()),
        }
    }
}

#[async_trait]
impl KeyProvider for Probe {
    fn describe(&self) -> &str {
        *self.name.lock().unwrap()
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        self.answer(context).await?;
        self.inner.wrap(context, key).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.answer(context).await?;
        if matches!(self.behaviour(context), Behaves::GivesAnotherKey) {
            return Ok(Zeroizing::new([9; 32]));
        }
        self.inner.unwrap(context, wrapped).await
    }
}

/// A store that counts how often it is read, and takes so many writes and no more when told.
pub(crate) struct CountedStore {
    inner: MemoryKeyStore,
    reads: AtomicU64,
    writes_left: AtomicU64,
}

impl Default for CountedStore {
    fn default() -> Self {
        Self {
            inner: MemoryKeyStore::default(),
            reads: AtomicU64::new(0),
            writes_left: AtomicU64::new(u64::MAX),
        }
    }
}

impl CountedStore {
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// From now on takes that many writes, as if the process ended then.
    pub(crate) fn takes_writes(&self, count: u64) {
        self.writes_left.store(count, Ordering::SeqCst);
    }

    fn read(&self) -> &MemoryKeyStore {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }

    fn write(&self) -> Result<&MemoryKeyStore, PortError> {
        let one_less = |left: u64| left.checked_sub(1);
        let left = self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        left.map(|_| &self.inner).map_err(|_| PortError::passing("store", "cut short"))
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
        self.write()?.add_tenant_key(scope, row).await
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
        self.write()?.add_data_key(scope, purpose, row).await
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
        self.write()?.rewrap_data_key(scope, purpose, old, row).await
    }

    async fn retire_tenant_keys(&self, scope: &TenantScope) -> Result<u32, PortError> {
        self.write()?.retire_tenant_keys(scope).await
    }
}

/// Replicas share a provider and a store; ticks are everybody's.
pub(crate) struct World {
    pub(crate) probe: Arc<Probe>,
    pub(crate) store: Arc<CountedStore>,
    pub(crate) ticks: Arc<ManualTicks>,
    entropy: Arc<dyn Entropy>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(System))
    }

    /// Its keys come from `entropy`: first the root key, then what replicas ask for.
    pub(crate) fn with(entropy: Arc<dyn Entropy>) -> Self {
        let ticks = Arc::<ManualTicks>::default();
        Self { probe: Probe::new(ticks.clone(), &*entropy), store: Arc::default(), ticks, entropy }
    }

    pub(crate) fn replica_with(&self, change: impl FnOnce(&mut EnvelopeSettings)) -> Envelope {
        let mut settings = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
        change(&mut settings);
        let (probe, store, ticks) = (self.probe.clone(), self.store.clone(), self.ticks.clone());
        Envelope::new(probe, store, self.entropy.clone(), ticks, settings).unwrap()
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

/// Lets what runs in the background on this thread run.
pub(crate) async fn background() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The keyed hash that tests compare.
pub(crate) async fn sealed_hash(vault: &Envelope) -> [u8; 32] {
    vault.keyed_hash(&tenant(1), "label", b"value").await.unwrap()
}

/// A vector's field, from hexadecimal.
pub(crate) fn bytes(case: &serde_json::Value, name: &str) -> Vec<u8> {
    let hex = case[name].as_str().unwrap_or_else(|| panic!("{name} is missing"));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Everything that spans and events tell, as text.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<String>>);

impl Told {
    /// Listens on this thread until the guard is dropped.
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        tracing::subscriber::set_default(self.clone())
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}: {value:?}").unwrap();
    }
}

impl tracing::Subscriber for Told {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
