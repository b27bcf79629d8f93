//! Leaves a span and a figure behind for each call.

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{Instrument as _, field::Empty};

use super::{
    call::{Call, Reply, SendFault, Transport},
    observe::{OutboundEvent, OutboundObserver},
};

/// Traces calls. Neither address nor body is told of, nor whose app it was.
pub struct Trace<T> {
    inner: T,
    observer: OutboundObserver,
}

impl<T> Trace<T> {
    /// Wraps `inner`, telling `observer`.
    pub const fn new(inner: T, observer: OutboundObserver) -> Self {
        Self { inner, observer }
    }
}

/// How a call ended, in one of few words.
fn outcome(result: &Result<Reply, SendFault>) -> &'static str {
    match result {
        Err(fault) => fault.as_str(),
        Ok(reply) if reply.status >= 500 => "server_error",
        Ok(reply) if reply.status >= 400 => "client_error",
        Ok(reply) if reply.status >= 300 => "redirected",
        Ok(_) => "answered",
    }
}

#[async_trait]
impl<T: Transport> Transport for Trace<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let (platform, endpoint) = (call.line.platform, call.line.endpoint);
        let span =
            tracing::info_span!("outbound.call", platform, endpoint, duration_ms = Empty, outcome = Empty);
        let began = Instant::now();
        let result = self.inner.send(call).instrument(span.clone()).await;
        let (duration, outcome) = (began.elapsed(), outcome(&result));
        span.record("duration_ms", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        span.record("outcome", outcome);
        (self.observer)(OutboundEvent::Ended { platform, endpoint, outcome, duration });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{
            call::{Lost, NotMade},
            script::{Script, call, told},
        },
        *,
    };

    #[tokio::test(start_paused = true)]
    async fn each_call_is_told_with_its_outcome_and_time() {
        let answers = [
            Script::good(),
            Script::status(302),
            Script::status(413),
            Script::status(502),
            Err(SendFault::not_done(NotMade::Throttled)),
            Err(SendFault::unknown(Lost::Cut)),
        ];
        let (observer, events) = told();
        let trace = Trace::new(Script::new(answers).taking([7; 6]), observer);
        for _ in 0..6 {
            drop(trace.send(&call()).await);
        }
        let outcomes = ["answered", "redirected", "client_error", "server_error", "throttled", "cut"];
        let duration = Duration::from_millis(7);
        let expected = outcomes.map(|outcome| OutboundEvent::Ended {
            platform: "somewhere",
            endpoint: "userinfo",
            outcome,
            duration,
        });
        assert_eq!(*events.lock().unwrap(), expected);
    }
}
