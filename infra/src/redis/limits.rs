//! Buckets in Redis: GCRA in one script, so that replicas can't both take the last unit, and several buckets cost one round
//! trip. They lie in different slots: this is for one Redis, not for a cluster of them.

use async_trait::async_trait;
use domain::kernel::{
    fault::PortError,
    limit::{Quota, RateLimiter, Verdict, Want},
};
use redis::Script;

use super::connection::Redis;

const TAKE: &str = "redis.limit.take";

const US_A_MINUTE: u64 = 60_000_000;

/// Longest a bucket may take to fill, in microseconds: 2^52, 142 years. Added to any time of this century, it
/// stays below 2^53, up to where the script's numbers are exact.
const CAPACITY_MAX_US: u64 = 1 << 52;

/// What `retry_after_ms` says of a request for more than a full bucket holds, which can never be allowed. The
/// greatest number a GraphQL `Int` has: 24 days, a finite stand-in that no arithmetic trips over.
const NEVER_MS: u64 = 0x7fff_ffff;

/// [`RateLimiter`] on Redis. A bucket that is full is not stored, so memory is bounded by the buckets in use.
///
/// Rates above 60 million a minute count as that: a unit takes at least a microsecond.
#[derive(Debug)]
pub struct RedisRateLimiter {
    redis: Redis,
    script: Script,
}

impl RedisRateLimiter {
    /// Keeps buckets on `redis`.
    pub fn new(redis: Redis) -> Self {
        Self { redis, script: Script::new(include_str!("take.lua")) }
    }

    /// Runs the script on some buckets. What is wanted is told in microseconds of refill, below zero to give back. Answers
    /// for each that was asked.
    async fn run(
        &self,
        port: &'static str,
        buckets: impl Iterator<Item = (&str, Bucket, i64)> + Send,
    ) -> Result<Vec<u64>, PortError> {
        let mut manager = self.redis.manager();
        let mut call = self.script.prepare_invoke();
        for (key, bucket, wanted_us) in buckets {
            call.key(self.redis.keys().bucket(key)).arg(bucket.capacity_us()).arg(wanted_us);
        }
        // One round trip; three when Redis restarted and has forgotten the script.
        self.redis.within(port, async move { call.invoke_async(&mut manager).await }).await
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn take(&self, key: &str, quota: Quota, units: u32) -> Result<Verdict, PortError> {
        let verdicts = self.take_in_turn(&[Want { key, quota, units }]).await?;
        verdicts.into_iter().next().ok_or_else(|| PortError::lasting(TAKE, "the script answered nothing"))
    }

    /// In one step, so that it costs one round trip.
    async fn take_in_turn(&self, wants: &[Want<'_>]) -> Result<Vec<Verdict>, PortError> {
        let asked = wants.iter().map(|want| {
            let bucket = Bucket::of(want.quota);
            (want.key, bucket, i64::try_from(bucket.wanted_us(want.units)).unwrap_or(i64::MAX))
        });
        let answers = self.run(TAKE, asked).await?;
        let (answers, rest) = answers.as_chunks::<2>();
        // Nobody gets through because less was answered than was asked.
        let ended = answers.len() == wants.len() || answers.last().is_some_and(|[taken, _]| *taken == 0);
        if !ended || !rest.is_empty() {
            return Err(PortError::lasting(TAKE, "the script answered less than it was asked"));
        }
        let verdict = |(want, [taken, until_full_us]): (&Want<'_>, &[u64; 2])| {
            Bucket::of(want.quota).verdict(*taken == 1, want.units, *until_full_us)
        };
        Ok(wants.iter().zip(answers).map(verdict).collect())
    }

    async fn give_back(&self, key: &str, quota: Quota, units: u32) -> Result<(), PortError> {
        let bucket = Bucket::of(quota);
        let given = i64::try_from(bucket.refill_us(units.min(bucket.burst))).unwrap_or(i64::MAX);
        self.run("redis.limit.give_back", std::iter::once((key, bucket, -given))).await.map(drop)
    }
}

/// A quota in time: how long a unit takes to refill, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    unit_us: u64,
    burst: u32,
}

impl Bucket {
    /// Rounds up, so that no more is given than the quota says.
    fn of(quota: Quota) -> Self {
        let burst = quota.burst.max(1);
        let unit_us = US_A_MINUTE.div_ceil(u64::from(quota.per_minute.max(1)));
        Self { unit_us: unit_us.min(CAPACITY_MAX_US / u64::from(burst)), burst }
    }

    /// Microseconds in which `units` refill.
    fn refill_us(self, units: u32) -> u64 {
        // Less than 2^32 times less than 2^26.
        self.unit_us * u64::from(units)
    }

    fn capacity_us(self) -> u64 {
        self.refill_us(self.burst)
    }

    /// What `units` take to refill. More than a full bucket holds is as good as a little more than that: never there.
    fn wanted_us(self, units: u32) -> u64 {
        if units > self.burst { self.capacity_us() + 1 } else { self.refill_us(units) }
    }

    fn verdict(self, allowed: bool, units: u32, until_full_us: u64) -> Verdict {
        let left_us = self.capacity_us().saturating_sub(until_full_us);
        let retry_after_ms = if allowed {
            0
        } else if units > self.burst {
            NEVER_MS
        } else {
            self.refill_us(units).saturating_sub(left_us).div_ceil(1000).max(1)
        };
        Verdict {
            allowed,
            remaining: u32::try_from(left_us / self.unit_us).unwrap_or(u32::MAX),
            retry_after_ms,
            reset_after_ms: until_full_us.div_ceil(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_fits_exactly_whatever_the_rate() {
        for per_minute in [1, 7, 60, 59_999, 60_000, u32::MAX] {
            for burst in [1, 3, 1000, u32::MAX] {
                let bucket = Bucket::of(Quota { per_minute, burst });
                assert_eq!(bucket.capacity_us() / bucket.unit_us, u64::from(burst), "{per_minute} {burst}");
            }
        }
    }

    #[test]
    fn zeroes_count_as_one() {
        assert_eq!(
            Bucket::of(Quota { per_minute: 0, burst: 0 }),
            Bucket::of(Quota { per_minute: 1, burst: 1 }),
        );
    }

    #[test]
    fn a_verdict_rounds_waiting_up_and_remaining_down() {
        let bucket = Bucket::of(Quota { per_minute: 60, burst: 2 });
        let verdict = bucket.verdict(false, 1, 1_000_001);
        let expected = Verdict { allowed: false, remaining: 0, retry_after_ms: 1, reset_after_ms: 1001 };
        assert_eq!(verdict, expected);
    }

    proptest! {
        /// What the script adds to the time of day stays exact in a double, and nothing overflows on the way.
        #[test]
        fn numbers_stay_exact(per_minute: u32, burst: u32, units: u32) {
            let bucket = Bucket::of(Quota { per_minute, burst });
            prop_assert!(bucket.unit_us >= 1);
            prop_assert!(bucket.capacity_us() <= CAPACITY_MAX_US);
            prop_assert!(bucket.wanted_us(units) <= CAPACITY_MAX_US + 1);
            prop_assert!(i64::try_from(bucket.refill_us(units)).is_ok());
        }
    }
}
