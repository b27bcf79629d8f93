//! One event for each answer, in the stream `access`: taken down in memory, written in batches.
//!
//! An answer that can't be taken down is not given: while the queue is full, requests are refused.

use std::{sync::Arc, time::Duration};

use domain::compliance::ports::{AccessRecorder, PendingEvent};
use tokio::sync::{mpsc, oneshot};

/// Events that may wait.
const QUEUE: usize = 8_192;

/// Most events written at a time.
const BATCH: usize = 512;

/// Longest an event waits for others.
const LINGER: Duration = Duration::from_millis(100);

/// Pause before a batch that was not written is tried again.
const RETRY: Duration = Duration::from_millis(250);

enum Entry {
    Event(Box<PendingEvent>),
    Flush(oneshot::Sender<()>),
}

/// The way into the queue.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: mpsc::Sender<Entry>,
}

impl AccessLog {
    /// Starts the writer. It ends, everything written, when the last way in is dropped.
    pub fn start(recorder: Arc<dyn AccessRecorder>) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        tokio::spawn(write(entries, recorder));
        Self { queue }
    }

    /// Whether another event can be taken down now. A little room is kept for requests on their way.
    pub fn has_room(&self) -> bool {
        self.queue.capacity() > QUEUE / 16
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        QUEUE - self.queue.capacity()
    }

    /// Takes an event down if there is room; `false` when there is not.
    pub(crate) fn try_add(&self, event: PendingEvent) -> bool {
        self.queue.try_send(Entry::Event(Box::new(event))).is_ok()
    }

    pub(crate) async fn add(&self, event: PendingEvent) {
        if self.queue.send(Entry::Event(Box::new(event))).await.is_err() {
            tracing::error!("the access log's writer is gone");
        }
    }

    /// Waits until everything taken down so far is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Entry::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

async fn write(mut entries: mpsc::Receiver<Entry>, recorder: Arc<dyn AccessRecorder>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut flushed = Vec::new();
    while let Some(first) = entries.recv().await {
        sort(first, &mut batch, &mut flushed);
        let deadline = tokio::time::Instant::now() + LINGER;
        while batch.len() < BATCH && flushed.is_empty() {
            match tokio::time::timeout_at(deadline, entries.recv()).await {
                Ok(Some(entry)) => sort(entry, &mut batch, &mut flushed),
                Ok(None) | Err(_) => break,
            }
        }
        while !batch.is_empty() {
            match recorder.add(&batch).await {
                Ok(()) => batch.clear(),
                Err(fault) => {
                    tracing::warn!(port = fault.port, error = %fault.source, waiting = batch.len(), "access events were not written");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        for done in flushed.drain(..) {
            let _ = done.send(());
        }
    }
}

fn sort(entry: Entry, batch: &mut Vec<PendingEvent>, flushed: &mut Vec<oneshot::Sender<()>>) {
    match entry {
        Entry::Event(event) => batch.push(*event),
        Entry::Flush(done) => flushed.push(done),
    }
}
