//! Douyin's adapter against a sandbox of the platform, which shares no code with it: what either misreads shows here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

mod consent;
mod egress;
mod faults;
#[path = "../outbound/proxy.rs"]
mod proxy;
mod publishing;
mod receiver;
mod stage;
mod tokens;
