//! Calls to platforms over HTTP: the one place that opens sockets to them.
//!
//! ```text
//! Trace > Retry > Throttle > Breaker > Count > Timeout > HttpTransport > the tenant's way out
//! ```
//!
//! Each is a [`Transport`] over a transport. What waits its turn is not timed as slow, what is left alone costs no
//! connection, and every try is judged by itself.
//!
//! Invariants
//! - A tenant with a proxy goes out by it or not at all. The environment's proxies are not asked, names are looked up by
//!   the proxy, and redirects are not followed.
//! - A fault says whether the platform surely did not get the call ([`SendFault::NotDone`]) or may have
//!   ([`SendFault::Unknown`]); where one of several tries may have got there, the whole may have.
//! - A call that must not be made twice is made once, over a connection of its own.
//! - Addresses, headers and bodies, sent or received, are in no span, figure, fault or debug output.
//! - TLS is rustls on aws-lc-rs, with the roots that the machine trusts. Answers are read up to 1 MiB.
//!
//! Absent on purpose: what an answer means, and whether it is to be tried again for that (each platform's folder);
//! cookies, compression and HTTP/2, which no platform's contract asks for; health checks of proxies: the breaker's
//! figures are of real calls.

mod breaker;
mod call;
mod count;
mod egress;
mod history;
mod http;
mod observe;
mod retry;
#[cfg(test)]
pub(crate) mod script;
mod throttle;
mod timeout;
mod trace;
mod watch;
mod window;

use std::{sync::Arc, time::Duration};

use domain::kernel::limit::RateLimiter;

pub use breaker::{Breaker, BreakerSettings};
pub use call::{Call, Cause, Line, Lost, Method, NotMade, Reply, SendFault, Transport};
pub use count::{CallCounter, Count, Judgement, TryEnd, Uncounted};
pub use egress::{EgressRoutes, Proxy, ProxyFault};
pub use http::{ANSWER_MAX_BYTES, HttpTransport, OutboundFault};
pub use observe::{BreakerState, OutboundEvent, OutboundObserver};
pub use retry::Retry;
pub use throttle::{Throttle, ThrottleSettings};
pub use timeout::Timeout;
pub use trace::Trace;
pub use watch::{LineStatus, OutboundWatch};

/// How calls are made.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// Longest wait for a connection, to the platform or to the proxy, with its TLS.
    pub connect_timeout: Duration,
    /// Longest one try may take, from connecting to the last byte.
    pub total_timeout: Duration,
    /// Who goes out which way.
    pub egress: EgressRoutes,
    /// Pauses before further tries of a repeatable call that the network failed: as many tries as pauses.
    pub retry_pauses: Vec<Duration>,
    /// How much one app may ask.
    pub throttle: ThrottleSettings,
    /// When a platform is left alone.
    pub breaker: BreakerSettings,
}

impl Default for OutboundSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            egress: EgressRoutes::default(),
            retry_pauses: [1, 4, 16].map(Duration::from_secs).to_vec(),
            throttle: ThrottleSettings::default(),
            breaker: BreakerSettings::default(),
        }
    }
}

/// The whole stack, and how its calls go. `limiter` counts calls a second for each app: shared buckets hold for all
/// replicas together. `counter` is told what platforms may have counted.
///
/// # Errors
/// [`OutboundFault`].
pub fn outbound(
    settings: OutboundSettings,
    limiter: Arc<dyn RateLimiter>,
    counter: Arc<dyn CallCounter>,
    observer: OutboundObserver,
) -> Result<(Arc<dyn Transport>, OutboundWatch), OutboundFault> {
    let http = HttpTransport::new(settings.connect_timeout, settings.egress)?;
    let timed = Timeout::new(http, settings.total_timeout);
    let told_of = Count::new(timed, counter);
    let broken = Breaker::new(told_of, settings.breaker, Arc::clone(&observer));
    let board = broken.board();
    let throttled = Throttle::new(broken, settings.throttle, limiter);
    let watch = OutboundWatch { board, waiting: throttled.waiting() };
    let retried = Retry::new(throttled, settings.retry_pauses, Arc::clone(&observer));
    Ok((Arc::new(Trace::new(retried, observer)), watch))
}
