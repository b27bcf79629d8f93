//! Leave to write, and how often each place of an answer was written.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::plan::Place;

/// How often a place of the answer was written: objects there, or leaves that may have a weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Values written there that are not null; 0 for places around written values.
    pub times: u64,
    /// Places below, by response key.
    pub below: Vec<(String, Count)>,
}

impl Count {
    /// The place below under this key, if anything was written there.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.below.iter().find(|(known, _)| known == key).map(|(_, count)| count)
    }

    fn enter(&mut self, key: &str) -> &mut Self {
        let known = self.below.iter().position(|(known, _)| known == key);
        let index = known.unwrap_or_else(|| {
            self.below.push((key.to_owned(), Self::default()));
            self.below.len() - 1
        });
        &mut self.below[index].1
    }
}

/// Put into the data of a request as `Arc<Ledger>` by a transport that writes [`async_graphql::Value::Binary`] as
/// finished JSON text. It collects what the answer's values no longer tell.
#[derive(Debug, Default)]
pub struct Ledger {
    count: Mutex<Count>,
    written: AtomicU32,
    reused: AtomicU32,
    left: AtomicU32,
    alone: AtomicU32,
}

impl Ledger {
    /// Values written out, for this request or before.
    pub fn written(&self) -> u32 {
        self.written.load(Ordering::Relaxed)
    }

    /// Those of them whose text had been written for another reader.
    pub fn reused(&self) -> u32 {
        self.reused.load(Ordering::Relaxed)
    }

    /// Values that could not be written out and were left to async-graphql.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Relaxed)
    }

    /// Batched fields that were asked for one object, because async-graphql came to it by itself: below an interface, or
    /// where a list was not written out.
    pub fn alone(&self) -> u32 {
        self.alone.load(Ordering::Relaxed)
    }

    /// How often each place was written, from the root of the answer.
    pub fn count(&self) -> Count {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A text that was written for another reader.
    pub(crate) fn reuse(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.reused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ask_alone(&self) {
        self.alone.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds one written value: the keys around it, its places, and which of them were written.
    pub(crate) fn add<'k>(
        &self,
        outside: impl Iterator<Item = &'k str>,
        places: &[Place<'_>],
        journal: &[usize],
    ) {
        self.written.fetch_add(1, Ordering::Relaxed);
        let mut times = vec![0_u64; places.len()];
        for place in journal {
            times[*place] += 1;
        }
        // Children come after their parents, so that from the back each is complete when it is moved into its parent.
        let mut counts: Vec<_> = times.into_iter().map(|times| Count { times, below: Vec::new() }).collect();
        for (index, place) in places.iter().enumerate().skip(1).rev() {
            let count = std::mem::take(&mut counts[index]);
            if count.times > 0 || !count.below.is_empty() {
                counts[place.parent].below.push((place.key.to_owned(), count));
            }
        }
        let mut root = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = &mut *root;
        for key in outside {
            at = at.enter(key);
        }
        merge(at, std::mem::take(&mut counts[0]));
    }
}

fn merge(into: &mut Count, from: Count) {
    into.times += from.times;
    if into.below.is_empty() {
        into.below = from.below;
        return;
    }
    for (key, count) in from.below {
        merge(into.enter(&key), count);
    }
}
