//! Telling open sockets and streams that the process is about to go.

use tokio::sync::watch;

/// Held by whoever stops the server.
#[derive(Debug)]
pub struct DrainHandle(watch::Sender<bool>);

/// Held by everything that lives longer than one request.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl DrainHandle {
    /// A handle and the signal it gives.
    pub fn new() -> (Self, Drain) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Drain(receiver))
    }

    /// Closes all sockets with 1001 and cuts all streams, so that clients connect elsewhere. New ones are refused
    /// from now on; ordinary requests are still answered.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once draining has begun; never when the handle is dropped without it.
    pub(crate) async fn begun(&mut self) {
        if self.0.wait_for(|begun| *begun).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
