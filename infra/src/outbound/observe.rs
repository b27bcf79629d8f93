//! What is told of calls, for figures.

use std::{sync::Arc, time::Duration};

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// One at a time, to see.
    HalfOpen,
    /// They are not.
    Open,
}

impl BreakerState {
    /// The word in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// Something that happened to a call. No app and no tenant is named: figures are about platforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboundEvent {
    /// A call ended, all its tries together.
    Ended {
        /// The platform.
        platform: &'static str,
        /// What was called.
        endpoint: &'static str,
        /// `answered`; `redirected`, `client_error` or `server_error`, by the status; or the fault's word.
        outcome: &'static str,
        /// From the first try to the end of the last.
        duration: Duration,
    },
    /// A call is made again.
    Retried {
        /// The platform.
        platform: &'static str,
        /// What is called.
        endpoint: &'static str,
    },
    /// A breaker, of one app, went into another state.
    Breaker {
        /// The platform.
        platform: &'static str,
        /// What is called.
        endpoint: &'static str,
        /// The state from now on.
        state: BreakerState,
    },
}

/// Told of [`OutboundEvent`]s. Called on the path of a call: it must not block.
pub type OutboundObserver = Arc<dyn Fn(OutboundEvent) + Send + Sync>;
