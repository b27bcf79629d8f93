//! What an auditor does: asks for a report, takes it away, and checks it with the verifier alone.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use chrono::SecondsFormat;
use domain::{
    compliance::compose,
    identity::actions::{CHANGE_PASSWORD, SIGN_IN},
    kernel::{
        actor::Role,
        clock::Clock as _,
        ids::{EventId, IdSource as _},
        outbox::{Party, Record, Stream},
        scope::TenantScope,
    },
};
use harness::{
    app::{PASSWORD, TestApp, TestMember, TestTenant},
    authority::Authorities,
    client::Answer,
    logs::LongLog,
    process::program,
};
use infra::system::System;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::serve::{Duties, Queue};
use sqlx::PgConnection;

const REPORT: &str =
    "id kind stream state failure queryText complianceId url sizeBytes sha256 first end rows isTimestamped";

/// A service that signs reports and has them stamped, and where an auditor keeps things.
pub(super) struct Desk {
    pub(super) app: TestApp,
    pub(super) authorities: Authorities,
    pub(super) tenant: TestTenant,
    pub(super) auditor: TestMember,
    pub(super) folder: PathBuf,
    makes_reports: bool,
}

impl Desk {
    pub(super) async fn open(more: &[(&str, &str)], duties: &Duties) -> Self {
        let unique = infra::system::System.next_uuid().simple().to_string();
        let folder = std::env::temp_dir().join(format!("matricula-auditor-{unique}"));
        std::fs::create_dir_all(&folder).unwrap();
        let authorities = Authorities::start(folder.join("authorities")).await.unwrap();
        let settings = authorities.settings();
        let mut all: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.push(("MATRICULA_NOTARY_INTERVAL_MS", "100"));
        all.extend_from_slice(more);
        let app = TestApp::start_for(&all, duties).await.unwrap();
        let tenant = app.tenant().await.unwrap();
        let auditor = app.member(&tenant, Role::Auditor).await.unwrap();
        let makes_reports = duties.queues.contains(&Queue::Reports);
        Self { app, authorities, tenant, auditor, folder, makes_reports }
    }

    pub(super) async fn ask(&self, token: &str, input: Value) -> Answer {
        let mutation = format!(
            "mutation ($i: RequestReportInput!) {{ requestReport(input: $i) {{ report {{ {REPORT} }}
                userErrors {{ code message field }} complianceId }} }}"
        );
        self.app.client.graphql(token, &mutation, json!({ "i": input })).await.unwrap()
    }

    pub(super) async fn request(&self, input: Value) -> Value {
        let asked = self.ask(&self.auditor.token, input).await;
        let report = asked.data("requestReport")["report"].clone();
        // Whoever makes reports here may be done with it before the answer is read.
        let is_ready = self.makes_reports && report["state"] == "READY";
        assert!(report["state"] == "MAKING" || is_ready, "{}", asked.body);
        assert_eq!(report["complianceId"], asked.data("requestReport")["complianceId"]);
        report
    }

    pub(super) async fn report(&self, id: &Value) -> Value {
        let query = format!("query ($id: ID!) {{ report(id: $id) {{ {REPORT} }} }}");
        let answer = self.app.client.graphql(&self.auditor.token, &query, json!({ "id": id })).await.unwrap();
        answer.data("report").clone()
    }

    /// The report, once it has ended.
    pub(super) async fn ended(&self, id: &Value) -> Value {
        let query = format!("query ($id: ID!) {{ report(id: $id) {{ {REPORT} }} }}");
        let ended =
            self.app.client.graphql_until(&self.auditor.token, &query, json!({ "id": id }), |answer| {
                answer.data("report")["state"] != "MAKING"
            });
        ended.await.unwrap().data("report").clone()
    }

    pub(super) async fn fetch(&self, token: &str, url: &Value) -> (StatusCode, Vec<u8>) {
        let path = url.as_str().unwrap();
        let answer = http().get(path).bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    }

    /// Fetches a report that is there into a file.
    pub(super) async fn take(&self, report: &Value) -> PathBuf {
        assert_eq!(report["state"], "READY", "{report}");
        let (status, bytes) = self.fetch(&self.auditor.token, &report["url"]).await;
        assert_eq!(
            (status, bytes.len().to_string()),
            (StatusCode::OK, report["sizeBytes"].as_str().unwrap().to_owned())
        );
        let path = self.folder.join("report.zip");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The newest checkpoint of a log, as the auditor keeps it: its size, and the option that names it.
    pub(super) async fn keep(&self, stream: &str) -> (Value, String) {
        let query = "query ($s: AuditStream!) { auditCheckpoint(stream: $s) { size note } }";
        let answer =
            self.app.client.graphql(&self.auditor.token, query, json!({ "s": stream })).await.unwrap();
        let kept = answer.data("auditCheckpoint");
        let path = self.folder.join("kept");
        std::fs::write(&path, kept["note"].as_str().unwrap()).unwrap();
        (kept["size"].clone(), format!("{}@{}", path.display(), now()))
    }

    /// The policy an auditor was given: the platform's log, and the tenant's.
    pub(super) async fn policy(&self) -> PathBuf {
        self.policy_of(&["iam", "admin", "access"]).await
    }

    /// The same of these logs, which have begun.
    pub(super) async fn policy_of(&self, logs: &[&str]) -> PathBuf {
        let of = |log: &&str| {
            format!("{log}: auditCheckpoint(stream: {}) {{ verifierKeys }} ", log.to_ascii_uppercase())
        };
        let query =
            format!("{{ platformCheckpoint {{ policy }} {} }}", logs.iter().map(of).collect::<String>());
        let query = query.as_str();
        let told = |answer: &Answer| !answer.data("platformCheckpoint").is_null();
        let answer =
            self.app.client.graphql_until(&self.auditor.token, query, json!({}), told).await.unwrap();
        let mut policy = answer.data("platformCheckpoint")["policy"].as_str().unwrap().to_owned();
        for log in logs {
            for key in answer.data(log)["verifierKeys"].as_array().unwrap() {
                policy = format!("log {}\n{policy}", key.as_str().unwrap());
            }
        }
        let path = self.folder.join("policy");
        std::fs::write(&path, policy).unwrap();
        path
    }

    /// Runs the verifier: its exit code, and what it said.
    pub(super) async fn verify(&self, bundle: &Path, options: &[&str]) -> (i32, String) {
        let policy = self.policy().await;
        self.verify_by(bundle, &policy, options)
    }

    /// The same by a policy that is there.
    pub(super) fn verify_by(&self, bundle: &Path, policy: &Path, options: &[&str]) -> (i32, String) {
        let run = Command::new(program("matricula-verify").unwrap())
            .arg("--root")
            .arg(self.authorities.file("root.pem"))
            .arg("--tsa-root")
            .arg(self.authorities.file("tsa-root.pem"))
            .arg("--policy")
            .arg(policy)
            .args(options)
            .arg(bundle)
            .output()
            .unwrap();
        let said = [run.stdout, run.stderr].concat();
        (run.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Files of the store in which bundles are, whole or half written.
    pub(super) fn pieces(&self) -> Vec<PathBuf> {
        let (mut folders, mut files) = (vec![self.app.content_folder().join("reports")], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    pub(super) async fn types_in(&self, stream: &str) -> Vec<String> {
        self.app.settle().await.unwrap();
        let query =
            "query ($s: AuditStream!) { auditEvents(filter: { stream: $s }, last: 100) { nodes { type } } }";
        let answer =
            self.app.client.graphql(&self.auditor.token, query, json!({ "s": stream })).await.unwrap();
        let nodes = answer.data("auditEvents")["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["type"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) async fn close(self) {
        self.app.stop().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(harness::client::PATIENCE).build().unwrap()
}

pub(super) fn now() -> String {
    infra::system::System.now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn errors(answer: &Answer, field: &str) -> Vec<String> {
    let told =
        answer.data(field)["userErrors"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    told.iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_asked_for_followed_fetched_and_checked_without_us() {
    let desk = Desk::open(&[], &Duties::all()).await;
    for wrong in [PASSWORD, "not the password", PASSWORD] {
        let body = json!({ "tenant": desk.tenant.slug, "email": desk.tenant.owner.email, "password": wrong });
        let door = format!("{}/auth/sign-in", desk.app.client.base());
        http().post(door).json(&body).send().await.unwrap();
    }
    desk.app.settle().await.unwrap();
    let until = now();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    // Signed after the period, and kept: that is what shows the auditor that nothing was left out.
    desk.app.sign_in(&desk.tenant.slug, &desk.tenant.owner.email).await.unwrap();
    desk.app.settle().await.unwrap();
    let (size, head) = desk.keep("IAM").await;

    let asked = json!({ "kind": "SIGN_INS", "since": "2026-01-01", "until": until, "zone": "Asia/Shanghai", "keptSizes": [size] });
    let report = desk.request(asked).await;
    let mut socket = desk.app.client.socket(&desk.auditor.token).await.unwrap();
    let follow = format!(
        "subscription {{ reportProgress(id: {}) {{ reportId state donePermille failure }} }}",
        report["id"]
    );
    socket.subscribe("report", &follow).await.unwrap();
    let last = loop {
        let told = socket.receive("next").await.unwrap()["payload"]["data"]["reportProgress"].clone();
        assert_eq!(told["reportId"], report["id"], "{told}");
        if told["state"] != "MAKING" {
            break told;
        }
    };
    assert_eq!((&last["state"], &last["donePermille"]), (&json!("READY"), &json!(1_000)), "{last}");
    let report = desk.report(&report["id"]).await;
    assert_eq!((&report["isTimestamped"], &report["first"]), (&json!(true), &json!("0")), "{report}");
    let bundle = desk.take(&report).await;

    let tenant = desk.tenant.id.uuid().to_string();
    let demands = [
        "--tenant",
        &tenant,
        "--stream",
        "iam",
        "--kind",
        "sign_ins",
        "--require-timestamp",
        "--signer",
        "CN=signer,O=Example",
        "--lateness",
        "0",
        "--until",
        &until,
        "--since",
        "2025-12-31T16:00:00.000000Z",
        "--head",
        &head,
    ];
    let (code, said) = desk.verify(&bundle, &demands).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = desk.verify(&bundle, &["--lateness", "0"]).await;
    assert_eq!(code, 4, "nobody else has seen the log, and no head was kept: {said}");

    // The rows are the sign-ins of the period, and no others.
    let csv = unzip(&bundle, "report.csv", &desk.folder);
    let types: Vec<_> = csv.lines().skip(1).map(|line| line.split(',').nth(10).unwrap().to_owned()).collect();
    assert_eq!(types.len().to_string(), report["rows"].as_str().unwrap());
    let logged = desk.types_in("IAM").await;
    let all = logged.iter().filter(|name| *name == "sign_in").count();
    assert_eq!(types, vec!["sign_in"; all - 1], "all but the one after the period");
    assert!(csv.contains(",refused,"), "{csv}");

    tampered(&desk, &bundle).await;
    let exports = desk.types_in("ADMIN").await;
    let of_reports: Vec<_> = exports.iter().filter(|name| name.ends_with("_report")).collect();
    assert_eq!(of_reports, ["request_report", "make_report", "download_report"]);
    desk.close().await;
}

/// A file of a bundle, by stock tools.
pub(super) fn unzip(bundle: &Path, name: &str, folder: &Path) -> String {
    let python =
        "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";
    let run = Command::new("python3")
        .args(["-c", python])
        .arg(bundle)
        .arg(name)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// One byte that is another, anywhere, is refused at a step that has a name.
async fn tampered(desk: &Desk, bundle: &Path) {
    let bytes = std::fs::read(bundle).unwrap();
    let path = desk.folder.join("tampered.zip");
    let (mut at, mut refused) = (60, 0);
    while at < bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        std::fs::write(&path, other).unwrap();
        let (code, said) = desk.verify(&path, &["--allow-incomplete"]).await;
        assert!(code >= 10 && said.contains("NOT VERIFIED"), "byte {at}: {code} {said}");
        at += bytes.len() / 12;
        refused += 1;
    }
    assert!(refused > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_the_auditors_and_nobody_elses() {
    let desk = Desk::open(&[], &Duties::all()).await;
    let everything = json!({ "kind": "CUSTOM", "stream": "ADMIN", "query": { "any": [
        { "types": ["request_report", "invite_member"] }, { "not": { "outcomes": ["SUCCESS"] } },
        { "all": [{ "actor": { "kind": "member" } }, { "field": { "path": ["v"], "number": 1 } }] },
    ] } });
    let other = desk.request(json!({ "kind": "SIGN_INS" })).await;
    desk.ended(&other["id"]).await;
    let report = desk.request(everything.clone()).await;
    let report = desk.ended(&report["id"]).await;
    let bundle = desk.take(&report).await;
    let (code, said) = desk.verify(&bundle, &["--allow-incomplete", "--kind", "custom"]).await;
    assert_eq!(code, 0, "{said}");
    // Whoever asks of members has theirs, and requests as well, but nothing else that the system did.
    let csv = unzip(&bundle, "report.csv", &desk.folder);
    let rows: Vec<Vec<_>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row[3].starts_with("member:") || row[10] == "request_report"), "{csv}");
    assert!(rows.iter().any(|row| row[10] == "request_report"), "{csv}");

    // A download that broke off goes on, if the report is still the one that it was.
    let whole = std::fs::read(&bundle).unwrap();
    let part = async |method: reqwest::Method, range: &str, of: &str| {
        let request =
            http().request(method, report["url"].as_str().unwrap()).bearer_auth(&desk.auditor.token);
        let answer = request.header("range", range).header("if-range", of).send().await.unwrap();
        let told =
            |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (length, content_range) = (told("content-length"), told("content-range"));
        (answer.status().as_u16(), length, content_range, answer.bytes().await.unwrap().to_vec())
    };
    let asked = http().head(report["url"].as_str().unwrap()).bearer_auth(&desk.auditor.token);
    let told = asked.send().await.unwrap();
    let tag = told.headers()["etag"].to_str().unwrap().to_owned();
    let size = whole.len();
    let rest = part(reqwest::Method::GET, "bytes=1000-", &tag).await;
    assert_eq!(
        rest,
        (206, (size - 1_000).to_string(), format!("bytes 1000-{}/{size}", size - 1), whole[1_000..].to_vec())
    );
    let some = part(reqwest::Method::GET, "bytes=5-9", &tag).await;
    assert_eq!((some.0, some.3), (206, whole[5..10].to_vec()));
    assert_eq!(part(reqwest::Method::GET, "bytes=1000-", "\"another\"").await.3, whole);
    let beyond = part(reqwest::Method::GET, &format!("bytes={size}-"), &tag).await;
    assert_eq!((beyond.0, beyond.2), (416, format!("bytes */{size}")));
    let head = part(reqwest::Method::HEAD, "bytes=0-", &tag).await;
    assert_eq!((head.0, head.1, head.3.len()), (200, size.to_string(), 0));

    let (operator, other) =
        (desk.app.member(&desk.tenant, Role::Operator).await.unwrap(), desk.app.tenant().await.unwrap());
    let refused = desk.ask(&operator.token, everything).await;
    assert_eq!(refused.body["errors"][0]["extensions"]["code"], "FORBIDDEN", "{}", refused.body);
    for (token, status) in [
        (operator.token.as_str(), StatusCode::FORBIDDEN),
        (other.owner.token.as_str(), StatusCode::NOT_FOUND),
        ("nobody", StatusCode::UNAUTHORIZED),
    ] {
        let (found, body) = desk.fetch(token, &report["url"]).await;
        assert_eq!(found, status, "{}", String::from_utf8_lossy(&body));
    }
    let guessed = format!("{}/reports/{}", desk.app.client.base(), uuid::Uuid::from_u128(7).simple());
    assert_eq!(desk.fetch(&desk.auditor.token, &json!(guessed)).await.0, StatusCode::NOT_FOUND);
    let query = "query ($id: ID!) { report(id: $id) { id } reports(first: 5) { nodes { id } } }";
    let foreign =
        desk.app.client.graphql(&other.owner.token, query, json!({ "id": report["id"] })).await.unwrap();
    assert!(
        foreign.data("report").is_null() && foreign.data("reports")["nodes"] == json!([]),
        "{}",
        foreign.body
    );

    for (input, field) in [
        (json!({ "kind": "SIGN_INS", "since": "soon" }), "since"),
        (json!({ "kind": "SIGN_INS", "since": "2026-10-01", "until": "2026-07-01" }), "until"),
        (json!({ "kind": "SIGN_INS", "zone": "Nowhere" }), "zone"),
        (json!({ "kind": "SIGN_INS", "since": "2999-01-01" }), "since"),
        (json!({ "kind": "SIGN_INS", "keptSizes": ["0", "1000000"] }), "keptSizes"),
        (json!({ "kind": "SIGN_INS", "keptSizes": ["18446744073709551615"] }), "keptSizes"),
        (json!({ "kind": "CUSTOM", "stream": "IAM", "query": { "types": ["a\u{0}b"] } }), "query"),
        (json!({ "kind": "SIGN_INS", "stream": "IAM" }), "stream"),
        (json!({ "kind": "DATA_ACCESS" }), "memberId"),
        (json!({ "kind": "CUSTOM", "stream": "IAM" }), "query"),
        (json!({ "kind": "SIGN_INS", "keptSizes": ["many"] }), "keptSizes"),
        (json!({ "kind": "CUSTOM", "stream": "IAM", "query": { "types": ["x".repeat(300)] } }), "query"),
    ] {
        let answer = desk.ask(&desk.auditor.token, input.clone()).await;
        let error = &answer.data("requestReport")["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"][1]),
            (&json!("INVALID"), &json!(field)),
            "{input}: {}",
            answer.body
        );
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_bounded_given_up_and_thrown_away_in_time() {
    let desk = Desk::open(
        &[("MATRICULA_REPORTS_AUTHORITY", "http://127.0.0.1:9")],
        &Duties::all_but(Queue::Reports),
    )
    .await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(desk.request(json!({ "kind": "SIGN_INS" })).await["id"].clone());
    }
    let more = desk.ask(&desk.auditor.token, json!({ "kind": "SIGN_INS" })).await;
    assert_eq!(errors(&more, "requestReport"), ["REPORTS_FULL"], "{}", more.body);
    let cancel =
        "mutation ($id: ID!) { cancelReport(input: { id: $id }) { report { state } userErrors { code } } }";
    for (id, expected) in [(&ids[0], vec![]), (&ids[0], vec!["REPORT_ENDED"])] {
        let answer = desk.app.client.graphql(&desk.auditor.token, cancel, json!({ "id": id })).await.unwrap();
        assert_eq!(errors(&answer, "cancelReport"), expected, "{}", answer.body);
    }
    assert_eq!(desk.report(&ids[0]).await["state"], "CANCELLED");
    for id in &ids[2..] {
        let answer = desk.app.client.graphql(&desk.auditor.token, cancel, json!({ "id": id })).await.unwrap();
        assert_eq!(errors(&answer, "cancelReport"), Vec::<String>::new(), "{}", answer.body);
    }

    // An authority that is away costs the timestamp, and not the report.
    let worker = desk.app.process(&["work", "--queue", "reports"]).unwrap();
    let report = desk.ended(&ids[1]).await;
    assert_eq!((&report["state"], &report["isTimestamped"]), (&json!("READY"), &json!(false)), "{report}");
    let bundle = desk.take(&report).await;
    assert_eq!(desk.verify(&bundle, &["--allow-incomplete"]).await.0, 0);
    let (code, said) = desk.verify(&bundle, &["--allow-incomplete", "--require-timestamp"]).await;
    assert!(code >= 10 && said.contains("timestamp"), "{said}");

    let mut database = desk.app.superuser_connection().await.unwrap();
    for sql in [
        "UPDATE compliance.reports SET expires_at = now() WHERE state = 'ready'",
        "UPDATE compliance.report_schedule SET due_at = now()",
    ] {
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    let query = format!("query ($id: ID!) {{ report(id: $id) {{ {REPORT} }} }}");
    let gone =
        desk.app.client.graphql_until(&desk.auditor.token, &query, json!({ "id": ids[1] }), |answer| {
            answer.data("report")["state"] == "EXPIRED"
        });
    let gone = gone.await.unwrap();
    assert!(gone.data("report")["url"].is_null() && !gone.data("report")["rows"].is_null(), "{}", gone.body);
    assert_eq!(desk.fetch(&desk.auditor.token, &report["url"]).await.0, StatusCode::NOT_FOUND);
    let begun = tokio::time::Instant::now();
    while !desk.pieces().is_empty() {
        assert!(begun.elapsed() < harness::client::PATIENCE, "{:?}", desk.pieces());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    worker.kill9().await.unwrap();
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_begins_before_its_period_and_reaches_over_what_was_kept() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    desk.app.settle().await.unwrap();
    // Logged an hour ago, and notarised then.
    let (early, _) = desk.keep("IAM").await;
    let kept = desk.folder.join("early");
    std::fs::rename(desk.folder.join("kept"), &kept).unwrap();
    let query = "query ($s: String) { platformInclusion(stream: IAM, size: $s) { index } }";
    let is_there = |answer: &Answer| !answer.data("platformInclusion").is_null();
    desk.app.client.graphql_until(&desk.auditor.token, query, json!({ "s": early }), is_there).await.unwrap();
    let mut database = desk.app.superuser_connection().await.unwrap();
    for sql in [
        "UPDATE compliance.audit_heads SET signed_at = signed_at - interval '1 hour'",
        "UPDATE compliance.platform_heads SET made_at = made_at - interval '1 hour'",
    ] {
        sqlx::query(sql).execute(&mut database).await.unwrap();
    }
    let clock = infra::system::System.now();
    let spelled = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let since = spelled(clock - chrono::TimeDelta::minutes(30));
    let early_at = spelled(clock - chrono::TimeDelta::minutes(50));
    for _ in 0..3 {
        desk.app.sign_in(&desk.tenant.slug, &desk.tenant.owner.email).await.unwrap();
    }
    desk.app.settle().await.unwrap();
    let until = now();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let (late, late_head) = desk.keep("IAM").await;

    let asked = json!({ "kind": "SIGN_INS", "since": since, "until": until, "keptSizes": [early, late] });
    let report = desk.ended(&desk.request(asked).await["id"]).await;
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&report["first"]) > 0 && number(&report["first"]) <= number(&early), "{report}");
    assert!(number(&report["end"]) >= number(&late), "{report}");
    assert_eq!(report["rows"], "3", "{report}");
    let bundle = desk.take(&report).await;
    let early_head = format!("{}@{early_at}", kept.display());
    let heads = ["--lateness", "0", "--head", &early_head, "--head", &late_head];
    let (code, said) = desk.verify(&bundle, &heads).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = desk.verify(&bundle, &heads[..2]).await;
    assert!(code == 4 && said.contains("begins before the period"), "{said}");
    // From the log's beginning, where nobody has kept anything of before.
    let asked = json!({ "kind": "SIGN_INS", "since": since, "until": until, "keptSizes": ["0"] });
    let report = desk.ended(&desk.request(asked).await["id"]).await;
    assert_eq!(report["first"], "0", "{report}");
    assert!(number(&report["rows"]) > 3, "what happened before the moved head as well: {report}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_is_gone_is_told_and_makes_no_report() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.app.settle().await.unwrap();
    let mut database = desk.app.superuser_connection().await.unwrap();
    let sql = "DELETE FROM compliance.audit_leaves WHERE stream = 'iam' AND index = 1 AND tenant_id = $1";
    sqlx::query(sql).bind(desk.tenant.id.uuid()).execute(&mut database).await.unwrap();
    let report = desk.ended(&desk.request(json!({ "kind": "SIGN_INS" })).await["id"]).await;
    assert_eq!((&report["state"], &report["failure"]), (&json!("FAILED"), &json!("LOG_BROKEN")), "{report}");
    assert!(desk.pieces().is_empty());
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_a_leaf_that_was_edited_makes_no_report_however_much_is_edited_with_it() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.app.settle().await.unwrap();
    let mut database = desk.app.superuser_connection().await.unwrap();
    for (sql, what) in [
        (
            r#"UPDATE compliance.audit_leaves SET outcome = 'refused', leaf = convert_to(
                 replace(convert_from(leaf, 'UTF8'), '"outcome":"success"', '"outcome":"refused"'), 'UTF8')
               WHERE stream = 'iam' AND index = 0 AND tenant_id = $1 AND outcome = 'success'"#,
            "the leaf",
        ),
        (
            r"UPDATE compliance.audit_leaves SET leaf_hash = sha256('\x00'::bytea || leaf)
              WHERE stream = 'iam' AND index = 0 AND tenant_id = $1",
            "its hash",
        ),
        (
            "UPDATE compliance.audit_tiles AS t SET hashes = overlay(t.hashes PLACING l.leaf_hash FROM 1 FOR 32)
             FROM compliance.audit_leaves AS l WHERE l.tenant_id = $1 AND l.stream = 'iam' AND l.index = 0
                 AND t.tenant_id = $1 AND t.stream = 'iam' AND t.level = 0 AND t.index = 0",
            "its tile",
        ),
    ] {
        let edited = sqlx::query(sql).bind(desk.tenant.id.uuid()).execute(&mut database).await.unwrap();
        assert!(edited.rows_affected() > 0, "{what}");
        let report = desk.ended(&desk.request(json!({ "kind": "SIGN_INS" })).await["id"]).await;
        let broken = (&json!("FAILED"), &json!("LOG_BROKEN"));
        assert_eq!((&report["state"], &report["failure"]), broken, "{what}: {report}");
        assert!(desk.pieces().is_empty(), "{what}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_half_way_is_followed_by_one_that_makes_the_report_once() {
    let desk = Desk::open(&[], &Duties::all_but(Queue::Reports)).await;
    let mut database = desk.app.superuser_connection().await.unwrap();
    let mut held = desk.app.superuser_connection().await.unwrap();
    // A platform's head of the time of asking is there, so that whoever claims it begins to read.
    desk.policy().await;
    sqlx::query("BEGIN").execute(&mut held).await.unwrap();
    let report = desk.request(json!({ "kind": "SIGN_INS", "until": "2026-01-01" })).await;
    sqlx::query("LOCK TABLE compliance.audit_leaves IN ACCESS EXCLUSIVE MODE")
        .execute(&mut held)
        .await
        .unwrap();
    let worker = desk.app.process(&["work", "--queue", "reports"]).unwrap();
    until_begun(&mut database).await;
    worker.kill9().await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut held).await.unwrap();
    // As if a minute had passed, in which nothing was heard of it.
    let silent = "UPDATE compliance.report_schedule SET due_at = now(), leased_until = '-infinity'";
    sqlx::query(silent).execute(&mut database).await.unwrap();
    let next = desk.app.process(&["work", "--queue", "reports"]).unwrap();
    let report = desk.ended(&report["id"]).await;
    let bundle = desk.take(&report).await;
    assert_eq!(desk.verify(&bundle, &["--allow-incomplete"]).await.0, 0);
    next.kill9().await.unwrap();
    let made = desk.types_in("ADMIN").await.iter().filter(|name| *name == "make_report").count();
    assert_eq!(made, 1);
    assert_eq!(desk.pieces().len(), 1, "what the first one kept is gone");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_events_commit_to_is_shown_to_who_asks_and_proven() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    let analyst = desk.app.member(&desk.tenant, Role::Analyst).await.unwrap();
    let change = "mutation ($id: ID!) { changeMemberRole(input: { id: $id, role: OPERATOR }) { userErrors { code } } }";
    let changed =
        desk.app.client.graphql(&desk.tenant.owner.token, change, json!({ "id": analyst.id })).await;
    assert_eq!(errors(&changed.unwrap(), "changeMemberRole"), Vec::<String>::new());
    desk.app.settle().await.unwrap();
    let csv = |bundle: &Path| unzip(bundle, "report.csv", &desk.folder);
    let shown = desk.request(json!({ "kind": "ROLE_CHANGES", "disclose": ["PREV_STATE", "DIFF"] })).await;
    let shown = desk.take(&desk.ended(&shown["id"]).await).await;
    let (code, said) = desk.verify(&shown, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    let rows = csv(&shown);
    let row = rows.lines().find(|line| line.contains("change_member_role")).unwrap();
    for part in [r#"""before"":{""role"":""analyst""}"#, r#"""after"":{""role"":""operator""}"#] {
        assert!(row.contains(part), "{row}");
    }
    assert!(!rows.contains(&analyst.email) && !rows.contains("[withheld]"), "{rows}");
    // Who does not ask is not told, and the proof is the same.
    let withheld = desk.request(json!({ "kind": "ROLE_CHANGES" })).await;
    let withheld = desk.take(&desk.ended(&withheld["id"]).await).await;
    assert_eq!(desk.verify(&withheld, &["--allow-incomplete"]).await.0, 0);
    let rows = csv(&withheld);
    assert!(rows.contains("[withheld],[withheld]") && !rows.contains("analyst"), "{rows}");
    desk.close().await;
}

/// Waits until somebody makes the one report that is to be made.
pub(super) async fn until_begun(database: &mut PgConnection) {
    let begun = tokio::time::Instant::now();
    let attempts = "SELECT attempts FROM compliance.reports WHERE state = 'making'";
    while sqlx::query_scalar::<_, i32>(attempts).fetch_one(&mut *database).await.unwrap() == 0 {
        assert!(begun.elapsed() < harness::client::PATIENCE, "nobody begins it");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Events that only time makes, every hundredth of them a sign-in.
pub(super) async fn many_events(desk: &Desk, count: usize) {
    desk.app.settle().await.unwrap();
    let mut database = desk.app.superuser_connection().await.unwrap();
    let vault = desk.app.service.parts.app.vault.clone();
    let of = (desk.tenant.id, Stream::Iam);
    let mut log = LongLog::open(&mut database, desk.app.app_url(), vault, of).await.unwrap();
    let origin = desk.app.origin("tests");
    let scope = TenantScope::of(desk.tenant.id);
    let events: Vec<_> = (0..count)
        .map(|number| {
            let action = if number.is_multiple_of(100) { SIGN_IN } else { CHANGE_PASSWORD };
            let record = Record::success(action, Party::new("member", desk.tenant.id.uuid()));
            compose(scope, &origin, &record, EventId::new(&System), System.now())
        })
        .collect();
    log.grow(&mut database, &events).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn most_of_a_large_report_lies_ready_and_what_is_spoilt_of_that_is_made_anew() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    many_events(&desk, 70_000).await;
    let begun = tokio::time::Instant::now();
    while desk.app.figure("matricula_segments_cut_total").await.unwrap() < 1 {
        assert!(
            begun.elapsed() < harness::client::PATIENCE,
            "a file is made as soon as there are leaves for it"
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let until = now();
    let report = async || {
        let asked = desk.request(json!({ "kind": "SIGN_INS", "until": until })).await;
        let report = desk.ended(&asked["id"]).await;
        let bundle = desk.take(&report).await;
        let (code, said) = desk.verify(&bundle, &["--allow-incomplete"]).await;
        assert_eq!(code, 0, "{said}");
        (report, unzip(&bundle, "report.csv", &desk.folder))
    };
    let folder = desk.app.content_folder().join("segments");
    let lies_there = |end: &str| {
        let find =
            Command::new("find").arg(&folder).args(["-type", "f", "-name"]).arg(format!("*{end}")).output();
        let found = String::from_utf8(find.unwrap().stdout).unwrap();
        PathBuf::from(found.lines().next().unwrap_or_else(|| panic!("no {end}")))
    };
    let (file, types) = (lies_there(".jsonl.gz"), lies_there(".types"));
    let (made, rows) = report().await;
    assert!(made["sha256"].is_null(), "most of it was not read: {made}");
    assert!(rows.lines().count() > 700, "{}", rows.lines().count());
    // Parts of a bundle are read across what it is made of.
    let url = made["url"].as_str().unwrap();
    let whole = std::fs::read(desk.folder.join("report.zip")).unwrap();
    for (from, to) in
        [(0, 99), (20, 70_000), (whole.len() / 2, whole.len() / 2), (whole.len() - 30, whole.len() - 1)]
    {
        let asked =
            http().get(url).bearer_auth(&desk.auditor.token).header("range", format!("bytes={from}-{to}"));
        let part = asked.send().await.unwrap().bytes().await.unwrap();
        assert!(part[..] == whole[from..=to], "{from} to {to}");
    }
    // What is spoilt is not believed: leaves are read where they are kept.
    let good = std::fs::read(&types).unwrap();
    for spoilt in [vec![0; good.len()], good[..good.len() / 2].to_vec()] {
        std::fs::write(&types, &spoilt).unwrap();
        let (again, same) = report().await;
        let is_mended = again["sha256"].is_null();
        assert!(
            same.lines().count() == rows.lines().count() && (is_mended || again["sha256"].is_string()),
            "{again}"
        );
    }
    std::fs::remove_file(&file).unwrap();
    let (_, same) = report().await;
    assert_eq!(same.lines().count(), rows.lines().count());
    // And it is made anew, the same byte for byte.
    let begun = tokio::time::Instant::now();
    while !file.exists() || std::fs::read(&types).unwrap() != good {
        assert!(begun.elapsed() < harness::client::PATIENCE, "it is mended");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_no_reports_are_asked_for() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mutation = "mutation { requestReport(input: { kind: SIGN_INS }) { userErrors { code message } } }";
    let refused = app.client.graphql(&tenant.owner.token, mutation, json!({})).await.unwrap();
    assert_eq!(errors(&refused, "requestReport"), ["REPORTS_NOT_SET_UP"], "{}", refused.body);
    app.stop().await.unwrap();
}
