//! What the audit log needs from outside.

mod attest;
mod changes;
mod platform;
mod records;
mod reports;
mod subjects;

use async_trait::async_trait;

use super::{
    event::AuditEvent,
    log::{merkle::Hash, tile::Tile, tile::TileId},
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{ComplianceId, EventId, TenantId},
    outbox::{Outbox, Outcome, Stream},
    page::{Direction, Page, PageRequest},
    scope::TenantScope,
};

pub use attest::{Attestation, AttestationStore, Attester, Progress, Settled};
pub use changes::{ChangeSchedule, ChangeStore, Opened, Opening};
pub use platform::{
    Anchor, AnchorStore, CheckpointSigner, Cosignature, Evidence, HighWater, LeafHashes, Mark,
    PlatformGrowth, PlatformHead, PlatformStore, PlatformTx, Unanchored, WitnessAnswer, WitnessClient,
};
pub use records::{RecordFilter, RecordStore};
pub use reports::{
    Added, Asked, Binding, Bound, ComplianceUnit, ComplianceUnits, ReportBinder, ReportRow, ReportSchedule,
    ReportStore, Segment,
};
pub use subjects::{
    DailySchedule, EndSchedule, EndStore, ErasureLedger, ErasureSchedule, Rewrapped, SubjectStore,
    TenantRemains,
};

/// One log: a stream of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub stream: Stream,
}

/// An event and its place in its log.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedEvent {
    /// The index, from 0.
    pub index: u64,
    /// The event, read from the leaf itself.
    pub event: AuditEvent,
    /// SHA-256 of the leaf (RFC 6962 section 2.1).
    pub leaf_hash: Hash,
}

/// A place in a list of events of all streams: by time, then id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey {
    /// When it occurred.
    pub at: Timestamp,
    /// Which.
    pub id: EventId,
}

/// Which events are wanted. Empty fields ask for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this stream. `None` asks for all but `Access`.
    pub stream: Option<Stream>,
    /// Of these types, as `invite_member`.
    pub types: Vec<String>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// By this actor.
    pub actor: Option<uuid::Uuid>,
    /// Done to this.
    pub target: Option<uuid::Uuid>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Until before then.
    pub until: Option<Timestamp>,
}

/// A signed head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// How many leaves it covers.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
    /// The checkpoint as a C2SP signed note.
    pub note: String,
    /// When it was signed: never before a head that it goes on from, nor before anything in it happened, whatever the clock
    /// says.
    pub signed_at: Timestamp,
}

/// That leaves of a log were thrown away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Leaves with a lower index; a multiple of 256.
    pub until: u64,
    /// The root over them.
    pub root: Hash,
    /// The statement as a signed note ([`super::log::prune`]).
    pub note: String,
    /// When it was made.
    pub at: Timestamp,
}

/// Reading the logs of one tenant.
#[async_trait]
pub trait AuditStore: Send {
    /// Everything one answer left, in the order it happened; events not yet sequenced are not in it.
    async fn trail(&mut self, id: ComplianceId) -> Result<Vec<LoggedEvent>, PortError>;
    /// Events by time.
    async fn events(
        &mut self,
        filter: &EventFilter,
        page: PageRequest<EventKey>,
    ) -> Result<Page<LoggedEvent>, PortError>;
    /// One event.
    async fn event(&mut self, id: EventId) -> Result<Option<LoggedEvent>, PortError>;
    /// The newest signed head, or the one of exactly `size`.
    async fn head(&mut self, stream: Stream, size: Option<u64>) -> Result<Option<SignedHead>, PortError>;
    /// The tiles named, in any order; those that do not exist are left out.
    async fn tiles(&mut self, stream: Stream, ids: &[TileId]) -> Result<Vec<Tile>, PortError>;
    /// What was thrown away of a log, all in all.
    async fn pruned(&mut self, stream: Stream) -> Result<Option<Prune>, PortError>;
}

/// All of compliance's stores in one transaction of one tenant.
pub trait ComplianceTx: AuditStore + AnchorStore + Outbox {}

/// The same, and reports, persons, and records of processing.
pub trait ReportTx: ComplianceTx + ReportStore + ChangeStore + SubjectStore + RecordStore {}

/// An event that has no index yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsequenced {
    /// Its log.
    pub log: LogId,
    /// Its id.
    pub event: EventId,
    /// The leaf.
    pub leaf: Vec<u8>,
}

/// Events taken to be sequenced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The events, by log and then by id.
    pub events: Vec<Unsequenced>,
    /// Whether more may be waiting.
    pub more: bool,
}

/// Where a log stands: its size and the tiles at its right edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEdge {
    /// Which log.
    pub log: LogId,
    /// How many leaves it has.
    pub size: u64,
    /// When its newest head was signed; `None` when it has none.
    pub signed_at: Option<Timestamp>,
    /// The partial tiles at its right edge.
    pub tiles: Vec<Tile>,
}

/// What a log grows by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGrowth {
    /// Which log.
    pub log: LogId,
    /// Its size before.
    pub old_size: u64,
    /// The new leaves in order: event and leaf hash.
    pub leaves: Vec<(EventId, Hash)>,
    /// Tiles that are new or have grown.
    pub tiles: Vec<Tile>,
    /// The new head.
    pub head: SignedHead,
    /// When the oldest of the new leaves happened.
    pub oldest_at: Timestamp,
}

/// Gives indexes to events. Across all tenants, so under a role of its own.
#[async_trait]
pub trait SequencerStore: Send + Sync {
    /// Opens a sequencing transaction; `None` while another sequencer is in one.
    async fn begin(&self) -> Result<Option<Box<dyn SequencingTx>>, PortError>;
}

/// One sequencing transaction. While it is open nobody else sequences.
#[async_trait]
pub trait SequencingTx: Send {
    /// Takes up to `most` events that are visible and unsequenced, whenever they were written: tenants have their turns
    /// event by event, so that one tenant's flood delays no other, and none of the tenants `resting` is among them. An
    /// event that is in its log already is taken away and not given: it was written twice.
    async fn take(&mut self, most: u32, resting: &[TenantId]) -> Result<Taken, PortError>;
    /// Where those logs stand; a log never seen has size 0.
    async fn edges(&mut self, logs: &[LogId]) -> Result<Vec<LogEdge>, PortError>;
    /// Writes leaves, tiles and heads of the events taken.
    async fn grow(&mut self, growth: &[LogGrowth]) -> Result<(), PortError>;
    /// Makes it durable.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// A leaf as it is kept, with the columns of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLeaf {
    /// The index, from 0.
    pub index: u64,
    /// `event_id`.
    pub event: EventId,
    /// `compliance_id`.
    pub compliance_id: ComplianceId,
    /// `type`.
    pub type_name: String,
    /// `outcome`.
    pub outcome: String,
    /// `actor_id`.
    pub actor: Option<uuid::Uuid>,
    /// `target_id`.
    pub target: Option<uuid::Uuid>,
    /// `occurred_at`.
    pub occurred_at: Timestamp,
    /// The leaf.
    pub leaf: Vec<u8>,
    /// `leaf_hash`.
    pub leaf_hash: Vec<u8>,
}

/// A log of which signed heads are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichLog {
    /// A tenant's.
    Tenant(LogId),
    /// The platform's own, of tenants' heads.
    Platform,
}

/// A leaf of the platform's log as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnchor {
    /// The index, from 0.
    pub index: u64,
    /// The head's tenant and stream, as `<tenant> <stream>`.
    pub of: String,
    /// The head's size.
    pub size: u64,
    /// `salt`.
    pub salt: Vec<u8>,
    /// `leaf_hash`.
    pub leaf_hash: Vec<u8>,
    /// The note of the tenant's head of that size; `None` when there is no such head.
    pub note: Option<String>,
}

/// How far a log has come, by its leaves and by its heads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnds {
    /// One past the highest index there is.
    pub leaves: u64,
    /// The size of the newest head; 0 when there is none.
    pub head: u64,
}

/// Reads whole logs, of all tenants, to check them. Under a role of its own, which may read and nothing else. Gives what
/// is kept as it is: that it is right is what is to be found out.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// Logs of which anything is left: a leaf, a tile or a head. Of one tenant, or of all.
    async fn logs(&self, tenant: Option<TenantId>) -> Result<Vec<LogId>, PortError>;
    /// Logs whose newest head has at least so many leaves, each with how many.
    async fn long_logs(&self, least: u64) -> Result<Vec<(LogId, u64)>, PortError>;
    /// Tables whose changes the database does not note for the audit log, as a trigger of theirs is turned off or gone.
    async fn unnoted_tables(&self) -> Result<Vec<&'static str>, PortError>;
    /// Both ends at one instant.
    async fn ends(&self, log: WhichLog) -> Result<LogEnds, PortError>;
    /// The leaves with indexes `begin..until`, in order; those that are missing are left out.
    async fn leaves(&self, log: LogId, begin: u64, until: u64) -> Result<Vec<KeptLeaf>, PortError>;
    /// The leaves of the platform's log with indexes `begin..until`, in order; those that are missing are left out.
    async fn anchors(&self, begin: u64, until: u64) -> Result<Vec<KeptAnchor>, PortError>;
    /// Index and hash of those leaves `begin..until` of the platform's log of which nothing else is left.
    async fn lost(&self, begin: u64, until: u64) -> Result<Vec<(u64, Hash)>, PortError>;
    /// Which leaves of the platform's log events of its own say were lost: index of the first, and of the one behind the last.
    async fn said_lost(&self) -> Result<Vec<(u64, u64)>, PortError>;
    /// The tiles at these levels and indexes, each as wide as it is now, in any order; those that do not exist or are no
    /// tiles are left out.
    async fn tiles(&self, log: WhichLog, ids: &[TileId]) -> Result<Vec<Tile>, PortError>;
    /// Level and index of some tiles that reach past the newest head.
    async fn strays(&self, log: WhichLog) -> Result<Vec<(u8, u64)>, PortError>;
    /// The signed heads of more than `after` and up to `until` leaves, smallest first.
    async fn heads(&self, log: WhichLog, after: u64, until: u64) -> Result<Vec<SignedHead>, PortError>;
    /// What was thrown away of a log, all in all.
    async fn pruned(&self, log: LogId) -> Result<Option<Prune>, PortError>;
    /// The public keys that may have signed the log's heads.
    async fn keys(&self, log: WhichLog) -> Result<Vec<[u8; 32]>, PortError>;
}

/// Throws leaves away. Across all tenants, so under a role of its own, which may throw away what a statement names and nothing
/// else.
#[async_trait]
pub trait LogPruner: Send + Sync {
    /// Up to `most` leaves with an index below `until`, and what opens them; how many those were.
    async fn prune(&self, log: LogId, until: u64, most: u32) -> Result<u32, PortError>;
}

/// Keys that sign a tenant's checkpoints.
#[async_trait]
pub trait LogKeys: Send + Sync {
    /// The Ed25519 seed of the tenant's log key, made when there is none.
    async fn seed(&self, scope: &TenantScope) -> Result<zeroize::Zeroizing<[u8; 32]>, PortError>;
    /// The public keys that signed this tenant's checkpoints, newest first, 32 bytes each.
    async fn public_keys(&self, scope: &TenantScope) -> Result<Vec<[u8; 32]>, PortError>;
    /// Makes a newer key, which is what [`LogKeys::seed`] gives from then on. Not of a tenant that has ended.
    async fn rotate(&self, scope: &TenantScope) -> Result<(), PortError>;
    /// Has the log's keys outlive those of the tenant: seals them by the installation's own. One is made when there is none.
    async fn outlive(&self, scope: &TenantScope) -> Result<(), PortError>;
}

/// A version of a tenant's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVersion {
    /// From 1; the highest is the newest.
    pub version: u32,
    /// The key provider that wraps it.
    pub provider: String,
    /// How many data keys are wrapped under it.
    pub data_keys: usize,
    /// What is wrapped under it is refused.
    pub is_retired: bool,
}

/// Keeps tenants' keys, and gives none of them out.
#[async_trait]
pub trait KeyCustody: Send + Sync {
    /// The tenant's keys, oldest first; none when nothing has been sealed for it yet.
    async fn versions(&self, scope: &TenantScope) -> Result<Vec<KeyVersion>, PortError>;
    /// Makes a newer tenant key, wrapped by the provider named `to` or by the one that wrapped the last, and brings
    /// all data keys under it.
    async fn rotate(&self, scope: &TenantScope, to: Option<&str>) -> Result<(), PortError>;
    /// Brings the data keys that are under older tenant keys under the newest, and says how many those were.
    async fn rewrap(&self, scope: &TenantScope) -> Result<u32, PortError>;
    /// Has what is under older tenant keys refused from now on, wherever it comes from, and says how many of those keys
    /// there were. One that a data key is still under is left in use.
    async fn retire(&self, scope: &TenantScope) -> Result<u32, PortError>;
}

/// An event complete with its leaf, ready for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingEvent {
    /// Whose log.
    pub tenant: TenantId,
    /// Its id.
    pub id: EventId,
    /// The answer it belongs to.
    pub compliance_id: ComplianceId,
    /// Its type.
    pub type_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it.
    pub actor: Option<uuid::Uuid>,
    /// When.
    pub occurred_at: Timestamp,
    /// The leaf.
    pub leaf: Vec<u8>,
}

/// Adds access events, of many tenants at a time.
#[async_trait]
pub trait AccessRecorder: Send + Sync {
    /// Adds them to the outbox; those that are there already are left as they are.
    async fn add(&self, events: &[PendingEvent]) -> Result<(), PortError>;
}

impl PageRequest<EventKey> {
    /// The newest `limit` events.
    pub const fn newest(limit: u16) -> Self {
        Self { limit, from: None, direction: Direction::Backward }
    }
}
