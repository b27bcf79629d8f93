//! The virtual clock: the wall's, moved and held still as asked.

/// How virtual time follows from wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock {
    offset_ms: i64,
    frozen_at_ms: Option<i64>,
}

impl Clock {
    /// Virtual now, at a moment of the wall clock.
    pub(crate) fn at(&self, wall_ms: i64) -> i64 {
        self.frozen_at_ms.unwrap_or(wall_ms + self.offset_ms)
    }

    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen_at_ms.is_some()
    }

    /// Makes it say `now_ms` at this moment; it goes on running, or stays still.
    pub(crate) fn set(&mut self, now_ms: i64, wall_ms: i64) {
        self.offset_ms = now_ms - wall_ms;
        if self.frozen_at_ms.is_some() {
            self.frozen_at_ms = Some(now_ms);
        }
    }

    /// Holds it still, or lets it run on from where it is.
    pub(crate) fn freeze(&mut self, frozen: bool, wall_ms: i64) {
        let now_ms = self.at(wall_ms);
        self.offset_ms = now_ms - wall_ms;
        self.frozen_at_ms = frozen.then_some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn it_runs_stands_still_and_runs_on() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(100), 100);
        clock.set(1_000, 100);
        assert_eq!(clock.at(150), 1_050);
        clock.freeze(true, 150);
        assert_eq!(clock.at(900), 1_050);
        clock.set(5_000, 900);
        assert_eq!(clock.at(999), 5_000);
        clock.freeze(false, 1_000);
        assert_eq!(clock.at(1_001), 5_001);
    }
}
