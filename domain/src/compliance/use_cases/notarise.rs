//! Heads of tenants' logs become leaves of the platform's log, and its head is signed.
//!
//! The order is what keeps the log from forking, whatever is killed or put back in between: the new leaves and their head,
//! unsigned, are committed; then the leaves' hashes are kept outside of the database, and the mark beside them is moved to that
//! head; only then it is signed, and only then it can be read. A database that was put back has a head below the mark,
//! or another root there, and nothing is signed on it, until [`super::resume_platform_log`] has made it whole again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::super::{
    actions::SIGN_PLATFORM_LOG,
    log::{
        anchor::anchor_leaf,
        checkpoint::Checkpoint,
        merkle::{CompactRange, Hash, Node, complete_subtrees, leaf_hash},
        note::{Note, VerifierKey, VerifierKind},
        policy::LogPolicy,
        tile::{self, TileSet, edge_tiles, tiles_for_root},
        trust::TrustPolicy,
    },
    ports::{
        Anchor, CheckpointSigner, HighWater, LeafHashes, Mark, PlatformGrowth, PlatformHead, PlatformStore,
        Unanchored, WitnessClient,
    },
};
use super::verify_log::leaf_tiles;
use crate::kernel::{
    clock::Clock,
    fault::PortError,
    ids::{Entropy, PLATFORM},
    outbox::{Outbox, Party, Record},
};

pub(super) const PORT: &str = "compliance.platform_log";

/// So many hashes of leaves are kept at a time: 64 whole tiles.
const KEPT_AT_ONCE: u64 = 64 * 256;

/// What a notary is built from.
pub struct NotaryPorts {
    /// Where the platform's log is kept.
    pub store: Arc<dyn PlatformStore>,
    /// What remembers how far it has come.
    pub high_water: Arc<dyn HighWater>,
    /// What remembers its leaves.
    pub leaves: Arc<dyn LeafHashes>,
    /// Who signs its heads.
    pub signer: Arc<dyn CheckpointSigner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Salts.
    pub entropy: Arc<dyn Entropy>,
    /// How witnesses are asked.
    pub witnesses: Arc<dyn WitnessClient>,
    /// Who they are, and how many of them are enough.
    pub trust: TrustPolicy,
    /// The host part of the log's origin.
    pub host: String,
}

/// What each witness is believed to have seen last: it says so itself when that is wrong.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<String, u64>>);

impl Seen {
    pub(super) fn seen_by(&self, witness: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(witness).copied().unwrap_or_default()
    }

    pub(super) fn remember(&self, witness: &str, size: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(witness.to_owned(), size);
    }
}

/// Why nothing is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rollback {
    /// The database has fewer leaves than a head that was signed: it was put back.
    #[error("the log has {have} leaves, and a head of {signed} was about to be signed before")]
    Smaller {
        /// How many there are.
        have: u64,
        /// How many there were.
        signed: u64,
    },
    /// It has other leaves than a head that was signed.
    #[error("the log has another root at {size} leaves than was about to be signed before")]
    Different {
        /// At which size.
        size: u64,
    },
    /// Heads are signed, and nothing remembers how far: the mark was lost or is another installation's.
    #[error("heads up to {signed} leaves are signed, and the mark of it is gone")]
    Unmarked {
        /// The size of the newest head that is signed.
        signed: u64,
    },
}

impl Rollback {
    /// A machine word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smaller { .. } => "smaller_than_signed",
            Self::Different { .. } => "different_from_signed",
            Self::Unmarked { .. } => "mark_is_gone",
        }
    }
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notarised {
    /// There was nothing new, or somebody else is at it.
    Nothing,
    /// A head of so many leaves was signed.
    Signed {
        /// Its size.
        size: u64,
        /// Whether more heads of tenants may be waiting.
        more: bool,
    },
    /// Nothing was signed, and will not be until somebody has looked.
    Refused(Rollback),
}

/// Makes the platform's log grow.
pub struct Notary(pub(super) NotaryPorts, pub(super) Seen);

/// The log as it is kept.
pub(super) struct Kept {
    mark: Option<Mark>,
    newest: Option<PlatformHead>,
}

/// The name of the platform's log: what its checkpoints begin with.
pub(super) fn platform_origin(host: &str) -> String {
    format!("audit.{host}/platform")
}

impl Notary {
    /// Takes its ports.
    pub fn new(ports: NotaryPorts) -> Self {
        Self(ports, Seen::default())
    }

    /// Whether there is anybody to ask for cosignatures.
    pub fn has_witnesses(&self) -> bool {
        !self.0.trust.witnesses().is_empty()
    }

    /// The name of the platform's log.
    pub fn origin(&self) -> String {
        platform_origin(&self.0.host)
    }

    /// Signs a head that was left unsigned, or makes the log grow by up to `most` heads of tenants' logs and signs its
    /// new head.
    ///
    /// # Errors
    /// A port did not answer, or the log kept does not fit together.
    pub async fn notarise(&self, most: u32) -> Result<Notarised, PortError> {
        let kept = match self.look().await? {
            Ok(kept) => kept,
            Err(rollback) => return Ok(Notarised::Refused(rollback)),
        };
        if let Some(left) = kept.newest.filter(|head| head.note.is_none()) {
            return self.finish(left, true).await;
        }
        let Some(mut tx) = self.0.store.begin().await? else { return Ok(Notarised::Nothing) };
        let newest = tx.newest().await?;
        if newest.as_ref().is_some_and(|head| head.note.is_none()) {
            // Somebody else made it a moment ago, and is about to sign it.
            return Ok(Notarised::Nothing);
        }
        let waiting = tx.unanchored(most).await?;
        if waiting.is_empty() {
            return Ok(Notarised::Nothing);
        }
        let more = u32::try_from(waiting.len()).is_ok_and(|count| count >= most);
        let size = newest.map_or(0, |head| head.size);
        let edge = tx.tiles(&edge_tiles(size)).await?;
        let growth = self.growth(size, &edge, waiting)?;
        tx.grow(&growth).await?;
        tx.commit().await?;
        self.finish(growth.head, more).await
    }

    fn growth(
        &self,
        size: u64,
        edge: &[tile::Tile],
        waiting: Vec<Unanchored>,
    ) -> Result<PlatformGrowth, PortError> {
        let mut anchors = Vec::with_capacity(waiting.len());
        for (index, Unanchored { log, head }) in (size..).zip(waiting) {
            let note = Note::parse(head.note.as_bytes()).map_err(|e| PortError::lasting(PORT, e))?;
            let salt = self.0.entropy.bytes32();
            let leaf_hash = leaf_hash(&anchor_leaf(&salt, note.text()));
            anchors.push(Anchor { log, size: head.size, index, salt, leaf_hash });
        }
        let hashes: Vec<_> = anchors.iter().map(|anchor| anchor.leaf_hash).collect();
        let grown = tile::append(size, edge, &hashes).map_err(|e| PortError::lasting(PORT, e))?;
        let head =
            PlatformHead { size: grown.size, root: grown.root, note: None, made_at: self.0.clock.now() };
        Ok(PlatformGrowth { lost: Vec::new(), anchors, tiles: grown.tiles, head })
    }

    /// What is kept, if it goes on from what was about to be signed last. The mark is read first: whoever moves it has
    /// committed before.
    pub(super) async fn look(&self) -> Result<Result<Kept, Rollback>, PortError> {
        let mark = self.0.high_water.read(&self.origin()).await?;
        let newest = self.0.store.newest().await?;
        let have = newest.as_ref().map_or(0, |head| head.size);
        let Some(known) = mark else {
            let signed = self.0.store.newest_signed().await?;
            return Ok(match signed {
                Some(head) => Err(Rollback::Unmarked { signed: head.size }),
                None => Ok(Kept { mark, newest }),
            });
        };
        if have < known.size {
            return Ok(Err(Rollback::Smaller { have, signed: known.size }));
        }
        if self.root(known.size).await? != Some(known.root) {
            return Ok(Err(Rollback::Different { size: known.size }));
        }
        Ok(Ok(Kept { mark, newest }))
    }

    /// The root at a size the log has had; `None` when the tiles do not give it.
    pub(super) async fn root(&self, size: u64) -> Result<Option<Hash>, PortError> {
        let tiles = self.0.store.tiles(&tiles_for_root(size)).await?;
        Ok(TileSet::new(tiles).root(size).ok())
    }

    /// Moves the mark to the head, then signs it.
    async fn finish(&self, head: PlatformHead, more: bool) -> Result<Notarised, PortError> {
        // Once more, as this is the step that counts: between the first look and now somebody may have been here.
        let mark = match self.look().await? {
            Ok(kept) => kept.mark,
            Err(rollback) => return Ok(Notarised::Refused(rollback)),
        };
        if mark.is_some_and(|mark| mark.size > head.size) {
            // A later head is there, which says all that this one would.
            return Ok(Notarised::Nothing);
        }
        // That the tiles make this head is what tenants' proofs will rest on.
        if self.root(head.size).await? != Some(head.root) {
            return Err(PortError::lasting(PORT, "the platform's log does not fit together"));
        }
        let to = Mark { size: head.size, root: head.root };
        if !self.keep_leaves(mark, head.size).await? {
            return Ok(Notarised::Nothing);
        }
        if mark != Some(to) && !self.0.high_water.advance(&self.origin(), mark, to).await? {
            return Ok(Notarised::Nothing);
        }
        let (note, key) = self.sign(&head).await?;
        self.0.store.publish(head.size, &note, &key, self.0.trust.is_met(&[])).await?;
        Ok(Notarised::Signed { size: head.size, more })
    }

    /// Keeps the hashes of the leaves up to `end` outside of the database, if they make the roots above them. Those up to the mark
    /// stay as they are: what is kept behind it may be of leaves that were lost before anybody signed them. `false` when
    /// somebody moved the mark meanwhile.
    pub(super) async fn keep_leaves(&self, mark: Option<Mark>, end: u64) -> Result<bool, PortError> {
        let origin = self.origin();
        let mut first = self.0.leaves.kept(&origin).await?.min(mark.map_or(0, |mark| mark.size));
        while first < end {
            let until = end.min(first + KEPT_AT_ONCE);
            let tiles = TileSet::new(self.0.store.tiles(&leaf_tiles(first, until)).await?);
            let hashes: Option<Vec<_>> = (first..until).map(|index| tiles.node(Node::leaf(index))).collect();
            let hashes =
                hashes.ok_or_else(|| PortError::lasting(PORT, "a tile of the platform's log is missing"))?;
            let before = TileSet::new(self.0.store.tiles(&tiles_for_root(first)).await?);
            let subtrees: Option<Vec<_>> =
                complete_subtrees(0, first).into_iter().map(|node| before.node(node)).collect();
            let range = CompactRange::from_hashes(0, first, &subtrees.unwrap_or_default());
            let folded = range.and_then(|mut range| range.append_leaves(&hashes).and_then(|()| range.root()));
            let root = self.root(until).await?;
            if root.is_none() || folded.ok() != root {
                return Err(PortError::lasting(PORT, "the platform's log does not fit together"));
            }
            if !self.0.leaves.keep(&origin, mark, first, &hashes).await? {
                return Ok(false);
            }
            first = until;
        }
        Ok(true)
    }

    async fn sign(&self, head: &PlatformHead) -> Result<(String, [u8; 32]), PortError> {
        let fault = |e: Box<dyn std::error::Error + Send + Sync>| PortError::lasting(PORT, e);
        let origin = self.origin();
        let key = self.0.signer.public_key().await?;
        let verifier = VerifierKey::new(&origin, VerifierKind::Ed25519, &key).map_err(|e| fault(e.into()))?;
        let text = Checkpoint::new(&origin, head.size, head.root).map_err(|e| fault(e.into()))?.to_string();
        let signature = self.0.signer.sign(text.as_bytes()).await?;
        let note =
            Note::with_signature(text, verifier.line(signature.to_vec())).map_err(|e| fault(e.into()))?;
        // What a key service gave is believed when it verifies.
        let policy = LogPolicy::new(&origin, vec![verifier], Vec::new(), 0).map_err(|e| fault(e.into()))?;
        let note = note.to_text();
        policy.open(note.as_bytes(), None).map_err(|e| fault(e.into()))?;
        Ok((note, key))
    }

    /// Records that nothing is signed, in the platform's own log.
    ///
    /// # Errors
    /// The outbox did not answer.
    pub async fn tell(&self, outbox: &mut dyn Outbox, rollback: Rollback) -> Result<(), PortError> {
        let target = Party::new("tenant", PLATFORM.uuid());
        let refused = Record::refused(SIGN_PLATFORM_LOG, Some(target), rollback.as_str());
        outbox.record(refused).await
    }
}
