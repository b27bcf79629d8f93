//! Memory adapters of accounts' ports, for tests.
//!
//! Invariants: a unit works on a copy of its own tenant's rows and replaces them when it commits; one that began before
//! another committed is refused as stale. The platform keeps its own books: what it gave, what it was asked, and what
//! still works.
//!
//! Absent on purpose: waiting for locks, foreign keys, sealing, and any platform's spelling.

mod health;
mod journal;
mod platform;
mod rows;
mod stores;

pub use health::MemoryHealth;
pub use journal::MemoryJournal;
pub use platform::{MemoryPlatform, Mishap};
pub use rows::{AccountRows, MemoryAccounts};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even what a failed test left behind: its own failure is told, not this one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
