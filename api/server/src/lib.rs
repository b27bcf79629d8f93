//! The composition root: configuration, wiring and the verbs of the `matricula` binary. The only crate that sees
//! both the doors and what ports are kept with.

mod bookkeeping;
pub mod config;
pub mod demo;
pub mod dev;
mod file_store;
pub mod keys;
pub mod logs;
pub mod migrate;
mod notary;
pub mod rehearsal;
mod reports;
pub mod serve;
pub mod stores;
pub mod tenants;
pub mod wiring;
pub mod witness;
