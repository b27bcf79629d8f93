//! The audit log, reports of it, and persons' data, in the schema.

mod erasure;
mod mutation;
mod query;
mod records;
mod report;
mod subscription;
mod types;

pub use erasure::{Erasure, LegalHold};
pub use mutation::ComplianceMutation;
pub use query::ComplianceQuery;
pub use records::ProcessingRecord;
pub use report::Report;
pub use subscription::ComplianceSubscription;
pub(in crate::graphql) use subscription::recent_reports;
pub use types::AuditEventNode;
