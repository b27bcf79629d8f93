//! Makes files of the range of reports before anybody asks.

use std::{sync::Arc, time::Duration};

use domain::compliance::{Cut, Cutter};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Pause when there was nothing to make. A file is tens of thousands of events.
const IDLE: Duration = Duration::from_secs(10);

/// Makes them until `stop` turns true, and looks at one of those that there are now and then.
pub async fn cut_segments(mut cutter: Cutter, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let made = tokio::select! {
            made = turn(&mut cutter, &metrics) => made,
            _ = stop.changed() => return,
        };
        if made == 0 {
            let _ = tokio::time::timeout(IDLE, stop.changed()).await;
        }
    }
}

async fn turn(cutter: &mut Cutter, metrics: &Metrics) -> u32 {
    let made = match cutter.cut_segments().await {
        Ok(Cut { made, faults }) => {
            metrics.segments_cut.inc_by(made.into());
            for (log, fault) in &faults {
                tracing::error!(tenant = %log.tenant, stream = log.stream.as_str(), error = %fault,
                    "a file for reports was not made");
            }
            made
        }
        Err(error) => {
            tracing::warn!(error = %error, "files for reports were not made");
            0
        }
    };
    match cutter.mend_segment().await {
        Ok(false) => {}
        Ok(true) => tracing::warn!("a file for reports was gone or spoilt, and was made anew"),
        Err(error) => tracing::warn!(error = %error, "a file for reports was not looked at"),
    }
    made
}
