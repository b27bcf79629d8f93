//! Shared buckets while they answer, this process's own while they do not.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::kernel::{
    fault::PortError,
    limit::{Quota, RateLimiter, Verdict, Want},
};

use super::breaker::{Breaker, Turn};
use crate::governor::GovernorRateLimiter;

const MS_A_MINUTE: u64 = 60_000;

/// What the layer does beyond asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitEvent {
    /// The shared buckets do not answer: this process decides alone from now on.
    WentLocal,
    /// The shared buckets answer again.
    CameBack,
    /// This process decided alone, once.
    DecidedLocally,
    /// A call was refused before the shared buckets were asked.
    StoppedAtWall,
}

/// Told of [`LimitEvent`]s, for metrics. Called on the path of a request: it must not block.
pub type LimitObserver = Arc<dyn Fn(LimitEvent) + Send + Sync>;

/// How the layer behaves.
#[derive(Clone, Copy, Debug)]
pub struct FallbackSettings {
    /// How many times a quota's units may be *called* for before calls stop at the wall, at least 1. Calls are
    /// counted, not units: units may be given back, and the wall is there to spare round trips. At 4, who stays
    /// within a quota never meets it, even when three of four calls are refused by the shared buckets.
    pub wall_factor: u32,
    /// How long shared buckets that failed are left alone.
    pub rest: Duration,
    /// Buckets kept in this process at most, for each quota.
    pub buckets_max: usize,
}

impl Default for FallbackSettings {
    fn default() -> Self {
        Self { wall_factor: 4, rest: Duration::from_secs(1), buckets_max: 100_000 }
    }
}

/// [`RateLimiter`] that always answers.
///
/// First a wall in this process, so that a flood on one key costs no round trips; then the shared buckets; and when
/// those do not answer, buckets of this process with the same quota. They start full, so an outage gives each key at
/// most one extra burst per replica, and while it lasts each replica grants the quota by itself. Nothing is given
/// back then (see [`GovernorRateLimiter`]).
pub struct FallbackRateLimiter {
    shared: Arc<dyn RateLimiter>,
    wall: GovernorRateLimiter,
    own: GovernorRateLimiter,
    breaker: Breaker,
    wall_factor: u32,
    observer: LimitObserver,
}

impl FallbackRateLimiter {
    /// Wraps `shared`, telling `observer`.
    pub fn new(shared: Arc<dyn RateLimiter>, settings: FallbackSettings, observer: LimitObserver) -> Self {
        Self {
            shared,
            wall: GovernorRateLimiter::new(settings.buckets_max),
            own: GovernorRateLimiter::new(settings.buckets_max),
            breaker: Breaker::new(settings.rest),
            wall_factor: settings.wall_factor.max(1),
            observer,
        }
    }

    /// The refusal of a call that comes too soon after too many others; `None` when it may go on.
    fn stopped_at_wall(&self, key: &str, quota: Quota, units: u32) -> Option<Verdict> {
        let calls = Quota {
            per_minute: quota.per_minute.saturating_mul(self.wall_factor),
            burst: quota.burst.saturating_mul(self.wall_factor),
        };
        let wall = self.wall.take_now(key, calls, 1);
        if wall.allowed {
            return None;
        }
        // The shared bucket was not asked. After so many calls it is as good as empty, so its wait is told.
        let refill_ms =
            |units: u32| (MS_A_MINUTE * u64::from(units)).div_ceil(u64::from(quota.per_minute.max(1)));
        Some(Verdict {
            allowed: false,
            remaining: 0,
            retry_after_ms: wall.retry_after_ms.max(refill_ms(units)),
            reset_after_ms: wall.reset_after_ms.max(refill_ms(quota.burst)),
        })
    }

    /// The shared buckets' answer, or `None` when they have none.
    async fn ask<T>(&self, call: impl Future<Output = Result<T, PortError>> + Send) -> Option<T> {
        let permit = self.breaker.admit()?;
        let answer = call.await;
        match self.breaker.settle(permit, answer.is_ok()) {
            Some(Turn::Opened) => {
                if let Err(fault) = &answer {
                    tracing::warn!(port = fault.port, error = %fault.source, "limit: this process decides alone");
                }
                (self.observer)(LimitEvent::WentLocal);
            }
            Some(Turn::Closed) => {
                tracing::info!("limit: shared buckets are back");
                (self.observer)(LimitEvent::CameBack);
            }
            None => {}
        }
        answer.ok()
    }
}

#[async_trait]
impl RateLimiter for FallbackRateLimiter {
    /// Never fails.
    async fn take(&self, key: &str, quota: Quota, units: u32) -> Result<Verdict, PortError> {
        let verdicts = self.take_in_turn(&[Want { key, quota, units }]).await?;
        verdicts.into_iter().next().ok_or_else(|| PortError::lasting("limit.take", "no bucket answered"))
    }

    /// Never fails.
    async fn take_in_turn(&self, wants: &[Want<'_>]) -> Result<Vec<Verdict>, PortError> {
        // The first bucket's wall is enough to spare round trips, for all of them cost one. A wall of one further back
        // would count those who are refused before it is their turn.
        let Some(first) = wants.first() else { return Ok(Vec::new()) };
        if let Some(refusal) = self.stopped_at_wall(first.key, first.quota, first.units) {
            (self.observer)(LimitEvent::StoppedAtWall);
            return Ok(vec![refusal]);
        }
        if let Some(verdicts) = self.ask(self.shared.take_in_turn(wants)).await {
            return Ok(verdicts);
        }
        (self.observer)(LimitEvent::DecidedLocally);
        self.own.take_in_turn(wants).await
    }

    /// Never fails: what can't be given back refills by itself.
    async fn give_back(&self, key: &str, quota: Quota, units: u32) -> Result<(), PortError> {
        if self.ask(self.shared.give_back(key, quota, units)).await.is_none() {
            (self.observer)(LimitEvent::DecidedLocally);
        }
        Ok(())
    }
}

impl fmt::Debug for FallbackRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackRateLimiter")
            .field("wall_factor", &self.wall_factor)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    };

    use super::*;

    const QUOTA: Quota = Quota { per_minute: 60, burst: 5 };

    /// Buckets that answer, or not, as told, and count how often they are asked.
    #[derive(Default)]
    struct Scripted {
        away: AtomicBool,
        asked: AtomicU32,
    }

    #[async_trait]
    impl RateLimiter for Scripted {
        async fn take(&self, _: &str, quota: Quota, _: u32) -> Result<Verdict, PortError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.away.load(Ordering::Relaxed) {
                return Err(PortError::passing("scripted", "away"));
            }
            Ok(Verdict { allowed: true, remaining: quota.burst + 1, retry_after_ms: 0, reset_after_ms: 0 })
        }

        async fn give_back(&self, key: &str, quota: Quota, units: u32) -> Result<(), PortError> {
            self.take(key, quota, units).await.map(drop)
        }
    }

    struct Setup {
        shared: Arc<Scripted>,
        events: Arc<Mutex<Vec<LimitEvent>>>,
        limiter: FallbackRateLimiter,
    }

    impl Setup {
        fn new() -> Self {
            let (shared, events) = (Arc::new(Scripted::default()), Arc::new(Mutex::new(Vec::new())));
            let told = Arc::clone(&events);
            let observer: LimitObserver = Arc::new(move |event| told.lock().expect("no panic").push(event));
            let settings = FallbackSettings::default();
            let limiter = FallbackRateLimiter::new(shared.clone(), settings, observer);
            Self { shared, events, limiter }
        }

        async fn take(&self) -> Verdict {
            self.limiter.take("k", QUOTA, 1).await.expect("it always answers")
        }

        fn asked(&self) -> u32 {
            self.shared.asked.load(Ordering::Relaxed)
        }

        fn turns(&self) -> Vec<LimitEvent> {
            let events = self.events.lock().expect("no panic");
            let turn = |e: &LimitEvent| matches!(e, LimitEvent::WentLocal | LimitEvent::CameBack);
            events.iter().copied().filter(turn).collect()
        }
    }

    /// What only [`Scripted`] says.
    fn is_shared(verdict: Verdict) -> bool {
        verdict.remaining == QUOTA.burst + 1
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_asked_about_once_a_rest_and_told_once() {
        let setup = Setup::new();
        assert!(is_shared(setup.take().await));
        setup.shared.away.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(!is_shared(setup.take().await));
        }
        assert_eq!(setup.asked(), 2, "the first, and the one that failed");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!is_shared(setup.take().await));
        assert_eq!(setup.asked(), 3, "one probe");
        assert_eq!(setup.turns(), [LimitEvent::WentLocal]);

        setup.shared.away.store(false, Ordering::Relaxed);
        assert!(!is_shared(setup.take().await), "it is still left alone");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(is_shared(setup.take().await));
        assert!(is_shared(setup.take().await));
        assert_eq!(setup.turns(), [LimitEvent::WentLocal, LimitEvent::CameBack]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_quota_holds_during_an_outage() {
        let setup = Setup::new();
        setup.shared.away.store(true, Ordering::Relaxed);
        let mut allowed = 0;
        for _ in 0..QUOTA.burst * 2 {
            allowed += u32::from(setup.take().await.allowed);
        }
        assert_eq!(allowed, QUOTA.burst);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_stops_at_the_wall() {
        let setup = Setup::new();
        let calls = QUOTA.burst * 4;
        for _ in 0..calls {
            assert!(is_shared(setup.take().await));
        }
        let stopped = setup.take().await;
        assert_eq!(setup.asked(), calls, "the shared buckets were spared");
        assert!(!stopped.allowed);
        assert_eq!(stopped.remaining, 0);
        assert_eq!(stopped.retry_after_ms, 1000, "a unit of the quota, not of the wall");
        assert!(stopped.reset_after_ms >= 5000, "{stopped:?}");
        assert_eq!(setup.events.lock().expect("no panic").last(), Some(&LimitEvent::StoppedAtWall));
        // Another key is another matter.
        assert!(is_shared(setup.limiter.take("other", QUOTA, 1).await.expect("it always answers")));
    }

    #[tokio::test(start_paused = true)]
    async fn large_units_do_not_meet_the_wall_sooner() {
        let setup = Setup::new();
        for _ in 0..QUOTA.burst * 4 {
            assert!(setup.limiter.take("k", QUOTA, QUOTA.burst).await.expect("it always answers").allowed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn giving_back_never_fails() {
        let setup = Setup::new();
        setup.limiter.give_back("k", QUOTA, 1).await.expect("answered");
        assert_eq!(setup.asked(), 1);
        setup.shared.away.store(true, Ordering::Relaxed);
        setup.limiter.give_back("k", QUOTA, 1).await.expect("answered");
        assert_eq!(setup.turns(), [LimitEvent::WentLocal]);
    }
}
