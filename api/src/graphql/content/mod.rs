//! Files that are to be posted in the schema. Their bytes come in by HTTP (`crate::http`).

mod inputs;
mod mutation;
mod query;
mod subscription;
mod types;

pub use mutation::ContentMutation;
pub use query::ContentQuery;
pub use subscription::ContentSubscription;
pub(in crate::graphql) use subscription::{recent_events, recent_progress};
pub use types::Upload;
