//! Limits by rate: what every adapter keeps, and what happens when Redis goes and comes back.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

mod contract;
mod fallback;
mod redis;
mod redis_server;
