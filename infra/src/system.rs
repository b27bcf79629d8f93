//! The machine's clock and randomness: the one home of the calls that `clippy.toml` bans elsewhere.

use aws_lc_rs::rand;
use domain::kernel::{
    clock::{Clock, Timestamp, to_micros},
    ids::{Entropy, IdSource},
};
use uuid::Uuid;

/// The machine's own time and random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        to_micros(chrono::Utc::now())
    }
}

impl IdSource for System {
    #[expect(clippy::disallowed_methods, reason = "this is the id source")]
    fn next_uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl Entropy for System {
    /// Ends the process when the operating system gives no randomness: nothing can be done safely without.
    fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        if rand::fill(&mut bytes).is_err() {
            std::process::abort();
        }
        bytes
    }
}
