//! Reports for auditors out of a quarter of five million events: from being asked for to being there, with nothing cached, beside
//! a copy of the same rows; memory; and how long checking one takes.

use std::{fs, path::Path, process::Command, time::Duration};

use api::app::App;
use chrono::{TimeDelta, TimeZone as _, Utc};
use domain::{
    compliance::{compose, event::AuditEvent, log::merkle::Hash},
    identity::actions::{REFRESH_SESSION, RESET_PASSWORD, SIGN_IN},
    kernel::{
        action::Action,
        clock::Timestamp,
        ids::{ComplianceId, EventId, IdSource as _, TenantId},
        outbox::{Geo, IpHash, Mfa, Origin, Party, Record, Stream},
        scope::TenantScope,
    },
};
use futures_util::TryStreamExt as _;
use harness::{authority::Authorities, logs::LongLog, process::program, stores::HarnessError};
use infra::system::System;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, postgres::PgPoolCopyExt as _};
use tokio::time::Instant;

use crate::{
    goals::Goal,
    installation::{Installation, Running},
    machine::peak_kib,
    rounds::{ROUNDS, Rounds, median},
    seed::{Owner, TENANTS, sign_in},
    table::Table,
};

/// Events of the quarter.
const LEAVES: u64 = 5_000_000;
/// Of so many events one is a password that was reset, and one in five a sign-in.
const RESETS_EVERY: u64 = 50;
const SIGN_INS_EVERY: u64 = 5;
/// Events after the quarter: the log goes on.
const AFTER: u64 = 1_000;
/// Events that become durable with one head.
const CHUNK: u64 = 50_000;
/// Events of a file that lies ready.
const SEGMENT: u64 = 65_536;
/// Reports of the quarter's resets.
const REPORTS: usize = 20;

/// Measures reports, and tells of them.
///
/// # Errors
/// A report was not made, or does not verify.
pub(crate) async fn run(
    installation: &Installation,
    app: &App,
) -> Result<(Vec<Table>, Vec<Goal>), HarnessError> {
    let owner = sign_in(app, TENANTS.start + 1).await?;
    let mut superuser = installation.superuser().await?;
    eprintln!("filling a log");
    fill(installation, app, owner.tenant).await?;
    let authorities = Authorities::start(installation.dir.join("authorities")).await?;
    let running = Box::pin(installation.serve_with(&authorities.settings())).await?;
    let desk = Desk { installation, running, authorities, app };
    let found = Box::pin(desk.measure(&mut superuser, owner.tenant)).await;
    let log = desk.running.stop().await?;
    Ok(told(&found.map_err(|error| format!("{error}\n{log}"))?))
}

fn quarter() -> Result<(Timestamp, Timestamp), HarnessError> {
    let day = |month| Utc.with_ymd_and_hms(2026, month, 1, 0, 0, 0).single().ok_or("no such day");
    Ok((day(7)?, day(10)?))
}

fn hex(label: &str, number: u64) -> String {
    Hash(Sha256::digest(format!("{label} {number}")).into()).to_hex()
}

/// Fills a tenant's log as if its quarter had passed.
async fn fill(installation: &Installation, app: &App, tenant: TenantId) -> Result<(), HarnessError> {
    let mut superuser = installation.superuser().await?;
    for sql in [
        "DELETE FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = 'iam'",
        "DELETE FROM compliance.audit_tiles WHERE tenant_id = $1 AND stream = 'iam'",
        "DELETE FROM compliance.audit_leaves WHERE tenant_id = $1 AND stream = 'iam'",
        "DELETE FROM compliance.audit_outbox WHERE tenant_id = $1 AND stream = 'iam'",
    ] {
        sqlx::query(sql).bind(tenant.uuid()).execute(&mut superuser).await?;
    }
    let of = (tenant, Stream::Iam);
    let mut log = LongLog::open(&mut superuser, installation.app_url(), app.vault.clone(), of).await?;
    let (begin, end) = quarter()?;
    let apart = (end - begin).num_microseconds().unwrap_or_default() / i64::try_from(LEAVES)?;
    while log.size < LEAVES + AFTER {
        let until = if log.size < LEAVES { LEAVES } else { LEAVES + AFTER };
        let mut events = Vec::new();
        for index in log.size..until.min(log.size + CHUNK) {
            let late = if index < LEAVES { TimeDelta::zero() } else { TimeDelta::hours(1) };
            let at = begin + TimeDelta::microseconds(apart * i64::try_from(index)?) + late;
            events.push(event(tenant, index, at));
        }
        log.grow(&mut superuser, &events).await?;
    }
    sqlx::query("VACUUM (FREEZE, ANALYZE) compliance.audit_leaves").execute(&mut superuser).await?;
    Ok(())
}

fn event(tenant: TenantId, index: u64, at: Timestamp) -> AuditEvent {
    let action: Action = if index.is_multiple_of(RESETS_EVERY) {
        RESET_PASSWORD
    } else if index.is_multiple_of(SIGN_INS_EVERY) {
        SIGN_IN
    } else {
        REFRESH_SESSION
    };
    let member = uuid::Uuid::from_u128(u128::from(index % 5_000) + (1 << 100));
    let origin = Origin {
        compliance_id: ComplianceId::new(&System),
        operation: action.field_name(),
        actor: Party::new("member", member),
        session: Some(System.next_uuid()),
        mfa: Some(Mfa::Passed),
        device: Some(hex("device", index % 8_000)),
        geo: Some(Geo {
            country: "CN".to_owned(),
            region: Some("GD".to_owned()),
            source: "GeoLite2-City".to_owned(),
            db_version: 1_780_000_000,
        }),
        ip: Some(IpHash { key_epoch: "2026Q3".to_owned(), value: hex("address", index % 20_000) }),
    };
    let record = Record::success(action, Party::new("member", member));
    compose(TenantScope::of(tenant), &origin, &record, EventId::new(&System), at)
}

/// What was found.
#[derive(Default)]
struct Found {
    /// Seconds until each report was there.
    few: Vec<f64>,
    many: Vec<f64>,
    /// Seconds that copies of the same rows took.
    copied: Vec<f64>,
    copied_many: Vec<f64>,
    /// Most memory of the worker, in mebibytes.
    peak_few: f64,
    peak_many: f64,
    /// Seconds that checking took.
    checked: Vec<f64>,
    bundle_mib: f64,
    cut_s: f64,
    is_cold: bool,
}

struct Desk<'i> {
    installation: &'i Installation,
    running: Running,
    authorities: Authorities,
    app: &'i App,
}

/// Has the machine forget what it read; whether it did.
fn forget() -> bool {
    let synced = Command::new("sync").status().is_ok_and(|status| status.success());
    synced && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

impl Desk<'_> {
    async fn measure(&self, superuser: &mut PgConnection, tenant: TenantId) -> Result<Found, HarnessError> {
        let mut found = Found { is_cold: forget(), ..Found::default() };
        let began = Instant::now();
        let wanted = i64::try_from((LEAVES + AFTER) / SEGMENT)?;
        let cut = "SELECT count(*) FROM compliance.audit_segments WHERE tenant_id = $1 AND stream = 'iam'";
        while sqlx::query_scalar::<_, i64>(cut).bind(tenant.uuid()).fetch_one(&mut *superuser).await? < wanted
        {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        found.cut_s = began.elapsed().as_secs_f64();
        let worker = self.running.worker_id().ok_or("the worker has ended")?;
        let mut last = None;
        for number in 0..REPORTS {
            peak_kib(worker, true)?;
            let (took, report) = self.report("reset_password").await?;
            found.few.push(took);
            found.peak_few = found.peak_few.max(peak_kib(worker, false)? / 1_024.0);
            last = Some(report);
            if number < ROUNDS {
                found.copied.push(self.copy("reset_password", tenant).await?);
            }
        }
        for _ in 0..ROUNDS {
            peak_kib(worker, true)?;
            let (took, _) = self.report("sign_in").await?;
            found.many.push(took);
            found.peak_many = found.peak_many.max(peak_kib(worker, false)? / 1_024.0);
            found.copied_many.push(self.copy("sign_in", tenant).await?);
        }
        let report = last.ok_or("no report was made")?;
        let bundle = self.fetch(&report).await?;
        let mib = u32::try_from(fs::metadata(&bundle)?.len() / 1_048_576)?;
        found.bundle_mib = f64::from(mib);
        let policy = self.policy().await?;
        for _ in 0..ROUNDS {
            found.checked.push(self.check(&bundle, &policy)?);
        }
        Ok(found)
    }

    async fn owner(&self) -> Result<Owner, HarnessError> {
        sign_in(self.app, TENANTS.start + 1).await
    }

    /// Has a report made: seconds until it is there, and what is told of it.
    async fn report(&self, type_name: &str) -> Result<(f64, Value), HarnessError> {
        let token = self.owner().await?.token;
        forget();
        let input = json!({
            "kind": "CUSTOM", "stream": "IAM", "query": { "types": [type_name] },
            "since": "2026-07-01", "until": "2026-10-01", "zone": "UTC",
        });
        let began = Instant::now();
        let ask = "mutation ($i: RequestReportInput!) { requestReport(input: $i) { report { id } userErrors { message } } }";
        let asked = self.running.client.graphql(&token, ask, json!({ "i": input })).await?;
        let id = asked.data("requestReport")["report"]["id"].clone();
        let query = "query ($id: ID!) { report(id: $id) { state failure url rows isTimestamped } }";
        loop {
            let told = self.running.client.graphql(&token, query, json!({ "id": id })).await?;
            let report = told.data("report").clone();
            match report["state"].as_str() {
                Some("READY") if report["isTimestamped"] == true => {
                    return Ok((began.elapsed().as_secs_f64(), report));
                }
                Some("MAKING") => tokio::time::sleep(Duration::from_millis(10)).await,
                _ => return Err(format!("no report: {} {}", asked.body, told.body).into()),
            }
        }
    }

    /// Copies the same rows out of the database, as text: seconds.
    async fn copy(&self, type_name: &str, tenant: TenantId) -> Result<f64, HarnessError> {
        let pool = sqlx::PgPool::connect(self.installation.owner_url()).await?;
        forget();
        let began = Instant::now();
        let sql = format!(
            "COPY (SELECT index, event_id, occurred_at, actor_id, outcome, compliance_id, type, target_id, convert_from(leaf, 'UTF8')
                   FROM compliance.audit_leaves WHERE tenant_id = '{}' AND stream = 'iam' AND type = '{type_name}'
                     AND occurred_at >= '2026-07-01Z' AND occurred_at < '2026-10-01Z' ORDER BY index) TO STDOUT (FORMAT csv)",
            tenant.uuid()
        );
        let mut out = pool.copy_out_raw(&sql).await?;
        let mut bytes = 0;
        while let Some(piece) = out.try_next().await? {
            bytes += piece.len();
        }
        if bytes == 0 {
            return Err("nothing was copied".into());
        }
        Ok(began.elapsed().as_secs_f64())
    }

    async fn fetch(&self, report: &Value) -> Result<std::path::PathBuf, HarnessError> {
        let url = report["url"].as_str().ok_or("a report has no address")?;
        let path = url.find("/reports/").map(|at| &url[at..]).ok_or("a report has another address")?;
        let address = format!("{}{path}", self.running.client.base());
        let asked = reqwest::Client::builder()
            .timeout(Duration::from_mins(5))
            .build()?
            .get(address)
            .bearer_auth(self.owner().await?.token);
        let mut answer = asked.send().await?.error_for_status()?;
        let place = self.installation.dir.join("report.zip");
        let mut file = fs::File::create(&place)?;
        while let Some(piece) = answer.chunk().await? {
            std::io::Write::write_all(&mut file, &piece)?;
        }
        Ok(place)
    }

    async fn policy(&self) -> Result<std::path::PathBuf, HarnessError> {
        let query = "{ platformCheckpoint { policy } auditCheckpoint(stream: IAM) { verifierKeys }
            admin: auditCheckpoint(stream: ADMIN) { verifierKeys } }";
        let told = self.running.client.graphql(&self.owner().await?.token, query, json!({})).await?;
        let mut policy = told.data("platformCheckpoint")["policy"].as_str().unwrap_or_default().to_owned();
        for log in ["auditCheckpoint", "admin"] {
            for key in told.data(log)["verifierKeys"].as_array().into_iter().flatten() {
                policy = format!("log {}\n{policy}", key.as_str().unwrap_or_default());
            }
        }
        let place = self.installation.dir.join("policy");
        fs::write(&place, policy)?;
        Ok(place)
    }

    fn check(&self, bundle: &Path, policy: &Path) -> Result<f64, HarnessError> {
        forget();
        let began = Instant::now();
        let run = Command::new(program("matricula-verify")?)
            .args(["--allow-incomplete", "--require-timestamp", "--root"])
            .arg(self.authorities.file("root.pem"))
            .arg("--tsa-root")
            .arg(self.authorities.file("tsa-root.pem"))
            .arg("--policy")
            .arg(policy)
            .arg(bundle)
            .output()?;
        if run.status.success() {
            return Ok(began.elapsed().as_secs_f64());
        }
        Err(format!("a report does not verify: {}", String::from_utf8_lossy(&run.stdout)).into())
    }
}

/// The value that 95 of 100 do not exceed.
fn p95(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn told(found: &Found) -> (Vec<Table>, Vec<Goal>) {
    let head =
        &["work", "rows", "s, middle", "s, 95 of 100", "beside COPY", "most memory of the worker, MiB"];
    let mut table = Table::new("Reports out of a quarter of 5,000,000 events, nothing cached", head);
    let row = |name: &str, rows: &str, times: &[f64], beside: &[f64], peak: Option<f64>| {
        let ratio = median(times.to_vec()) / median(beside.to_vec());
        vec![
            name.to_owned(),
            rows.to_owned(),
            format!("{:.2}", median(times.to_vec())),
            format!("{:.2}", p95(times)),
            if beside.is_empty() { "-".to_owned() } else { format!("{ratio:.2} x") },
            peak.map_or_else(|| "-".to_owned(), |peak| format!("{peak:.0}")),
        ]
    };
    table.row(row(
        "a report: asked for, signed, stamped, there",
        "100,000",
        &found.few,
        &found.copied,
        Some(found.peak_few),
    ));
    table.row(row("`COPY` of the same rows as CSV", "100,000", &found.copied, &[], None));
    table.row(row("a report", "1,000,000", &found.many, &found.copied_many, Some(found.peak_many)));
    table.row(row("`COPY` of the same rows as CSV", "1,000,000", &found.copied_many, &[], None));
    table.row(row("`matricula-verify` of the first", "100,000", &found.checked, &[], None));
    let cold = if found.is_cold { "forgotten before each" } else { "NOT forgotten: it may not be here" };
    table.note(format!(
        "What the machine had read was {cold}; Postgres' own 512 MiB stay. The bundle has {:.0} MiB. Files that lie ready were \
         made in {:.0} s, before.",
        found.bundle_mib, found.cut_s
    ));
    let goals = vec![
        Goal::at_most("a report of 100,000 rows, 95 of 100", "s", [4.2, 4.2], Rounds(vec![p95(&found.few)])),
        Goal::at_most("checking it", "s", [10.0, 10.0], Rounds(found.checked.clone())),
        Goal::at_most(
            "memory for 1,000,000 rows beside 100,000",
            "x",
            [1.2, 1.0],
            Rounds(vec![found.peak_many / found.peak_few]),
        ),
    ];
    (vec![table], goals)
}
