//! Decorators: a port wrapped in the same port, for what an adapter must not decide for itself.
//!
//! [`FallbackRateLimiter`] goes from shared buckets to this process's own when the shared ones do not answer;
//! [`Breaker`] keeps callers from waiting for what is known to be away; [`CountedKeys`] counts what is asked of key
//! providers.
//!
//! Absent on purpose: retries of a rate limit (the wait would cost more than the limit protects).

mod breaker;
mod counted_keys;
mod fallback;

pub use breaker::{Breaker, Permit, Turn};
pub use counted_keys::{CountedKeys, KeyCall, KeyCallObserver};
pub use fallback::{FallbackRateLimiter, FallbackSettings, LimitEvent, LimitObserver};
