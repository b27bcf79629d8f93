//! Makes files of others, so that platforms have nothing against them.

use std::{sync::Arc, time::Duration};

use domain::{
    content::{Content, ContentError, TranscodeTurn},
    kernel::{ids::UploadId, scope::TenantScope},
};
use tokio::sync::watch;

use super::turns::Turns;
use crate::metrics::{Metrics, TranscodeLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(500);

/// Makes files that are due, `width` at a time, until `stop` turns true. What is left then is begun again by whoever runs
/// next, as soon as nothing was heard of this worker for a minute.
pub async fn make_transcodes(
    content: Arc<Content>,
    metrics: Arc<Metrics>,
    width: u32,
    mut stop: watch::Receiver<bool>,
) {
    let mut turns = Turns::new(width, IDLE, |error| {
        tracing::error!(error = %error, "a turn on a transcode broke off");
        metrics.transcodes.get_or_create(&TranscodeLabels { result: "fault" }).inc();
    });
    while !*stop.borrow() {
        let claimed = content.claim_transcodes(turns.free()).await;
        let begun = turns.begin(claimed, "no transcodes were claimed", &mut stop, |(scope, upload)| {
            let (content, metrics) = (Arc::clone(&content), Arc::clone(&metrics));
            async move { make(&content, &metrics, scope, upload).await }
        });
        begun.await;
    }
    // It may take minutes, and nothing of it counts before its end.
    turns.abandon().await;
}

async fn make(content: &Content, metrics: &Metrics, scope: TenantScope, upload: UploadId) {
    let result = match Box::pin(content.finish_transcode(scope, upload)).await {
        Ok(TranscodeTurn::Nothing) => return,
        Ok(TranscodeTurn::Made) => "made",
        Ok(TranscodeTurn::Failed) => "failed",
        Ok(TranscodeTurn::Killed) => "killed",
        Err(ContentError::Port(fault)) => {
            tracing::warn!(upload.id = %upload, port = fault.port, error = %fault.source, "{upload}: not made");
            "fault"
        }
        Err(error) => {
            tracing::error!(upload.id = %upload, error = %error, "{upload}: not made");
            "fault"
        }
    };
    metrics.transcodes.get_or_create(&TranscodeLabels { result }).inc();
}
