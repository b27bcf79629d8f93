//! What [`RateLimiter`] promises, on every adapter. Each part uses keys of its own.
//!
//! Refilling is slow where nothing may refill while a test runs, and fast where a test waits for it.

use std::{sync::Arc, time::Duration};

use domain::kernel::limit::{Quota, RateLimiter, Verdict, Want};
use infra::{
    governor::GovernorRateLimiter,
    layers::{FallbackRateLimiter, FallbackSettings},
    redis::RedisRateLimiter,
};

use crate::redis_server::RedisServer;

/// A unit a minute: nothing refills meanwhile.
const SLOW: Quota = Quota { per_minute: 1, burst: 10 };

/// A unit each ten milliseconds.
const FAST: Quota = Quota { per_minute: 6_000, burst: 3 };

const NEVER_MS: u64 = 0x7fff_ffff;

#[tokio::test]
async fn governor_keeps_the_contract() {
    contract(Arc::new(GovernorRateLimiter::new(1_000))).await;
}

#[tokio::test]
async fn redis_keeps_the_contract() {
    let server = RedisServer::start();
    contract(Arc::new(RedisRateLimiter::new(server.connect("contract")))).await;
}

#[tokio::test]
async fn the_fallback_layer_keeps_the_contract() {
    let server = RedisServer::start();
    let redis = Arc::new(RedisRateLimiter::new(server.connect("layered")));
    let limiter = FallbackRateLimiter::new(redis, FallbackSettings::default(), Arc::new(|_| {}));
    contract(Arc::new(limiter)).await;
}

async fn contract(limiter: Arc<dyn RateLimiter>) {
    a_burst_is_granted_and_no_more(&*limiter).await;
    units_come_together_or_not_at_all(&*limiter).await;
    more_than_a_burst_is_never_granted(&*limiter).await;
    nothing_costs_nothing(&*limiter).await;
    units_refill_with_time(&*limiter).await;
    keys_do_not_meet(&*limiter).await;
    one_bucket_after_the_other_up_to_the_first_that_refuses(&*limiter).await;
    any_key_will_do(&*limiter).await;
    all_at_once_take_a_burst(limiter).await;
}

async fn take(limiter: &dyn RateLimiter, key: &str, quota: Quota, units: u32) -> Verdict {
    limiter.take(key, quota, units).await.unwrap()
}

async fn one_bucket_after_the_other_up_to_the_first_that_refuses(limiter: &dyn RateLimiter) {
    let want = |key, units| Want { key, quota: SLOW, units };
    let take = async |wants: &[Want<'_>]| limiter.take_in_turn(wants).await.unwrap();
    let left =
        |verdicts: &[Verdict]| verdicts.iter().map(|of| (of.allowed, of.remaining)).collect::<Vec<_>>();
    assert_eq!(take(&[]).await, []);
    let all = take(&[want("turn 1", 1), want("turn 2", 4), want("turn 3", 2)]).await;
    assert_eq!(left(&all), [(true, 9), (true, 6), (true, 8)]);
    let some = take(&[want("turn 1", 1), want("turn 2", 7), want("turn 3", 2)]).await;
    assert_eq!(left(&some), [(true, 8), (false, 6)], "what is behind the refusal is not touched");
    let never = take(&[want("turn 1", 1), want("turn 2", 11), want("turn 3", 2)]).await;
    assert_eq!((never.len(), never[1].allowed, never[1].retry_after_ms), (2, false, NEVER_MS));
    let rest = take(&[want("turn 1", 7), want("turn 2", 6), want("turn 3", 8)]).await;
    assert_eq!(left(&rest), [(true, 0), (true, 0), (true, 0)]);
}

async fn a_burst_is_granted_and_no_more(limiter: &dyn RateLimiter) {
    for left in (0..SLOW.burst).rev() {
        let verdict = take(limiter, "burst", SLOW, 1).await;
        assert!(verdict.allowed);
        assert_eq!((verdict.remaining, verdict.retry_after_ms), (left, 0));
    }
    let refused = take(limiter, "burst", SLOW, 1).await;
    assert!(!refused.allowed);
    assert_eq!(refused.remaining, 0);
    assert!((1..=60_000).contains(&refused.retry_after_ms), "{refused:?}");
    assert!((540_001..=600_000).contains(&refused.reset_after_ms), "{refused:?}");
}

async fn units_come_together_or_not_at_all(limiter: &dyn RateLimiter) {
    assert!(take(limiter, "together", SLOW, 7).await.allowed);
    let refused = take(limiter, "together", SLOW, 4).await;
    assert!(!refused.allowed);
    assert_eq!(refused.remaining, 3, "a refusal takes nothing");
    assert!((1..=60_000).contains(&refused.retry_after_ms), "one unit is missing: {refused:?}");
    assert!(take(limiter, "together", SLOW, 3).await.allowed);
    assert!(!take(limiter, "together", SLOW, 1).await.allowed);
}

async fn more_than_a_burst_is_never_granted(limiter: &dyn RateLimiter) {
    for units in [SLOW.burst + 1, u32::MAX] {
        let refused = take(limiter, "never", SLOW, units).await;
        assert!(!refused.allowed);
        assert_eq!(refused.retry_after_ms, NEVER_MS);
    }
    assert!(take(limiter, "never", SLOW, SLOW.burst).await.allowed, "and takes nothing");
}

async fn nothing_costs_nothing(limiter: &dyn RateLimiter) {
    let looked = take(limiter, "nothing", SLOW, 0).await;
    assert_eq!(looked, Verdict { allowed: true, remaining: 10, retry_after_ms: 0, reset_after_ms: 0 });
    assert_eq!(take(limiter, "nothing", SLOW, 1).await.remaining, 9);
}

async fn units_refill_with_time(limiter: &dyn RateLimiter) {
    let drained = take(limiter, "refill", FAST, FAST.burst).await;
    assert!(drained.allowed);
    assert!(drained.reset_after_ms <= 30, "{drained:?}");
    // Told how long to wait and having waited that long, one gets what was asked for.
    for _ in 0..3 {
        let refused = take(limiter, "refill", FAST, 2).await;
        if !refused.allowed {
            assert!((1..=20).contains(&refused.retry_after_ms), "{refused:?}");
            tokio::time::sleep(Duration::from_millis(refused.retry_after_ms)).await;
            assert!(take(limiter, "refill", FAST, 2).await.allowed);
        }
    }
    // However long one waits, no more than a burst is there.
    tokio::time::sleep(Duration::from_millis(60)).await;
    let full = take(limiter, "refill", FAST, 1).await;
    assert_eq!(full.remaining, FAST.burst - 1);
}

async fn keys_do_not_meet(limiter: &dyn RateLimiter) {
    let drain = "tenant_a:calls";
    assert!(take(limiter, drain, SLOW, SLOW.burst).await.allowed);
    for other in ["tenant_b:calls", "tenant_a:call", "tenant_a:calls:", "TENANT_A:calls", "tenant_a:calls "] {
        assert_eq!(take(limiter, other, SLOW, 1).await.remaining, SLOW.burst - 1, "{other}");
    }
    assert!(!take(limiter, drain, SLOW, 1).await.allowed);
}

async fn any_key_will_do(limiter: &dyn RateLimiter) {
    let long = "x".repeat(100_000);
    for key in ["", " ", "\r\n", "\0", "é", "*", "{x}", "a b\r\nFLUSHALL\r\n", &long] {
        assert_eq!(take(limiter, key, SLOW, 1).await.remaining, SLOW.burst - 1, "{key:.20}");
        assert_eq!(take(limiter, key, SLOW, 1).await.remaining, SLOW.burst - 2, "{key:.20}");
    }
}

async fn all_at_once_take_a_burst(limiter: Arc<dyn RateLimiter>) {
    let quota = Quota { per_minute: 1, burst: 60 };
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { take(&*limiter, "at once", quota, 1).await.allowed })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += u32::from(task.await.unwrap());
    }
    assert_eq!(granted, quota.burst);
}
