//! What tests of content share: objects in memory, and what every object store must do.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::ports::{MARKER_FOLDER, ObjectStore};
use crate::kernel::fault::PortError;

/// Objects that are forgotten when dropped.
#[derive(Debug, Default)]
pub struct MemoryObjects(Mutex<BTreeMap<String, Vec<u8>>>);

impl MemoryObjects {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        self.all().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>, PortError> {
        let missing = || PortError::lasting("memory.objects", "there is no such object, or it is shorter");
        let place = |at: u64| usize::try_from(at).map_err(|_| missing());
        let (from, to) = (place(range.start)?, place(range.end)?);
        self.all().get(key).and_then(|bytes| bytes.get(from..to)).map(<[u8]>::to_vec).ok_or_else(missing)
    }

    async fn remove(&self, key: &str) -> Result<(), PortError> {
        self.all().remove(key);
        Ok(())
    }

    async fn below(&self, folder: &str) -> Result<Vec<String>, PortError> {
        let folder = format!("{folder}/");
        Ok(self.all().keys().filter(|key| key.starts_with(&folder)).cloned().collect())
    }
}

/// What every object store must do. Run it on each, under a folder that nobody else uses.
///
/// # Panics
/// It does not.
pub async fn object_store_contract(store: &dyn ObjectStore, folder: &str) {
    let key = |name: &str| format!("{folder}/a/{name}");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert_eq!(store.below(&format!("{folder}/a")).await.expect("a list"), Vec::<String>::new());
    store.put(&format!("{MARKER_FOLDER}/contract"), Vec::new()).await.expect("kept");
    store.put(&key("one"), bytes.clone()).await.expect("kept");
    store.put(&key("two"), vec![7]).await.expect("kept");
    store.put(&format!("{folder}/ab/three"), vec![8]).await.expect("kept");

    assert_eq!(store.get(&key("one"), 0..100_000).await.expect("there"), bytes);
    assert_eq!(store.get(&key("one"), 99_990..100_000).await.expect("there"), bytes[99_990..]);
    assert_eq!(store.get(&key("one"), 10..20).await.expect("there"), bytes[10..20]);
    assert!(store.get(&key("one"), 99_990..100_001).await.is_err(), "no more than there is");
    let absent = store.get(&key("none"), 0..1).await.expect_err("it is not there");
    assert_eq!(absent.retry, crate::kernel::fault::Retry::Useless, "{absent:?}");

    let mut below = store.below(&format!("{folder}/a")).await.expect("a list");
    below.sort();
    assert_eq!(below, [key("one"), key("two")], "a folder, not a prefix");
    store.remove(&key("one")).await.expect("removed");
    store.remove(&key("one")).await.expect("removed already");
    assert!(store.get(&key("one"), 0..1).await.is_err());
    assert_eq!(store.below(&format!("{folder}/a")).await.expect("a list"), [key("two")]);
    for left in [key("two"), format!("{folder}/ab/three"), format!("{MARKER_FOLDER}/contract")] {
        store.remove(&left).await.expect("removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testkit::ready;

    #[test]
    fn memory_keeps_objects() {
        ready(object_store_contract(&MemoryObjects::default(), "test")).expect("nothing is waited for");
    }
}
