//! Memory adapters of identity's ports, for tests.
//!
//! Invariants: a unit works on a copy of its own tenant's rows and replaces them when it commits, so what is dropped
//! uncommitted is gone, and no unit sees another tenant. A unit that began before another committed is refused as
//! stale: nothing is lost by two that meet.
//!
//! Absent on purpose: waiting for locks (who comes second is told when committing), foreign keys, sealing and real
//! cryptography.

mod contract;
mod credentials;
mod outside;
mod rows;
mod stores;
mod unit;

pub use contract::stores_keep_their_promises;
pub use credentials::{MemoryTokens, PlainHasher, SteppedCodes};
pub use outside::{Letter, MemoryCourier, MemoryDirectory};
pub use rows::{Recorded, Rows};
pub use unit::MemoryUnits;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even what a failed test left behind: its own failure is told, not this one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
