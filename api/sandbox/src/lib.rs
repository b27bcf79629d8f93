//! A sandbox of the Douyin open platform: its HTTP contract, played by a state machine on a clock of its own.
//!
//! ```text
//! http      requests into calls, replies into responses, webhooks out; the only sockets and waits
//! wire      the platform's endpoints: one file per family, envelopes, codes
//! control   what the operator of a rehearsal sees and moves: JSON and a page, under /_sandbox/
//! platform  the state machine: users, grants, uploads, posts, comments, webhooks, faults, ledger
//! engine    one step at a time, written down in `journal` before it is made
//! ```
//!
//! Invariants. It shares no code with the product, so that what the product misreads shows. Given a seed, the same calls
//! in the same order get the same answers. What was answered is in the journal. What was done is in the ledger of
//! effects, however the call was answered.
//!
//! Absent on purpose: authentication of the control API, TLS, and the bytes of media. README.md of the crate has the
//! control API, the switches, and which parts of the platform are not played.

mod control;
mod engine;
mod http;
mod journal;
mod platform;
mod wall;
mod wire;

pub use http::{Options, Sandbox};
