//! What all replicas share and may lose: buckets, news and how their calls go, on Redis 6.2 or newer.
//!
//! Invariants:
//! - Nothing here is the truth. Redis may be emptied or away at any time: limits then start full, subscribers
//!   miss news and read again, and no request waits longer than [`RedisSettings::response_timeout`].
//! - Every key and channel is made in [`keys`], below one prefix.
//! - One multiplexed connection carries all commands of a process, and one more for each context carries its news,
//!   however many tenants listen.
//!
//! Absent on purpose: data keys and anything else secret (memory of another process is no place for them), a
//! cache of rows, retries inside the adapters (who asks knows best whether asking again is worth it), and
//! Redis Cluster: each script touches one key, so nothing stands in its way.

mod connection;
mod feed;
mod health;
mod keys;
mod limits;
mod link;
mod rooms;
mod wire;

pub use connection::{Redis, RedisHealth, RedisSettings};
pub use feed::{RedisFeed, RedisFeedSettings};
pub use health::RedisHealthBoard;
pub use keys::Keys;
pub use limits::RedisRateLimiter;
