//! How calls of a line went in the last half minute, for who asks: kept apart from what the breaker judges by, which
//! begins anew when it turns.

use std::time::Duration;

use domain::accounts::model::{LATENCY_BOUNDS_MS, LATENCY_PLACES};

/// Seconds that are kept.
const KEPT_S: u64 = 30;

/// One second's calls.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at_s: u64,
    calls: u32,
    failed: u32,
    took: [u16; LATENCY_PLACES],
}

/// Calls, how many failed, and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) took: [u32; LATENCY_PLACES],
}

/// The last seconds, each in the place of the one [`KEPT_S`] before it.
#[derive(Clone, Debug, Default)]
pub(super) struct History([Second; 30]);

impl History {
    /// Counts a call that ended in second `now_s`.
    pub(super) fn count(&mut self, now_s: u64, failed: bool, took: Duration) {
        let place = usize::try_from(now_s % KEPT_S).unwrap_or_default();
        let Some(second) = self.0.get_mut(place) else { return };
        if second.at_s != now_s {
            *second = Second { at_s: now_s, ..Second::default() };
        }
        second.calls = second.calls.saturating_add(1);
        second.failed = second.failed.saturating_add(u32::from(failed));
        let is_below = |bound: &u32| took <= Duration::from_millis(u64::from(*bound));
        let place = LATENCY_BOUNDS_MS.iter().position(is_below).unwrap_or(LATENCY_BOUNDS_MS.len());
        if let Some(count) = second.took.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// The half minute up to second `now_s`.
    pub(super) fn sum(&self, now_s: u64) -> Sum {
        let mut sum = Sum::default();
        for second in self.0.iter().filter(|second| second.at_s <= now_s && second.at_s + KEPT_S > now_s) {
            sum.calls = sum.calls.saturating_add(second.calls);
            sum.failed = sum.failed.saturating_add(second.failed);
            for (all, more) in sum.took.iter_mut().zip(second.took) {
                *all = all.saturating_add(u32::from(more));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_is_remembered() {
        let mut history = History::default();
        for second in 100..140 {
            history.count(second, second % 2 == 0, Duration::from_millis(30));
        }
        history.count(139, false, Duration::from_secs(999));
        let sum = history.sum(139);
        assert_eq!((sum.calls, sum.failed), (31, 15));
        assert_eq!((sum.took[1], sum.took[LATENCY_PLACES - 1]), (30, 1));
        assert_eq!(history.sum(168).calls, 2, "the last second alone");
        assert_eq!(history.sum(169), Sum::default(), "all forgotten");
    }
}
