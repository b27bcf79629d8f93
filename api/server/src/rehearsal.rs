//! `matricula sandbox`: where platforms are rehearsed. The sandbox is a crate of its own (`api/sandbox/`), which knows
//! nothing of the product; here is only how the product's verbs start it.

use std::{net::SocketAddr, path::PathBuf};

pub use sandbox::Sandbox;

/// Starts one: what happens in it is kept in `dir`, or in memory, and all chance is made from `seed`.
///
/// # Errors
/// The address can't be listened on; the directory can't be used, is in use, has another seed or can't be read.
pub fn start(listen: SocketAddr, dir: Option<PathBuf>, seed: Option<u64>) -> std::io::Result<Sandbox> {
    Sandbox::start(&sandbox::Options { listen, dir, seed })
}
