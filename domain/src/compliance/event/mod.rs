//! Audit events, and the leaves they are written as.
//!
//! Invariants: a leaf is the canonical JSON of one event, at most [`LEAF_MAX_BYTES`] long; absent fields are left
//! out, never null; times are UTC with exactly six digits of a second; reading a leaf and writing it again gives
//! the same bytes, and bytes for which that is not so are no leaf.
//!
//! Absent on purpose: personal data. An event names members and sessions by pseudonyms, addresses and devices
//! by keyed hashes, and everything else personal by a [`Commitment`]. No free text either: `reason` and
//! `type_name` are machine words.

mod leaf;
mod read;

use uuid::Uuid;

use crate::kernel::{
    clock::Timestamp,
    ids::{ComplianceId, EventId, TenantId},
    outbox::{Geo, IpHash, Mfa, Outcome, Party, Stream},
};
use audit_log::{commitment::Commitment, jcs::JcsError};

/// The longest leaf, in bytes: what a C2SP entry bundle can hold. Anything larger goes in by hash.
pub const LEAF_MAX_BYTES: usize = audit_log::tile::ENTRY_MAX_BYTES;

/// The version of the leaf's shape, in every leaf as `v`.
pub const LEAF_VERSION: u64 = 1;

/// One thing that happened. Field names in the leaf are the same, but for the few that say so. Classes and
/// activities are those of OCSF 1.x.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Which of the tenant's logs it belongs to.
    pub stream: Stream,
    /// Its id.
    pub event_id: EventId,
    /// The answer that left it.
    pub compliance_id: ComplianceId,
    /// Whose.
    pub tenant_id: TenantId,
    /// OCSF class.
    pub class_uid: u32,
    /// OCSF activity within the class.
    pub activity_id: u32,
    /// What was tried, as `invite_member`. `type` in the leaf.
    pub type_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor: EventParty,
    /// What it was done to.
    pub target: Option<EventParty>,
    /// In which session.
    pub session_id: Option<Uuid>,
    /// How the actor had proven who it is.
    pub auth: Option<EventAuth>,
    /// Keyed hash of what identifies the device.
    pub device_fp: Option<String>,
    /// Where from, coarsely.
    pub geo: Option<Geo>,
    /// Keyed hash of the address. The leaf adds `alg`, always `HMAC-SHA-256`.
    pub ip_hash: Option<IpHash>,
    /// Through which operation.
    pub api: Option<EventApi>,
    /// Whose rows it commits to, when they are about one person: a pseudonym. What opens the commitments is gone once an
    /// `erase_subject` of that person says so.
    pub subject: Option<Uuid>,
    /// Commitment to what changed.
    pub diff_commit: Option<Commitment>,
    /// Commitment to the state before.
    pub prev_state_commit: Option<Commitment>,
    /// A machine word that says more about the outcome.
    pub reason: Option<String>,
    /// The regimes it matters to, as `gdpr`, `pipl`, `mlps`; left out of the leaf when empty.
    pub compliance_scope: Vec<String>,
    /// The HTTP request, in the access stream only. Its fields are the leaf's own, not nested.
    pub request: Option<EventRequest>,
}

/// Somebody or something in an event, by a pseudonym of its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventParty {
    /// The kind, as `member`, `api_key`, `system`, `anonymous`.
    pub kind: String,
    /// The id, when there is one.
    pub id: Option<Uuid>,
}

impl From<&Party> for EventParty {
    fn from(party: &Party) -> Self {
        Self { kind: party.kind.to_owned(), id: party.id }
    }
}

/// How an actor had proven who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAuth {
    /// The second factor. `mfa_state` in the leaf.
    pub mfa: Mfa,
    /// What was given, as `password`, `totp`; left out of the leaf when empty.
    pub factors: Vec<String>,
}

/// The operation an event came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventApi {
    /// The GraphQL field, route or command.
    pub operation: String,
    /// The version of the schema it was called by.
    pub schema_version: Option<String>,
}

/// One HTTP request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRequest {
    /// The method.
    pub method: String,
    /// The route's pattern; never the path itself, which may name somebody.
    pub route: String,
    /// The answer's status code.
    pub status: u16,
    /// How long the answer took, in microseconds.
    pub duration_us: u64,
    /// The client's own reference for the request, cut and cleaned by whoever took it.
    pub client_ref: Option<String>,
}

/// Why an event has no leaf, or bytes are no leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Longer than [`LEAF_MAX_BYTES`].
    #[error("the leaf has {bytes} bytes, more than {LEAF_MAX_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A time that six digits of a second cannot tell, a leap second, or outside the years 0 to 9999.
    #[error("{field} is not a time in whole microseconds of the years 0 to 9999")]
    Time {
        /// Which field.
        field: &'static str,
    },
    /// Request fields outside the access stream.
    #[error("only the access stream has requests")]
    Misplaced,
    /// A number too large, or bytes that are no strict JSON.
    #[error(transparent)]
    Json(#[from] JcsError),
    /// A leaf of another version.
    #[error("the leaf has version {0}")]
    UnknownVersion(u64),
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(String),
    /// A field is not of its type, or not one of its words.
    #[error("{0} is malformed")]
    Malformed(String),
    /// A field that this version does not have.
    #[error("{0} is unknown")]
    Unknown(String),
    /// The fields are right but not written in their one form.
    #[error("the leaf is not in canonical form")]
    NotCanonical,
}
