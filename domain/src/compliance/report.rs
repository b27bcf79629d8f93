//! Reports that auditors ask for: what is asked, and how far one is.
//!
//! What a bundle is made of is [`report_bundle`]'s; here is who asked for it and what became of it.

use report_bundle::{
    FormatError,
    opening::Field,
    query::{CUSTOM, Kind, Query},
    time::Time,
};

use crate::kernel::{
    clock::Timestamp,
    ids::{ComplianceId, ReportId},
    outbox::Stream,
};

/// Turns on one report before it is taken to be hopeless.
pub const ATTEMPTS_MAX: u32 = 5;

/// Reports of one tenant that may be under way at once.
pub const REPORTS_MAX: u32 = 5;

/// Reports of one tenant that may be there at once.
pub const REPORTS_KEPT_MAX: u32 = 200;

/// An instant as reports spell it.
///
/// # Errors
/// Beyond the years 0 to 9999.
pub fn time_of(at: Timestamp) -> Result<Time, FormatError> {
    Time::parse(at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().as_bytes())
}

/// What is asked, of which log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportDraft {
    /// The word of a named report ([`Kind::word`]), or [`CUSTOM`].
    pub kind: String,
    /// Of which log.
    pub stream: Stream,
    /// What. Its period is in UTC.
    pub query: Query,
    /// The same, as it was typed.
    pub query_text: String,
    /// The zone its period was given in.
    pub zone: String,
    /// The sizes of the smallest and the largest head of the log that whoever asks has kept: the range reaches over both.
    pub kept: Option<(u64, u64)>,
    /// What is shown of what events commit to, each once and in order.
    pub disclosed: Vec<Field>,
}

impl ReportDraft {
    /// What is wrong with it: the argument, and what follows its name.
    pub fn fault(&self, now: Timestamp) -> Option<(&'static str, &'static str)> {
        let Some(period) = self.query.period() else {
            return Some(("period", "must be part of what is asked"));
        };
        let now_micros = now.timestamp_micros();
        if period.since.is_some_and(|since| since.micros() >= now_micros) {
            return Some(("since", "must not be in the future"));
        }
        if period.since.zip(period.until).is_some_and(|(since, until)| since >= until) {
            return Some(("until", "must be after since"));
        }
        // Nothing that is stored as text has it, so that no event has either.
        if self.query.to_json().to_string().contains("\\u0000") || self.query_text.contains('\0') {
            return Some(("query", "has a character that no text has"));
        }
        if self.query.check().is_err() {
            return Some((
                "query",
                "has too many parts, parts too deep or words too long, or a list that is empty",
            ));
        }
        let named = Kind::named(&self.kind, &self.query);
        let is_of_log = match &named {
            Some(kind) => kind.asks(&self.query) && kind.stream() == self.stream.as_str(),
            None => self.kind == CUSTOM,
        };
        (!is_of_log).then_some(("kind", "is of another log, or asks another thing"))
    }
}

/// How a report stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportState {
    /// It waits for its turn, or is being made.
    Making,
    /// It can be fetched.
    Ready,
    /// There will be none.
    Failed,
    /// Whoever may ask for reports gave it up, or threw it away.
    Cancelled,
    /// It was there, and was thrown away when its time was over.
    Expired,
}

impl ReportState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Making, Self::Ready, Self::Failed, Self::Cancelled, Self::Expired];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// Why there will be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportFailure {
    /// The log has no signed head: nothing was ever logged in it.
    LogEmpty,
    /// Events of the period have no place in the log yet, for too long.
    LogBehind,
    /// The log does not fit together, or holds what no report can show.
    LogBroken,
    /// Whoever made it broke off every time.
    BrokeOff,
}

impl ReportFailure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LogEmpty, Self::LogBehind, Self::LogBroken, Self::BrokeOff];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogEmpty => "log_empty",
            Self::LogBehind => "log_behind",
            Self::LogBroken => "log_broken",
            Self::BrokeOff => "broke_off",
        }
    }
}

/// A report that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// What was asked.
    pub draft: ReportDraft,
    /// The answer it was asked for in; the bundle's own name for itself.
    pub compliance_id: ComplianceId,
    /// When.
    pub requested_at: Timestamp,
    /// How it stands.
    pub state: ReportState,
    /// Why there will be none.
    pub failure: Option<ReportFailure>,
    /// How far it is, in thousandths.
    pub done_permille: u32,
    /// How often it was begun.
    pub attempts: u32,
    /// What was made.
    pub bundle: Option<Bundle>,
    /// When it ended: is there, or will never be.
    pub ended_at: Option<Timestamp>,
    /// Counted up with every change.
    pub version: u32,
}

/// Some bytes of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An object of the store, and how many bytes it has.
    Object(String, u64),
    /// A few bytes that no object is worth.
    Bytes(Vec<u8>),
}

impl Piece {
    /// How many bytes it has.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Object(_, size_bytes) => *size_bytes,
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

/// A bundle that is there, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What the names of its pieces begin with.
    pub place: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// What it is made of, one behind the other.
    pub pieces: Vec<Piece>,
    /// SHA-256 of it; `None` for one that has files in it that were made before: they were not read for it.
    pub sha256: Option<[u8; 32]>,
    /// The first leaf of its range.
    pub first: u64,
    /// One past the last.
    pub end: u64,
    /// How many of them are rows.
    pub rows: u64,
    /// Whether a time-stamping authority stamped it.
    pub is_timestamped: bool,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

impl Report {
    /// One that was just asked for.
    pub const fn new(id: ReportId, draft: ReportDraft, compliance_id: ComplianceId, now: Timestamp) -> Self {
        Self {
            id,
            draft,
            compliance_id,
            requested_at: now,
            state: ReportState::Making,
            failure: None,
            done_permille: 0,
            attempts: 0,
            bundle: None,
            ended_at: None,
            version: 0,
        }
    }

    /// Whether it can be fetched.
    pub fn is_there(&self, now: Timestamp) -> bool {
        let expires_at = self.bundle.as_ref().map(|bundle| bundle.expires_at);
        self.state == ReportState::Ready && expires_at.is_some_and(|expires_at| now < expires_at)
    }

    /// It will not be.
    pub fn fail(&mut self, failure: ReportFailure, now: Timestamp) {
        self.state = ReportState::Failed;
        self.failure = Some(failure);
        self.ended_at = Some(now);
    }

    /// It is there.
    pub fn finish(&mut self, bundle: Bundle, now: Timestamp) {
        self.state = ReportState::Ready;
        self.done_permille = 1_000;
        self.bundle = Some(bundle);
        self.ended_at = Some(now);
    }
}
