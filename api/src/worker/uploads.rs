//! Checks files that have arrived, and throws away what nobody needs.

use std::{sync::Arc, time::Duration};

use domain::{
    content::{Content, ContentError, UploadTurn},
    kernel::{ids::UploadId, scope::TenantScope},
};
use tokio::{sync::watch, task::JoinSet};

use crate::metrics::{Metrics, UploadLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(500);

/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Uploads at a time. Each is read from one end to the other, a part in memory.
const WIDTH: usize = 4;

/// Tends uploads that are due until `stop` turns true. What is left then is tended by whoever runs next: claims run out
/// by themselves, and those given up half way are read again from the start.
pub async fn tend_uploads(content: Arc<Content>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut turns = JoinSet::new();
    while !*stop.borrow() {
        let free = u32::try_from(WIDTH.saturating_sub(turns.len())).unwrap_or(0);
        let pause = match content.claim_uploads(free).await {
            Ok(claimed) => {
                let pause = if claimed.is_empty() { IDLE } else { Duration::ZERO };
                for (scope, upload) in claimed {
                    let (content, metrics) = (Arc::clone(&content), Arc::clone(&metrics));
                    turns.spawn(async move { tend(&content, &metrics, scope, upload).await });
                }
                pause
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "no uploads were claimed");
                RETRY
            }
        };
        tokio::select! {
            Some(ended) = turns.join_next(), if turns.len() >= WIDTH => note_panic(&metrics, ended.is_err()),
            _ = stop.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(ended) = turns.try_join_next() {
            note_panic(&metrics, ended.is_err());
        }
    }
    // Reading a file back changes nothing, so nobody waits for its end.
    turns.shutdown().await;
}

fn note_panic(metrics: &Metrics, is_panic: bool) {
    if is_panic {
        tracing::error!("a turn on an upload broke off");
        metrics.uploads.get_or_create(&UploadLabels { result: "fault" }).inc();
    }
}

async fn tend(content: &Content, metrics: &Metrics, scope: TenantScope, upload: UploadId) {
    let result = match content.check_upload(scope, upload).await {
        Ok(UploadTurn::Nothing) => return,
        Ok(UploadTurn::Ready) => "ready",
        Ok(UploadTurn::Refused) => "refused",
        Ok(UploadTurn::Expired) => "expired",
        Ok(UploadTurn::Swept) => "swept",
        Err(ContentError::Port(fault)) => {
            tracing::warn!(upload.id = %upload, port = fault.port, error = %fault.source, "{upload}: not tended");
            "fault"
        }
        Err(error) => {
            tracing::error!(upload.id = %upload, error = %error, "{upload}: not tended");
            "fault"
        }
    };
    metrics.uploads.get_or_create(&UploadLabels { result }).inc();
}
