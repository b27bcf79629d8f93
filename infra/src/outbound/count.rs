//! Tells of each try what a platform may count against a quota.

use std::sync::Arc;

use async_trait::async_trait;
use domain::kernel::platform::RefusalKind;

use super::call::{Call, Reply, SendFault, Transport};

/// What an answer is, as far as quotas are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It was done.
    Done,
    /// The platform said no.
    Refused(RefusalKind),
    /// Anything else: it was heard, and counts as a call.
    Unclear,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryEnd {
    /// The platform answered.
    Answered(Judgement),
    /// It may have been heard, and nobody knows more.
    Unsure,
}

/// Told of tries that a platform may have counted. Called on the path of a call: it must not block.
pub trait CallCounter: Send + Sync {
    /// One try of `call` ended so.
    fn count(&self, call: &Call, end: TryEnd);
}

/// Where nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

impl CallCounter for Uncounted {
    fn count(&self, _: &Call, _: TryEnd) {}
}

/// Counts tries. It stands below what refuses calls and tries them again, so that each try that leaves is counted, and
/// nothing that does not.
pub struct Count<T> {
    inner: T,
    counter: Arc<dyn CallCounter>,
}

impl<T> Count<T> {
    /// Wraps `inner`, telling `counter`.
    pub fn new(inner: T, counter: Arc<dyn CallCounter>) -> Self {
        Self { inner, counter }
    }
}

/// A try under way: whoever drops it does not know what became of it.
struct Under<'a> {
    call: &'a Call,
    counter: &'a dyn CallCounter,
    is_told: bool,
}

impl Under<'_> {
    fn ended(mut self, end: Option<TryEnd>) {
        self.is_told = true;
        if let Some(end) = end {
            self.counter.count(self.call, end);
        }
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.counter.count(self.call, TryEnd::Unsure);
        }
    }
}

#[async_trait]
impl<T: Transport> Transport for Count<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let under = Under { call, counter: &*self.counter, is_told: false };
        let result = self.inner.send(call).await;
        under.ended(match &result {
            Ok(reply) => Some(TryEnd::Answered((call.judge)(reply))),
            Err(SendFault::Unknown { .. }) => Some(TryEnd::Unsure),
            Err(SendFault::NotDone { .. }) => None,
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::{
        super::{
            call::{Lost, NotMade},
            script::{Script, call},
        },
        *,
    };

    #[derive(Default)]
    struct Told(Mutex<Vec<TryEnd>>);

    impl CallCounter for Told {
        fn count(&self, _: &Call, end: TryEnd) {
            self.0.lock().unwrap().push(end);
        }
    }

    fn judge(reply: &Reply) -> Judgement {
        if reply.status == 200 { Judgement::Done } else { Judgement::Refused(RefusalKind::QuotaUsedUp) }
    }

    #[tokio::test(start_paused = true)]
    async fn every_try_that_may_have_been_heard_is_told_of() {
        let told = Arc::new(Told::default());
        let answers = [
            Script::good(),
            Script::status(403),
            Err(SendFault::not_done(NotMade::Unreachable)),
            Err(SendFault::unknown(Lost::Cut)),
        ];
        let count = Count::new(Script::new(answers).taking([0, 0, 0, 0, 600_000]), told.clone());
        let call = Call { judge, ..call() };
        for _ in 0..4 {
            drop(count.send(&call).await);
        }
        let given_up = tokio::time::timeout(Duration::from_secs(1), count.send(&call)).await;
        assert!(given_up.is_err(), "it hangs");
        let expected = [
            TryEnd::Answered(Judgement::Done),
            TryEnd::Answered(Judgement::Refused(RefusalKind::QuotaUsedUp)),
            TryEnd::Unsure,
            TryEnd::Unsure,
        ];
        assert_eq!(*told.0.lock().unwrap(), expected);
    }
}
