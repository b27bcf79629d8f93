//! `matricula log`: what an operator or auditor checks of the logs.

use std::io::Write;

use domain::{
    compliance::{
        Resuming,
        actions::RESUME_PLATFORM_LOG,
        finding::{LogReport, Place},
        platform_policy,
        ports::{LogReader as _, WhichLog},
    },
    kernel::{
        ids::{ComplianceId, PLATFORM, TenantId},
        outbox::Origin,
        scope::TenantScope,
    },
};
use infra::system::System;
use serde_json::{Value, json};

use crate::{
    config::Config,
    serve::Duties,
    wiring::{StartupError, build, log_reader, verifier},
};

/// Derives every log of the tenant, or of all, anew, and writes what came of it to `out`: a line for each log, and one for
/// each finding; as JSON, an object on a line for each log. Whether all were whole.
///
/// # Errors
/// A log could not be read, or nobody takes what is written. Logs told of before are checked.
pub async fn fsck(
    config: &Config,
    tenant: Option<TenantId>,
    as_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<bool, StartupError> {
    let verifier = verifier(config)?;
    let mut is_whole = true;
    for log in verifier.logs(tenant).await? {
        let report = verifier.verify_log(log).await?;
        is_whole &= report.is_whole();
        if as_json {
            writeln!(out, "{}", object(&report))?;
        } else {
            lines(&report, out)?;
        }
    }
    Ok(is_whole)
}

/// Writes whom to believe about the platform's log to `out` (C2SP tlog-policy): its keys, its witnesses, how many are enough.
///
/// # Errors
/// The keys or the policy can't be read.
pub async fn policy(config: &Config, out: &mut (dyn Write + Send)) -> Result<(), StartupError> {
    let keys = log_reader(config)?.keys(WhichLog::Platform).await?;
    let policy = platform_policy(&crate::notary::trust(config)?, &config.audit.host, &keys)?;
    write!(out, "{policy}").map_err(Into::into)
}

/// Lets the platform's log go on after its database was put back, and writes to `out` what that took. With `is_mark_lost` the
/// database is believed, as far as the hashes beside the mark do not say otherwise, and the mark is made anew.
///
/// # Errors
/// It can't go on, and why; or nobody takes what is written.
pub async fn resume(
    mut config: Config,
    is_mark_lost: bool,
    out: &mut (dyn Write + Send),
) -> Result<(), StartupError> {
    // Nobody need be at work to give events their indexes.
    config.audit.index_wait = std::time::Duration::ZERO;
    let (notary, _) =
        crate::notary::open(&config).await?.ok_or("notary.signer is off: nobody signs the platform's log")?;
    let parts = build(&config, &Duties::none(), String::new()).await?;
    let plan = notary.plan_to_resume(is_mark_lost).await;
    let origin = Origin::system(ComplianceId::new(&System), RESUME_PLATFORM_LOG.name);
    let told = async {
        let mut work = parts.app.units.begin(TenantScope::of(PLATFORM), &origin).await?;
        notary.tell_of_resuming(&mut *work, &plan).await?;
        work.commit().await
    };
    let told = told.await;
    parts.envelope.close();
    // What is in the way is the thing to hear of first. Nothing is done that is not told.
    let plan = plan?;
    told?;
    notary.resume_platform_log(&plan).await?;
    match plan {
        Resuming::Unhindered => writeln!(out, "nothing is in the way of the platform's log")?,
        Resuming::Filling { first, growth, .. } => writeln!(
            out,
            "the platform's log has its {} leaves again, those from {first} on by their hashes alone; what tenants' logs have \
             lost is lost, and shows to whoever kept a newer head of theirs",
            growth.head.size
        )?,
        Resuming::Marking(mark) => writeln!(out, "the mark stands at {} leaves", mark.size)?,
    }
    Ok(())
}

fn lines(report: &LogReport, out: &mut dyn Write) -> Result<(), StartupError> {
    let log = report.log;
    let state = if report.is_whole() { "whole" } else { "differs" };
    let LogReport { leaves, tiles, heads, .. } = report;
    writeln!(out, "{log}: {state}; {leaves} leaves, {tiles} tiles, {heads} heads")?;
    for finding in &report.findings {
        writeln!(out, "{log} {finding}")?;
    }
    if report.lost > 0 {
        let lost = report.lost;
        writeln!(out, "{log}: of {lost} leaves the hash alone is left, since a database was put back")?;
    }
    if report.more > 0 {
        writeln!(out, "{log}: and {} more", report.more)?;
    }
    Ok(())
}

fn object(report: &LogReport) -> Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let (place, index) = match finding.place {
                Place::Log => ("log", Value::Null),
                Place::Leaf(index) => ("leaf", json!(index)),
                Place::Tile(id) => ("tile", json!(id.path())),
                Place::Head(size) => ("head", json!(size)),
                Place::Table(name) => ("table", json!(name)),
            };
            json!({ "place": place, "index": index, "field": finding.field, "problem": finding.problem })
        })
        .collect();
    let (tenant, stream) = match report.log {
        WhichLog::Tenant(log) => (json!(log.tenant.uuid().to_string()), log.stream.as_str()),
        WhichLog::Platform => (Value::Null, "platform"),
    };
    json!({
        "tenant": tenant,
        "stream": stream,
        "whole": report.is_whole(),
        "leaves": report.leaves,
        "tiles": report.tiles,
        "heads": report.heads,
        "lost": report.lost,
        "findings": findings,
        "more": report.more,
    })
}
