//! What an auditor reads: events, heads and proofs.

use std::sync::Arc;

use super::super::{
    log::{
        merkle::{Hash, verify_consistency, verify_inclusion},
        tile::{TileSet, tiles_for_consistency, tiles_for_inclusion},
        trust::TrustPolicy,
    },
    ports::{ComplianceTx, EventFilter, EventKey, LogKeys, LoggedEvent, Prune, SignedHead},
};
use crate::kernel::{
    actor::{Actor, Denied, Permission},
    fault::PortError,
    ids::{ComplianceId, EventId},
    outbox::Stream,
    page::{Page, PageRequest},
};

/// Why something of the log was not read. Every variant is fit to show.
#[derive(Debug, thiserror::Error)]
pub enum ComplianceError {
    /// The actor lacks a permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field of the input is no good.
    #[error("{field} {problem}")]
    Invalid {
        /// The argument, in camel case.
        field: &'static str,
        /// What is wrong with it, as it follows the name.
        problem: &'static str,
    },
    /// There is no such thing, or it is another tenant's.
    #[error("{field} names nothing there is")]
    NotFound {
        /// The argument, in camel case.
        field: &'static str,
    },
    /// There is nothing to sign reports with.
    #[error(
        "reports are not set up here: whoever runs the service sets reports.certificates and reports.key"
    )]
    NotSetUp,
    /// As many reports are under way, or there, as may be.
    #[error("{max} reports are under way or there; wait for one, or give one up")]
    ReportsFull {
        /// How many may be.
        max: u32,
    },
    /// It will never be, or is there no more.
    #[error("the report has ended")]
    ReportEnded,
    /// Something demands that it be kept.
    #[error("a legal hold demands that this be kept; `legalHolds` says which")]
    OnHold,
    /// It was released before.
    #[error("the hold has ended")]
    HoldEnded,
    /// The log kept does not fit together: what an auditor has to hear about.
    #[error("the {} log does not fit together at size {size}", stream.as_str())]
    Broken {
        /// Which log.
        stream: Stream,
        /// The size of the head.
        size: u64,
    },
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ComplianceError {
    /// A machine word for what went wrong, as the audit log has it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(_) => "permission_missing",
            Self::Invalid { .. } => "invalid_input",
            Self::NotFound { .. } => "not_found",
            Self::NotSetUp => "not_set_up",
            Self::ReportsFull { .. } => "reports_full",
            Self::ReportEnded => "report_ended",
            Self::OnHold => "on_hold",
            Self::HoldEnded => "hold_ended",
            Self::Broken { .. } => "log_broken",
            Self::Port(_) => "unavailable",
        }
    }
}

/// A proof and what it is against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditProof {
    /// The leaf, for an inclusion proof.
    pub leaf: Option<(u64, Hash)>,
    /// The older size, for a consistency proof.
    pub old_size: Option<u64>,
    /// The head proven against.
    pub head: SignedHead,
    /// The hashes (RFC 6962 sections 2.1.1 and 2.1.2).
    pub hashes: Vec<Hash>,
}

/// What compliance is built from.
pub struct CompliancePorts {
    /// Keys that sign checkpoints.
    pub log_keys: Arc<dyn LogKeys>,
    /// Who witnesses the platform's log, and how many are enough.
    pub trust: TrustPolicy,
    /// The host part of a log's origin.
    pub host: String,
}

/// Reads the audit log.
pub struct Compliance(pub(super) CompliancePorts);

impl Compliance {
    /// Takes its ports.
    pub const fn new(ports: CompliancePorts) -> Self {
        Self(ports)
    }

    /// Everything one answer left in the log.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn audit_trail(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        id: ComplianceId,
    ) -> Result<Vec<LoggedEvent>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.trail(id).await?)
    }

    /// Events by time.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Port`.
    pub async fn audit_events(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        filter: &EventFilter,
        page: PageRequest<EventKey>,
    ) -> Result<Page<LoggedEvent>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        if let (Some(since), Some(until)) = (filter.since, filter.until)
            && since >= until
        {
            return Err(ComplianceError::Invalid {
                field: "filter.until",
                problem: "must be after filter.since",
            });
        }
        Ok(tx.events(filter, page).await?)
    }

    /// One event.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn audit_event(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        id: EventId,
    ) -> Result<Option<LoggedEvent>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.event(id).await?)
    }

    /// The newest signed head of a log, or that of exactly `size`; `None` while there is none.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn audit_checkpoint(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        stream: Stream,
        size: Option<u64>,
    ) -> Result<Option<SignedHead>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.head(stream, size).await?)
    }

    /// What was thrown away of a log, as it need not be kept any longer; `None` when nothing was.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn audit_prune(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        stream: Stream,
    ) -> Result<Option<Prune>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        Ok(tx.pruned(stream).await?)
    }

    /// The verifier keys (C2SP signed note) of the actor's logs, newest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn audit_verifier_keys(
        &self,
        actor: &Actor,
        stream: Stream,
    ) -> Result<Vec<String>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let origin = super::sequence::origin(&self.0.host, actor.tenant, stream);
        let keys = self.0.log_keys.public_keys(&actor.scope()).await?;
        keys.iter()
            .map(|key| super::sequence::verifier_key(&origin, key))
            .collect::<Result<_, _>>()
            .map_err(|e| PortError::lasting("compliance.log_keys", e).into())
    }

    /// Proves that an event is in its log, against the newest head or that of `size`. `None` when there is no
    /// such event or head, or the head does not cover the event.
    ///
    /// # Errors
    /// `Denied`, `Broken`, `Port`.
    pub async fn audit_inclusion_proof(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        event: EventId,
        size: Option<u64>,
    ) -> Result<Option<AuditProof>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        let Some(logged) = tx.event(event).await? else { return Ok(None) };
        let stream = logged.event.stream;
        let Some(head) = tx.head(stream, size).await? else { return Ok(None) };
        let Some(hashes) = prove_event(tx, &logged, &head).await? else { return Ok(None) };
        Ok(Some(AuditProof { leaf: Some((logged.index, logged.leaf_hash)), old_size: None, head, hashes }))
    }

    /// Proves that the log of `old_size` is a beginning of the log of `size`, or of the newest head.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Broken`, `Port`.
    pub async fn audit_consistency_proof(
        &self,
        tx: &mut dyn ComplianceTx,
        actor: &Actor,
        stream: Stream,
        old_size: u64,
        size: Option<u64>,
    ) -> Result<Option<AuditProof>, ComplianceError> {
        actor.require(Permission::ReadAudit)?;
        if old_size == 0 {
            return Err(ComplianceError::Invalid { field: "oldSize", problem: "must be at least 1" });
        }
        let Some(old) = tx.head(stream, Some(old_size)).await? else { return Ok(None) };
        let Some(head) = tx.head(stream, size).await? else { return Ok(None) };
        if old_size > head.size {
            return Err(ComplianceError::Invalid {
                field: "oldSize",
                problem: "must not be above the newer size",
            });
        }
        let broken = || ComplianceError::Broken { stream, size: head.size };
        let wanted = tiles_for_consistency(old_size, head.size).map_err(|_| broken())?;
        let tiles = TileSet::new(tx.tiles(stream, &wanted).await?);
        let hashes = tiles.consistency_proof(old_size, head.size).map_err(|_| broken())?;
        verify_consistency(old_size, head.size, &hashes, old.root, head.root).map_err(|_| broken())?;
        Ok(Some(AuditProof { leaf: None, old_size: Some(old_size), head, hashes }))
    }
}

/// The hashes that prove an event to be in its log's head; `None` when the head does not cover it.
pub(super) async fn prove_event(
    tx: &mut dyn ComplianceTx,
    logged: &LoggedEvent,
    head: &SignedHead,
) -> Result<Option<Vec<Hash>>, ComplianceError> {
    if logged.index >= head.size {
        return Ok(None);
    }
    let stream = logged.event.stream;
    let broken = || ComplianceError::Broken { stream, size: head.size };
    let wanted = tiles_for_inclusion(logged.index, head.size).map_err(|_| broken())?;
    let tiles = TileSet::new(tx.tiles(stream, &wanted).await?);
    let hashes = tiles.inclusion_proof(logged.index, head.size).map_err(|_| broken())?;
    verify_inclusion(logged.leaf_hash, logged.index, head.size, &hashes, head.root).map_err(|_| broken())?;
    Ok(Some(hashes))
}
