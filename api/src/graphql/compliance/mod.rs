//! The audit log in the schema.

mod query;
mod types;

pub use query::ComplianceQuery;
pub use types::AuditEventNode;
