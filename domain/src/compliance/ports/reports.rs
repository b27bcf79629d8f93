//! What reports need from outside: where they are remembered, what binds them, who makes them.

use async_trait::async_trait;
use chrono::TimeDelta;
use report_bundle::{
    opening::Shown,
    writer::{FileFacts, Heads, ReportHead, TypeRun},
};

use super::{EndStore, Prune, ReportTx, SignedHead};
use crate::compliance::log::merkle::Hash;
use crate::{
    compliance::report::{Piece, Report},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::ReportId,
        outbox::{Origin, Stream},
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};

/// Remembers reports, and reads what they are made of.
#[async_trait]
pub trait ReportStore: Send {
    /// Stores a new one.
    async fn add_report(&mut self, report: &Report) -> Result<(), PortError>;
    /// `None` when this tenant has no such report.
    async fn report(&mut self, id: ReportId) -> Result<Option<Report>, PortError>;
    /// The same, locked until the transaction ends.
    async fn lock_report(&mut self, id: ReportId) -> Result<Option<Report>, PortError>;
    /// Newest last, by when they were asked for.
    async fn reports(&mut self, page: PageRequest) -> Result<Page<Report>, PortError>;
    /// How many are under way, and how many are there. Nobody else of the tenant asks for one until the transaction ends.
    async fn count_reports(&mut self) -> Result<(u32, u32), PortError>;
    /// Stores changes and counts the version on; stale when it is another than the one stored.
    async fn update_report(&mut self, report: &Report) -> Result<(), PortError>;
    /// Has somebody look after a report then; `None` for never again.
    async fn schedule_report(&mut self, id: ReportId, due_at: Option<Timestamp>) -> Result<(), PortError>;
    /// The leaves with indexes `begin..until`, in order; those that are missing are left out.
    async fn leaves(&mut self, stream: Stream, begin: u64, until: u64) -> Result<Vec<Vec<u8>>, PortError>;
    /// Files of the range that lie ready and have leaves of `begin..end` alone, in order.
    async fn segments(&mut self, stream: Stream, begin: u64, end: u64) -> Result<Vec<Segment>, PortError>;
    /// How many leaves lie in such files, from the log's beginning on.
    async fn cut_until(&mut self, stream: Stream) -> Result<u64, PortError>;
    /// Remembers one; no error when it is there already.
    async fn add_segment(&mut self, stream: Stream, segment: &Segment) -> Result<(), PortError>;
    /// Remembers that leaves of a log are thrown away.
    async fn add_prune(&mut self, stream: Stream, prune: &Prune) -> Result<(), PortError>;
    /// Forgets files that have leaves below `until` alone, and names them.
    async fn drop_segments(&mut self, stream: Stream, until: u64) -> Result<Vec<Segment>, PortError>;
    /// The smallest head of a log that has at least `size` leaves.
    async fn head_from(&mut self, stream: Stream, size: u64) -> Result<Option<SignedHead>, PortError>;
    /// The newest head that is signed and that everybody who cosigned it had cosigned before then.
    async fn platform_head_before(&mut self, at: Timestamp) -> Result<Option<SignedHead>, PortError>;
    /// The newest head of a log that was signed before then.
    async fn head_before(&mut self, stream: Stream, at: Timestamp) -> Result<Option<SignedHead>, PortError>;
    /// The oldest head of a log that was signed then or later.
    async fn head_since(&mut self, stream: Stream, at: Timestamp) -> Result<Option<SignedHead>, PortError>;
    /// Whether an event of a log that happened before then waits for its place in it.
    async fn is_waiting(&mut self, stream: Stream, before: Timestamp) -> Result<bool, PortError>;
    /// The size of the largest head of more than `size` leaves by which something came into a log that had happened before then,
    /// and more than `late` before that head was signed.
    async fn late_head(
        &mut self,
        stream: Stream,
        size: u64,
        before: Timestamp,
        late: TimeDelta,
    ) -> Result<Option<u64>, PortError>;
    /// The size of the smallest head of at least that size that stands among the first `covered` leaves of the platform's
    /// log.
    async fn anchor_reaching(
        &mut self,
        stream: Stream,
        size: u64,
        covered: u64,
    ) -> Result<Option<u64>, PortError>;
}

/// Says which reports are to be looked after, across tenants: names and nothing else.
#[async_trait]
pub trait ReportSchedule: Send + Sync {
    /// Claims up to `most` that are due. Nobody else is given them before `lease` is over.
    async fn claim_reports(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, ReportId)>, PortError>;
}

/// Opens transactions for who makes reports.
#[async_trait]
pub trait ComplianceUnits: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn ComplianceUnit>, PortError>;
}

/// One open transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait ComplianceUnit: ReportTx + EndStore {
    /// Makes it all durable.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// Binds bundles, signs them, and keeps them.
#[async_trait]
pub trait ReportBinder: Send + Sync {
    /// Whether there is a certificate to sign with.
    fn can_sign(&self) -> bool;
    /// A detached CAdES signature over `content` by the certificate's key (DER).
    async fn sign(&self, content: &[u8]) -> Result<Vec<u8>, PortError>;
    /// Begins one, which is kept under `place`.
    async fn begin(&self, place: &str, head: ReportHead) -> Result<Box<dyn Binding>, PortError>;
    /// Makes a file of the range of leaves from the first of `of` on, and keeps it below `folder`; `None` when one can't be shown,
    /// or they have another root than the second.
    async fn cut(
        &self,
        folder: &str,
        of: (u64, Hash),
        leaves: Vec<Vec<u8>>,
    ) -> Result<Option<Segment>, PortError>;
    /// Whether a file that was kept below `folder` is there and what it was, every byte.
    async fn is_sound(&self, folder: &str, segment: &Segment) -> bool;
    /// Throws away a file that was kept below `folder`; no error when it is gone.
    async fn remove_segment(&self, folder: &str, segment: &Segment) -> Result<(), PortError>;
    /// Some bytes of a bundle that is made of these pieces: at most `most`, none of them behind its end, and at least one.
    async fn read(&self, pieces: &[Piece], offset_bytes: u64, most: usize) -> Result<Vec<u8>, PortError>;
    /// Throws away what is in a folder; no error when there is none.
    async fn remove(&self, folder: &str) -> Result<(), PortError>;
}

/// A bundle being made: what is known of it is kept piece by piece, while it is made. Dropped, it leaves nothing behind but what
/// is under its place.
#[async_trait]
pub trait Binding: Send {
    /// Adds the next leaves, and gives those that are asked for, when something behind them is to be disclosed: they are not
    /// rows until they are shown. `None` when one can't be shown, or does not belong where it stands.
    async fn add(&mut self, leaves: Vec<Vec<u8>>) -> Result<Option<Vec<Asked>>, PortError>;
    /// Adds a file of the range that lies ready below `folder`. `next` will be after it, as far as is known: it may be read
    /// meanwhile.
    async fn add_segment(
        &mut self,
        folder: &str,
        segment: &Segment,
        next: Option<&Segment>,
    ) -> Result<Added, PortError>;
    /// Adds the rows of what [`Binding::add`] gave, in order. `false` when one is not what its leaf commits to.
    async fn show(&mut self, rows: Vec<ReportRow>) -> Result<bool, PortError>;
    /// Adds the proof of an erasure that rows name, behind all of them: a tlog-proof in the tenant's `admin` log, whose `extra`
    /// is the leaf. `false` as [`Binding::show`] has it.
    async fn prove_erasure(&mut self, index: u64, proof: String) -> Result<bool, PortError>;
    /// Adds what else belongs to it, signs it, has it stamped where there is an authority, and keeps it to its end. `None` when
    /// the leaves are not those of the heads.
    async fn seal(self: Box<Self>, heads: Heads) -> Result<Option<Bound>, PortError>;
}

/// A file of the range that lies ready: as many leaves as one may have, from a multiple of that on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The first leaf.
    pub first: u64,
    /// The root of the subtree of its leaves.
    pub root: Hash,
    /// What is known of it.
    pub facts: FileFacts,
    /// Where its leaves are by what type they are of.
    pub runs: Vec<TypeRun>,
}

/// What came of adding one that lay ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was added; these are asked for and not shown yet, as [`Binding::add`] has it.
    Leaves(Vec<Asked>),
    /// It is gone, or is not what it was: nothing was added, and its leaves are to be had elsewhere.
    Unfit,
    /// It does not belong where it stands.
    Broken,
}

/// A leaf that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its index in the log.
    pub index: u64,
    /// The leaf.
    pub leaf: Vec<u8>,
}

/// A row, and what it shows of what its leaf commits to, in the order of [`report_bundle::opening::Field::ALL`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    /// The leaf.
    pub of: Asked,
    /// What is shown.
    pub shown: [Option<Shown>; 2],
}

/// A bundle that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// How many bytes it has.
    pub size_bytes: u64,
    /// What it is made of, one behind the other.
    pub pieces: Vec<Piece>,
    /// SHA-256 of it; `None` for one that has files in it that were made before: they were not read for it.
    pub sha256: Option<[u8; 32]>,
    /// How many rows.
    pub rows: u64,
    /// Whether it is stamped.
    pub is_timestamped: bool,
}
