//! Tenants, members, sessions and keys in the schema.

mod mutation;
mod query;
mod subscription;
mod types;

pub use mutation::IdentityMutation;
pub use query::IdentityQuery;
pub use subscription::IdentitySubscription;
pub use types::{ApiKey, Invitation, Member, Session, Tenant};
