//! Plans and posts in the schema.

mod figures;
mod fleet;
mod inputs;
mod mutation;
mod query;
mod subscription;
mod types;

pub use mutation::PublishingMutation;
pub use query::PublishingQuery;
pub(crate) use query::post_filter;
pub use subscription::PublishingSubscription;
pub(in crate::graphql) use subscription::recent_events;
pub use types::{Plan, Post};
