//! Accounts on memory adapters: linking, the pool, matrices, and what is seen of them.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod linking;
mod matrices;
mod pool;
mod quotas;
mod world;
