//! Keeps an app from flooding a platform.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::kernel::{
    ids::AppId,
    limit::{Quota, RateLimiter},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};

use super::{
    call::{Call, NotMade, Reply, SendFault, Transport},
    watch::Waiting,
};

/// How much one app may ask of one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// Calls of this process under way at once.
    pub in_flight: u16,
    /// Calls begun in a second; how far that holds across replicas is the limiter's.
    pub per_second: u32,
    /// Longest a call waits for its turn.
    pub patience: Duration,
}

impl Default for ThrottleSettings {
    /// Platforms publish hardly any limit a second; this is half of the lowest that one of them names.
    fn default() -> Self {
        Self { in_flight: 16, per_second: 50, patience: Duration::from_secs(5) }
    }
}

/// Lets so many calls through, and the others wait or be refused.
pub struct Throttle<T> {
    inner: T,
    settings: ThrottleSettings,
    limiter: Arc<dyn RateLimiter>,
    gates: Mutex<Gates>,
    waiting: Waiting,
}

type Gates = HashMap<(&'static str, AppId), Arc<Semaphore>>;

/// Gates above which those that nobody stands at are taken away.
const GATES_MAX: usize = 4_096;

impl<T> Throttle<T> {
    /// Wraps `inner`; `limiter` counts calls a second.
    pub fn new(inner: T, settings: ThrottleSettings, limiter: Arc<dyn RateLimiter>) -> Self {
        Self { inner, settings, limiter, gates: Mutex::default(), waiting: Waiting::default() }
    }

    /// Who waits.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    fn gate(&self, call: &Call) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= GATES_MAX {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = gates.entry((call.line.platform, call.line.app));
        let places = usize::from(self.settings.in_flight.max(1));
        Arc::clone(gate.or_insert_with(|| Arc::new(Semaphore::new(places))))
    }

    /// Waits for the call's turn; `None` when it would take too long.
    async fn turn(&self, call: &Call) -> Option<OwnedSemaphorePermit> {
        let _waiting = self.waiting.join(call);
        let deadline = Instant::now() + self.settings.patience;
        let place = timeout_at(deadline, self.gate(call).acquire_owned()).await.ok()?.ok()?;
        let per_second = self.settings.per_second.max(1);
        let quota = Quota { per_minute: per_second.saturating_mul(60), burst: per_second };
        let key = format!("outbound:{}:{}", call.line.platform, call.line.app.uuid());
        loop {
            // Where calls can't be counted they are made: the platform counts too.
            let Ok(verdict) = self.limiter.take(&key, quota, 1).await else { return Some(place) };
            if verdict.allowed {
                return Some(place);
            }
            let wait = Duration::from_millis(verdict.retry_after_ms);
            if Instant::now() + wait > deadline {
                return None;
            }
            sleep(wait).await;
        }
    }
}

#[async_trait]
impl<T: Transport> Transport for Throttle<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let Some(_place) = self.turn(call).await else { return Err(SendFault::not_done(NotMade::Throttled)) };
        self.inner.send(call).await
    }
}

#[cfg(test)]
mod tests {
    use domain::kernel::{fault::PortError, limit::Verdict};
    use futures_util::future::join_all;
    use uuid::Uuid;

    use super::{
        super::{
            call::Line,
            script::{Script, call},
        },
        *,
    };

    /// So many calls in each whole second since it was made.
    struct PerSecond(Instant, Mutex<HashMap<(String, u64), u32>>);

    #[async_trait]
    impl RateLimiter for PerSecond {
        async fn take(&self, key: &str, quota: Quota, _: u32) -> Result<Verdict, PortError> {
            let now_ms = u64::try_from(self.0.elapsed().as_millis()).unwrap();
            let mut taken = self.1.lock().unwrap();
            let taken = taken.entry((key.to_owned(), now_ms / 1_000)).or_default();
            let allowed = *taken < quota.burst;
            *taken += u32::from(allowed);
            let retry_after_ms = if allowed { 0 } else { 1_000 - now_ms % 1_000 };
            Ok(Verdict { allowed, remaining: 0, retry_after_ms, reset_after_ms: 0 })
        }

        async fn give_back(&self, _: &str, _: Quota, _: u32) -> Result<(), PortError> {
            Ok(())
        }
    }

    struct Away;

    #[async_trait]
    impl RateLimiter for Away {
        async fn take(&self, _: &str, _: Quota, _: u32) -> Result<Verdict, PortError> {
            Err(PortError::passing("away", "away"))
        }

        async fn give_back(&self, _: &str, _: Quota, _: u32) -> Result<(), PortError> {
            Ok(())
        }
    }

    fn settings(in_flight: u16, per_second: u32) -> ThrottleSettings {
        ThrottleSettings { in_flight, per_second, patience: Duration::from_secs(3) }
    }

    fn throttle(settings: ThrottleSettings, each_ms: u64) -> Throttle<Script> {
        let limiter = Arc::new(PerSecond(Instant::now(), Mutex::default()));
        Throttle::new(Script::new([]).taking(vec![each_ms; 100]), settings, limiter)
    }

    async fn all(throttle: &Throttle<Script>, calls: impl IntoIterator<Item = Call>) -> Vec<&'static str> {
        let calls: Vec<_> = calls.into_iter().collect();
        let results = join_all(calls.iter().map(|call| throttle.send(call))).await;
        results.iter().map(|result| result.as_ref().map_or_else(SendFault::as_str, |_| "ok")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_a_place_and_are_refused_when_it_takes_too_long() {
        let throttle = throttle(settings(2, 100), 1_000);
        let began = Instant::now();
        let words = all(&throttle, (0..9).map(|_| call())).await;
        // Two a second: those that would begin after three seconds are told so then.
        assert_eq!(
            words.iter().filter(|word| **word == "throttled").count(),
            9 - throttle.inner.calls().len()
        );
        assert!((6..=8).contains(&throttle.inner.calls().len()), "{words:?}");
        assert_eq!(throttle.inner.most_at_once(), 2);
        assert!(began.elapsed() <= Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_spread_over_seconds() {
        let throttle = throttle(settings(100, 2), 0);
        let began = Instant::now();
        assert_eq!(all(&throttle, (0..6).map(|_| call())).await, ["ok"; 6]);
        assert_eq!(began.elapsed().as_secs(), 2);
        let words = all(&throttle, (0..20).map(|_| call())).await;
        assert!(words.contains(&"throttled") && words.contains(&"ok"), "{words:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn apps_do_not_wait_for_each_other() {
        let throttle = throttle(settings(1, 1), 0);
        let began = Instant::now();
        let of = |n: u128| Call {
            line: Line { app: AppId::from_uuid(Uuid::from_u128(n)), ..call().line },
            ..call()
        };
        assert_eq!(all(&throttle, (0..10).map(of)).await, ["ok"; 10]);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limiter_that_is_away_stops_nobody() {
        let throttle = Throttle::new(Script::new([]), settings(1, 1), Arc::new(Away));
        assert_eq!(all(&throttle, (0..3).map(|_| call())).await, ["ok"; 3]);
    }
}
