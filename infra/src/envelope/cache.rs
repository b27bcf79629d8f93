//! The unwrapped keys of tenants, each tenant's apart.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::kernel::ids::TenantId;

use super::{
    data_key::{DataKey, TenantKey},
    settings::SWEEP_EVERY_S,
    store::Purpose,
};

/// Which version of a data key is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest, to seal with.
    Newest,
    /// The one a value was sealed with.
    Version(u32),
}

struct Slot {
    purpose: Purpose,
    newest: bool,
    key: Arc<DataKey>,
}

#[derive(Default)]
struct Live {
    tenant_keys: Vec<Arc<TenantKey>>,
    data_keys: Vec<Slot>,
}

/// Provider calls that failed lately, by tenant-key version.
#[derive(Default)]
pub(crate) struct Flight {
    failures: Vec<(u32, Duration)>,
}

/// How long the provider is left alone after it failed for a key.
const PROVIDER_REST: Duration = Duration::from_secs(1);

impl Flight {
    /// Whether the provider failed for that key a moment ago.
    pub(crate) fn failed_lately(&self, version: u32, now: Duration) -> bool {
        self.failures.iter().any(|(failed, until)| *failed == version && now < *until)
    }

    /// Remembers that it did.
    pub(crate) fn failed(&mut self, version: u32, now: Duration) {
        self.failures.retain(|(failed, until)| *failed != version && now < *until);
        self.failures.push((version, now.saturating_add(PROVIDER_REST)));
    }
}

/// One tenant's keys.
#[derive(Default)]
pub(crate) struct Partition {
    live: RwLock<Live>,
    /// Held while keys are fetched, so that many who want one key ask for it once.
    pub(crate) flight: tokio::sync::Mutex<Flight>,
    used_at_s: AtomicU64,
}

impl Partition {
    fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A data key, of whatever age.
    pub(crate) fn data_key(&self, purpose: Purpose, which: Which) -> Option<Arc<DataKey>> {
        let wanted = |slot: &&Slot| {
            slot.purpose == purpose
                && match which {
                    Which::Newest => slot.newest,
                    Which::Version(version) => slot.key.version == version,
                }
        };
        self.read().data_keys.iter().find(wanted).map(|slot| Arc::clone(&slot.key))
    }

    /// Takes a data key in, in the place of the one of its version, and returns the one to use: the older when
    /// both come from one unwrap, so that its uses are not forgotten.
    pub(crate) fn put_data_key(&self, purpose: Purpose, newest: bool, key: DataKey) -> Arc<DataKey> {
        let mut kept = Arc::new(key);
        let mut live = self.write();
        live.data_keys.retain_mut(|slot| {
            if slot.purpose != purpose {
                return true;
            }
            // A key fetched by its version says nothing about there being a newer one.
            slot.newest &= !newest;
            let same = slot.key.version == kept.version;
            if same && slot.key.life.generation == kept.life.generation {
                kept = Arc::clone(&slot.key);
            }
            !same
        });
        live.data_keys.push(Slot { purpose, newest, key: Arc::clone(&kept) });
        kept
    }

    /// A tenant key that may be used now and is fresher than generation `seen`.
    pub(crate) fn tenant_key(&self, version: u32, seen: u64, now: Duration) -> Option<Arc<TenantKey>> {
        let live = self.read();
        let fits = |key: &&Arc<TenantKey>| {
            key.version == version && key.life.generation > seen && now < key.life.deadline
        };
        live.tenant_keys.iter().find(fits).map(Arc::clone)
    }

    /// Takes a tenant key in, in the place of the one of its version.
    pub(crate) fn put_tenant_key(&self, key: &Arc<TenantKey>) {
        let mut live = self.write();
        live.tenant_keys.retain(|old| old.version != key.version);
        live.tenant_keys.push(Arc::clone(key));
    }

    /// Wipes what is too old, and says whether nothing is left.
    fn sweep(&self, now: Duration) -> bool {
        let mut live = self.write();
        live.tenant_keys.retain(|key| now < key.life.deadline);
        live.data_keys.retain(|slot| now < slot.key.life.deadline);
        live.tenant_keys.is_empty() && live.data_keys.is_empty()
    }

    fn touch(&self, now_s: u64) {
        // Written once a second at most: a busy tenant's cores do not fight over it.
        if self.used_at_s.load(Ordering::Relaxed) != now_s {
            self.used_at_s.store(now_s, Ordering::Relaxed);
        }
    }
}

/// How long a tenant without keys is remembered, for what is known of its failures.
const IDLE_S: u64 = 60;

type Partitions = HashMap<TenantId, Arc<Partition>>;

/// The keys of all tenants.
#[derive(Default)]
pub(crate) struct Cache {
    partitions: RwLock<Partitions>,
    swept_at_s: AtomicU64,
}

impl Cache {
    fn read(&self) -> RwLockReadGuard<'_, Partitions> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Partitions> {
        self.partitions.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant's keys, if any are held.
    pub(crate) fn partition(&self, tenant: TenantId, now: Duration) -> Option<Arc<Partition>> {
        let partitions = self.read();
        let partition = partitions.get(&tenant)?;
        partition.touch(now.as_secs());
        Some(Arc::clone(partition))
    }

    /// The tenant's keys, making room for them among `most` tenants.
    pub(crate) fn partition_or_new(&self, tenant: TenantId, now: Duration, most: usize) -> Arc<Partition> {
        let mut partitions = self.write();
        if let Some(partition) = partitions.get(&tenant) {
            partition.touch(now.as_secs());
            return Arc::clone(partition);
        }
        if partitions.len() >= most {
            let idle =
                partitions.iter().min_by_key(|(_, partition)| partition.used_at_s.load(Ordering::Relaxed));
            if let Some(idle) = idle.map(|(tenant, _)| *tenant) {
                partitions.remove(&idle);
            }
        }
        let partition = Arc::new(Partition::default());
        partition.touch(now.as_secs());
        partitions.insert(tenant, Arc::clone(&partition));
        partition
    }

    /// Wipes the keys of one tenant.
    pub(crate) fn evict(&self, tenant: TenantId) {
        self.write().remove(&tenant);
    }

    /// Wipes all keys.
    pub(crate) fn evict_all(&self) {
        self.write().clear();
    }

    /// Wipes what is too old.
    pub(crate) fn sweep(&self, now: Duration) {
        self.swept_at_s.store(now.as_secs(), Ordering::Relaxed);
        self.write().retain(|_, partition| {
            let empty = partition.sweep(now);
            let idle_s = now.as_secs().saturating_sub(partition.used_at_s.load(Ordering::Relaxed));
            // One who fetches keys right now holds the partition, and must find it here afterwards.
            !empty || idle_s < IDLE_S || Arc::strong_count(partition) > 1
        });
    }

    /// Wipes what is too old, if that was not done a moment ago: the net under a sweeper that does not run.
    pub(crate) fn sweep_if_due(&self, now: Duration) {
        let since_s = now.as_secs().saturating_sub(self.swept_at_s.load(Ordering::Relaxed));
        if since_s >= SWEEP_EVERY_S {
            self.sweep(now);
        }
    }

    /// How many tenants' keys are held.
    pub(crate) fn tenants(&self) -> usize {
        self.read().len()
    }
}
