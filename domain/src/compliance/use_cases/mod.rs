//! One file per verb.

mod change_rows;
mod compose;
mod cosign;
mod cut_segments;
mod erase_subject;
mod find_range;
mod gather_cosignatures;
mod keep_keys;
mod make_record;
mod make_report;
mod notarise;
mod place_hold;
mod prune_log;
mod read_audit;
mod read_platform;
mod request_report;
mod sequence;
mod show_rows;
mod verify_log;

pub use change_rows::{Changes, ToldLate};
pub use compose::{Access, compose, compose_access};
pub use cosign::{NotCosigned, Witness, WitnessFault};
pub use cut_segments::{Cut, Cutter, CutterPorts};
pub use erase_subject::{ErasurePorts, Erasures, Kept};
pub use gather_cosignatures::{Gathered, WitnessWord};
pub use keep_keys::KeyKeeping;
pub use make_record::{RecordPorts, Records, RecordsTurn};
pub use make_report::ReportTurn;
pub use notarise::{Notarised, Notary, NotaryPorts, Rollback};
pub use prune_log::{Pruned, Pruner, PrunerPorts};
pub use read_audit::{AuditProof, Compliance, ComplianceError, CompliancePorts};
pub use read_platform::{PlatformCheckpoint, PlatformInclusion, platform_policy};
pub use request_report::{ReportPorts, Reports};
pub use sequence::{Sequenced, Sequencer, SequencerPorts};
pub use verify_log::LogVerifier;
