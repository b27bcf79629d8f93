//! What the platform's log needs from outside: where it is kept, who signs it, and what remembers how far it has come.

use async_trait::async_trait;

use super::{Attestation, LogId, SignedHead};
use crate::{
    compliance::log::{
        merkle::Hash,
        note::NoteSignature,
        tile::{Tile, TileId},
        witness::AddCheckpoint,
    },
    kernel::{clock::Timestamp, fault::PortError, outbox::Stream},
};

/// The newest head of a tenant's log that is not in the platform's log yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanchored {
    /// Which log.
    pub log: LogId,
    /// Its newest head.
    pub head: SignedHead,
}

/// Where a head of a tenant's log stands in the platform's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Which log.
    pub log: LogId,
    /// The size of the head.
    pub size: u64,
    /// Its place in the platform's log, from 0.
    pub index: u64,
    /// What makes the leaf say nothing to others.
    pub salt: [u8; 32],
    /// SHA-256 of the leaf (RFC 6962 section 2.1).
    pub leaf_hash: Hash,
}

/// A head of the platform's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformHead {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The signed note; `None` while it is not signed, and not to be given out.
    pub note: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
}

/// What a witness gave for a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness's verifier key (C2SP signed note).
    pub witness: String,
    /// The line, as it goes into the note.
    pub line: String,
    /// When, by the witness's clock.
    pub cosigned_at: Timestamp,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessAnswer {
    /// Signature lines, of whomever.
    Cosigned(Vec<NoteSignature>),
    /// It has cosigned a log of this size last.
    OtherSize(u64),
    /// It does not, and says so with this HTTP status.
    Refused(u16),
}

/// Asks witnesses for cosignatures (C2SP tlog-witness).
#[async_trait]
pub trait WitnessClient: Send + Sync {
    /// Submits a checkpoint to the witness with that submission prefix.
    async fn add_checkpoint(&self, url: &str, request: &AddCheckpoint) -> Result<WitnessAnswer, PortError>;
}

/// What the platform's log grows by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformGrowth {
    /// Leaves of which nothing but the hash is left, in order; they go on from the log as it is.
    pub lost: Vec<Hash>,
    /// The new leaves, in order; behind those lost.
    pub anchors: Vec<Anchor>,
    /// Tiles that are new or have grown.
    pub tiles: Vec<Tile>,
    /// The new head, not signed yet.
    pub head: PlatformHead,
}

/// Keeps the platform's log. Under a role of its own, which may read all tenants' heads.
#[async_trait]
pub trait PlatformStore: Send + Sync {
    /// Opens a transaction that makes the log grow; `None` while another does.
    async fn begin(&self) -> Result<Option<Box<dyn PlatformTx>>, PortError>;
    /// The newest head, signed or not.
    async fn newest(&self) -> Result<Option<PlatformHead>, PortError>;
    /// The newest head that is signed.
    async fn newest_signed(&self) -> Result<Option<PlatformHead>, PortError>;
    /// The tiles named, in any order; those that do not exist are left out.
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Tile>, PortError>;
    /// Keeps the note of the head of that size, the public key that signed it, and whether it needs no cosignatures. One
    /// that has a note keeps it.
    async fn publish(
        &self,
        size: u64,
        note: &str,
        signed_by: &[u8; 32],
        is_witnessed: bool,
    ) -> Result<(), PortError>;
    /// What witnesses gave for the head of that size.
    async fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>, PortError>;
    /// Keeps more of them, and whether enough have cosigned now; a witness's first is kept.
    async fn add_cosignatures(
        &self,
        size: u64,
        new: &[Cosignature],
        is_witnessed: bool,
    ) -> Result<(), PortError>;
}

/// One transaction in which the platform's log grows. While it is open nobody else makes it grow.
#[async_trait]
pub trait PlatformTx: Send {
    /// The newest head, signed or not.
    async fn newest(&mut self) -> Result<Option<PlatformHead>, PortError>;
    /// Up to `most` heads of tenants' logs that are newer than what the platform's log has of them.
    async fn unanchored(&mut self, most: u32) -> Result<Vec<Unanchored>, PortError>;
    /// The tiles named; those that do not exist are left out.
    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Tile>, PortError>;
    /// Writes leaves, tiles and the unsigned head.
    async fn grow(&mut self, growth: &PlatformGrowth) -> Result<(), PortError>;
    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// Reading the platform's log from a tenant's transaction: of its leaves the tenant's own, of the rest what all may see.
#[async_trait]
pub trait AnchorStore: Send {
    /// Where the tenant's head of exactly `size`, or its newest that is there, stands among the first `covered` leaves.
    async fn anchor(
        &mut self,
        stream: Stream,
        size: Option<u64>,
        covered: u64,
    ) -> Result<Option<Anchor>, PortError>;
    /// The newest head that is signed and has its cosignatures, which are in its note.
    async fn platform_head(&mut self) -> Result<Option<SignedHead>, PortError>;
    /// The tiles named, in any order; those that do not exist are left out.
    async fn platform_tiles(&mut self, ids: &[TileId]) -> Result<Vec<Tile>, PortError>;
    /// The public keys that sign heads, newest first.
    async fn platform_keys(&mut self) -> Result<Vec<[u8; 32]>, PortError>;
    /// Up to `most` of what others vouch for or are asked to, of heads of fewer than `before` leaves, newest first, each with the
    /// head's note and without what was prepared.
    async fn attestations(
        &mut self,
        before: Option<u64>,
        most: u16,
    ) -> Result<Vec<(Attestation, String)>, PortError>;
}

/// How far a log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Remembers the newest head that was about to be signed, outside of the database: a backup that is put back puts it not
/// back.
#[async_trait]
pub trait HighWater: Send + Sync {
    /// The mark of the log with that origin; `None` when there is none.
    async fn read(&self, origin: &str) -> Result<Option<Mark>, PortError>;
    /// Moves the mark from `from` to `to` in one step, durably. `false` when it was not at `from`: it is left as it is.
    async fn advance(&self, origin: &str, from: Option<Mark>, to: Mark) -> Result<bool, PortError>;
}

/// Remembers the hashes of the platform's leaves outside of the database, where the mark is: with them the log goes on from
/// what was signed, also when the database is one that was put back.
#[async_trait]
pub trait LeafHashes: Send + Sync {
    /// How many leaves of the log with that origin are remembered, from its first.
    async fn kept(&self, origin: &str) -> Result<u64, PortError>;
    /// Remembers those from index `first` on, durably, in place of what was remembered of them. Those before must be there.
    /// `false` when the mark is not at `mark`: nothing is remembered.
    async fn keep(
        &self,
        origin: &str,
        mark: Option<Mark>,
        first: u64,
        hashes: &[Hash],
    ) -> Result<bool, PortError>;
    /// The hashes of the leaves `begin..end`, as many as are remembered.
    async fn hashes(&self, origin: &str, begin: u64, end: u64) -> Result<Vec<Hash>, PortError>;
}

/// Keeps what shows others that a log contradicts itself: both of its checkpoints, as it signed them.
#[async_trait]
pub trait Evidence: Send + Sync {
    /// Remembers the checkpoint of so many leaves of a log that is about to be cosigned, in place of smaller ones. Durably.
    async fn keep_seen(&self, origin: &str, size: u64, note: &str) -> Result<(), PortError>;
    /// Keeps a checkpoint of so many leaves beside the one that is remembered of as many, which has another root, and says where.
    /// Durably; what was kept already is not kept twice.
    async fn keep_contradiction(&self, origin: &str, size: u64, note: &str) -> Result<String, PortError>;
}

/// Signs the platform's checkpoints with an Ed25519 key (RFC 8032) that it does not give out.
#[async_trait]
pub trait CheckpointSigner: Send + Sync {
    /// The public key that signs now.
    async fn public_key(&self) -> Result<[u8; 32], PortError>;
    /// The signature of `message` by that key.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], PortError>;
}
