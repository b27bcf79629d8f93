//! The transport on a real server, as clients see it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unused_async,
    reason = "test code fails by panicking; resolvers are async because the library's are"
)]

#[path = "../../../output/tests/alike/mod.rs"]
mod alike;
#[path = "../toy/mod.rs"]
mod toy;

mod answers;
mod client;
mod documents;
mod doors;
mod http;
mod idempotency;
mod output;
mod socket;
mod socket_client;
mod streams;
