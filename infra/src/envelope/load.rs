//! Fetching keys: rows from the store, unwrapped by the provider, made when there are none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::kernel::{fault::PortError, ids::Entropy, scope::TenantScope};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    bound::bound,
    cache::{Cache, Flight, Partition, Which},
    data_key::{DataKey, Lifetime, TenantKey},
    derive::extract,
    fault::Fault,
    keywrap,
    provider::{KeyContext, KeyProvider, Providers},
    settings::EnvelopeSettings,
    store::{DataKeyRow, KeyStore, Purpose, TenantKeyRow},
    ticks::Ticks,
};

const EXTRACT_SALT: &[u8] = b"matricula data key v1";
const CHECK_SALT: &[u8] = b"matricula tenant key check v1";
/// First byte of a wrapped tenant key.
const WRAP_FORMAT: u8 = 1;

/// Everything that outlives one call.
pub(crate) struct Core {
    pub(crate) providers: Providers,
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ticks: Arc<dyn Ticks>,
    pub(crate) settings: EnvelopeSettings,
    pub(crate) cache: Cache,
    pub(crate) closed: AtomicBool,
    pub(crate) generations: AtomicU64,
}

fn tenant_key_context(scope: &TenantScope, version: u32) -> KeyContext {
    KeyContext { tenant: scope.tenant(), purpose: "tenant-key", version }
}

/// Tells a tenant key from any other without giving it away: a provider that answers with another key is
/// found out before anything is wrapped under it.
fn check_value(scope: &TenantScope, version: u32, key: &[u8; 32]) -> Result<[u8; 32], Fault> {
    let info = bound(&[scope.tenant().uuid().as_bytes(), &version.to_be_bytes(), &[1]]);
    let block = extract(CHECK_SALT, key)?.expand(&info)?;
    block.first_chunk().copied().ok_or(Fault::Library)
}

fn data_key_place(scope: &TenantScope, purpose: Purpose, version: u32, kek_version: u32) -> Vec<u8> {
    bound(&[
        b"matricula data key",
        scope.tenant().uuid().as_bytes(),
        purpose.as_str().as_bytes(),
        &version.to_be_bytes(),
        &kek_version.to_be_bytes(),
    ])
}

impl Core {
    /// Fetches a data key that is fresher than generation `seen`, unless somebody else just did.
    pub(crate) async fn load(
        &self,
        scope: &TenantScope,
        purpose: Purpose,
        which: Which,
        seen: u64,
    ) -> Result<Arc<DataKey>, PortError> {
        let now = self.ticks.elapsed();
        self.cache.sweep_if_due(now);
        let partition = self.cache.partition_or_new(scope.tenant(), now, self.settings.tenants_max);
        let mut flight = partition.flight.lock().await;
        self.check_open()?;
        let known = partition
            .data_key(purpose, which)
            .filter(|key| key.life.generation > seen && key.is_usable(self.ticks.elapsed(), &self.settings));
        if let Some(key) = known {
            return Ok(key);
        }
        let mut loading = Loading { core: self, scope, partition: &partition, flight: &mut flight, seen };
        let key = loading.data_key(purpose, which).await?;
        Ok(partition.put_data_key(purpose, which == Which::Newest, key))
    }

    /// Adds a newer tenant key, wrapped by the provider named or the one that wrapped the last, and under it a newer
    /// key for fields, and seals with them from now on here. Other replicas follow when the keys they hold have come to
    /// their end. Older data keys are wrapped under it too, so that the older tenant key is needed no more.
    pub(crate) async fn rotate(&self, scope: &TenantScope, to: Option<&str>) -> Result<(), PortError> {
        let now = self.ticks.elapsed();
        let partition = self.cache.partition_or_new(scope.tenant(), now, self.settings.tenants_max);
        let mut flight = partition.flight.lock().await;
        self.check_open()?;
        let mut loading = Loading { core: self, scope, partition: &partition, flight: &mut flight, seen: 0 };
        let newest = self.store.newest_tenant_key(scope).await?;
        let provider = match (to, &newest) {
            (Some(name), _) => self.provider(name)?,
            (None, Some(row)) => self.provider(&row.provider)?,
            (None, None) => Arc::clone(self.providers.default_one()),
        };
        let newest = newest.map_or(0, |row| row.version);
        let next = newest.checked_add(1).ok_or_else(|| Fault::OutOfVersions.lasting())?;
        let tenant_key = loading.make_tenant_key(next, &*provider).await?;
        let made = self.store.tenant_key(scope, next).await?;
        if made.is_none_or(|row| row.provider != provider.describe()) {
            return Err(Fault::RotatedElsewhere.passing());
        }
        for purpose in [Purpose::Fields, Purpose::Platform] {
            let newest = self.store.newest_data_key(scope, purpose).await?.map_or(0, |row| row.version);
            // The platform's purpose is nobody else's.
            if newest == 0 && purpose == Purpose::Platform {
                continue;
            }
            let next = newest.checked_add(1).ok_or_else(|| Fault::OutOfVersions.lasting())?;
            loading.make_data_key(purpose, next, &tenant_key).await?;
        }
        loading.rewrap_all().await?;
        drop(flight);
        self.cache.evict(scope.tenant());
        Ok(())
    }

    /// Wraps every data key under the newest tenant key, and says how many were under an older one.
    pub(crate) async fn rewrap(&self, scope: &TenantScope) -> Result<u32, PortError> {
        let now = self.ticks.elapsed();
        let partition = self.cache.partition_or_new(scope.tenant(), now, self.settings.tenants_max);
        let mut flight = partition.flight.lock().await;
        self.check_open()?;
        let mut loading = Loading { core: self, scope, partition: &partition, flight: &mut flight, seen: 0 };
        loading.rewrap_all().await
    }

    fn provider(&self, name: &str) -> Result<Arc<dyn KeyProvider>, PortError> {
        self.providers.named(name).cloned().ok_or_else(|| {
            let configured = self.providers.names().join(", ");
            Fault::AnotherProvider { wrapped_by: name.to_owned(), configured }.lasting()
        })
    }

    fn check_open(&self) -> Result<(), PortError> {
        if self.closed.load(Ordering::SeqCst) { Err(Fault::Closed.lasting()) } else { Ok(()) }
    }

    fn new_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.entropy.bytes32())
    }

    async fn in_time<T: Send>(
        &self,
        call: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        let timeout_ms = self.settings.provider_timeout_ms;
        tokio::time::timeout(Duration::from_millis(timeout_ms), call)
            .await
            .unwrap_or_else(|_| Err(Fault::ProviderTimeout { timeout_ms }.passing()))
    }
}

/// One fetch, alone in its partition.
struct Loading<'a> {
    core: &'a Core,
    scope: &'a TenantScope,
    partition: &'a Partition,
    flight: &'a mut Flight,
    seen: u64,
}

impl Loading<'_> {
    async fn data_key(&mut self, purpose: Purpose, which: Which) -> Result<DataKey, PortError> {
        let store = &self.core.store;
        let row = match which {
            Which::Newest => store.newest_data_key(self.scope, purpose).await?,
            Which::Version(version) => store.data_key(self.scope, purpose, version).await?,
        };
        let row = match (row, which) {
            (Some(row), _) => row,
            (None, Which::Newest) => {
                let tenant_key = self.newest_tenant_key().await?;
                self.make_data_key(purpose, 1, &tenant_key).await?
            }
            (None, Which::Version(version)) => {
                return Err(Fault::UnknownVersion { purpose: purpose.as_str(), version }.lasting());
            }
        };
        let (key, tenant_key) = self.unwrap_data_key(purpose, &row).await?;
        let keys = extract(EXTRACT_SALT, key.as_slice()).map_err(Fault::lasting)?;
        Ok(DataKey::new(row.version, keys, tenant_key.life))
    }

    /// The key of a row, and the tenant key it is wrapped under.
    async fn unwrap_data_key(
        &mut self,
        purpose: Purpose,
        row: &DataKeyRow,
    ) -> Result<(Zeroizing<[u8; 32]>, Arc<TenantKey>), PortError> {
        if let Some(tenant_key) = self.tenant_key(row.kek_version).await? {
            return self.unwrap_under(purpose, row, tenant_key);
        }
        // Retired. It may have been wrapped anew since the row was read.
        let now = self.core.store.data_key(self.scope, purpose, row.version).await?;
        if let Some(now) = now.filter(|now| now.kek_version != row.kek_version)
            && let Some(tenant_key) = self.tenant_key(now.kek_version).await?
        {
            return self.unwrap_under(purpose, &now, tenant_key);
        }
        Err(Fault::Retired { version: row.kek_version }.lasting())
    }

    fn unwrap_under(
        &self,
        purpose: Purpose,
        row: &DataKeyRow,
        tenant_key: Arc<TenantKey>,
    ) -> Result<(Zeroizing<[u8; 32]>, Arc<TenantKey>), PortError> {
        let place = data_key_place(self.scope, purpose, row.version, row.kek_version);
        let key = keywrap::unwrap(&tenant_key.key, &place, &row.wrapped)
            .map_err(|_| Fault::DataKeyRefused.lasting())?;
        Ok((key, tenant_key))
    }

    /// Two who rewrap at once both make good wraps of the same key, and one of them is kept.
    async fn rewrap_all(&mut self) -> Result<u32, PortError> {
        let Some(newest) = self.core.store.newest_tenant_key(self.scope).await? else { return Ok(0) };
        let newest = self.unwrapped(newest).await?;
        let mut count = 0;
        for (purpose, row) in self.core.store.data_keys(self.scope).await? {
            if row.kek_version >= newest.version {
                continue;
            }
            let (key, _) = self.unwrap_data_key(purpose, &row).await?;
            let place = data_key_place(self.scope, purpose, row.version, newest.version);
            let wrapped = keywrap::wrap(&newest.key, &place, &key).map_err(|_| Fault::Library.lasting())?;
            let again = DataKeyRow { version: row.version, kek_version: newest.version, wrapped };
            self.core.store.rewrap_data_key(self.scope, purpose, &row, again).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn make_data_key(
        &mut self,
        purpose: Purpose,
        version: u32,
        tenant_key: &TenantKey,
    ) -> Result<DataKeyRow, PortError> {
        let place = data_key_place(self.scope, purpose, version, tenant_key.version);
        let wrapped = keywrap::wrap(&tenant_key.key, &place, &self.core.new_key())
            .map_err(|_| Fault::Library.lasting())?;
        let row = DataKeyRow { version, kek_version: tenant_key.version, wrapped };
        self.core.store.add_data_key(self.scope, purpose, row).await
    }

    async fn newest_tenant_key(&mut self) -> Result<Arc<TenantKey>, PortError> {
        match self.core.store.newest_tenant_key(self.scope).await? {
            Some(row) => self.unwrapped(row).await,
            None => self.make_tenant_key(1, &**self.core.providers.default_one()).await,
        }
    }

    /// `None` when it is retired. One that is in memory is good until its time there is over.
    async fn tenant_key(&mut self, version: u32) -> Result<Option<Arc<TenantKey>>, PortError> {
        if let Some(key) = self.known(version) {
            return Ok(Some(key));
        }
        let row = self.core.store.tenant_key(self.scope, version).await?;
        let row = row.ok_or_else(|| Fault::UnknownVersion { purpose: "tenant", version }.lasting())?;
        if row.is_retired { Ok(None) } else { self.unwrapped(row).await.map(Some) }
    }

    fn known(&self, version: u32) -> Option<Arc<TenantKey>> {
        self.partition.tenant_key(version, self.seen, self.core.ticks.elapsed())
    }

    /// Makes a tenant key, or finds that another replica was first and takes its.
    async fn make_tenant_key(
        &mut self,
        version: u32,
        provider: &dyn KeyProvider,
    ) -> Result<Arc<TenantKey>, PortError> {
        let core = self.core;
        if self.flight.failed_lately(version, core.ticks.elapsed()) {
            return Err(Fault::ProviderFailedRecently.passing());
        }
        let key = core.new_key();
        let context = tenant_key_context(self.scope, version);
        let wrap = match core.in_time(provider.wrap(&context, &key)).await {
            Ok(wrap) => wrap,
            Err(error) => {
                self.flight.failed(version, core.ticks.elapsed());
                return Err(error);
            }
        };
        let check = check_value(self.scope, version, &key).map_err(Fault::lasting)?;
        let wrapped = [&[WRAP_FORMAT], check.as_slice(), &wrap].concat();
        let row =
            TenantKeyRow { version, provider: provider.describe().to_owned(), wrapped, is_retired: false };
        // Unwrapped once before it is stored: a wrap that does not open must never have anything under it.
        let made = Arc::new(self.unwrap_row(&row).await?);
        let winner = core.store.add_tenant_key(self.scope, row.clone()).await?;
        if winner != row {
            return self.unwrapped(winner).await;
        }
        self.partition.put_tenant_key(&made);
        Ok(made)
    }

    /// The key of a row, from memory when it is there.
    async fn unwrapped(&mut self, row: TenantKeyRow) -> Result<Arc<TenantKey>, PortError> {
        if let Some(key) = self.known(row.version) {
            return Ok(key);
        }
        let key = Arc::new(self.unwrap_row(&row).await?);
        self.partition.put_tenant_key(&key);
        Ok(key)
    }

    async fn unwrap_row(&mut self, row: &TenantKeyRow) -> Result<TenantKey, PortError> {
        let core = self.core;
        let provider = core.provider(&row.provider)?;
        let (&[format], rest) = row.wrapped.split_first_chunk().ok_or_else(|| Fault::Malformed.lasting())?;
        let (check, wrap) = rest.split_first_chunk::<32>().ok_or_else(|| Fault::Malformed.lasting())?;
        if format != WRAP_FORMAT {
            return Err(Fault::Malformed.lasting());
        }
        let started = core.ticks.elapsed();
        if self.flight.failed_lately(row.version, started) {
            return Err(Fault::ProviderFailedRecently.passing());
        }
        let context = tenant_key_context(self.scope, row.version);
        let answer = core.in_time(provider.unwrap(&context, wrap)).await.and_then(|key| {
            let found = check_value(self.scope, row.version, &key).map_err(Fault::lasting)?;
            if bool::from(found.ct_eq(check)) { Ok(key) } else { Err(Fault::AnotherKey.lasting()) }
        });
        let key = match answer {
            Ok(key) => key,
            Err(error) => {
                self.flight.failed(row.version, core.ticks.elapsed());
                return Err(error);
            }
        };
        let life = Lifetime {
            generation: core.generations.fetch_add(1, Ordering::Relaxed) + 1,
            deadline: started.saturating_add(Duration::from_secs(core.settings.key_ttl_s)),
        };
        Ok(TenantKey { version: row.version, key, life })
    }
}
