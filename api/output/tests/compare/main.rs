//! The same documents through async-graphql alone and written out: the answers must be the same.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unused_async,
    reason = "test code fails by panicking; resolvers are async because the library's are"
)]

#[path = "../alike/mod.rs"]
mod alike;

mod answers;
mod batches;
mod differences;
mod documents;
mod generated;
mod recent;
