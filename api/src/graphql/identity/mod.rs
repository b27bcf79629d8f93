//! Tenants, members, sessions and keys in the schema.

mod mutation;
mod query;
mod subscription;
mod types;

pub use mutation::IdentityMutation;
pub use query::IdentityQuery;
pub use subscription::IdentitySubscription;
pub(in crate::graphql) use subscription::recent_events;
pub use types::{ApiKey, Invitation, Member, Session, Tenant};
