//! News of one context, between replicas over Redis pub/sub and within a process without it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::kernel::{
    fault::PortError,
    feed::{Fact, News, NewsFeed, NewsStream},
    ids::IdSource,
    scope::TenantScope,
};
use futures_util::stream;
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::AbortHandle,
};
use uuid::Uuid;

use super::{
    connection::Redis,
    link::Link,
    rooms::{Place, Rooms},
    wire,
};
use crate::layers::Breaker;

/// How much is kept for slow listeners, and how long a lost Redis is left alone.
#[derive(Clone, Copy, Debug)]
pub struct RedisFeedSettings {
    /// Events kept for each tenant listened to. A listener further behind misses the oldest.
    pub buffer: usize,
    /// After a failed announcement, how long no other is tried.
    pub rest: Duration,
}

impl Default for RedisFeedSettings {
    fn default() -> Self {
        Self { buffer: 128, rest: Duration::from_secs(1) }
    }
}

/// [`NewsFeed`] on Redis.
///
/// Listeners in this process are told directly, each exactly once, whether Redis is there or not: what Redis echoes
/// is recognised by the name of the process. [`NewsFeed::publish`] fails when the other replicas could not be told;
/// trying again would tell the listeners here twice. Listeners miss what other replicas announce while Redis is
/// away, and hear again when it is back.
pub struct RedisFeed<F: Fact> {
    redis: Redis,
    rooms: Arc<Rooms<F>>,
    process: Uuid,
    breaker: Breaker,
    link: AbortHandle,
}

impl<F: Fact> RedisFeed<F> {
    /// Starts listening on `redis`, in a connection and a task of its own. Succeeds while Redis is away. Must be
    /// called within a Tokio runtime.
    pub fn start(redis: Redis, ids: &dyn IdSource, settings: RedisFeedSettings) -> Self {
        let rooms = Arc::new(Rooms::new(settings.buffer));
        let process = ids.next_uuid();
        let link = Link { redis: redis.clone(), rooms: Arc::clone(&rooms), process };
        let link = tokio::spawn(link.run()).abort_handle();
        Self { redis, rooms, process, breaker: Breaker::new(settings.rest), link }
    }

    /// `true` while Redis tells this process the news of every tenant it listens to.
    pub fn settled(&self) -> watch::Receiver<bool> {
        self.rooms.settled()
    }

    /// Ends all streams, after what they have buffered, and every later one at once. For shutdown.
    pub fn close(&self) {
        self.rooms.close();
    }

    async fn announce(&self, scope: &TenantScope, news: &[News<F>]) -> Result<(), PortError> {
        const PORT: &str = "redis.feed.publish";
        let message = wire::encode(self.process, news).map_err(|e| PortError::lasting(PORT, e))?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.redis.keys().channel(scope, F::CONTEXT)).arg(message);
        let mut manager = self.redis.manager();
        self.redis.within(PORT, async move { command.exec_async(&mut manager).await }).await
    }
}

#[async_trait]
impl<F: Fact> NewsFeed<F> for RedisFeed<F> {
    async fn publish(&self, scope: &TenantScope, news: &[News<F>]) -> Result<(), PortError> {
        if news.is_empty() {
            return Ok(());
        }
        self.rooms.tell(*scope, news);
        let Some(permit) = self.breaker.admit() else {
            return Err(PortError::passing("redis.feed.publish", "Redis did not answer a moment ago"));
        };
        let told = self.announce(scope, news).await;
        self.breaker.settle(permit, told.is_ok());
        told
    }

    /// Waits a moment for Redis to confirm, so that nothing announced after this is missed; not while it is away.
    async fn subscribe(&self, scope: &TenantScope) -> Result<NewsStream<F>, PortError> {
        let Some(mut place) = self.rooms.join(*scope) else {
            return Ok(Box::pin(stream::empty()));
        };
        if !self.rooms.is_cut_off() {
            let confirmed = place.heard.wait_for(|heard| *heard);
            // Not in time is no fault: the stream hears this process, and the others as soon as Redis is back.
            let _ = tokio::time::timeout(self.redis.response_timeout(), confirmed).await;
        }
        Ok(Box::pin(stream::unfold(place, next)))
    }
}

async fn next<F: Fact>(mut place: Place<F>) -> Option<(News<F>, Place<F>)> {
    loop {
        match place.news.recv().await {
            Ok(event) => return Some((event, place)),
            Err(RecvError::Lagged(missed)) => tracing::debug!(missed, "redis.feed: a listener was too slow"),
            Err(RecvError::Closed) => return None,
        }
    }
}

impl<F: Fact> fmt::Debug for RedisFeed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeed")
            .field("context", &F::CONTEXT)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl<F: Fact> Drop for RedisFeed<F> {
    fn drop(&mut self) {
        self.rooms.close();
        self.link.abort();
    }
}
