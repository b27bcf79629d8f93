//! Reports for auditors, records of processing and erasure, put together.

use std::sync::Arc;

use chrono::TimeDelta;
use domain::{
    compliance::{
        Changes, Cutter, CutterPorts, ErasurePorts, Erasures, Pruner, PrunerPorts, RecordPorts, Records,
        ReportPorts, Reports, processing::House, records::Activity,
    },
    content::ports::ObjectStore,
    identity::model::SESSION_MAX_DAYS,
    kernel::{outbox::Stream, secret::Vault},
};
use infra::{
    aws_kms::AwsKmsReportSigner,
    bundles::{Bundles, ReportKey, TimeStampingAuthority},
    erasure_ledger::ObjectLedger,
    postgres::{
        Db, PgChangeSchedule, PgEnds, PgLogKeys, PgReportSchedule, PgSequencerStore, PgSubjectSchedule,
        PgUnits, inventory,
    },
    system::System,
};

use crate::{
    config::{Config, Files, ReportSigner},
    file_store::scratch,
    notary::trust,
    serve::{Duties, Queue},
    wiring::{ROLE_CONNECTIONS, StartupError, aws_kms, log_reader, pool, token},
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
    log_keys: &Arc<PgLogKeys>,
    (objects, vault): (&Arc<dyn ObjectStore>, &Arc<dyn Vault>),
) -> Arc<Erasures> {
    let schedule = Arc::new(PgSubjectSchedule::new(db.clone()));
    let ends = Arc::new(PgEnds::new(db.clone(), Arc::clone(objects)));
    Arc::new(Erasures::new(ErasurePorts {
        units: units.clone(),
        schedule: schedule.clone(),
        ledger: Arc::new(ObjectLedger::new(Arc::clone(objects), Arc::clone(vault))),
        daily: schedule,
        ends: ends.clone(),
        remains: ends,
        log_keys: log_keys.clone(),
        backups: TimeDelta::days(config.privacy.backup_days.into()),
        clock: Arc::new(System),
        ids: Arc::new(System),
    }))
}

/// What works on whole logs of tenants, where that is a duty.
pub struct OfLogs {
    /// Makes files of logs ready for reports.
    pub cutter: Option<Cutter>,
    /// Throws away what need not be kept any longer.
    pub pruner: Option<Pruner>,
}

/// Puts both together.
pub(crate) fn of_logs(
    config: &Config,
    duties: &Duties,
    (db, units): (&Db, &Arc<PgUnits>),
    log_keys: &Arc<PgLogKeys>,
    objects: &Arc<dyn ObjectStore>,
) -> Result<OfLogs, StartupError> {
    let cutter = duties.has(Queue::Reports).then(|| cutter(config, units, objects)).transpose()?.flatten();
    let pruner = || -> Result<Pruner, StartupError> {
        let pool = pool(config, ROLE_CONNECTIONS);
        let days = |(stream, days): &(Stream, u32)| (*stream, TimeDelta::days((*days).into()));
        Ok(Pruner::new(PrunerPorts {
            units: units.clone(),
            daily: Arc::new(PgSubjectSchedule::new(db.clone())),
            keys: log_keys.clone(),
            pruner: Arc::new(PgSequencerStore::new(Db::connect(&config.database.sequencer_url, pool)?)),
            binder: Arc::new(bundles(config, objects)),
            keep: config.privacy.keep_days.iter().map(days).collect(),
            keep_reports: TimeDelta::days(config.reports.keep_days.into()),
            host: config.audit.host.clone(),
            clock: Arc::new(System),
            ids: Arc::new(System),
        }))
    };
    Ok(OfLogs { cutter, pruner: duties.has(Queue::Retention).then(pruner).transpose()? })
}

/// Makes files of the range of reports before anybody asks; where reports are made at all.
fn cutter(
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
        can_sign: config.reports.signer.is_some(),
        key: None,
        authority: None,
        clock: Arc::new(System),
        entropy: Arc::new(System),
        ids: Arc::new(System),
    }
}

/// The key that signs, wherever it is.
async fn key(config: &Config) -> Result<Option<Arc<ReportKey>>, StartupError> {
    let Some((signer, certificates)) = &config.reports.signer else { return Ok(None) };
    let keys = &config.keys;
    let key = match signer {
        ReportSigner::File(file) => ReportKey::open(file, certificates)?,
        ReportSigner::AwsKms(key) => {
            let signer = Arc::new(AwsKmsReportSigner::connect(&aws_kms(keys, key)).await);
            ReportKey::elsewhere(signer, certificates).await?
        }
        ReportSigner::Pkcs11(label) => {
            let module = keys.pkcs11_module.as_deref().ok_or("keys.pkcs11_module is not set")?;
            let signer = Arc::new(token(keys, module).await?.report_signer(label.clone()));
            ReportKey::elsewhere(signer, certificates).await?
        }
    };
    Ok(Some(Arc::new(key)))
}

/// Reports, and records of processing, which one key signs.
pub(crate) async fn open(
    (config, duties): (&Config, &Duties),
    (db, units): (&Db, &Arc<PgUnits>),
    log_keys: &Arc<PgLogKeys>,
    objects: &Arc<dyn ObjectStore>,
) -> Result<(Arc<Reports>, Arc<Records>), StartupError> {
    // Nobody else signs, or needs the right to.
    let signs = duties.has(Queue::Reports) || duties.has(Queue::Records);
    let authority = |url: &String| TimeStampingAuthority::new(url.clone()).map(Arc::new);
    let binder = Arc::new(Bundles {
        key: if signs { key(config).await? } else { None },
        authority: config.reports.authority.as_ref().map(authority).transpose()?,
        ..bundles(config, objects)
    });
    let records = Arc::new(Records::new(RecordPorts {
        units: units.clone(),
        daily: Arc::new(PgSubjectSchedule::new(db.clone())),
        binder: binder.clone(),
        house: house(config),
        categories: inventory::categories(),
        clock: Arc::new(System),
        ids: Arc::new(System),
    }));
    let reports = Arc::new(Reports::new(ReportPorts {
        units: units.clone(),
        schedule: Arc::new(PgReportSchedule::new(db.clone())),
        binder,
        log_keys: log_keys.clone(),
        trust: trust(config)?,
        host: config.audit.host.clone(),
        keep: TimeDelta::days(config.reports.keep_days.into()),
        clock: Arc::new(System),
        ids: Arc::new(System),
    }));
    Ok((reports, records))
}

/// What records of processing say that is the same for all tenants; `None` where none are made.
fn house(config: &Config) -> Option<House> {
    let [controller, representative, officer, country] = config.records.responsible.clone()?;
    let erased = "on request, by `eraseSubject`; what was done stays in the log under a pseudonym";
    let ends = "all of it when the tenant leaves and has ended";
    let logs =
        config.privacy.keep_days.iter().map(|(log, days)| format!("{} after {days} days", log.as_str()));
    let logs: Vec<_> = logs.collect();
    let limits = vec![
        (
            Activity::Membership,
            format!(
                "{erased}; {ends}; no other limit: a session is good for {SESSION_MAX_DAYS} days at most and an invitation for 7, \
                 and the rows stay"
            ),
        ),
        (
            Activity::AccountLinks,
            format!(
                "tokens when an account is unlinked or consent ends; all else {erased}; {ends}; no other limit"
            ),
        ),
        (
            Activity::Content,
            format!(
                "files when they are cancelled, and those that never arrived after a day; {ends}; no other limit"
            ),
        ),
        (Activity::Publishing, format!("{ends}; no other limit")),
        (
            Activity::Audit,
            format!(
                "what opens events about a person {erased}, and {ends}; keys of a month {} days after nothing is under them; logs: {}",
                config.privacy.backup_days,
                if logs.is_empty() { "no limit".to_owned() } else { logs.join(", ") }
            ),
        ),
        (Activity::Reports, format!("{} days after one is made", config.reports.keep_days)),
    ];
    Some(House {
        controller,
        representative,
        officer,
        country,
        recipients: config.records.recipients.clone(),
        measures: config.records.measures.clone(),
        limits,
        is_bucket: matches!(config.content.files, Files::Bucket(_)),
    })
}
