//! Waits for an answer only so long.

use std::time::Duration;

use async_trait::async_trait;

use super::call::{Call, Lost, Reply, SendFault, Transport};

/// Gives a call up after `total`, or its own patience, from the first byte of connecting to the last of the answer.
#[derive(Debug)]
pub struct Timeout<T> {
    inner: T,
    total: Duration,
}

impl<T> Timeout<T> {
    /// Wraps `inner`.
    pub const fn new(inner: T, total: Duration) -> Self {
        Self { inner, total }
    }
}

#[async_trait]
impl<T: Transport> Transport for Timeout<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        // What is given up here may have been heard. That nobody could be reached has a shorter time-out of its own,
        // below.
        tokio::time::timeout(call.patience.unwrap_or(self.total), self.inner.send(call))
            .await
            .unwrap_or_else(|_| Err(SendFault::unknown(Lost::TimedOut)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::script::{Script, call},
        *,
    };

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_is_lost() {
        let script = Script::new([Script::good(), Script::good()]).taking([900, 1_100]);
        let transport = Timeout::new(script, Duration::from_secs(1));
        assert!(transport.send(&call()).await.is_ok());
        let fault = transport.send(&call()).await.unwrap_err();
        assert!(matches!(fault, SendFault::Unknown { why: Lost::TimedOut, .. }), "{fault:?}");
        let transport = Timeout::new(Script::new([Script::good()]).taking([1_100]), Duration::from_secs(1));
        let large = Call { patience: Some(Duration::from_secs(2)), ..call() };
        assert!(transport.send(&large).await.is_ok(), "it has more time");
    }
}
