//! Time that only goes forward. Wall clocks are set back; a key's age must not be.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

/// Time since some fixed moment. Never goes back, whatever happens to the wall clock.
pub trait Ticks: Send + Sync {
    /// How long ago that moment was.
    fn elapsed(&self) -> Duration;
}

/// The machine's own monotonic clock. It counts on while the machine is suspended, so a key does not
/// outlive its time by sleeping.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTicks;

#[cfg(any(target_os = "linux", target_os = "android"))]
const CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
// Elsewhere the monotonic clock itself counts sleep (Darwin) or is the best there is.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

impl Ticks for SystemTicks {
    /// The end of time when the clock can't be read: then every key is too old, which is the safe mistake.
    fn elapsed(&self) -> Duration {
        clock_gettime(CLOCK).map_or(Duration::MAX, Duration::from)
    }
}

/// Ticks that move only when told, for tests.
#[derive(Debug, Default)]
pub struct ManualTicks(AtomicU64);

impl ManualTicks {
    /// Moves on by whole seconds.
    pub fn advance_s(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Ticks for ManualTicks {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}
