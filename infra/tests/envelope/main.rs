//! The envelope as its callers see it: what opens where, how long keys live, and what happens when the key
//! provider is away, slow or wrong.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

mod lifetimes;
mod places;
mod providers;
mod world;
