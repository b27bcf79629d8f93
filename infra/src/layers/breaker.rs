//! Leaves something alone that did not answer.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Opens at the first failure. While open, one call each `rest` is let through to see; its success closes it.
#[derive(Debug)]
pub struct Breaker {
    rest: Duration,
    /// When the next probe may go, while open.
    open_until: Mutex<Option<Instant>>,
}

/// Leave to call. Give it back with the outcome; one that is lost (its caller went away) holds nobody up.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    probe: bool,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Calls were let through, and are not any more.
    Opened,
    /// Calls are let through again.
    Closed,
}

impl Breaker {
    /// Closed, leaving a failed callee alone for `rest` at a time.
    pub const fn new(rest: Duration) -> Self {
        Self { rest, open_until: Mutex::new(None) }
    }

    fn open_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.open_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to call now, or `None`.
    pub fn admit(&self) -> Option<Permit> {
        let mut open_until = self.open_until();
        let Some(until) = *open_until else {
            return Some(Permit { probe: false });
        };
        let now = Instant::now();
        if now < until {
            return None;
        }
        // The next probe is due whether or not this one comes back.
        *open_until = Some(now + self.rest);
        Some(Permit { probe: true })
    }

    /// Takes the outcome of a call, and tells what it changed: of many calls failing at once, one hears of it.
    #[expect(clippy::needless_pass_by_value, reason = "a permit has one outcome")]
    pub fn settle(&self, permit: Permit, answered: bool) -> Option<Turn> {
        let mut open_until = self.open_until();
        match (open_until.is_some(), answered) {
            (false, false) => {
                *open_until = Some(Instant::now() + self.rest);
                Some(Turn::Opened)
            }
            // Only a probe: an answer to what was asked before the failure says nothing of now.
            (true, true) if permit.probe => {
                *open_until = None;
                Some(Turn::Closed)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(1);

    fn admit(breaker: &Breaker) -> Permit {
        breaker.admit().expect("let through")
    }

    #[tokio::test(start_paused = true)]
    async fn opens_at_the_first_failure_and_closes_at_a_probes_success() {
        let breaker = Breaker::new(REST);
        assert_eq!(breaker.settle(admit(&breaker), true), None);
        assert_eq!(breaker.settle(admit(&breaker), false), Some(Turn::Opened));
        assert!(breaker.admit().is_none());
        tokio::time::advance(REST).await;
        let probe = admit(&breaker);
        assert!(breaker.admit().is_none(), "one probe at a time");
        assert_eq!(breaker.settle(probe, true), Some(Turn::Closed));
        assert_eq!(breaker.settle(admit(&breaker), true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn stays_open_while_probes_fail_without_saying_so_again() {
        let breaker = Breaker::new(REST);
        assert_eq!(breaker.settle(admit(&breaker), false), Some(Turn::Opened));
        for _ in 0..3 {
            tokio::time::advance(REST).await;
            assert_eq!(breaker.settle(admit(&breaker), false), None);
            assert!(breaker.admit().is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_failures_at_once_one_is_told() {
        let breaker = Breaker::new(REST);
        let permits = [(); 5].map(|()| admit(&breaker));
        let turns: Vec<_> = permits.into_iter().filter_map(|permit| breaker.settle(permit, false)).collect();
        assert_eq!(turns, [Turn::Opened]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_the_failure_does_not_close() {
        let breaker = Breaker::new(REST);
        let early = admit(&breaker);
        assert_eq!(breaker.settle(admit(&breaker), false), Some(Turn::Opened));
        assert_eq!(breaker.settle(early, true), None);
        assert!(breaker.admit().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_probe_is_followed_by_another() {
        let breaker = Breaker::new(REST);
        assert_eq!(breaker.settle(admit(&breaker), false), Some(Turn::Opened));
        tokio::time::advance(REST).await;
        drop(admit(&breaker));
        tokio::time::advance(REST).await;
        assert_eq!(breaker.settle(admit(&breaker), true), Some(Turn::Closed));
    }
}
