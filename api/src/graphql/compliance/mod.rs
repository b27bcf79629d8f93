//! The audit log, and reports of it, in the schema.

mod mutation;
mod query;
mod report;
mod subscription;
mod types;

pub use mutation::ComplianceMutation;
pub use query::ComplianceQuery;
pub use report::Report;
pub use subscription::ComplianceSubscription;
pub(in crate::graphql) use subscription::recent_reports;
pub use types::AuditEventNode;
