//! The sandbox from outside: real HTTP on a port of its own, a table of cases for each part of the contract.

#![expect(clippy::panic, reason = "test code fails by panicking")]

mod comments;
mod envelopes;
mod faults;
mod full;
mod legacy;
mod oauth;
mod page;
mod posts;
mod process;
mod receiver;
mod restart;
mod share;
mod stage;
mod statistics;
mod tasks;
mod uploads;
mod webhooks;
