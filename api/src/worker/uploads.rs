//! Checks files that have arrived, and throws away what nobody needs.

use std::{sync::Arc, time::Duration};

use domain::{
    content::{Content, ContentError, UploadTurn},
    kernel::{ids::UploadId, scope::TenantScope},
};
use tokio::sync::watch;

use super::turns::Turns;
use crate::metrics::{Metrics, UploadLabels};

/// Pause when nothing was due.
const IDLE: Duration = Duration::from_millis(500);

/// Uploads at a time. Each is read from one end to the other, a part in memory.
const WIDTH: u32 = 4;

/// Tends uploads that are due until `stop` turns true. What is left then is tended by whoever runs next: claims run out
/// by themselves, and those given up half way are read again from the start.
pub async fn tend_uploads(content: Arc<Content>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut turns = Turns::new(WIDTH, IDLE, |error| {
        tracing::error!(error = %error, "a turn on an upload broke off");
        metrics.uploads.get_or_create(&UploadLabels { result: "fault" }).inc();
    });
    while !*stop.borrow() {
        let claimed = content.claim_uploads(turns.free()).await;
        let begun = turns.begin(claimed, "no uploads were claimed", &mut stop, |(scope, upload)| {
            let (content, metrics) = (Arc::clone(&content), Arc::clone(&metrics));
            async move { tend(&content, &metrics, scope, upload).await }
        });
        begun.await;
    }
    // Reading a file back changes nothing, so nobody waits for its end.
    turns.abandon().await;
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
