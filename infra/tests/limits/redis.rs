//! What only shared buckets can do.

use std::sync::Arc;

use domain::kernel::{
    fault::Retry,
    limit::{Quota, RateLimiter as _},
};
use infra::redis::{Redis, RedisRateLimiter, RedisSettings};

use crate::redis_server::RedisServer;

const SLOW: Quota = Quota { per_minute: 1, burst: 10 };

#[tokio::test]
async fn replicas_share_a_bucket_and_installations_do_not() {
    let server = RedisServer::start();
    let [one, two, stranger] = ["same", "same", "other"].map(|p| RedisRateLimiter::new(server.connect(p)));
    assert!(one.take("k", SLOW, 6).await.unwrap().allowed);
    assert_eq!(two.take("k", SLOW, 0).await.unwrap().remaining, 4);
    assert!(!two.take("k", SLOW, 5).await.unwrap().allowed);
    assert!(stranger.take("k", SLOW, 10).await.unwrap().allowed);
}

#[tokio::test]
async fn replicas_at_once_take_a_burst() {
    let server = RedisServer::start();
    let replicas: Vec<_> = (0..4).map(|_| Arc::new(RedisRateLimiter::new(server.connect("m")))).collect();
    let quota = Quota { per_minute: 1, burst: 50 };
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let replica = Arc::clone(&replicas[n % 4]);
            tokio::spawn(async move { replica.take("k", quota, 3).await.unwrap().allowed })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += u32::from(task.await.unwrap());
    }
    assert_eq!(granted, 16, "three units each of fifty");
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_again_up_to_a_burst() {
    let server = RedisServer::start();
    let limiter = RedisRateLimiter::new(server.connect("m"));
    assert!(limiter.take("k", SLOW, 10).await.unwrap().allowed);
    limiter.give_back("k", SLOW, 4).await.unwrap();
    assert_eq!(limiter.take("k", SLOW, 0).await.unwrap().remaining, 4);
    for more in [100, u32::MAX] {
        limiter.give_back("k", SLOW, more).await.unwrap();
        assert_eq!(limiter.take("k", SLOW, 0).await.unwrap().remaining, 10);
    }
    assert!(limiter.take("k", SLOW, 10).await.unwrap().allowed);
    assert!(!limiter.take("k", SLOW, 1).await.unwrap().allowed);
}

#[tokio::test]
async fn full_buckets_are_not_stored_and_others_expire() {
    let server = RedisServer::start();
    let limiter = RedisRateLimiter::new(server.connect("m"));
    let mut raw = raw(&server).await;
    limiter.take("k", SLOW, 0).await.unwrap();
    assert_eq!(redis::cmd("DBSIZE").query_async::<u32>(&mut raw).await.unwrap(), 0);
    limiter.take("k", SLOW, 1).await.unwrap();
    let ttl_ms: i64 = redis::cmd("PTTL").arg("m:limit:k").query_async(&mut raw).await.unwrap();
    assert!((1..=60_000).contains(&ttl_ms), "{ttl_ms}");
    limiter.give_back("k", SLOW, 1).await.unwrap();
    assert_eq!(redis::cmd("DBSIZE").query_async::<u32>(&mut raw).await.unwrap(), 0);
}

#[tokio::test]
async fn a_smaller_quota_counts_at_once() {
    let server = RedisServer::start();
    let limiter = RedisRateLimiter::new(server.connect("m"));
    assert!(limiter.take("k", Quota { per_minute: 1, burst: 1_000 }, 1_000).await.unwrap().allowed);
    // Left alone, the bucket would be empty for 1,000 minutes.
    let refused = limiter.take("k", Quota { per_minute: 60, burst: 5 }, 1).await.unwrap();
    assert!(!refused.allowed);
    assert!(refused.retry_after_ms <= 1_000, "{refused:?}");
    assert!(refused.reset_after_ms <= 5_000, "{refused:?}");
}

#[tokio::test]
async fn the_strangest_quotas_are_exact() {
    let server = RedisServer::start();
    let limiter = RedisRateLimiter::new(server.connect("m"));
    for per_minute in [0, 1, 7, u32::MAX] {
        let quota = Quota { per_minute, burst: u32::MAX };
        let key = per_minute.to_string();
        let verdict = limiter.take(&key, quota, u32::MAX - 1).await.unwrap();
        assert!(verdict.allowed);
        assert!(verdict.remaining >= 1, "{verdict:?}");
    }
    let verdict = limiter.take("1", Quota { per_minute: 1, burst: u32::MAX }, 1).await.unwrap();
    assert!(verdict.allowed, "the last unit is there: {verdict:?}");
}

#[tokio::test]
async fn rubbish_in_the_store_is_a_full_bucket_or_a_lasting_fault() {
    let server = RedisServer::start();
    let limiter = RedisRateLimiter::new(server.connect("m"));
    let mut raw = raw(&server).await;
    for rubbish in ["", "x", "nan", "-nan", "-1", "-inf", "1e308"] {
        redis::cmd("SET").arg("m:limit:k").arg(rubbish).exec_async(&mut raw).await.unwrap();
        let verdict = limiter.take("k", SLOW, 0).await.unwrap();
        let expected = if rubbish == "1e308" { 0 } else { SLOW.burst };
        assert_eq!(verdict.remaining, expected, "{rubbish}");
    }
    redis::cmd("DEL").arg("m:limit:k").exec_async(&mut raw).await.unwrap();
    redis::cmd("LPUSH").arg("m:limit:k").arg("x").exec_async(&mut raw).await.unwrap();
    let fault = limiter.take("k", SLOW, 1).await.unwrap_err();
    assert_eq!(fault.retry, Retry::Useless, "{fault:?}");
}

#[tokio::test]
async fn a_restart_forgets_the_script_and_the_buckets_and_nothing_else() {
    let mut server = RedisServer::start();
    let redis = server.connect("m");
    let limiter = RedisRateLimiter::new(redis.clone());
    assert!(limiter.take("k", SLOW, 10).await.unwrap().allowed);
    assert!(redis.health().is_up());
    server.kill();
    let fault = limiter.take("k", SLOW, 1).await.unwrap_err();
    assert_eq!(fault.retry, Retry::MayHelp, "{fault:?}");
    assert!(!redis.health().is_up());
    server.restart();
    answered(&redis).await;
    assert!(redis.health().is_up());
    assert_eq!(limiter.take("k", SLOW, 1).await.unwrap().remaining, 9);
}

#[tokio::test]
async fn a_redis_that_hangs_is_given_up_on_and_used_again_when_it_goes_on() {
    let server = RedisServer::start();
    let redis = server.connect("m");
    let limiter = RedisRateLimiter::new(redis.clone());
    assert!(limiter.take("k", SLOW, 1).await.unwrap().allowed);
    server.signal("STOP");
    let fault = limiter.take("k", SLOW, 1).await.unwrap_err();
    assert_eq!(fault.retry, Retry::MayHelp, "{fault:?}");
    assert!(!redis.health().is_up());
    server.signal("CONT");
    answered(&redis).await;
    assert!(limiter.take("k", SLOW, 1).await.unwrap().allowed);
}

#[tokio::test]
async fn a_password_that_is_wrong_is_no_passing_fault() {
    let server = RedisServer::start();
    let mut raw = raw(&server).await;
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("hunter2").exec_async(&mut raw).await.unwrap();
    let url = server.url().replace("redis://", "redis://:wrong@");
    for url in [url, server.url()] {
        let redis = Redis::connect(&RedisSettings::at(url)).unwrap();
        let fault = redis.ping().await.unwrap_err();
        assert_eq!(fault.retry, Retry::Useless, "{fault:?}");
        assert!(!format!("{fault:?}").contains("wrong@"));
    }
}

/// A connection of no adapter.
async fn raw(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// Waits until Redis answers. The first commands after a loss may still meet the old connection.
async fn answered(redis: &Redis) {
    for _ in 0..100 {
        if redis.ping().await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("Redis did not come back");
}
