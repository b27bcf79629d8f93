//! Turns on what was claimed, some at a time.

use std::{fmt::Display, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Turns under way. Those left when it is dropped are broken off.
pub(super) struct Turns<P> {
    under_way: JoinSet<()>,
    width: usize,
    idle: Duration,
    panicked: P,
}

impl<P: Fn(&JoinError)> Turns<P> {
    /// At most `width` at a time; a pause of `idle` when nothing was due. `panicked` is told of turns that broke off.
    pub(super) fn new(width: u32, idle: Duration, panicked: P) -> Self {
        let width = usize::try_from(width).unwrap_or(usize::MAX);
        Self { under_way: JoinSet::new(), width, idle, panicked }
    }

    /// How many more may be claimed.
    pub(super) fn free(&self) -> u32 {
        u32::try_from(self.width.saturating_sub(self.under_way.len())).unwrap_or(u32::MAX)
    }

    /// Begins a turn on each that was claimed, and waits until it is time to claim again, or `stop` changes. `unclaimed`
    /// is what is said when there was no claiming.
    pub(super) async fn begin<I, F>(
        &mut self,
        claimed: Result<Vec<I>, impl Display>,
        unclaimed: &'static str,
        stop: &mut watch::Receiver<bool>,
        turn: impl Fn(I) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let pause = match claimed {
            Ok(claimed) if claimed.is_empty() => self.idle,
            Ok(claimed) => {
                for item in claimed {
                    self.under_way.spawn(turn(item));
                }
                Duration::ZERO
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "{unclaimed}");
                RETRY
            }
        };
        tokio::select! {
            Some(ended) = self.under_way.join_next(), if self.under_way.len() >= self.width => self.note(&ended),
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(ended) = self.under_way.try_join_next() {
            self.note(&ended);
        }
    }

    /// Waits for the turns under way.
    pub(super) async fn finish(mut self) {
        while let Some(ended) = self.under_way.join_next().await {
            self.note(&ended);
        }
    }

    /// Breaks them off, and waits until they are.
    pub(super) async fn abandon(mut self) {
        self.under_way.shutdown().await;
    }

    fn note(&self, ended: &Result<(), JoinError>) {
        if let Err(error) = ended {
            (self.panicked)(error);
        }
    }
}
