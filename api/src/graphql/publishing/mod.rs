//! Plans and posts in the schema.

mod figures;
mod fleet;
mod import;
mod inputs;
mod lists;
mod mutation;
mod query;
mod rows;
mod subscription;
mod timeline;
mod timetables;
mod types;
mod warnings;

pub(in crate::graphql) use lists::posts_of_accounts;
pub use mutation::PublishingMutation;
pub use query::PublishingQuery;
pub(crate) use query::post_filter;
pub use subscription::PublishingSubscription;
pub(in crate::graphql) use subscription::{recent_events, recent_figures};
pub use timetables::Timetable;
pub use types::{Plan, Post, PostConnection};
