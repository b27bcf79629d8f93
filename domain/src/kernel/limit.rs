//! Limits by rate. The algorithm is GCRA (generic cell rate algorithm, ITU-T I.371): a bucket of `burst`
//! units that refills at `per_minute`.

use async_trait::async_trait;

use super::fault::PortError;

/// How much may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Units refilled each minute, at least 1.
    pub per_minute: u32,
    /// Units a full bucket holds, at least 1.
    pub burst: u32,
}

/// The answer to a request for units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the units were taken.
    pub allowed: bool,
    /// Units left now.
    pub remaining: u32,
    /// Milliseconds until the same request would be allowed; 0 when it was.
    pub retry_after_ms: u64,
    /// Milliseconds until the bucket is full again.
    pub reset_after_ms: u64,
}

/// Buckets shared by all replicas.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes `units` from the bucket `key`, or nothing when it holds fewer.
    async fn take(&self, key: &str, quota: Quota, units: u32) -> Result<Verdict, PortError>;

    /// Gives `units` back, never above `quota.burst`.
    async fn give_back(&self, key: &str, quota: Quota, units: u32) -> Result<(), PortError>;
}
