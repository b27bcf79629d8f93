//! Reports for auditors, put together.

use std::{path::PathBuf, sync::Arc};

use chrono::TimeDelta;
use domain::{
    compliance::{Changes, Cutter, CutterPorts, ErasurePorts, Erasures, ReportPorts, Reports},
    content::ports::ObjectStore,
};
use infra::{
    bundles::{Bundles, ReportKey, TimeStampingAuthority},
    erasure_ledger::ObjectLedger,
    postgres::{Db, PgChangeSchedule, PgLogKeys, PgReportSchedule, PgSubjectSchedule, PgUnits},
    system::System,
};

use crate::{
    config::Config,
    file_store::scratch,
    notary::trust,
    wiring::{StartupError, log_reader},
};

/// Tells the log of changes that it was not told of.
pub(crate) fn changes(db: &Db, units: &Arc<PgUnits>) -> Arc<Changes> {
    let schedule = Arc::new(PgChangeSchedule::new(db.clone()));
    Arc::new(Changes { schedule, units: units.clone(), ids: Arc::new(System) })
}

/// Erases what is kept about persons.
pub(crate) fn erasures(
    config: &Config,
    (db, units): (&Db, &Arc<PgUnits>),
    objects: &Arc<dyn ObjectStore>,
) -> Arc<Erasures> {
    let schedule = Arc::new(PgSubjectSchedule::new(db.clone()));
    Arc::new(Erasures::new(ErasurePorts {
        units: units.clone(),
        schedule: schedule.clone(),
        ledger: Arc::new(ObjectLedger::new(Arc::clone(objects))),
        daily: schedule,
        backups: TimeDelta::days(config.privacy.backup_days.into()),
        clock: Arc::new(System),
        ids: Arc::new(System),
    }))
}

/// Makes files of the range of reports before anybody asks; where reports are made at all.
pub(crate) fn cutter(
    config: &Config,
    units: &Arc<PgUnits>,
    objects: &Arc<dyn ObjectStore>,
) -> Result<Option<Cutter>, StartupError> {
    if config.reports.signer.is_none() {
        return Ok(None);
    }
    let binder = Arc::new(bundles(config, objects));
    let logs = Arc::new(log_reader(config)?);
    let (units, clock, ids) = (units.clone(), Arc::new(System), Arc::new(System));
    Ok(Some(Cutter::new(CutterPorts { logs, units, binder, clock, ids })))
}

/// Without a key: what signs is put there by who needs it.
fn bundles(config: &Config, objects: &Arc<dyn ObjectStore>) -> Bundles {
    Bundles {
        objects: Arc::clone(objects),
        scratch: scratch(config),
        key: None,
        authority: None,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        ids: Arc::new(System),
    }
}

/// Puts them together.
pub(crate) fn open(
    config: &Config,
    (db, units): (&Db, &Arc<PgUnits>),
    log_keys: &Arc<PgLogKeys>,
    objects: &Arc<dyn ObjectStore>,
) -> Result<Arc<Reports>, StartupError> {
    let key = |(key, certificates): &(PathBuf, PathBuf)| ReportKey::open(key, certificates).map(Arc::new);
    let authority = |url: &String| TimeStampingAuthority::new(url.clone()).map(Arc::new);
    let binder = Bundles {
        key: config.reports.signer.as_ref().map(key).transpose()?,
        authority: config.reports.authority.as_ref().map(authority).transpose()?,
        ..bundles(config, objects)
    };
    Ok(Arc::new(Reports::new(ReportPorts {
        units: units.clone(),
        schedule: Arc::new(PgReportSchedule::new(db.clone())),
        binder: Arc::new(binder),
        log_keys: log_keys.clone(),
        trust: trust(config)?,
        host: config.audit.host.clone(),
        keep: TimeDelta::days(config.reports.keep_days.into()),
        clock: Arc::new(System),
        ids: Arc::new(System),
    })))
}
