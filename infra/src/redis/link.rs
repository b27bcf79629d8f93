//! The one connection on which Redis tells this process the news of a context. It brings the channels subscribed in line with
//! the rooms there are, over and over, so that nothing has to be queued while the connection is away and a new
//! one starts like the first.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::kernel::{feed::Fact, scope::TenantScope};
use futures_util::StreamExt as _;
use redis::{
    Msg, RedisError,
    aio::{PubSubSink, PubSubStream},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use uuid::Uuid;

use super::{
    connection::{Redis, late},
    rooms::Rooms,
    wire,
};

/// Between two signs of life asked for: the connection is silent for as long as there is no news.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Longest Redis may take to confirm. Nobody's request waits for it.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(1);

/// Channels in one command, so that a process with many tenants doesn't stall Redis when it comes back.
const CHANNELS_A_COMMAND: usize = 500;

/// First and longest pause between two attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

pub(super) struct Link<F: Fact> {
    pub(super) redis: Redis,
    pub(super) rooms: Arc<Rooms<F>>,
    /// Who this process is among the senders.
    pub(super) process: Uuid,
}

/// An open connection.
struct Line {
    sink: PubSubSink,
    stream: PubSubStream,
    /// Channels Redis has confirmed, and whose they are.
    heard: HashMap<String, TenantScope>,
}

impl<F: Fact> Link<F> {
    /// Keeps the connection until the rooms are closed.
    pub(super) async fn run(self) {
        let mut pause = PAUSES.0;
        let mut lost_told = false;
        while !self.rooms.is_closed() {
            let lost = match self.open().await {
                Ok(line) => {
                    tracing::info!(
                        context = F::CONTEXT,
                        channels = line.heard.len(),
                        "redis.feed: connected"
                    );
                    // It works: the next attempt may come soon, and the next loss is worth telling.
                    (pause, lost_told) = (PAUSES.0, false);
                    self.listen(line).await
                }
                Err(error) => error,
            };
            self.rooms.unlinked();
            if !lost_told && !self.rooms.is_closed() {
                tracing::warn!(
                    context = F::CONTEXT,
                    error = %lost,
                    "redis.feed: lost; listeners hear this process only"
                );
                lost_told = true;
            }
            self.rest(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Connects and subscribes to all that is listened to.
    async fn open(&self) -> Result<Line, RedisError> {
        let opening = timeout(self.redis.connect_timeout(), self.redis.client().get_async_pubsub()).await;
        let (sink, stream) = opening.unwrap_or_else(|_| Err(late()))?.split();
        let mut line = Line { sink, stream, heard: HashMap::new() };
        self.settle(&mut line).await?;
        Ok(line)
    }

    /// Waits, less long only when the rooms are closed: listeners that come and go must not set the pace.
    async fn rest(&self, pause: Duration) {
        let closed = async {
            while !self.rooms.is_closed() {
                self.rooms.changed().await;
            }
        };
        let _ = timeout(pause, closed).await;
    }

    /// Listens until the connection is lost or the rooms are closed; answers what happened.
    async fn listen(&self, mut line: Line) -> RedisError {
        let ended = || RedisError::from(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        let mut unreadable = 0_u64;
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = self.rooms.changed() => self.settle(&mut line).await,
                message = line.stream.next() => match message {
                    Some(message) => {
                        self.deliver(&line.heard, &message, &mut unreadable);
                        Ok(())
                    }
                    None => Err(ended()),
                },
                _ = pings.tick() => confirmed(line.sink.ping::<redis::Value>()).await.map(drop),
            };
            match done {
                Err(error) => return error,
                Ok(()) if self.rooms.is_closed() => return ended(),
                Ok(()) => {}
            }
        }
    }

    /// Subscribes what is listened to and was not, unsubscribes what no longer is.
    async fn settle(&self, line: &mut Line) -> Result<(), RedisError> {
        let Line { sink, heard, .. } = line;
        let (mut gone, mut new, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for (tenant, is_wanted) in self.rooms.take_changes() {
            let channel = self.redis.keys().channel(&tenant, F::CONTEXT);
            if is_wanted {
                wanted.push(tenant);
            }
            match (is_wanted, heard.contains_key(&channel)) {
                (true, false) => new.push((channel, tenant)),
                (false, true) => gone.push(channel),
                (true, true) | (false, false) => {}
            }
        }
        for channels in gone.chunks(CHANNELS_A_COMMAND) {
            confirmed(sink.unsubscribe(channels)).await?;
            for channel in channels {
                heard.remove(channel);
            }
        }
        for some in new.chunks(CHANNELS_A_COMMAND) {
            let channels: Vec<&str> = some.iter().map(|(channel, _)| channel.as_str()).collect();
            confirmed(sink.subscribe(&channels)).await?;
            heard.extend(some.iter().cloned());
        }
        self.rooms.confirm(&wanted);
        Ok(())
    }

    fn deliver(&self, heard: &HashMap<String, TenantScope>, message: &Msg, unreadable: &mut u64) {
        // Whose news it is, is told by the channel alone: a message can't name another tenant.
        let Some(tenant) = heard.get(message.get_channel_name()) else { return };
        match wire::decode(self.process, message.get_payload_bytes()) {
            Ok(Some(events)) => self.rooms.tell(*tenant, &events),
            Ok(None) => {}
            Err(error) => {
                *unreadable += 1;
                // The first of a connection, so that a newer release's replicas don't fill the log.
                if *unreadable == 1 {
                    tracing::warn!(
                        context = F::CONTEXT,
                        %error,
                        "redis.feed: a message was not read; later ones are not told of"
                    );
                }
            }
        }
    }
}

async fn confirmed<T>(answer: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    timeout(CONFIRMATION_TIMEOUT, answer).await.unwrap_or_else(|_| Err(late()))
}
