//! How callers get in: GraphQL, plain HTTP for what comes before a session, and workers. Everything here goes
//! through the domain's facades; nothing here knows how a port is kept.
//!
//! Absent on purpose: business steps. A resolver converts, calls one use case, converts back.

pub mod access_log;
mod answers;
pub mod app;
pub mod callers;
pub mod graphql;
mod hex;
mod host;
pub mod http;
mod looks;
pub mod metrics;
mod origin;
pub mod worker;

pub use answers::Answers;
pub use host::ProductHost;
