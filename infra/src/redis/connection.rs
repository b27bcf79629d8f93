//! The connection for commands, how long anything may wait for it, and whether Redis is there.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::kernel::{fault::PortError, secret::Secret};
use redis::{
    Client, ErrorKind, IntoConnectionInfo as _, RedisError, RetryMethod,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use super::keys::Keys;

/// Longest a peer may leave sent bytes unacknowledged before the connection is given up (`TCP_USER_TIMEOUT`,
/// RFC 5482): a host that vanished sends no reset.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);

/// Commands queued for the socket. More wait for a place, within their own time-out.
const QUEUED_COMMANDS: usize = 1024;

/// Where Redis is, and how patient to be.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// `redis://`, `rediss://` (TLS, for which a rustls provider must be installed) or `unix://` address. May hold
    /// a password.
    pub url: Secret,
    /// First part of every key and channel, so that installations can share a server.
    pub prefix: String,
    /// Longest a connection may take to open.
    pub connect_timeout: Duration,
    /// Longest a command may take, with waiting for a connection.
    pub response_timeout: Duration,
}

impl RedisSettings {
    /// The Redis at `url`, with the usual prefix and patience.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Secret::from(url.into()),
            prefix: "matricula".into(),
            connect_timeout: Duration::from_millis(200),
            response_timeout: Duration::from_millis(250),
        }
    }
}

/// Whether Redis answered last time. Cheap to read and to clone.
#[derive(Clone, Debug, Default)]
pub struct RedisHealth(Arc<AtomicBool>);

impl RedisHealth {
    /// `true` when the newest command was answered, whatever the answer; `false` before the first.
    pub fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }
}

/// One Redis. Clones share the connection.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    manager: ConnectionManager,
    keys: Keys,
    health: RedisHealth,
    connect_timeout: Duration,
    response_timeout: Duration,
}

impl Redis {
    /// Makes the connection, which is opened when first needed and again after each loss: this succeeds while
    /// Redis is away. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The URL is none that Redis has, or the prefix has characters that keys do not.
    pub fn connect(settings: &RedisSettings) -> Result<Self, PortError> {
        let keys = Keys::below(&settings.prefix)?;
        // The text of a parse error is not repeated: it may quote the URL, which has a password.
        let bad_url = || PortError::lasting("redis.connect", "the address is no valid Redis URL");
        let tcp = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(UNACKNOWLEDGED_MAX);
        let info = settings.url.expose_str().ok_or_else(bad_url)?;
        let info = info.into_connection_info().map_err(|_| bad_url())?.set_tcp_settings(tcp);
        let client = Client::open(info).map_err(|_| bad_url())?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.response_timeout))
            // The next command tries again. With more attempts, commands would queue behind the pauses.
            .set_number_of_retries(0)
            .set_pipeline_buffer_size(QUEUED_COMMANDS);
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|e| port_error("redis.connect", e))?;
        Ok(Self {
            client,
            manager,
            keys,
            health: RedisHealth::default(),
            connect_timeout: settings.connect_timeout,
            response_timeout: settings.response_timeout,
        })
    }

    /// Asks Redis for a sign of life.
    ///
    /// # Errors
    /// It gave none in time.
    pub async fn ping(&self) -> Result<(), PortError> {
        let mut manager = self.manager();
        self.within("redis.ping", async move { redis::cmd("PING").exec_async(&mut manager).await }).await
    }

    /// Whether Redis answered last time.
    pub fn health(&self) -> RedisHealth {
        self.health.clone()
    }

    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    pub(super) fn manager(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// Waits for the answer to a command, no longer than `response_timeout` in all. Opening a connection and each
    /// round trip have limits of their own, but one after the other they would add up.
    pub(super) async fn within<T>(
        &self,
        port: &'static str,
        command: impl Future<Output = Result<T, RedisError>> + Send,
    ) -> Result<T, PortError> {
        let answer = tokio::time::timeout(self.response_timeout, command).await;
        let answer = answer.unwrap_or_else(|_| Err(late()));
        self.health.set(match &answer {
            Ok(_) => true,
            // Redis is there, and has something against the command.
            Err(e) => matches!(e.kind(), ErrorKind::Server(_) | ErrorKind::Extension) && !may_pass(e),
        });
        answer.map_err(|e| port_error(port, e))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("keys", &self.keys)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// The fault of an answer that did not come in time.
pub(super) fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// A fault of Redis, as the domain's. Whether asking again can help is decided here alone.
pub(super) fn port_error(port: &'static str, error: RedisError) -> PortError {
    if may_pass(&error) { PortError::passing(port, error) } else { PortError::lasting(port, error) }
}

fn may_pass(error: &RedisError) -> bool {
    // BUSY (a script runs too long) is not among the kinds the crate knows.
    error.is_io_error()
        || error.code() == Some("BUSY")
        || !(matches!(error.retry_method(), RetryMethod::NoRetry)
            || error.kind() == ErrorKind::AuthenticationFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_redis_has_not_are_refused_without_repeating_them() {
        for url in ["", "postgres://u:hunter2@db/x", "redis://:hunter2@host:notaport", "hunter2"] {
            let fault = Redis::connect(&RedisSettings::at(url)).expect_err("no Redis there");
            let text = format!("{fault:?} {}", fault.source);
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_password_is_not_shown() {
        let settings = RedisSettings::at("redis://:hunter2@127.0.0.1:1");
        let redis = Redis::connect(&settings).expect("a valid address");
        assert!(!format!("{settings:?} {redis:?}").contains("hunter2"));
        assert!(!redis.health().is_up(), "nothing was asked yet");
    }

    #[tokio::test]
    async fn a_prefix_with_strange_characters_is_refused() {
        let settings = RedisSettings { prefix: "a*b".into(), ..RedisSettings::at("redis://127.0.0.1:1") };
        assert!(Redis::connect(&settings).is_err());
    }

    #[test]
    fn lost_connections_may_come_back_and_wrong_types_stay_wrong() {
        let check = |text: &str, expected: bool| {
            let error: RedisError = redis::make_extension_error(text.into(), None);
            assert_eq!(may_pass(&error), expected, "{text}");
        };
        assert!(may_pass(&late()));
        check("BUSY", true);
        check("WRONGTYPE", false);
        check("NOAUTH", false);
    }
}
