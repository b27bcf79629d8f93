//! The port on the crate.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::kernel::{
    fault::PortError,
    limit::{Quota, RateLimiter, Verdict},
};
use governor::{
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};

use super::store::{BoundedStore, KeyHash};

const NS_A_MINUTE: u64 = 60_000_000_000;

/// Longest a bucket may take to fill, in nanoseconds: 2^60, 36 years, so that the crate's sums stay in 64 bits.
const CAPACITY_MAX_NS: u64 = 1 << 60;

/// What `retry_after_ms` says of a request for more than a full bucket holds, which can never be allowed. The
/// greatest number a GraphQL `Int` has: 24 days, a finite stand-in that no arithmetic trips over.
const NEVER_MS: u64 = 0x7fff_ffff;

/// [`RateLimiter`] in this process's memory. It never fails and never waits.
///
/// Asking for no units is allowed and tells of a full bucket: the crate can't look without taking. Giving back does
/// nothing (see the module).
pub struct GovernorRateLimiter<C: Clock = DefaultClock> {
    /// One limiter for each quota. Quotas come from configuration, so there are few.
    limiters: RwLock<Limiters<C>>,
    seeds: [RandomState; 2],
    buckets_max: usize,
    clock: C,
}

/// By refill a minute and burst.
type Limiters<C> = HashMap<(u32, u32), Arc<Limiter<C>>>;

struct Limiter<C: Clock> {
    buckets: governor::RateLimiter<KeyHash, BoundedStore, C, StateInformationMiddleware>,
    #[cfg(test)]
    store: BoundedStore,
    bucket: Bucket,
    takes: AtomicU64,
}

/// A quota in time: how long a unit takes to refill, and how many there are.
#[derive(Clone, Copy)]
struct Bucket {
    unit_ns: u64,
    burst: NonZeroU32,
}

impl GovernorRateLimiter {
    /// Keeps at most about `buckets_max` buckets for each quota, some 40 bytes each.
    pub fn new(buckets_max: usize) -> Self {
        Self::with_clock(buckets_max, DefaultClock::default())
    }
}

impl<C: Clock + Clone> GovernorRateLimiter<C> {
    fn with_clock(buckets_max: usize, clock: C) -> Self {
        Self {
            limiters: RwLock::default(),
            seeds: [RandomState::new(), RandomState::new()],
            buckets_max: buckets_max.max(1),
            clock,
        }
    }

    /// [`RateLimiter::take`], without the waiting it does not need.
    pub fn take_now(&self, key: &str, quota: Quota, units: u32) -> Verdict {
        let limiter = self.limiter(quota);
        limiter.sweep_now_and_then(self.buckets_max);
        let bucket = limiter.bucket;
        let Some(wanted) = NonZeroU32::new(units) else {
            return Verdict {
                allowed: true,
                remaining: bucket.burst.get(),
                retry_after_ms: 0,
                reset_after_ms: 0,
            };
        };
        // The crate's own check of this multiplies first, and may overflow.
        if wanted > bucket.burst {
            return bucket.never();
        }
        let [high, low] = [0, 1].map(|i: usize| u128::from(self.seeds[i].hash_one(key)));
        match limiter.buckets.check_key_n(&(high << 64 | low), wanted) {
            Ok(Ok(left)) => bucket.taken(left.remaining_burst_capacity()),
            Ok(Err(not_until)) => bucket.refused(units, not_until.wait_time_from(self.clock.now())),
            Err(_more_than_a_burst) => bucket.never(),
        }
    }

    fn limiter(&self, quota: Quota) -> Arc<Limiter<C>> {
        let name = (quota.per_minute, quota.burst);
        if let Some(limiter) = self.limiters.read().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Arc::clone(limiter);
        }
        let mut limiters = self.limiters.write().unwrap_or_else(PoisonError::into_inner);
        let limiter = || Arc::new(Limiter::new(Bucket::of(quota), self.buckets_max, self.clock.clone()));
        Arc::clone(limiters.entry(name).or_insert_with(limiter))
    }
}

impl<C: Clock> Limiter<C> {
    fn new(bucket: Bucket, buckets_max: usize, clock: C) -> Self {
        let store = BoundedStore::new(buckets_max);
        Self {
            buckets: governor::RateLimiter::new(bucket.quota(), store.clone(), clock),
            #[cfg(test)]
            store,
            bucket,
            takes: AtomicU64::new(0),
        }
    }

    /// Every so many takes that the store can have grown by a quarter. A sweep looks at every bucket; shared out
    /// over those takes, that is four buckets each.
    fn sweep_now_and_then(&self, buckets_max: usize) {
        let interval = u64::try_from(buckets_max / 4).unwrap_or(u64::MAX).max(1);
        if self.takes.fetch_add(1, Ordering::Relaxed) % interval == interval - 1 {
            self.buckets.retain_recent();
        }
    }
}

impl Bucket {
    /// Rounds up, so that no more is given than the quota says.
    fn of(quota: Quota) -> Self {
        let burst = NonZeroU32::new(quota.burst).unwrap_or(NonZeroU32::MIN);
        let unit_ns = NS_A_MINUTE.div_ceil(u64::from(quota.per_minute.max(1)));
        Self { unit_ns: unit_ns.min(CAPACITY_MAX_NS / u64::from(burst.get())), burst }
    }

    fn quota(self) -> governor::Quota {
        // `None` is the answer to a period of nothing, and a unit takes at least a nanosecond.
        governor::Quota::with_period(Duration::from_nanos(self.unit_ns))
            .unwrap_or_else(|| governor::Quota::per_minute(self.burst))
            .allow_burst(self.burst)
    }

    fn refill_ns(self, units: u32) -> u64 {
        self.unit_ns.saturating_mul(u64::from(units))
    }

    fn taken(self, remaining: u32) -> Verdict {
        // The crate counts in whole units, so this is up to a unit long.
        let missing_ns = self.refill_ns(self.burst.get().saturating_sub(remaining));
        Verdict { allowed: true, remaining, retry_after_ms: 0, reset_after_ms: ms(missing_ns) }
    }

    /// `wait` is until `units`, no more than a burst, could be taken.
    fn refused(self, units: u32, wait: Duration) -> Verdict {
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let lacking = u32::try_from(wait_ns.div_ceil(self.unit_ns)).unwrap_or(u32::MAX);
        Verdict {
            allowed: false,
            remaining: units.saturating_sub(lacking.max(1)),
            retry_after_ms: ms(wait_ns).max(1),
            reset_after_ms:
                ms(wait_ns.saturating_add(self.refill_ns(self.burst.get().saturating_sub(units)))).max(1),
        }
    }

    /// Nothing is known of the bucket; the least favourable is told.
    fn never(self) -> Verdict {
        let reset_after_ms = ms(self.refill_ns(self.burst.get()));
        Verdict { allowed: false, remaining: 0, retry_after_ms: NEVER_MS, reset_after_ms }
    }
}

fn ms(ns: u64) -> u64 {
    ns.div_ceil(1_000_000)
}

#[async_trait]
impl<C: Clock + Clone + Send + Sync> RateLimiter for GovernorRateLimiter<C> {
    /// Never fails.
    async fn take(&self, key: &str, quota: Quota, units: u32) -> Result<Verdict, PortError> {
        Ok(self.take_now(key, quota, units))
    }

    /// Does nothing, and never fails.
    async fn give_back(&self, _key: &str, _quota: Quota, _units: u32) -> Result<(), PortError> {
        Ok(())
    }
}

impl<C: Clock> fmt::Debug for GovernorRateLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernorRateLimiter").field("buckets_max", &self.buckets_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::{super::store::SPARE_BUCKETS, *};

    const QUOTA: Quota = Quota { per_minute: 60, burst: 10 };

    fn limiter(buckets_max: usize) -> (GovernorRateLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (GovernorRateLimiter::with_clock(buckets_max, clock.clone()), clock)
    }

    #[test]
    fn verdicts_tell_what_is_left_and_how_long() {
        let (limiter, clock) = limiter(100);
        let take = |units| limiter.take_now("k", QUOTA, units);
        let verdict = |allowed, remaining, retry_after_ms, reset_after_ms| Verdict {
            allowed,
            remaining,
            retry_after_ms,
            reset_after_ms,
        };
        assert_eq!(take(0), verdict(true, 10, 0, 0));
        assert_eq!(take(4), verdict(true, 6, 0, 4000));
        assert_eq!(take(7), verdict(false, 6, 1000, 4000));
        assert_eq!(take(11), verdict(false, 0, NEVER_MS, 10_000));
        assert_eq!(take(6), verdict(true, 0, 0, 10_000));
        clock.advance(Duration::from_millis(2500));
        assert_eq!(take(3), verdict(false, 2, 500, 7500));
        assert_eq!(take(2), verdict(true, 0, 0, 10_000));
        clock.advance(Duration::from_mins(1));
        assert_eq!(take(10), verdict(true, 0, 0, 10_000));
    }

    #[test]
    fn random_keys_do_not_fill_memory() {
        let (limiter, clock) = limiter(1000);
        let most = 1000 + 250 + usize::try_from(SPARE_BUCKETS).expect("few");
        for n in 0..50_000 {
            let verdict = limiter.take_now(&format!("random {n}"), QUOTA, 1);
            // Newcomers share what is spare, and are refused when that is empty.
            assert!(verdict.allowed || n > 1000);
            let kept = limiter.limiter(QUOTA).store.buckets();
            assert!(kept <= most, "{kept} after {n}");
        }
        // When the flood has passed, what it left is dropped and newcomers have their own buckets again.
        clock.advance(Duration::from_mins(1));
        for _ in 0..250 {
            limiter.take_now("one", QUOTA, 1);
        }
        // Its own, and the spare one it began with.
        assert!(limiter.limiter(QUOTA).store.buckets() <= 2);
        assert_eq!(limiter.take_now("newcomer", QUOTA, 1).remaining, 9);
    }

    #[test]
    fn a_flood_of_keys_does_not_free_a_known_one() {
        let (limiter, _clock) = limiter(1000);
        assert!(limiter.take_now("known", QUOTA, 10).allowed);
        for n in 0..10_000 {
            limiter.take_now(&format!("random {n}"), QUOTA, 1);
        }
        assert!(!limiter.take_now("known", QUOTA, 1).allowed);
    }

    #[test]
    fn the_same_key_under_another_quota_is_another_bucket() {
        let (limiter, _clock) = limiter(100);
        assert!(limiter.take_now("k", QUOTA, 10).allowed);
        assert!(limiter.take_now("k", Quota { burst: 11, ..QUOTA }, 11).allowed);
    }

    proptest! {
        #[test]
        fn no_quota_is_too_strange(
            per_minute in prop_oneof![0..10_u32, any::<u32>()],
            burst in prop_oneof![0..10_u32, any::<u32>()],
            units in prop_oneof![0..10_u32, any::<u32>()],
            ms in 0..10_000_000_u64,
        ) {
            let (limiter, clock) = limiter(10);
            let quota = Quota { per_minute, burst };
            for _ in 0..3 {
                let verdict = limiter.take_now("k", quota, units);
                prop_assert_eq!(verdict.allowed, verdict.retry_after_ms == 0);
                prop_assert!(verdict.remaining <= burst.max(1));
                clock.advance(Duration::from_millis(ms));
            }
        }
    }
}
