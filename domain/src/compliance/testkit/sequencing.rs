//! Events that wait, and the logs they go into.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use super::lock;
use crate::{
    compliance::{
        log::{
            merkle::Hash,
            tile::{Tile, edge_tiles},
        },
        ports::{LogEdge, LogGrowth, LogId, SequencerStore, SequencingTx, SignedHead, Taken, Unsequenced},
    },
    kernel::{
        fault::PortError,
        ids::{EventId, TenantId},
    },
};

const PORT: &str = "memory.sequencer";

/// One log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Event, leaf and leaf hash, by index.
    pub leaves: Vec<(EventId, Vec<u8>, Hash)>,
    /// Tiles by level and index, each as wide as it is now.
    pub tiles: BTreeMap<(u8, u64), Tile>,
    /// Heads, oldest first.
    pub heads: Vec<SignedHead>,
}

/// Everything kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// Events without an index.
    pub waiting: Vec<Unsequenced>,
    /// Logs that have begun.
    pub logs: BTreeMap<LogId, Log>,
}

impl Logs {
    /// The leaf an event has in its log already.
    fn known(&self, waiting: &Unsequenced) -> Option<&[u8]> {
        let mut leaves = self.logs.get(&waiting.log)?.leaves.iter();
        leaves.find(|(event, ..)| *event == waiting.event).map(|(_, leaf, _)| leaf.as_slice())
    }
}

/// Logs in memory. A clone is of the same logs.
#[derive(Clone, Debug, Default)]
pub struct MemoryLogs {
    pub(super) kept: Arc<Mutex<Logs>>,
    busy: Arc<AtomicBool>,
}

impl MemoryLogs {
    /// Lets an event wait.
    pub fn add(&self, event: Unsequenced) {
        lock(&self.kept).waiting.push(event);
    }

    /// Everything kept now.
    pub fn kept(&self) -> Logs {
        lock(&self.kept).clone()
    }

    /// Does to the logs what nobody should.
    pub fn change(&self, change: impl FnOnce(&mut Logs)) {
        change(&mut lock(&self.kept));
    }
}

#[async_trait]
impl SequencerStore for MemoryLogs {
    async fn begin(&self) -> Result<Option<Box<dyn SequencingTx>>, PortError> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemorySequencing {
            copy: self.kept(),
            taken: BTreeMap::new(),
            seen: BTreeSet::new(),
            store: self.clone(),
        })))
    }
}

struct MemorySequencing {
    copy: Logs,
    /// Leaves taken and not in a log yet.
    taken: BTreeMap<(LogId, EventId), Vec<u8>>,
    /// What was taken away, in a log or written twice.
    seen: BTreeSet<(LogId, EventId)>,
    store: MemoryLogs,
}

impl Drop for MemorySequencing {
    fn drop(&mut self) {
        self.store.busy.store(false, Ordering::Release);
    }
}

#[async_trait]
impl SequencingTx for MemorySequencing {
    async fn take(&mut self, most: u32, resting: &[TenantId]) -> Result<Taken, PortError> {
        let mut by_tenant: BTreeMap<TenantId, Vec<Unsequenced>> = BTreeMap::new();
        for event in &self.copy.waiting {
            // Under an id that is in the log with another leaf stands a forgery: it stays where it is.
            let forged = self.copy.known(event).is_some_and(|leaf| leaf != event.leaf);
            if !forged && !resting.contains(&event.log.tenant) {
                by_tenant.entry(event.log.tenant).or_default().push(event.clone());
            }
        }
        let most = usize::try_from(most).map_err(|e| PortError::lasting(PORT, e))?;
        let share = (most / by_tenant.len().max(1)).max(1);
        let mut taken = Taken::default();
        for mut events in by_tenant.into_values() {
            events.sort_by_key(|event| event.event);
            taken.more |= events.len() >= share;
            taken.events.extend(events.into_iter().take(share));
        }
        taken.events.sort_by_key(|event| event.event);
        taken.events.truncate(most);
        self.seen = taken.events.iter().map(|event| (event.log, event.event)).collect();
        taken.events.retain(|event| self.copy.known(event).is_none());
        taken.events.sort_by_key(|event| (event.log, event.event));
        self.taken = taken.events.iter().map(|e| ((e.log, e.event), e.leaf.clone())).collect();
        Ok(taken)
    }

    async fn edges(&mut self, logs: &[LogId]) -> Result<Vec<LogEdge>, PortError> {
        let edge = |id: &LogId| {
            let log = self.copy.logs.get(id).cloned().unwrap_or_default();
            let size = log.heads.last().map_or(0, |head| head.size);
            let signed_at = log.heads.last().map(|head| head.signed_at);
            let places = edge_tiles(size);
            let tiles = places.iter().filter_map(|at| log.tiles.get(&(at.level(), at.index())).cloned());
            LogEdge { log: *id, size, signed_at, tiles: tiles.collect() }
        };
        Ok(logs.iter().map(edge).collect())
    }

    async fn grow(&mut self, growth: &[LogGrowth]) -> Result<(), PortError> {
        for grown in growth {
            let log = self.copy.logs.entry(grown.log).or_default();
            if u64::try_from(log.leaves.len()).ok() != Some(grown.old_size) {
                return Err(PortError::lasting(PORT, "a log would have a gap or go back"));
            }
            for (event, hash) in &grown.leaves {
                let leaf = self.taken.remove(&(grown.log, *event));
                let leaf = leaf
                    .ok_or_else(|| PortError::lasting(PORT, "an event was sequenced that was not taken"))?;
                log.leaves.push((*event, leaf, *hash));
            }
            for tile in &grown.tiles {
                let wider = log.tiles.insert((tile.id().level(), tile.id().index()), tile.clone());
                if wider.is_some_and(|old| old.hashes().len() >= tile.hashes().len()) {
                    return Err(PortError::lasting(PORT, "a tile would have shrunk"));
                }
            }
            log.heads.push(grown.head.clone());
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), PortError> {
        let mut kept = lock(&self.store.kept);
        // What came to wait meanwhile goes on waiting.
        kept.waiting.retain(|event| {
            let known = self.copy.known(event);
            !self.seen.contains(&(event.log, event.event)) || known.is_some_and(|leaf| leaf != event.leaf)
        });
        kept.logs = std::mem::take(&mut self.copy.logs);
        Ok(())
    }
}
