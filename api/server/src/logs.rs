//! `matricula log`: what an operator or auditor checks of the logs.

use std::io::Write;

use domain::{
    compliance::{
        finding::{LogReport, Place},
        platform_policy,
        ports::{LogReader as _, WhichLog},
    },
    kernel::ids::TenantId,
};
use serde_json::{Value, json};

use crate::{
    config::Config,
    wiring::{StartupError, log_reader, verifier},
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

fn lines(report: &LogReport, out: &mut dyn Write) -> Result<(), StartupError> {
    let log = report.log;
    let state = if report.is_whole() { "whole" } else { "differs" };
    let LogReport { leaves, tiles, heads, .. } = report;
    writeln!(out, "{log}: {state}; {leaves} leaves, {tiles} tiles, {heads} heads")?;
    for finding in &report.findings {
        writeln!(out, "{log} {finding}")?;
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
        "findings": findings,
        "more": report.more,
    })
}
