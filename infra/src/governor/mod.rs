//! Buckets of this process alone: the first wall before Redis, and what is left while Redis is away.
//!
//! Invariants:
//! - It always answers, at once.
//! - Memory is bounded whatever keys come: a key is kept as 16 bytes, buckets that are full again are dropped, and
//!   when there still are too many, new keys share a fixed number of buckets.
//!
//! Absent on purpose: giving back. The crate has no refund, and a second algorithm beside it would be one too many
//! for a fallback: what was taken refills by itself, so callers are held a little shorter than the quota says.

mod limits;
mod store;

pub use limits::GovernorRateLimiter;
