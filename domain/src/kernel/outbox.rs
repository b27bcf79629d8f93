//! What is recorded, and where it came from. A use case hands a [`Record`] to its transaction; the
//! transaction knows the [`Origin`] and writes the complete event beside the change.

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    action::Action,
    actor::{Actor, Principal},
    fault::PortError,
    ids::ComplianceId,
};

/// The audit logs of a tenant. Separate, so that the rare `Iam` events can be proven complete cheaply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Sign-in, reset, second factor, roles, sessions.
    Iam,
    /// Settings, keys, policies, exports.
    Admin,
    /// Business and personal data.
    Data,
    /// One event for each request.
    Access,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Iam, Self::Admin, Self::Data, Self::Access];

    /// The text form, as leaves and stores have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Admin => "admin",
            Self::Data => "data",
            Self::Access => "access",
        }
    }

    /// The stream of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Success,
    /// Not allowed, or against a rule.
    Refused,
    /// Tried and not done, for a fault of ours or outside.
    Failure,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Refused, Self::Failure];

    /// The text form, as leaves and stores have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Failure => "failure",
        }
    }

    /// The outcome of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|o| o.as_str() == text)
    }
}

/// Something an event is about or done by: a kind (`member`, `session`, `api_key`, `system`) and an id that means nothing
/// outside its tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The kind, in snake case.
    pub kind: &'static str,
    /// The id, when there is one.
    pub id: Option<Uuid>,
}

impl Party {
    /// A party with an id.
    pub const fn new(kind: &'static str, id: Uuid) -> Self {
        Self { kind, id: Some(id) }
    }

    /// Nobody known.
    pub const ANONYMOUS: Self = Self { kind: "anonymous", id: None };
}

impl From<&Actor> for Party {
    fn from(actor: &Actor) -> Self {
        match &actor.principal {
            Principal::Member { member, .. } => Self::new("member", member.uuid()),
            Principal::ApiKey { key, .. } => Self::new("api_key", key.uuid()),
            Principal::System => Self { kind: "system", id: None },
        }
    }
}

/// Whether a second factor stood behind an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mfa {
    /// The member has none set up.
    NotEnrolled,
    /// Set up and not given.
    Missing,
    /// Given and right.
    Passed,
}

impl Mfa {
    /// The text form, as leaves have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotEnrolled => "not_enrolled",
            Self::Missing => "missing",
            Self::Passed => "passed",
        }
    }

    /// The state of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NotEnrolled, Self::Missing, Self::Passed].into_iter().find(|m| m.as_str() == text)
    }
}

/// Coarse geography of an address, from a local database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// ISO 3166-2 subdivision, without the country.
    pub region: Option<String>,
    /// The database's type, as it names itself.
    pub source: String,
    /// The database's build time, seconds since 1970.
    pub db_version: u64,
}

/// A keyed hash of an address. The key changes each quarter and with the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpHash {
    /// Which key: the quarter, as `2026Q4`.
    pub key_epoch: String,
    /// HMAC-SHA-256, lower-case hexadecimal.
    pub value: String,
}

/// Where an act came from: everything about a request that its events repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The answer's identifier.
    pub compliance_id: ComplianceId,
    /// The GraphQL field, route or command.
    pub operation: String,
    /// Who acts.
    pub actor: Party,
    /// The session, when there is one.
    pub session: Option<Uuid>,
    /// The second factor, when it is known.
    pub mfa: Option<Mfa>,
    /// Keyed hash of what identifies the device, lower-case hexadecimal.
    pub device: Option<String>,
    /// Where the address is.
    pub geo: Option<Geo>,
    /// The address, hashed.
    pub ip: Option<IpHash>,
}

impl Origin {
    /// An act of the installation itself.
    pub fn system(compliance_id: ComplianceId, operation: impl Into<String>) -> Self {
        Self {
            compliance_id,
            operation: operation.into(),
            actor: Party { kind: "system", id: None },
            session: None,
            mfa: None,
            device: None,
            geo: None,
            ip: None,
        }
    }
}

/// One thing that happened, as a use case tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What was tried.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it, when that is known better than the origin does (sign-in).
    pub actor: Option<Party>,
    /// The session it concerns, when that is known better than the origin does (sign-in).
    pub session: Option<Uuid>,
    /// What it was done to.
    pub target: Option<Party>,
    /// The second factor, when it is known better than the origin does (sign-in).
    pub mfa: Option<Mfa>,
    /// A short machine word, in snake case; never personal data.
    pub reason: Option<&'static str>,
}

impl Record {
    /// Something done.
    pub const fn success(action: Action, target: Party) -> Self {
        Self {
            action,
            outcome: Outcome::Success,
            actor: None,
            session: None,
            target: Some(target),
            mfa: None,
            reason: None,
        }
    }

    /// Something refused.
    pub const fn refused(action: Action, target: Option<Party>, reason: &'static str) -> Self {
        Self {
            action,
            outcome: Outcome::Refused,
            actor: None,
            session: None,
            target,
            mfa: None,
            reason: Some(reason),
        }
    }
}

/// Takes records into the transaction it belongs to.
#[async_trait]
pub trait Outbox: Send {
    /// Writes the event in this transaction; committed or lost with it.
    async fn record(&mut self, record: Record) -> Result<(), PortError>;
}
