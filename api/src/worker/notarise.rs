//! Makes the platform's log grow by tenants' heads, and tells when that is refused.

use std::{sync::Arc, time::Duration};

use domain::{
    compliance::{Notarised, Notary, Rollback, actions::SIGN_PLATFORM_LOG},
    kernel::{
        fault::PortError,
        ids::{ComplianceId, PLATFORM},
        outbox::Origin,
        scope::TenantScope,
    },
};
use tokio::sync::watch;

use crate::app::App;

/// Most heads that become leaves in one transaction.
const BATCH: u32 = 1_024;

/// Has the platform's log grow every so often until `stop` turns true.
pub async fn notarise(notary: Notary, app: Arc<App>, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut told = None;
    while !*stop.borrow() {
        let mut pause = every;
        match notary.notarise(BATCH).await {
            Ok(Notarised::Refused(rollback)) => {
                app.metrics.platform_log_refused.set(1);
                // Once, and again when it is refused for another reason: not at every turn.
                if told != Some(rollback) && tell(&notary, &app, rollback).await {
                    told = Some(rollback);
                }
            }
            Ok(done) => {
                app.metrics.platform_log_refused.set(0);
                app.metrics.platform_log_turned_at_s.set(app.clock.now().timestamp());
                told = None;
                if let Notarised::Signed { size, more } = done {
                    app.metrics.platform_log_size.set(i64::try_from(size).unwrap_or(i64::MAX));
                    if more {
                        pause = Duration::ZERO;
                    }
                }
            }
            Err(fault) => {
                tracing::warn!(port = fault.port, error = %fault.source, "the platform's log does not grow");
            }
        }
        if !pause.is_zero() {
            let _ = tokio::time::timeout(pause, stop.changed()).await;
        }
    }
}

/// Says so in the log of the process and in the platform's own audit log.
async fn tell(notary: &Notary, app: &App, rollback: Rollback) -> bool {
    tracing::error!(reason = rollback.as_str(), "the platform's log is not signed: {rollback}");
    let told = async {
        let origin = Origin::system(ComplianceId::new(&*app.ids), SIGN_PLATFORM_LOG.name);
        let mut work = app.units.begin(TenantScope::of(PLATFORM), &origin).await?;
        notary.tell(&mut *work, rollback).await?;
        work.commit().await
    };
    let told: Result<(), PortError> = told.await;
    if let Err(fault) = &told {
        tracing::warn!(port = fault.port, error = %fault.source, "that it is not signed was not recorded");
    }
    told.is_ok()
}
