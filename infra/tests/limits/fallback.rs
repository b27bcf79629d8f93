//! From Redis to this process and back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::kernel::limit::{Quota, RateLimiter as _};
use infra::{
    layers::{FallbackRateLimiter, FallbackSettings, LimitEvent, LimitObserver},
    redis::RedisRateLimiter,
};

use crate::redis_server::RedisServer;

const SLOW: Quota = Quota { per_minute: 1, burst: 10 };

struct Setup {
    server: RedisServer,
    limiter: FallbackRateLimiter,
    events: Arc<Mutex<Vec<LimitEvent>>>,
}

impl Setup {
    fn new() -> Self {
        let server = RedisServer::start();
        let redis = Arc::new(RedisRateLimiter::new(server.connect("m")));
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let observer: LimitObserver = Arc::new(move |event| told.lock().unwrap().push(event));
        // No rest, so that a test need not wait for it; resting is tested on a clock that stands still.
        let settings =
            FallbackSettings { rest: Duration::ZERO, wall_factor: 1_000, ..FallbackSettings::default() };
        Self { server, limiter: FallbackRateLimiter::new(redis, settings, observer), events }
    }

    async fn take(&self, units: u32) -> bool {
        self.limiter.take("k", SLOW, units).await.unwrap().allowed
    }

    fn turns(&self) -> Vec<LimitEvent> {
        let turn = |e: &LimitEvent| matches!(e, LimitEvent::WentLocal | LimitEvent::CameBack);
        self.events.lock().unwrap().iter().copied().filter(turn).collect()
    }

    /// Takes nothing until Redis is asked again with success.
    async fn back(&self) {
        for _ in 0..100 {
            assert!(self.take(0).await);
            if self.turns().last() == Some(&LimitEvent::CameBack) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("Redis was not found again");
    }
}

#[tokio::test]
async fn a_killed_redis_is_replaced_and_a_returned_one_used() {
    let mut setup = Setup::new();
    assert!(setup.take(10).await);
    assert!(!setup.take(1).await, "Redis decides");
    setup.server.kill();
    assert!(setup.take(10).await, "this process decides, from a full bucket");
    assert!(!setup.take(1).await, "and keeps the quota");
    assert_eq!(setup.turns(), [LimitEvent::WentLocal]);
    setup.server.restart();
    setup.back().await;
    assert!(setup.take(10).await, "Redis decides again, and has forgotten");
    assert!(!setup.take(1).await);
    assert_eq!(setup.turns(), [LimitEvent::WentLocal, LimitEvent::CameBack]);
}

#[tokio::test]
async fn a_hanging_redis_is_replaced_and_remembers() {
    let setup = Setup::new();
    assert!(setup.take(8).await);
    setup.server.signal("STOP");
    assert!(setup.take(10).await, "this process decides");
    setup.server.signal("CONT");
    setup.back().await;
    let left = setup.limiter.take("k", SLOW, 0).await.unwrap().remaining;
    assert_eq!(left, 2, "what it was asked while it hung asked for too much, and took nothing");
}

#[tokio::test]
async fn a_redis_that_was_never_there_is_not_missed() {
    let mut server = RedisServer::start();
    server.kill();
    let redis = Arc::new(RedisRateLimiter::new(server.connect("m")));
    let limiter = FallbackRateLimiter::new(redis, FallbackSettings::default(), Arc::new(|_| {}));
    assert!(limiter.take("k", SLOW, 10).await.unwrap().allowed);
    assert!(!limiter.take("k", SLOW, 1).await.unwrap().allowed);
    limiter.give_back("k", SLOW, 5).await.unwrap();
}
