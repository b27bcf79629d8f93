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

/// Units that are wanted of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    /// The bucket.
    pub key: &'a str,
    /// What it holds.
    pub quota: Quota,
    /// How many.
    pub units: u32,
}

/// Buckets shared by all replicas.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes `units` from the bucket `key`, or nothing when it holds fewer.
    async fn take(&self, key: &str, quota: Quota, units: u32) -> Result<Verdict, PortError>;

    /// Takes what is wanted of one bucket after the other, up to the first that refuses: those behind it are not touched.
    /// Answers for those that were asked, in their order; so all was taken when there are as many and the last allows.
    async fn take_in_turn(&self, wants: &[Want<'_>]) -> Result<Vec<Verdict>, PortError> {
        let mut verdicts = Vec::with_capacity(wants.len());
        for want in wants {
            let verdict = self.take(want.key, want.quota, want.units).await?;
            verdicts.push(verdict);
            if !verdict.allowed {
                break;
            }
        }
        Ok(verdicts)
    }

    /// Gives `units` back, never above `quota.burst`.
    async fn give_back(&self, key: &str, quota: Quota, units: u32) -> Result<(), PortError>;
}
