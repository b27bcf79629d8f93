//! Memory adapters of compliance's ports, for tests.
//!
//! Invariants: a sequencing transaction works on a copy of all logs and replaces them when it commits; while one is
//! open there is no other. A log never shrinks and an event is in its log once.
//!
//! Absent on purpose: rows an event is found by. A reader looks at the leaves.

mod keys;
mod platform;
mod reading;
mod sequencing;
mod verifying;

pub use keys::MemoryLogKeys;
pub use platform::{
    MemoryEvidence, MemoryHighWater, MemoryPlatform, MemorySigner, MemoryWitnesses, PlatformLog, Tripwire,
};
pub use reading::MemoryAudit;
pub use sequencing::{Log, Logs, MemoryLogs};
pub use verifying::{MemoryReader, STRANGER};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even what a failed test left behind: its own failure is told, not this one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
