//! Where the buckets of one quota are kept.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use governor::{
    nanos::Nanos,
    state::{
        StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};

/// A key's hash, under seeds nobody outside knows.
pub(super) type KeyHash = u128;

/// Buckets shared by the keys that come when the store is full. Many, so that one key in a flood of them can't
/// empty what all newcomers share.
pub(super) const SPARE_BUCKETS: u128 = 1024;

/// A store that takes no new keys while it is full.
#[derive(Clone)]
pub(super) struct BoundedStore {
    buckets: Arc<DashMapStateStore<KeyHash>>,
    full: Arc<AtomicBool>,
    buckets_max: usize,
}

impl BoundedStore {
    pub(super) fn new(buckets_max: usize) -> Self {
        Self { buckets: Arc::default(), full: Arc::default(), buckets_max }
    }

    /// Buckets kept now.
    #[cfg(test)]
    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }
}

impl StateStore for BoundedStore {
    type Key = KeyHash;

    fn measure_and_replace<T, F, E>(&self, key: &KeyHash, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        if self.full.load(Ordering::Relaxed) && !self.buckets.contains_key(key) {
            // A hash this small comes up by chance once in 2^118 keys.
            return self.buckets.measure_and_replace(&(key % SPARE_BUCKETS), f);
        }
        self.buckets.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<KeyHash> for BoundedStore {
    /// Drops buckets that are full again, then sees whether there is room.
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&*self.buckets, drop_below);
        self.full.store(self.buckets.len() >= self.buckets_max, Ordering::Relaxed);
    }

    fn len(&self) -> usize {
        self.buckets.len()
    }

    fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}
