//! Tries again what may be tried again.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    call::{Call, Reply, SendFault, Transport},
    observe::{OutboundEvent, OutboundObserver},
};

/// Makes a repeatable call again when the network failed it, once after each pause. Whatever a platform answered is
/// not tried again here: what an answer means is for who reads it.
pub struct Retry<T> {
    inner: T,
    pauses: Vec<Duration>,
    observer: OutboundObserver,
}

impl<T> Retry<T> {
    /// Wraps `inner`, telling `observer`.
    pub const fn new(inner: T, pauses: Vec<Duration>, observer: OutboundObserver) -> Self {
        Self { inner, pauses, observer }
    }
}

#[async_trait]
impl<T: Transport> Transport for Retry<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let (platform, endpoint) = (call.line.platform, call.line.endpoint);
        let mut unheard = None;
        for pause in self.pauses.iter().filter(|_| call.repeatable) {
            match self.inner.send(call).await {
                Err(fault) if fault.is_of_network() => {
                    if matches!(fault, SendFault::Unknown { .. }) {
                        unheard = Some(fault);
                    }
                }
                last => return over_all(last, unheard),
            }
            (self.observer)(OutboundEvent::Retried { platform, endpoint });
            tokio::time::sleep(*pause).await;
        }
        over_all(self.inner.send(call).await, unheard)
    }
}

/// What all tries came to: that the last was not made says nothing of an earlier one whose answer was lost.
fn over_all(last: Result<Reply, SendFault>, unheard: Option<SendFault>) -> Result<Reply, SendFault> {
    match (last, unheard) {
        (Err(SendFault::NotDone { .. }), Some(unheard)) => Err(unheard),
        (last, _) => last,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{
        super::{
            call::{Lost, NotMade},
            script::{Script, call, told},
        },
        *,
    };

    fn unreachable() -> Result<Reply, SendFault> {
        Err(SendFault::not_done(NotMade::Unreachable))
    }

    fn lost() -> Result<Reply, SendFault> {
        Err(SendFault::unknown(Lost::Cut))
    }

    /// The outcome's word (`ok` for an answer), tries made, seconds taken.
    async fn outcome(answers: Vec<Result<Reply, SendFault>>, repeatable: bool) -> (&'static str, usize, u64) {
        let (observer, _) = told();
        let pauses = [1, 4, 16].map(Duration::from_secs).to_vec();
        let transport = Retry::new(Script::new(answers), pauses, observer);
        let began = Instant::now();
        let result = transport.send(&Call { repeatable, ..call() }).await;
        let word = result.as_ref().map_or_else(SendFault::as_str, |_| "ok");
        (word, transport.inner.calls().len(), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_network_failed_is_tried_three_times_more() {
        assert_eq!(outcome(vec![Script::good()], true).await, ("ok", 1, 0));
        assert_eq!(outcome(vec![lost(), unreachable(), Script::good()], true).await, ("ok", 3, 5));
        let four = || vec![unreachable(), unreachable(), unreachable(), unreachable()];
        assert_eq!(outcome(four(), true).await, ("unreachable", 4, 21));
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_not_be_asked_twice_is_not() {
        assert_eq!(outcome(vec![lost(), Script::good()], false).await, ("cut", 1, 0));
        assert_eq!(outcome(vec![unreachable(), Script::good()], false).await, ("unreachable", 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_and_what_no_network_did_are_final() {
        assert_eq!(outcome(vec![Script::status(502), Script::good()], true).await, ("ok", 1, 0));
        for why in [NotMade::Throttled, NotMade::BreakerOpen, NotMade::Unbuildable] {
            let answers = vec![Err(SendFault::not_done(why)), Script::good()];
            assert_eq!(outcome(answers, true).await, (why.as_str(), 1, 0));
        }
        assert_eq!(outcome(vec![Err(SendFault::unknown(Lost::TooLong))], true).await, ("too_long", 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_lost_answer_makes_the_whole_unknown() {
        let open = Err(SendFault::not_done(NotMade::BreakerOpen));
        assert_eq!(outcome(vec![lost(), open], true).await, ("cut", 2, 1));
        assert_eq!(
            outcome(vec![lost(), unreachable(), unreachable(), unreachable()], true).await,
            ("cut", 4, 21)
        );
    }
}
