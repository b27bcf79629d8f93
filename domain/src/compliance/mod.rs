//! The audit log: what happened in a tenant, kept so that nobody can change it unseen.
//!
//! Every event is written in the transaction of the change it tells of, then given an index in one of the
//! tenant's Merkle logs ([`log`]), whose heads are signed. Reading the log, its checkpoints and its proofs is
//! this context's too.
//!
//! Absent on purpose: editing or deleting events. Personal data appears in them only as keyed hashes and commitments; what opens
//! those is kept apart, sealed, and can be taken away ([`erasure`]).

pub mod actions;
pub mod erasure;
pub mod event;
pub mod finding;
pub mod ports;
pub mod processing;
pub mod records;
pub mod report;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod use_cases;

pub use audit_log as log;
pub use report_bundle as bundle;
pub use use_cases::{
    Access, Attested, Attesting, AttestingPorts, AuditProof, Changes, Compliance, ComplianceError,
    CompliancePorts, Cut, Cutter, CutterPorts, ErasurePorts, Erasures, Gathered, Kept, KeyKeeping,
    LogVerifier, NotCosigned, NotResumed, Notarised, Notary, NotaryPorts, PlatformCheckpoint,
    PlatformInclusion, Pruned, Pruner, PrunerPorts, RecordPorts, Records, RecordsTurn, ReportPorts,
    ReportTurn, Reports, Resuming, Rollback, Sequenced, Sequencer, SequencerPorts, ToldLate, Witness,
    WitnessFault, WitnessWord, compose, compose_access, platform_policy,
};
