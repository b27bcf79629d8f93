//! Makes the platform's log grow by tenants' heads, and tells when that is refused.

use std::{sync::Arc, time::Duration};

use domain::{
    compliance::{
        Gathered, Notarised, Notary, Rollback, WitnessWord,
        actions::{SIGN_PLATFORM_LOG, WITNESS_PLATFORM_LOG},
    },
    kernel::{
        fault::PortError,
        ids::{ComplianceId, PLATFORM},
        outbox::Origin,
        scope::TenantScope,
    },
};
use tokio::sync::watch;

use crate::{app::App, metrics::WitnessLabels};

/// Most heads that become leaves in one transaction.
const BATCH: u32 = 1_024;

/// Has the platform's log grow every so often until `stop` turns true.
pub async fn notarise(notary: Notary, app: Arc<App>, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut told = None;
    let mut contradicted = None;
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
        if notary.has_witnesses() {
            witness(&notary, &app, &mut contradicted).await;
        }
        if !pause.is_zero() {
            let _ = tokio::time::timeout(pause, stop.changed()).await;
        }
    }
}

/// Has the newest head cosigned. A witness that contradicts it is told of once.
async fn witness(notary: &Notary, app: &App, contradicted: &mut Option<(String, WitnessWord)>) {
    let Gathered { size, words, is_met } = match notary.gather_cosignatures().await {
        Ok(gathered) => gathered,
        Err(fault) => {
            tracing::warn!(port = fault.port, error = %fault.source, "witnesses were not asked");
            return;
        }
    };
    if is_met {
        app.metrics.platform_log_witnessed.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
    for (name, word) in words {
        app.metrics.witness_answers.get_or_create(&WitnessLabels { answer: word.as_str() }).inc();
        if !word.is_alarming() {
            continue;
        }
        let new = Some((name, word));
        if *contradicted != new && tell_of_witness(notary, app, new.as_ref()).await {
            *contradicted = new;
        }
    }
}

async fn tell_of_witness(notary: &Notary, app: &App, said: Option<&(String, WitnessWord)>) -> bool {
    let Some((name, said)) = said else { return true };
    tracing::error!(witness = %name, word = said.as_str(), "a witness contradicts the platform's log: {said:?}");
    let told = async {
        let origin = Origin::system(ComplianceId::new(&*app.ids), WITNESS_PLATFORM_LOG.name);
        let mut work = app.units.begin(TenantScope::of(PLATFORM), &origin).await?;
        notary.tell_of_witness(&mut *work, *said).await?;
        work.commit().await
    };
    let told: Result<(), PortError> = told.await;
    told.is_ok()
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
