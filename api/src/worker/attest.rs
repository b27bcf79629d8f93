//! Has others outside vouch for heads of the platform's log.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{
    compliance::{Attested, Attesting},
    kernel::clock::Timestamp,
};
use tokio::sync::watch;

use crate::{app::App, metrics::AttesterLabels};

/// How often what is under way is looked after. A turn in which there is nothing to do asks nobody outside.
const LOOK: Duration = Duration::from_secs(3);

/// Asks them until `stop` turns true.
pub async fn attest_heads(attesting: Attesting, app: Arc<App>, mut stop: watch::Receiver<bool>) {
    // Since when there is something that is not settled with each.
    let mut waiting: HashMap<String, Option<Timestamp>> = HashMap::new();
    while !*stop.borrow() {
        // What is left in the middle is gone on with by whoever comes next.
        let turns = tokio::select! {
            turns = attesting.attest_heads() => turns,
            _ = stop.changed() => return,
        };
        let now = app.clock.now();
        for (by, turn) in turns {
            let since = waiting.entry(by.to_owned()).or_default();
            match turn {
                Ok(Attested::Nothing) => *since = None,
                Ok(Attested::Settled(at)) => {
                    tracing::info!(attester = by, %at, "a head of the platform's log was vouched for");
                    *since = None;
                }
                Ok(Attested::Pending(begun)) => *since = Some(begun),
                Err(fault) => {
                    tracing::warn!(attester = by, port = fault.port, error = %fault.source, "a head was not vouched for");
                    since.get_or_insert(now);
                }
            }
        }
        for (by, since) in &waiting {
            let labels = AttesterLabels { attester: by.clone() };
            let lag = since.map_or(0, |since| now.signed_duration_since(since).num_seconds());
            app.metrics.attestation_lag_s.get_or_create(&labels).set(lag);
        }
        let _ = tokio::time::timeout(LOOK, stop.changed()).await;
    }
}
