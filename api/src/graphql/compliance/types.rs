//! Types of the audit log.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use domain::{
    compliance::{
        self, AuditProof,
        event::EventParty,
        ports::{Attestation, LoggedEvent, Prune, SignedHead},
    },
    kernel::outbox::{self},
};
use output::Output;

use crate::graphql::{
    connection::{connection, connection_fields},
    scalars::{Kind, global_id},
};

/// The audit logs of a tenant.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "outbox::Stream")]
pub enum AuditStream {
    /// Sign-in, reset, second factor, roles, sessions.
    Iam,
    /// Settings, keys, policies, exports.
    Admin,
    /// Business and personal data.
    Data,
    /// One event for each request.
    Access,
}

/// How an attempt ended.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "outbox::Outcome")]
pub enum AuditOutcome {
    /// Done.
    Success,
    /// Not allowed, or against a rule.
    Refused,
    /// Tried and not done, for a fault of ours or outside.
    Failure,
}

/// Something an event is about or done by.
#[derive(SimpleObject, Output, Clone)]
pub struct AuditParty {
    /// `member`, `session`, `api_key`, `system`, `anonymous` and so on.
    kind: String,
    /// An id that means nothing outside this tenant.
    id: Option<ID>,
}

impl From<&outbox::Party> for AuditParty {
    fn from(party: &outbox::Party) -> Self {
        EventParty::from(party).into()
    }
}

impl From<EventParty> for AuditParty {
    fn from(party: EventParty) -> Self {
        Self { kind: party.kind, id: party.id.map(|id| id.to_string().into()) }
    }
}

/// One event of the audit log.
#[derive(SimpleObject, Output, Clone)]
#[graphql(name = "AuditEvent")]
pub struct AuditEventNode {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Which log it is in.
    stream: AuditStream,
    /// Its place there, from 0. A decimal number.
    index: String,
    /// What was tried, as `invite_member`.
    #[graphql(name = "type")]
    type_name: String,
    /// How it ended.
    outcome: AuditOutcome,
    /// A short machine word for why, when it did not succeed.
    reason: Option<String>,
    /// When it happened.
    occurred_at: DateTime<Utc>,
    /// The identifier of the answer it belongs to.
    compliance_id: ID,
    /// Who did it.
    actor: AuditParty,
    /// What it was done to.
    target: Option<AuditParty>,
    /// The GraphQL field or route.
    operation: Option<String>,
    /// The regimes it matters to: `gdpr`, `mlps`, `pipl`.
    compliance_scope: Vec<String>,
    /// SHA-256 of the leaf (RFC 6962), base64.
    leaf_hash: String,
    /// The leaf itself: canonical JSON (RFC 8785), what the hash is over.
    leaf: Option<String>,
}

impl From<LoggedEvent> for AuditEventNode {
    fn from(logged: LoggedEvent) -> Self {
        let leaf = logged.event.to_leaf().ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let event = logged.event;
        Self {
            id: global_id(Kind::AuditEvent, event.event_id.uuid()),
            stream: event.stream.into(),
            index: logged.index.to_string(),
            type_name: event.type_name,
            outcome: event.outcome.into(),
            reason: event.reason,
            occurred_at: event.occurred_at,
            compliance_id: event.compliance_id.uuid().to_string().into(),
            actor: event.actor.into(),
            target: event.target.map(Into::into),
            operation: event.api.map(|api| api.operation),
            compliance_scope: event.compliance_scope,
            leaf_hash: logged.leaf_hash.to_base64(),
            leaf,
        }
    }
}

connection!(AuditEventConnection, AuditEventEdge, AuditEventNode, "audit events");
connection_fields!(AuditEventConnection, AuditEventNode);

/// Everything one answer left in the log.
#[derive(SimpleObject, Output)]
pub struct AuditTrail {
    /// The answer's identifier.
    pub(super) compliance_id: ID,
    /// Its events, in the order they happened.
    pub(super) events: Vec<AuditEventNode>,
}

/// A signed head of a log.
#[derive(SimpleObject, Output, Clone)]
pub struct AuditCheckpoint {
    /// How many leaves it covers. A decimal number.
    size: String,
    /// The Merkle root over them, base64.
    root: String,
    /// The checkpoint as a signed note (C2SP signed-note, tlog-checkpoint).
    note: String,
    /// When it was signed.
    signed_at: DateTime<Utc>,
    /// Keys that verify checkpoints of this log (C2SP signed-note), newest first. Compare them with those you were
    /// given by another way.
    pub(super) verifier_keys: Vec<String>,
    /// Leaves with a lower index were thrown away, as they need not be kept any longer; their hashes stay. A decimal
    /// number; null when none was, and where a checkpoint is part of a proof.
    pruned_until: Option<String>,
    /// The statement of that as a signed note: which log, how many leaves, the root over them.
    prune_statement: Option<String>,
}

impl AuditCheckpoint {
    pub(super) fn new(head: SignedHead, verifier_keys: Vec<String>) -> Self {
        Self {
            size: head.size.to_string(),
            root: head.root.to_base64(),
            note: head.note,
            signed_at: head.signed_at,
            verifier_keys,
            pruned_until: None,
            prune_statement: None,
        }
    }

    /// With what was said of the leaves that were thrown away.
    pub(super) fn after(self, prune: Option<Prune>) -> Self {
        let (pruned_until, prune_statement) =
            prune.map(|prune| (prune.until.to_string(), prune.note)).unzip();
        Self { pruned_until, prune_statement, ..self }
    }
}

/// A signed head of the platform's log.
#[derive(SimpleObject, Output, Clone)]
pub struct PlatformCheckpoint {
    /// How many leaves it covers. A decimal number.
    size: String,
    /// The Merkle root over them, base64.
    root: String,
    /// The checkpoint as a signed note (C2SP signed-note, tlog-checkpoint).
    note: String,
    /// When it was made.
    made_at: DateTime<Utc>,
    /// Keys that verify checkpoints of this log (C2SP signed-note), newest first. Compare them with those you were
    /// given by another way.
    verifier_keys: Vec<String>,
    /// Whom this installation would have you believe about the log: its keys, its witnesses and how many of them are enough,
    /// as a policy file (C2SP tlog-policy). Compare it with the one you were given by another way.
    policy: String,
}

impl From<compliance::PlatformCheckpoint> for PlatformCheckpoint {
    fn from(checkpoint: compliance::PlatformCheckpoint) -> Self {
        Self {
            size: checkpoint.head.size.to_string(),
            root: checkpoint.head.root.to_base64(),
            note: checkpoint.head.note,
            made_at: checkpoint.head.signed_at,
            verifier_keys: checkpoint.verifier_keys,
            policy: checkpoint.policy,
        }
    }
}

/// That somebody outside has seen a head of the platform's log: an authority that stamps times, or a chain of blocks. What it was
/// given is the digest and nothing else: SHA-256 of the byte 0x12, the salt, and the checkpoint without its signatures.
#[derive(SimpleObject, Output, Clone)]
pub struct PlatformAttestation {
    /// `rfc3161`, or `evm-` and the chain's number (EIP-155).
    attester: String,
    /// How many leaves the head covers. A decimal number.
    size: String,
    /// The checkpoint as a signed note (C2SP signed-note, tlog-checkpoint).
    note: String,
    /// 32 bytes, base64.
    salt: String,
    /// What was given to the attester, 32 bytes, hexadecimal.
    digest: String,
    /// When it was asked.
    requested_at: DateTime<Utc>,
    /// Since when it has been there, by its own clock; null while it is not.
    attested_at: Option<DateTime<Utc>>,
    /// What shows that: the answer of RFC 3161 (DER, base64) over the digest's bytes, whose signature is yours to verify, or as JSON
    /// which transaction of which block has the digest as its data.
    proof: Option<String>,
}

impl From<(Attestation, String)> for PlatformAttestation {
    fn from((attestation, note): (Attestation, String)) -> Self {
        let (attested_at, proof) = attestation.settled.map(|settled| (settled.at, settled.proof)).unzip();
        Self {
            attester: attestation.by,
            size: attestation.size.to_string(),
            note,
            salt: STANDARD.encode(attestation.salt),
            digest: attestation.digest.to_hex(),
            requested_at: attestation.prepared_at,
            attested_at,
            proof,
        }
    }
}

/// Proves that a head of a tenant's log is in the platform's log (RFC 6962 section 2.1.1). The leaf is the byte 0x11, the
/// salt, and the head's checkpoint without its signatures.
#[derive(SimpleObject, Output)]
pub struct PlatformInclusion {
    /// The leaf's place in the platform's log. A decimal number.
    index: String,
    /// 32 bytes that nobody else is told, base64.
    salt: String,
    /// SHA-256 of the leaf, base64.
    leaf_hash: String,
    /// The hashes from the leaf to the root, base64.
    hashes: Vec<String>,
    /// The head of the tenant's log.
    tenant_checkpoint: AuditCheckpoint,
    /// The head of the platform's log that it is proven against.
    checkpoint: PlatformCheckpoint,
}

impl PlatformInclusion {
    pub(super) fn new(proof: compliance::PlatformInclusion, verifier_keys: Vec<String>) -> Self {
        Self {
            index: proof.anchor.index.to_string(),
            salt: STANDARD.encode(proof.anchor.salt),
            leaf_hash: proof.anchor.leaf_hash.to_base64(),
            hashes: proof.hashes.iter().map(compliance::log::merkle::Hash::to_base64).collect(),
            tenant_checkpoint: AuditCheckpoint::new(proof.tenant_head, verifier_keys),
            checkpoint: proof.checkpoint.into(),
        }
    }
}

/// Proves that an event is in its log (RFC 6962 section 2.1.1).
#[derive(SimpleObject, Output)]
pub struct AuditInclusionProof {
    /// The event's place. A decimal number.
    index: String,
    /// SHA-256 of the leaf, base64.
    leaf_hash: String,
    /// The hashes from the leaf to the root, base64.
    hashes: Vec<String>,
    /// The head it is proven against.
    checkpoint: AuditCheckpoint,
}

impl AuditInclusionProof {
    pub(super) fn new(proof: AuditProof, verifier_keys: Vec<String>) -> Option<Self> {
        let (index, leaf_hash) = proof.leaf?;
        Some(Self {
            index: index.to_string(),
            leaf_hash: leaf_hash.to_base64(),
            hashes: proof.hashes.iter().map(domain::compliance::log::merkle::Hash::to_base64).collect(),
            checkpoint: AuditCheckpoint::new(proof.head, verifier_keys),
        })
    }
}

/// Proves that an older log is the beginning of a newer one (RFC 6962 section 2.1.2).
#[derive(SimpleObject, Output)]
pub struct AuditConsistencyProof {
    /// How many leaves the older one has. A decimal number.
    old_size: String,
    /// The hashes, base64.
    hashes: Vec<String>,
    /// The newer head.
    checkpoint: AuditCheckpoint,
}

impl AuditConsistencyProof {
    pub(super) fn new(proof: AuditProof, verifier_keys: Vec<String>) -> Option<Self> {
        Some(Self {
            old_size: proof.old_size?.to_string(),
            hashes: proof.hashes.iter().map(domain::compliance::log::merkle::Hash::to_base64).collect(),
            checkpoint: AuditCheckpoint::new(proof.head, verifier_keys),
        })
    }
}

/// Which events are wanted. What is left out is not asked about.
#[derive(InputObject, Default)]
pub struct AuditEventFilter {
    /// Of this stream; all but `ACCESS` when left out.
    pub(super) stream: Option<AuditStream>,
    /// Of these types, as `invite_member`; at most 50.
    pub(super) types: Option<Vec<String>>,
    /// With this outcome.
    pub(super) outcome: Option<AuditOutcome>,
    /// By this member or API key.
    pub(super) actor_id: Option<ID>,
    /// Done to this.
    pub(super) target_id: Option<ID>,
    /// From then on.
    pub(super) since: Option<DateTime<Utc>>,
    /// Until before then.
    pub(super) until: Option<DateTime<Utc>>,
}
