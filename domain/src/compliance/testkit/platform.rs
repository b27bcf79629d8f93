//! The platform's log in memory, with a wire to trip over at any call.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;

use super::{MemoryLogs, lock};
use crate::{
    compliance::{
        NotCosigned, Witness,
        log::{
            merkle::Hash,
            note::{NoteSigner, parse_signature_lines},
            tile::{Tile, TileId},
            witness::{AddCheckpoint, Refusal},
        },
        ports::{
            Anchor, CheckpointSigner, Cosignature, Evidence, HighWater, LeafHashes, Mark, PlatformGrowth,
            PlatformHead, PlatformStore, PlatformTx, Unanchored, WitnessAnswer, WitnessClient,
        },
    },
    kernel::fault::PortError,
};

/// Breaks off the call it is set to, before or after it did its work, as a process that is killed there.
#[derive(Debug, Default)]
pub struct Tripwire(AtomicU32);

impl Tripwire {
    /// The step from now, from 1, at which it breaks off; each call has two steps. 0 never.
    pub fn set(&self, step: u32) {
        self.0.store(step, Ordering::Relaxed);
    }

    /// Whether it is still to break something off.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn step(&self) -> Result<(), PortError> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            left => {
                self.0.store(left - 1, Ordering::Relaxed);
                if left == 1 {
                    Err(PortError::passing("memory.tripwire", "told to break off"))
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// What is kept of the platform's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformLog {
    /// Leaves, by index.
    pub anchors: Vec<Anchor>,
    /// Leaves of which the hash alone is left, each with its index.
    pub lost: Vec<(u64, Hash)>,
    /// Tiles by level and index.
    pub tiles: BTreeMap<(u8, u64), Tile>,
    /// Heads, smallest first.
    pub heads: Vec<PlatformHead>,
    /// Cosignatures, each with the size it is of.
    pub cosigned: Vec<(u64, Cosignature)>,
    /// Sizes of heads that enough have cosigned.
    pub witnessed: Vec<u64>,
}

/// The platform's log over tenants' logs in memory. A clone is of the same log.
#[derive(Clone, Debug, Default)]
pub struct MemoryPlatform {
    logs: MemoryLogs,
    kept: Arc<Mutex<PlatformLog>>,
    tripwire: Arc<Tripwire>,
}

impl MemoryPlatform {
    /// Over these logs.
    pub fn over(logs: MemoryLogs, tripwire: Arc<Tripwire>) -> Self {
        Self { logs, kept: Arc::default(), tripwire }
    }

    /// Everything kept now.
    pub fn kept(&self) -> PlatformLog {
        lock(&self.kept).clone()
    }

    /// Puts back what was kept once.
    pub fn put_back(&self, kept: PlatformLog) {
        *lock(&self.kept) = kept;
    }
}

fn found(log: &PlatformLog, ids: &[TileId]) -> Vec<Tile> {
    ids.iter().filter_map(|id| log.tiles.get(&(id.level(), id.index())).cloned()).collect()
}

#[async_trait]
impl PlatformStore for MemoryPlatform {
    async fn begin(&self) -> Result<Option<Box<dyn PlatformTx>>, PortError> {
        self.tripwire.step()?;
        Ok(Some(Box::new(MemoryPlatformTx { copy: self.kept(), store: self.clone() })))
    }

    async fn newest(&self) -> Result<Option<PlatformHead>, PortError> {
        self.tripwire.step()?;
        Ok(lock(&self.kept).heads.last().cloned())
    }

    async fn newest_signed(&self) -> Result<Option<PlatformHead>, PortError> {
        Ok(lock(&self.kept).heads.iter().rev().find(|head| head.note.is_some()).cloned())
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        self.tripwire.step()?;
        Ok(found(&lock(&self.kept), ids))
    }

    async fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>, PortError> {
        let cosigned = lock(&self.kept).cosigned.clone();
        Ok(cosigned.into_iter().filter(|(of, _)| *of == size).map(|(_, line)| line).collect())
    }

    async fn add_cosignatures(
        &self,
        size: u64,
        new: &[Cosignature],
        is_witnessed: bool,
    ) -> Result<(), PortError> {
        let mut kept = lock(&self.kept);
        kept.cosigned.extend(new.iter().map(|line| (size, line.clone())));
        if is_witnessed {
            kept.witnessed.push(size);
        }
        Ok(())
    }

    async fn publish(&self, size: u64, note: &str, _: &[u8; 32], _: bool) -> Result<(), PortError> {
        self.tripwire.step()?;
        if let Some(head) = lock(&self.kept).heads.iter_mut().find(|head| head.size == size) {
            head.note.get_or_insert_with(|| note.to_owned());
        }
        self.tripwire.step()
    }
}

struct MemoryPlatformTx {
    copy: PlatformLog,
    store: MemoryPlatform,
}

#[async_trait]
impl PlatformTx for MemoryPlatformTx {
    async fn newest(&mut self) -> Result<Option<PlatformHead>, PortError> {
        Ok(self.copy.heads.last().cloned())
    }

    async fn unanchored(&mut self, most: u32) -> Result<Vec<Unanchored>, PortError> {
        let mut waiting = Vec::new();
        for (log, kept) in self.store.logs.kept().logs {
            let known = self.copy.anchors.iter().filter(|anchor| anchor.log == log).map(|anchor| anchor.size);
            let known = known.max().unwrap_or_default();
            if let Some(head) = kept.heads.last().filter(|head| head.size > known) {
                waiting.push(Unanchored { log, head: head.clone() });
            }
        }
        waiting.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(waiting)
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        Ok(found(&self.copy, ids))
    }

    async fn grow(&mut self, growth: &PlatformGrowth) -> Result<(), PortError> {
        let from = self.copy.heads.last().map_or(0, |head| head.size);
        self.copy.lost.extend((from..).zip(growth.lost.iter().copied()));
        self.copy.anchors.extend(growth.anchors.iter().cloned());
        for tile in &growth.tiles {
            self.copy.tiles.insert((tile.id().level(), tile.id().index()), tile.clone());
        }
        self.copy.heads.push(growth.head.clone());
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.store.tripwire.step()?;
        self.store.put_back(self.copy);
        self.store.tripwire.step()
    }
}

/// A mark in memory, and hashes of leaves beside it.
#[derive(Debug, Default)]
pub struct MemoryHighWater {
    mark: Mutex<Option<Mark>>,
    leaves: Mutex<Vec<Hash>>,
    tripwire: Arc<Tripwire>,
}

impl MemoryHighWater {
    /// None yet.
    pub fn new(tripwire: Arc<Tripwire>) -> Self {
        Self { mark: Mutex::default(), leaves: Mutex::default(), tripwire }
    }

    /// Where it is.
    pub fn get(&self) -> Option<Mark> {
        *lock(&self.mark)
    }

    /// Forgets the leaves from that index on.
    pub fn forget_leaves(&self, from: usize) {
        lock(&self.leaves).truncate(from);
    }

    /// Remembers one that never was, behind the others.
    pub fn add_leaf(&self, hash: Hash) {
        lock(&self.leaves).push(hash);
    }

    /// Puts another mark in its place, or none.
    pub fn put(&self, mark: Option<Mark>) {
        *lock(&self.mark) = mark;
    }
}

#[async_trait]
impl HighWater for MemoryHighWater {
    async fn read(&self, _: &str) -> Result<Option<Mark>, PortError> {
        self.tripwire.step()?;
        Ok(*lock(&self.mark))
    }

    async fn advance(&self, _: &str, from: Option<Mark>, to: Mark) -> Result<bool, PortError> {
        self.tripwire.step()?;
        let mut mark = lock(&self.mark);
        let moves = *mark == from;
        if moves {
            *mark = Some(to);
        }
        drop(mark);
        self.tripwire.step()?;
        Ok(moves)
    }
}

#[async_trait]
impl LeafHashes for MemoryHighWater {
    async fn kept(&self, _: &str) -> Result<u64, PortError> {
        Ok(u64::try_from(lock(&self.leaves).len()).unwrap_or(u64::MAX))
    }

    async fn keep(
        &self,
        _: &str,
        mark: Option<Mark>,
        first: u64,
        hashes: &[Hash],
    ) -> Result<bool, PortError> {
        self.tripwire.step()?;
        if *lock(&self.mark) != mark {
            return Ok(false);
        }
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let mut leaves = lock(&self.leaves);
        if first > leaves.len() {
            return Err(PortError::lasting("memory.leaf_hashes", "those before are missing"));
        }
        let end = leaves.len().min(first + hashes.len());
        leaves.splice(first..end, hashes.iter().copied());
        drop(leaves);
        self.tripwire.step()?;
        Ok(true)
    }

    async fn hashes(&self, _: &str, begin: u64, end: u64) -> Result<Vec<Hash>, PortError> {
        let (begin, end) =
            (usize::try_from(begin).unwrap_or(usize::MAX), usize::try_from(end).unwrap_or(usize::MAX));
        let leaves = lock(&self.leaves);
        Ok(leaves.iter().take(end).skip(begin).copied().collect())
    }
}

/// Evidence in memory: the checkpoint seen last, and those that contradict it.
#[derive(Debug, Default)]
pub struct MemoryEvidence(pub Mutex<(Option<String>, Vec<[String; 2]>)>);

#[async_trait]
impl Evidence for MemoryEvidence {
    async fn keep_seen(&self, _: &str, _: u64, note: &str) -> Result<(), PortError> {
        lock(&self.0).0 = Some(note.to_owned());
        Ok(())
    }

    async fn keep_contradiction(&self, _: &str, _: u64, note: &str) -> Result<String, PortError> {
        let mut kept = lock(&self.0);
        let before = kept.0.clone().unwrap_or_default();
        kept.1.push([before, note.to_owned()]);
        Ok("memory".to_owned())
    }
}

/// Signs with a seed that everybody knows, or badly.
#[derive(Debug)]
pub struct MemorySigner {
    seed: [u8; 32],
    /// Gives signatures of something else.
    pub is_broken: std::sync::atomic::AtomicBool,
    tripwire: Arc<Tripwire>,
}

impl MemorySigner {
    /// With this seed.
    pub fn new(seed: [u8; 32], tripwire: Arc<Tripwire>) -> Self {
        Self { seed, is_broken: std::sync::atomic::AtomicBool::default(), tripwire }
    }

    fn key(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.seed)
    }

    /// The same key under a log's name.
    ///
    /// # Errors
    /// The name is none.
    pub fn under(&self, name: &str) -> Result<NoteSigner, crate::compliance::log::note::NoteError> {
        NoteSigner::from_seed(name, &self.seed)
    }
}

#[async_trait]
impl CheckpointSigner for MemorySigner {
    async fn public_key(&self) -> Result<[u8; 32], PortError> {
        Ok(self.key().verifying_key().to_bytes())
    }

    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], PortError> {
        use ed25519_dalek::Signer as _;
        self.tripwire.step()?;
        let message = if self.is_broken.load(Ordering::Relaxed) { b"something else" } else { message };
        let signature = self.key().sign(message).to_bytes();
        self.tripwire.step()?;
        Ok(signature)
    }
}

/// Witnesses in this process, by their addresses; each may be given something else to say.
#[derive(Default)]
pub struct MemoryWitnesses {
    witnesses: Mutex<BTreeMap<String, Arc<Witness>>>,
    /// What is answered next instead of what a witness would, by address.
    pub told: Mutex<BTreeMap<String, WitnessAnswer>>,
}

impl MemoryWitnesses {
    /// Lets a witness answer at an address.
    pub fn add(&self, url: &str, witness: Arc<Witness>) {
        lock(&self.witnesses).insert(url.to_owned(), witness);
    }

    /// Has the next answer at that address be this one.
    pub fn tell(&self, url: &str, answer: WitnessAnswer) {
        lock(&self.told).insert(url.to_owned(), answer);
    }
}

#[async_trait]
impl WitnessClient for MemoryWitnesses {
    async fn add_checkpoint(&self, url: &str, request: &AddCheckpoint) -> Result<WitnessAnswer, PortError> {
        if let Some(told) = lock(&self.told).remove(url) {
            return Ok(told);
        }
        let witness = lock(&self.witnesses).get(url).cloned();
        let witness = witness.ok_or_else(|| PortError::passing("memory.witnesses", "nobody is there"))?;
        match witness.add_checkpoint(request.to_text().as_bytes()).await {
            Ok(line) => parse_signature_lines(line.as_bytes())
                .map(WitnessAnswer::Cosigned)
                .map_err(|e| PortError::lasting("memory.witnesses", e)),
            Err(NotCosigned::Refused(Refusal::OtherSize(size))) => Ok(WitnessAnswer::OtherSize(size)),
            Err(NotCosigned::Refused(refusal)) => Ok(WitnessAnswer::Refused(refusal.status())),
            Err(NotCosigned::Contradicted { .. }) => Ok(WitnessAnswer::Refused(Refusal::Forked.status())),
            Err(NotCosigned::Port(fault)) => Err(fault),
        }
    }
}
