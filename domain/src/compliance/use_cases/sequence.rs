//! Events get their indexes, trees grow, heads are signed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::TimeDelta;
use zeroize::Zeroizing;

use super::super::{
    event::AuditEvent,
    log::{
        checkpoint::Checkpoint,
        merkle::leaf_hashes,
        note::{NoteError, NoteSigner, VerifierKey, VerifierKind},
        tile,
    },
    ports::{LogEdge, LogGrowth, LogId, LogKeys, SequencerStore, SignedHead, Taken, Unsequenced},
};
use crate::kernel::{
    clock::{Clock, Timestamp},
    fault::PortError,
    ids::TenantId,
    outbox::Stream,
    scope::TenantScope,
};

/// How long a signing seed is kept in memory, in seconds: what holds for every plaintext key.
const SEED_TTL_S: i64 = 900;

/// How long a tenant whose log could not grow is left alone at first, in seconds; twice as long each time after that.
const REST_S: i64 = 10;

/// The longest a tenant is left alone, in seconds.
const REST_MAX_S: i64 = 300;

/// Most tenants found unfit in one turn before it is given up.
const UNFIT_MAX: usize = 64;

/// What a sequencer is built from.
pub struct SequencerPorts {
    /// Where events wait and logs are kept.
    pub store: Arc<dyn SequencerStore>,
    /// Keys that sign heads.
    pub keys: Arc<dyn LogKeys>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The host part of a log's origin.
    pub host: String,
}

/// What one turn of sequencing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequenced {
    /// Events that have their index now.
    pub count: usize,
    /// Whether more may be waiting already.
    pub more: bool,
}

/// How a turn ended.
enum Turn {
    Done(Sequenced),
    /// This tenant's log can't grow.
    Unfit(TenantId, PortError),
}

/// A tenant that is left alone.
#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Timestamp,
    seconds: i64,
}

/// Gives events their indexes.
pub struct Sequencer {
    ports: SequencerPorts,
    seeds: HashMap<TenantId, (Timestamp, Zeroizing<[u8; 32]>)>,
    /// Tenants whose logs could not grow.
    resting: HashMap<TenantId, Rest>,
    unfit: Vec<(TenantId, PortError)>,
}

/// The name of a log: what its checkpoints begin with.
pub(super) fn origin(host: &str, tenant: TenantId, stream: Stream) -> String {
    format!("audit.{host}/t/{}/{}", tenant.uuid(), stream.as_str())
}

/// A log's key in the form auditors configure (C2SP signed note, `vkey`).
pub(super) fn verifier_key(origin: &str, public_key: &[u8; 32]) -> Result<String, NoteError> {
    VerifierKey::new(origin, VerifierKind::Ed25519, public_key).map(|key| key.to_string())
}

impl Sequencer {
    /// Takes its ports.
    pub fn new(ports: SequencerPorts) -> Self {
        Self { ports, seeds: HashMap::new(), resting: HashMap::new(), unfit: Vec::new() }
    }

    /// Sequences up to `most` waiting events, and says how many; 0 also while another sequencer is at it. All of it is
    /// one transaction: it happens wholly or not at all.
    ///
    /// A tenant whose log can't grow (its keys are away, what is kept does not fit together) is left out, and left alone
    /// for a while that gets longer each time, so that the others go on in the same turn. Its events wait.
    ///
    /// # Errors
    /// A port did not answer, or a log kept does not fit together and there was nothing else to do.
    pub async fn sequence(&mut self, most: u32) -> Result<Sequenced, PortError> {
        let mut unfit = None;
        for _ in 0..UNFIT_MAX {
            match self.turn(most).await? {
                Turn::Done(Sequenced { count: 0, more: false }) => break,
                Turn::Done(done) => {
                    self.unfit.extend(unfit);
                    return Ok(done);
                }
                Turn::Unfit(tenant, fault) => {
                    self.rest(tenant);
                    self.unfit.extend(unfit.replace((tenant, fault)));
                }
            }
        }
        unfit.map_or(Ok(Sequenced::default()), |(_, fault)| Err(fault))
    }

    /// The tenants left out since this was last asked, and why.
    pub fn unfit(&mut self) -> Vec<(TenantId, PortError)> {
        std::mem::take(&mut self.unfit)
    }

    fn rest(&mut self, tenant: TenantId) {
        let known = self.resting.get(&tenant).map_or(0, |rest| rest.seconds);
        let seconds = (known * 2).clamp(REST_S, REST_MAX_S);
        let until = self.ports.clock.now() + TimeDelta::seconds(seconds);
        self.resting.insert(tenant, Rest { until, seconds });
    }

    async fn turn(&mut self, most: u32) -> Result<Turn, PortError> {
        let Some(mut tx) = self.ports.store.begin().await? else {
            return Ok(Turn::Done(Sequenced::default()));
        };
        let now = self.ports.clock.now();
        let resting: Vec<_> =
            self.resting.iter().filter(|(_, rest)| rest.until > now).map(|(tenant, _)| *tenant).collect();
        let Taken { events, more } = tx.take(most, &resting).await?;
        if events.is_empty() {
            // What was written twice is gone for good.
            tx.commit().await?;
            return Ok(Turn::Done(Sequenced { count: 0, more }));
        }
        let count = events.len();
        let mut by_log: BTreeMap<LogId, Vec<Unsequenced>> = BTreeMap::new();
        for event in events {
            by_log.entry(event.log).or_default().push(event);
        }
        let logs: Vec<LogId> = by_log.keys().copied().collect();
        let mut growth = Vec::with_capacity(logs.len());
        for edge in tx.edges(&logs).await? {
            let Some(events) = by_log.remove(&edge.log) else { continue };
            let tenant = edge.log.tenant;
            match self.grow(edge, &events).await {
                Ok(grown) => growth.push(grown),
                // Nothing of the turn is kept; the next is without this tenant.
                Err(fault) => return Ok(Turn::Unfit(tenant, fault)),
            }
        }
        if !by_log.is_empty() {
            return Err(PortError::lasting("compliance.sequencer", "a log's edge was not read"));
        }
        tx.grow(&growth).await?;
        tx.commit().await?;
        for log in logs {
            self.resting.remove(&log.tenant);
        }
        Ok(Turn::Done(Sequenced { count, more }))
    }

    async fn grow(&mut self, edge: LogEdge, events: &[Unsequenced]) -> Result<LogGrowth, PortError> {
        const PORT: &str = "compliance.log";
        let now = self.ports.clock.now();
        let (mut oldest_at, mut signed_at) = (now, edge.signed_at.unwrap_or(now).max(now));
        for event in events {
            let told = AuditEvent::from_leaf(&event.leaf).map_err(|e| PortError::lasting(PORT, e))?;
            if (told.tenant_id, told.stream, told.event_id)
                != (event.log.tenant, event.log.stream, event.event)
            {
                return Err(PortError::lasting(PORT, "a leaf tells of another event than its row"));
            }
            oldest_at = oldest_at.min(told.occurred_at);
            signed_at = signed_at.max(told.occurred_at);
        }
        let hashes = leaf_hashes(&events.iter().map(|event| event.leaf.as_slice()).collect::<Vec<_>>());
        let leaves = events.iter().map(|event| event.event).zip(hashes.iter().copied()).collect();
        let grown = tile::append(edge.size, &edge.tiles, &hashes).map_err(|e| PortError::lasting(PORT, e))?;
        let origin = origin(&self.ports.host, edge.log.tenant, edge.log.stream);
        let seed = self.seed(edge.log.tenant, now).await?;
        let signer = NoteSigner::from_seed(&origin, &seed).map_err(|e| PortError::lasting(PORT, e))?;
        let note = Checkpoint::new(&origin, grown.size, grown.root)
            .and_then(|checkpoint| checkpoint.sign(&signer))
            .map_err(|e| PortError::lasting(PORT, e))?
            .to_text();
        Ok(LogGrowth {
            log: edge.log,
            old_size: edge.size,
            leaves,
            tiles: grown.tiles,
            head: SignedHead { size: grown.size, root: grown.root, note, signed_at },
            oldest_at,
        })
    }

    async fn seed(&mut self, tenant: TenantId, now: Timestamp) -> Result<Zeroizing<[u8; 32]>, PortError> {
        self.seeds.retain(|_, (at, _)| now - *at < TimeDelta::seconds(SEED_TTL_S) && now >= *at);
        if let Some((_, seed)) = self.seeds.get(&tenant) {
            return Ok(seed.clone());
        }
        let seed = self.ports.keys.seed(&TenantScope::of(tenant)).await?;
        self.seeds.insert(tenant, (now, seed.clone()));
        Ok(seed)
    }
}
