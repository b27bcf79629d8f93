//! Time as a port, in UTC with microseconds: the precision Postgres keeps, so that a value read back equals
//! the one written.

use chrono::{DateTime, SubsecRound as _, Utc};

/// An instant, UTC.
pub type Timestamp = DateTime<Utc>;

/// What time it is.
pub trait Clock: Send + Sync {
    /// Now, cut to microseconds.
    fn now(&self) -> Timestamp;
}

/// Cuts an instant to microseconds.
pub fn to_micros(at: Timestamp) -> Timestamp {
    at.trunc_subsecs(6)
}
