//! A log is derived anew from its leaves, and all that is kept of it is held against that.
//!
//! What this can't see is what is whole in itself: a log put back to how it once was, and events that were taken away
//! before they had an index.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        finding::{LogReport, Place, check_anchor, check_leaf},
        log::{
            merkle::{CompactRange, Hash},
            note::{Note, VerifierKey, VerifierKind},
            policy::LogPolicy,
            prune::PruneStatement,
            tile::{TILE_WIDTH, Tile, TileId, append, edge_tiles},
        },
        ports::{LogEnds, LogId, LogReader, SignedHead, WhichLog},
    },
    notarise::platform_origin,
    sequence::origin,
};
use crate::kernel::{fault::PortError, ids::TenantId, outbox::Stream};

const PORT: &str = "compliance.verify_log";

/// Leaves looked at together: four tiles of them, so that memory does not grow with the log.
const RANGE: u64 = 4 * 256;

/// Derives logs anew and says what differs.
pub struct LogVerifier {
    reader: Arc<dyn LogReader>,
    host: String,
}

/// A log as it has been derived so far.
struct Derived {
    /// The partial tiles at its right edge.
    edge: Vec<Tile>,
    /// All leaves so far, for the roots between the edges.
    range: CompactRange,
    /// The last head whose root was right.
    right: u64,
    /// A head's root was wrong: those after it say nothing new.
    is_astray: bool,
    /// What was thrown away by right.
    pruned: Option<PruneStatement>,
    /// What was lost, as events say.
    said_lost: Vec<(u64, u64)>,
}

/// What is kept of a stretch of a log, beside its leaves.
struct Kept {
    /// Tiles of level 0, by index.
    tiles: Vec<Tile>,
    heads: Vec<SignedHead>,
}

impl Kept {
    /// The hash of a leaf as its tile has it.
    fn hash(&self, index: u64) -> Option<Hash> {
        let tile = self.tiles.iter().find(|tile| tile.id().index() == index / u64::from(TILE_WIDTH))?;
        tile.hashes().get(usize::try_from(index % u64::from(TILE_WIDTH)).ok()?).copied()
    }
}

impl LogVerifier {
    /// Reads with `reader` the logs of the installation called `host`.
    pub fn new(reader: Arc<dyn LogReader>, host: String) -> Self {
        Self { reader, host }
    }

    /// The logs there are, of one tenant or of all; with all the platform's own, last, as it rests on them.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn logs(&self, tenant: Option<TenantId>) -> Result<Vec<WhichLog>, PortError> {
        let logs = self.reader.logs(tenant).await?.into_iter().map(WhichLog::Tenant);
        Ok(logs.chain(tenant.is_none().then_some(WhichLog::Platform)).collect())
    }

    /// Checks one log, as far as it had grown when this began: every leaf against its row and its tile, every tile and
    /// every head against the leaves, every head's note against the tenant's keys; of a log of changes, that the database notes
    /// them.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn verify_log(&self, log: WhichLog) -> Result<LogReport, PortError> {
        let mut report = LogReport::new(log);
        if let WhichLog::Tenant(LogId { stream: Stream::Data, .. }) = log {
            for table in self.reader.unnoted_tables().await? {
                let problem = "is turned off or gone: what is changed there now is in no log";
                report.add(Place::Table(table), "trigger", problem);
            }
        }
        let ends = self.reader.ends(log).await?;
        if ends.head < ends.leaves {
            let problem = format!("is the newest, and there are {} leaves", ends.leaves);
            report.add(Place::Head(ends.head), "size", problem);
        }
        // Of a log that has not begun, or of which only tiles are left, nobody need have a key; nor of the platform's before
        // its first head is signed.
        let has_begun = match log {
            WhichLog::Tenant(_) => ends != LogEnds::default(),
            WhichLog::Platform => {
                !self.reader.keys(log).await?.is_empty()
                    || !self.reader.heads(log, 0, ends.head).await?.is_empty()
            }
        };
        let (policy, keys) =
            if has_begun { self.policy(log, &mut report).await? } else { (None, Vec::new()) };
        let end = ends.leaves.max(ends.head);
        let mut derived = Derived {
            edge: Vec::new(),
            range: CompactRange::starting_at(0),
            right: 0,
            is_astray: false,
            pruned: self.pruned(log, &keys, &mut report).await?,
            said_lost: match log {
                WhichLog::Tenant(_) => Vec::new(),
                WhichLog::Platform => self.reader.said_lost().await?,
            },
        };
        let mut begin = 0;
        while begin < end {
            let until = end.min(begin + RANGE);
            if !self.stretch((begin, until), policy.as_ref(), &mut derived, &mut report).await? {
                report.add(Place::Leaf(begin), "row", format!("and those up to {end} were not looked at"));
                return Ok(report);
            }
            begin = until;
        }
        self.compare_tiles(&derived.edge, &mut report).await?;
        for (level, index) in self.reader.strays(log).await? {
            report.add(Place::Log, "tiles", format!("has one past its end, {index} of level {level}"));
        }
        Ok(report)
    }

    /// What the log says was thrown away of it, if that is signed by one of its keys.
    async fn pruned(
        &self,
        log: WhichLog,
        keys: &[VerifierKey],
        report: &mut LogReport,
    ) -> Result<Option<PruneStatement>, PortError> {
        let WhichLog::Tenant(id) = log else { return Ok(None) };
        let Some(prune) = self.reader.pruned(id).await? else { return Ok(None) };
        let note = Note::parse(prune.note.as_bytes()).ok();
        let is_signed = |note: &Note| note.verify(keys).is_ok_and(|by| !by.is_empty());
        let said = note.filter(is_signed).and_then(|note| PruneStatement::parse(note.text()).ok());
        let origin = origin(&self.host, id.tenant, id.stream);
        let said =
            said.filter(|said| said.origin == origin && (said.until, said.root) == (prune.until, prune.root));
        if said.is_none() {
            report.add(Place::Log, "prune", "is not what the log's key has signed: what is gone is missing");
        }
        Ok(said)
    }

    /// What the log's heads must show, `None` when it has no key; and its keys.
    async fn policy(
        &self,
        log: WhichLog,
        report: &mut LogReport,
    ) -> Result<(Option<LogPolicy>, Vec<VerifierKey>), PortError> {
        let origin = match log {
            WhichLog::Tenant(log) => origin(&self.host, log.tenant, log.stream),
            WhichLog::Platform => platform_origin(&self.host),
        };
        let mut keys = Vec::new();
        for public in self.reader.keys(log).await? {
            match VerifierKey::new(&origin, VerifierKind::Ed25519, &public) {
                Ok(key) => keys.push(key),
                Err(fault) => report.add(Place::Log, "public_key", fault.to_string()),
            }
        }
        let policy = LogPolicy::new(&origin, keys.clone(), Vec::new(), 0);
        if let Err(fault) = &policy {
            report.add(Place::Log, "public_key", fault.to_string());
        }
        Ok((policy.ok(), keys))
    }

    /// Checks the leaves `begin..until` and what stands on them. Whether the tree could be derived to the end of them.
    async fn stretch(
        &self,
        (begin, until): (u64, u64),
        policy: Option<&LogPolicy>,
        derived: &mut Derived,
        report: &mut LogReport,
    ) -> Result<bool, PortError> {
        let log = report.log;
        let kept = Kept {
            tiles: self.reader.tiles(log, &leaf_tiles(begin, until)).await?,
            heads: self.reader.heads(log, begin, until).await?,
        };
        let hashes = self.hashes((begin, until), derived, &kept, report).await?;
        let Some(hashes) = hashes else { return Ok(false) };
        let mut heads = kept.heads.iter().peekable();
        for hash in &hashes {
            derived.range.append_leaf(*hash).map_err(|e| PortError::lasting(PORT, e))?;
            if let Some(pruned) = derived.pruned.as_ref().filter(|pruned| pruned.until == derived.range.end())
                && derived.range.root().map_err(|e| PortError::lasting(PORT, e))? != pruned.root
            {
                report.add(Place::Log, "prune", "names another root than the tiles of what is gone");
            }
            while let Some(head) = heads.next_if(|head| head.size == derived.range.end()) {
                check_head(head, policy, derived, report)?;
            }
        }
        let grown = append(begin, &derived.edge, &hashes).map_err(|e| PortError::lasting(PORT, e))?;
        let edge = edge_tiles(grown.size);
        // A tile that is not full yet is compared when it is, or when the log is at its end.
        let mut next = Vec::with_capacity(edge.len());
        for level in edge {
            let mut known = grown.tiles.iter().chain(&derived.edge);
            let tile = known.find(|tile| tile.id() == level).cloned();
            next.push(tile.ok_or_else(|| PortError::lasting(PORT, "a derived tile is not at hand"))?);
        }
        derived.edge = next;
        let full: Vec<_> = grown.tiles.into_iter().filter(|tile| tile.id().is_full()).collect();
        self.compare_tiles(&full, report).await?;
        Ok(true)
    }

    /// The hashes of the leaves `begin..until`: a leaf that is gone is told, unless it is one of the first that were thrown
    /// away; its tile stands in for it. `None` when that has not got it either.
    async fn hashes(
        &self,
        (begin, until): (u64, u64),
        derived: &Derived,
        kept: &Kept,
        report: &mut LogReport,
    ) -> Result<Option<Vec<Hash>>, PortError> {
        let gone = derived.pruned.as_ref().map_or(0, |pruned| pruned.until);
        let mut found: BTreeMap<u64, Option<Hash>> = BTreeMap::new();
        match report.log {
            WhichLog::Tenant(log) => {
                for row in self.reader.leaves(log, begin, until).await? {
                    found.insert(row.index, Some(check_leaf(log, &row, kept.hash(row.index), report)));
                }
            }
            WhichLog::Platform => {
                for row in self.reader.anchors(begin, until).await? {
                    let hash = check_anchor(&row, kept.hash(row.index), report);
                    if found.insert(row.index, hash).is_some() {
                        report.add(Place::Leaf(row.index), "index", "is there twice");
                    }
                }
                for (index, hash) in self.reader.lost(begin, until).await? {
                    report.lost += 1;
                    if !derived.said_lost.iter().any(|(first, end)| (*first..*end).contains(&index)) {
                        let problem = "is said to be lost, and no event says that the log was resumed there";
                        report.add(Place::Leaf(index), "row", problem);
                    }
                    if found.insert(index, Some(hash)).is_some() {
                        report.add(Place::Leaf(index), "index", "is there, and was said to be lost");
                    }
                }
            }
        }
        report.leaves += u64::try_from(found.len()).unwrap_or(u64::MAX);
        let mut hashes = Vec::with_capacity(usize::try_from(until - begin).unwrap_or_default());
        for index in begin..until {
            let hash = found.get(&index).copied().unwrap_or_else(|| {
                if index >= gone {
                    report.add(Place::Leaf(index), "row", "is missing");
                }
                kept.hash(index)
            });
            let Some(hash) = hash else { return Ok(None) };
            hashes.push(hash);
        }
        Ok(Some(hashes))
    }

    /// Holds the tiles kept against those derived, which may be narrower: the log grows on meanwhile.
    async fn compare_tiles(&self, derived: &[Tile], report: &mut LogReport) -> Result<(), PortError> {
        let ids: Vec<_> = derived.iter().map(Tile::id).collect();
        let kept = self.reader.tiles(report.log, &ids).await?;
        for tile in derived {
            report.tiles += 1;
            let place = |kept: &&Tile| {
                (kept.id().level(), kept.id().index()) == (tile.id().level(), tile.id().index())
            };
            let Some(found) = kept.iter().find(place) else {
                report.add(Place::Tile(tile.id()), "row", "is missing, or can't be read");
                continue;
            };
            if found.hashes().len() < tile.hashes().len() {
                report.add(Place::Tile(tile.id()), "width", "is less than the leaves make it");
            }
            let mut pairs = (0_u64..).zip(tile.hashes().iter().zip(found.hashes()));
            if let Some((position, _)) = pairs.find(|(_, (derived, kept))| derived != kept) {
                let problem = format!("are not what the leaves make them, from position {position} on");
                report.add(Place::Tile(tile.id()), "hashes", problem);
            }
        }
        Ok(())
    }
}

/// The tiles of level 0 that hold the leaves `begin..until`.
pub(super) fn leaf_tiles(begin: u64, until: u64) -> Vec<TileId> {
    let width = u64::from(TILE_WIDTH);
    (begin / width..until.div_ceil(width)).filter_map(|index| TileId::new(0, index, 1).ok()).collect()
}

fn check_head(
    head: &SignedHead,
    policy: Option<&LogPolicy>,
    derived: &mut Derived,
    report: &mut LogReport,
) -> Result<(), PortError> {
    report.heads += 1;
    let place = Place::Head(head.size);
    let root = derived.range.root().map_err(|e| PortError::lasting(PORT, e))?;
    if root == head.root {
        derived.right = head.size;
    } else if !derived.is_astray {
        derived.is_astray = true;
        let problem = format!("is not that of the leaves; those before head {} are as signed", derived.right);
        report.add(place, "root", problem);
    } else {
        report.more += 1;
    }
    let Some(policy) = policy else { return Ok(()) };
    match policy.open(head.note.as_bytes(), None) {
        Err(fault) => report.add(place, "note", format!("is no good: {fault}")),
        Ok(trusted) if (trusted.checkpoint.size(), trusted.checkpoint.root()) != (head.size, head.root) => {
            report.add(place, "note", "is of another size or root than its row");
        }
        Ok(_) => {}
    }
    Ok(())
}
