//! News between processes, each stood for by a connection and a feed of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

#[path = "../limits/redis_server.rs"]
mod redis_server;

use std::{pin::pin, task::Poll, time::Duration};

use domain::{
    accounts::events::{AccountEvent, AccountFact},
    identity::events::{IdentityEvent, IdentityFact},
    kernel::{
        fault::Retry,
        feed::{Fact, News, NewsFeed as _, NewsStream},
        ids::{AccountId, MemberId, TenantId},
        scope::TenantScope,
    },
};
use futures_util::{StreamExt as _, poll};
use infra::{
    redis::{RedisFeed, RedisFeedSettings},
    system::System,
};
use redis_server::RedisServer;
use uuid::Uuid;

/// Longest a test waits for what must come; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process, with the news of a context.
fn process_of<F: Fact>(server: &RedisServer) -> RedisFeed<F> {
    let settings = RedisFeedSettings { buffer: 16, rest: Duration::ZERO };
    RedisFeed::start(server.connect("m"), &System, settings)
}

/// A process.
fn process(server: &RedisServer) -> RedisFeed<IdentityFact> {
    process_of(server)
}

fn tenant(n: u128) -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)))
}

fn event(n: u32) -> IdentityEvent {
    let fact = IdentityFact::MemberJoined(MemberId::from_uuid(Uuid::from_u128(n.into())));
    let at = chrono::DateTime::from_timestamp_micros(1_790_000_000_000_000 + i64::from(n)).unwrap();
    IdentityEvent { fact, at }
}

async fn heard<F>(stream: &mut NewsStream<F>) -> News<F> {
    tokio::time::timeout(PATIENCE, stream.next()).await.expect("news in time").expect("an open stream")
}

async fn settled<F: Fact>(feed: &RedisFeed<F>, state: bool) {
    let mut settled = feed.settled();
    let waiting = settled.wait_for(|now| *now == state);
    tokio::time::timeout(PATIENCE, waiting).await.expect("in time").unwrap();
}

/// Whether nothing waits to be heard.
async fn silent<F: Fact>(stream: &mut NewsStream<F>) -> bool {
    poll!(stream.next()) == Poll::Pending
}

#[tokio::test]
async fn news_reach_every_listener_of_every_process_once() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut streams = Vec::new();
    for feed in [&here, &here, &there, &there] {
        streams.push(feed.subscribe(&tenant(1)).await.unwrap());
    }
    settled(&here, true).await;
    settled(&there, true).await;
    here.publish(&tenant(1), &[event(1), event(2)]).await.unwrap();
    there.publish(&tenant(1), &[event(3)]).await.unwrap();
    for stream in &mut streams {
        let mut news = [heard(stream).await, heard(stream).await, heard(stream).await];
        news.sort_by_key(|event| event.at);
        assert_eq!(news, [event(1), event(2), event(3)]);
    }
    // What would come twice would have come before what is sent now.
    there.publish(&tenant(1), &[event(4)]).await.unwrap();
    here.publish(&tenant(1), &[event(5)]).await.unwrap();
    for stream in &mut streams {
        let mut news = [heard(stream).await, heard(stream).await];
        news.sort_by_key(|event| event.at);
        assert_eq!(news, [event(4), event(5)]);
        assert!(silent(stream).await);
    }
}

#[tokio::test]
async fn a_subscription_hears_what_is_announced_after_it() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    // Each on a channel Redis has not confirmed before.
    for n in 0..20 {
        let mut stream = here.subscribe(&tenant(n.into())).await.unwrap();
        there.publish(&tenant(n.into()), &[event(n)]).await.unwrap();
        assert_eq!(heard(&mut stream).await, event(n));
    }
}

#[tokio::test]
async fn tenants_do_not_hear_each_other() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut one = here.subscribe(&tenant(1)).await.unwrap();
    let mut other = here.subscribe(&tenant(2)).await.unwrap();
    settled(&here, true).await;
    for feed in [&here, &there] {
        feed.publish(&tenant(1), &[event(1)]).await.unwrap();
        feed.publish(&tenant(2), &[event(2)]).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(heard(&mut one).await, event(1));
        assert_eq!(heard(&mut other).await, event(2));
    }
    assert!(silent(&mut one).await && silent(&mut other).await);
}

#[tokio::test]
async fn contexts_do_not_hear_each_other() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let (linking, elsewhere) = (process_of::<AccountFact>(&server), process_of::<AccountFact>(&server));
    let mut identity = here.subscribe(&tenant(1)).await.unwrap();
    let mut accounts = linking.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    settled(&linking, true).await;
    assert_eq!(channels(&mut raw(&server).await).await, 2, "each has a channel of its own");
    // Of one tenant, and about the same id.
    let account = AccountId::from_uuid(Uuid::from_u128(1));
    let linked = AccountEvent { fact: AccountFact::AccountLinked(account), at: event(1).at };
    for feed in [&linking, &elsewhere] {
        feed.publish(&tenant(1), &[linked]).await.unwrap();
    }
    for feed in [&here, &there] {
        feed.publish(&tenant(1), &[event(1)]).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(heard(&mut identity).await, event(1));
        assert_eq!(heard(&mut accounts).await, linked);
    }
    assert!(silent(&mut identity).await && silent(&mut accounts).await);
}

#[tokio::test]
async fn installations_do_not_hear_each_other() {
    let server = RedisServer::start();
    let here = process(&server);
    let stranger: RedisFeed<IdentityFact> =
        RedisFeed::start(server.connect("stranger"), &System, RedisFeedSettings::default());
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    stranger.publish(&tenant(1), &[event(1)]).await.unwrap();
    process(&server).publish(&tenant(1), &[event(2)]).await.unwrap();
    assert_eq!(heard(&mut stream).await, event(2));
}

#[tokio::test]
async fn one_connection_serves_all_tenants_and_channels_last_as_long_as_their_listeners() {
    let server = RedisServer::start();
    let here = process(&server);
    let mut raw = raw(&server).await;
    let mut streams = Vec::new();
    for n in 0..1_200 {
        streams.push(here.subscribe(&tenant(n)).await.unwrap());
        streams.push(here.subscribe(&tenant(n)).await.unwrap());
    }
    settled(&here, true).await;
    let clients: String =
        redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").query_async(&mut raw).await.unwrap();
    assert_eq!(clients.lines().count(), 1, "{clients}");
    assert_eq!(channels(&mut raw).await, 1_200);
    // The first of two leaves each channel, and then the second.
    let mut second = Vec::new();
    for (n, stream) in streams.into_iter().enumerate() {
        if n % 2 == 1 {
            second.push(stream);
        }
    }
    let _new = here.subscribe(&tenant(5_000)).await.unwrap();
    settled(&here, true).await;
    assert_eq!(channels(&mut raw).await, 1_201);
    drop(second);
    // A new room is settled together with all that was given up before it.
    let _newer = here.subscribe(&tenant(5_001)).await.unwrap();
    settled(&here, true).await;
    assert_eq!(channels(&mut raw).await, 2);
}

#[tokio::test]
async fn listeners_outlive_redis() {
    let mut server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    let mut distant = there.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    server.kill();
    settled(&here, false).await;

    let fault = here.publish(&tenant(1), &[event(1)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::MayHelp, "{fault:?}");
    assert_eq!(heard(&mut stream).await, event(1), "those here are told");
    let mut late = here.subscribe(&tenant(2)).await.unwrap();
    assert!(here.publish(&tenant(2), &[event(2)]).await.is_err());
    assert_eq!(heard(&mut late).await, event(2), "and newcomers too");

    server.restart();
    settled(&here, true).await;
    settled(&there, true).await;
    announced(&here, tenant(1), event(3)).await;
    while heard(&mut stream).await != event(3) {}
    assert_eq!(heard(&mut distant).await, event(3), "the channel is subscribed again");
    announced(&there, tenant(2), event(4)).await;
    assert_eq!(heard(&mut late).await, event(4), "and that of the newcomer");
}

#[tokio::test]
async fn a_feed_starts_without_redis() {
    let mut server = RedisServer::start();
    server.kill();
    let (here, there) = (process(&server), process(&server));
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    server.restart();
    settled(&here, true).await;
    announced(&there, tenant(1), event(1)).await;
    assert_eq!(heard(&mut stream).await, event(1));
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    server.signal("STOP");
    let fault = here.publish(&tenant(1), &[event(1)]).await.unwrap_err();
    assert_eq!(fault.retry, Retry::MayHelp, "{fault:?}");
    assert_eq!(heard(&mut stream).await, event(1));
    let mut late = here.subscribe(&tenant(2)).await.unwrap();
    assert!(silent(&mut late).await);
    server.signal("CONT");
    settled(&here, true).await;
    announced(&there, tenant(2), event(2)).await;
    assert_eq!(heard(&mut late).await, event(2));
}

#[tokio::test]
async fn a_slow_listener_misses_the_oldest() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut slow = here.subscribe(&tenant(1)).await.unwrap();
    let mut quick = here.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    for n in 0..100 {
        there.publish(&tenant(1), &[event(n)]).await.unwrap();
        assert_eq!(heard(&mut quick).await, event(n), "nobody else is held up");
    }
    for n in 84..100 {
        assert_eq!(heard(&mut slow).await, event(n));
    }
    assert!(silent(&mut slow).await);
}

#[tokio::test]
async fn closing_ends_the_streams() {
    let server = RedisServer::start();
    let here = process(&server);
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    here.publish(&tenant(1), &[event(1)]).await.unwrap();
    here.close();
    assert_eq!(stream.next().await, Some(event(1)), "what was announced is still heard");
    assert_eq!(stream.next().await, None);
    assert_eq!(here.subscribe(&tenant(1)).await.unwrap().next().await, None);
    // Dropping it ends streams as well.
    let there = process(&server);
    let stream = pin!(there.subscribe(&tenant(1)).await.unwrap());
    drop(there);
    assert_eq!(stream.collect::<Vec<_>>().await, []);
}

#[tokio::test]
async fn rubbish_on_a_channel_disturbs_nobody() {
    let server = RedisServer::start();
    let (here, there) = (process(&server), process(&server));
    let mut stream = here.subscribe(&tenant(1)).await.unwrap();
    settled(&here, true).await;
    let mut raw = raw(&server).await;
    let channel = format!("m:tenant:{}:identity", tenant(1).tenant().uuid().simple());
    let huge = vec![b'['; 2 << 20];
    for rubbish in [b"".as_slice(), b"\xff\x00", b"{\"v\":99}", b"{\"v\":1,\"from\":7}", &huge] {
        let told: u32 = redis::cmd("PUBLISH").arg(&channel).arg(rubbish).query_async(&mut raw).await.unwrap();
        assert_eq!(told, 1, "it listens on this channel");
    }
    there.publish(&tenant(1), &[event(1)]).await.unwrap();
    assert_eq!(heard(&mut stream).await, event(1));
}

#[tokio::test]
async fn nothing_is_announced_of_nothing() {
    let mut server = RedisServer::start();
    let here = process(&server);
    server.kill();
    here.publish(&tenant(1), &[]).await.expect("Redis was not asked");
}

/// A connection of no adapter.
async fn raw(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn channels(raw: &mut redis::aio::MultiplexedConnection) -> usize {
    let channels: Vec<String> = redis::cmd("PUBSUB").arg("CHANNELS").query_async(raw).await.unwrap();
    channels.len()
}

/// Announces until Redis has taken it: the first commands after a loss may still meet the old connection.
async fn announced(feed: &RedisFeed<IdentityFact>, scope: TenantScope, event: IdentityEvent) {
    for _ in 0..100 {
        if feed.publish(&scope, &[event]).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("Redis did not come back");
}
