//! Apps, linked accounts, their tokens and their matrices in the schema.

mod inputs;
mod mutation;
mod query;
mod quotas;
mod subscription;
mod tokens;
mod types;

pub use mutation::AccountsMutation;
pub use query::AccountsQuery;
pub use subscription::AccountsSubscription;
pub(in crate::graphql) use subscription::recent_events;
pub use types::{Account, App, Group, Link};
