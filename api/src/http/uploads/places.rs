//! Places for requests that bring bytes: each has some in memory. One tenant never has all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::kernel::ids::TenantId;

/// Of so many places one tenant has at most one part.
const SHARE: usize = 4;

/// Places of one process.
#[derive(Clone, Debug)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    taken: Mutex<HashMap<TenantId, usize>>,
}

impl Inner {
    fn taken(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: TenantId,
    inner: Arc<Inner>,
}

impl Places {
    /// So many.
    pub fn new(total: u32) -> Self {
        let total = usize::try_from(total).unwrap_or(1).max(1);
        Self(Arc::new(Inner { total, taken: Mutex::default() }))
    }

    /// A place for a request of that tenant; `None` when all are taken, or the tenant has its share.
    pub(super) fn take(&self, of: TenantId) -> Option<Place> {
        let mut taken = self.0.taken();
        let all: usize = taken.values().sum();
        let own = taken.entry(of).or_default();
        if all >= self.0.total || *own >= self.0.total.div_ceil(SHARE) {
            return None;
        }
        *own += 1;
        Some(Place { of, inner: Arc::clone(&self.0) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.inner.taken();
        if let Some(own) = taken.get_mut(&self.of) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn one_tenant_never_has_all() {
        let places = Places::new(8);
        let first: Vec<_> = (0..2).map(|_| places.take(tenant(1)).expect("its share")).collect();
        assert!(places.take(tenant(1)).is_none());
        let others: Vec<_> =
            (2..5).flat_map(|of| [places.take(tenant(of)), places.take(tenant(of))]).flatten().collect();
        assert_eq!(others.len(), 6);
        assert!(places.take(tenant(9)).is_none(), "all are taken");
        drop(first);
        assert!(places.take(tenant(9)).is_some());
        assert!(Places::new(1).take(tenant(1)).is_some(), "few are shared as far as they go");
    }
}
