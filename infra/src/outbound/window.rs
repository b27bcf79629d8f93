//! How calls went in the last half minute.

/// What a short look goes back, in seconds: failures are judged by it.
const FAILING_OVER_S: u64 = 5;

/// Calls that may fail in it before most do, in per cent.
const FAILING_PERCENT: u32 = 50;

/// Slow calls that a 99th percentile leaves out, in per cent.
const SLOW_PERCENT: u32 = 1;

/// Seconds that are kept: slowness is judged by all of them, in looks of [`FAILING_OVER_S`]. Half a minute, and one look
/// more, for the first may have begun at its end.
const KEPT_S: u64 = 35;

/// One second's calls.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at_s: u64,
    tally: Tally,
}

/// Calls, and how many of them went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    calls: u32,
    failed: u32,
    slow: u32,
}

/// The last seconds, each in the place of the one [`KEPT_S`] before it.
#[derive(Clone, Debug)]
pub(super) struct Window([Second; 35]);

impl Default for Window {
    fn default() -> Self {
        Self([Second::default(); 35])
    }
}

impl Window {
    /// Counts a call that ended in second `now_s`.
    pub(super) fn count(&mut self, now_s: u64, failed: bool, slow: bool) {
        let place = usize::try_from(now_s % KEPT_S).unwrap_or_default();
        let Some(second) = self.0.get_mut(place) else { return };
        if second.at_s != now_s {
            *second = Second { at_s: now_s, tally: Tally::default() };
        }
        let tally = &mut second.tally;
        tally.calls = tally.calls.saturating_add(1);
        tally.failed = tally.failed.saturating_add(u32::from(failed));
        tally.slow = tally.slow.saturating_add(u32::from(slow));
    }

    /// The seconds up to `last_s`, a short look long.
    fn look(&self, last_s: u64) -> Tally {
        let within = |second: &&Second| second.at_s <= last_s && second.at_s + FAILING_OVER_S > last_s;
        let tallies = self.0.iter().filter(within).map(|second| second.tally);
        tallies.fold(Tally::default(), |sum, one| Tally {
            calls: sum.calls.saturating_add(one.calls),
            failed: sum.failed.saturating_add(one.failed),
            slow: sum.slow.saturating_add(one.slow),
        })
    }

    /// Whether most calls fail. Fewer than `calls_min` say nothing.
    pub(super) fn failing(&self, now_s: u64, calls_min: u32) -> bool {
        let look = self.look(now_s);
        look.calls >= calls_min
            && u64::from(look.failed) * 100 > u64::from(look.calls) * u64::from(FAILING_PERCENT)
    }

    /// Whether the 99th percentile was slow all the time: in each short look, none of which may be empty.
    pub(super) fn slow(&self, now_s: u64, calls_min: u32) -> bool {
        let Some(first_s) = (now_s + 1).checked_sub(KEPT_S) else { return false };
        let looks = (0..KEPT_S / FAILING_OVER_S).map(|n| self.look(first_s + (n + 1) * FAILING_OVER_S - 1));
        let mut calls = 0_u32;
        for look in looks {
            if u64::from(look.slow) * 100 <= u64::from(look.calls) * u64::from(SLOW_PERCENT) {
                return false;
            }
            calls = calls.saturating_add(look.calls);
        }
        calls >= calls_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_in_five_seconds_is_failing() {
        let mut window = Window::default();
        for n in 0..10 {
            window.count(100 + n / 3, n % 2 == 0, false);
        }
        assert!(!window.failing(103, 5), "half is not more than half");
        window.count(103, true, false);
        assert!(window.failing(103, 5));
        assert!(!window.failing(103, 12), "too few to tell");
        assert!(window.failing(104, 5));
        assert!(!window.failing(109, 1), "forgotten");
    }

    #[test]
    fn one_slow_call_in_a_hundred_is_within_the_percentile() {
        let mut window = Window::default();
        for second in 0..35 {
            for n in 0..20 {
                window.count(60 + second, false, n == 0 && second % 5 == 0);
            }
        }
        assert!(!window.slow(94, 5));
        for second in [61, 66, 71, 76, 81, 86, 91] {
            assert!(!window.slow(94, 5), "not in every look");
            window.count(second, false, true);
        }
        assert!(window.slow(94, 5), "two in 101, in each look");
    }

    #[test]
    fn slow_is_only_what_is_slow_all_the_time() {
        let mut window = Window::default();
        for second in 60..90 {
            window.count(second, false, true);
            assert!(!window.slow(second, 1), "not for half a minute yet, at {second}");
        }
        window.count(90, false, true);
        assert!(window.slow(90, 31));
        assert!(!window.slow(90, 32), "too few to tell");
        assert!(!window.slow(96, 5), "nothing in the last look");
        let mut early = Window::default();
        early.count(3, false, true);
        assert!(!early.slow(3, 1));
    }
}
