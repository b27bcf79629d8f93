//! From where to where a report reaches: over all that happened in its period, also when the log was away, clocks were wrong or
//! keys were changed.

use std::time::Duration;

use domain::{compliance::log::note::VerifierKey, kernel::actor::Role};
use harness::client::PATIENCE;
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::{
    keys::KeysTask,
    serve::{Duties, Queue},
};
use sqlx::PgConnection;

use crate::{
    auditors::{Desk, many_events, now, until_begun, unzip},
    sequencing::by_hand,
};

/// What the verifier exits with when heads are refused.
const HEADS: i32 = 17;

async fn sql(database: &mut PgConnection, statement: &'static str) -> u64 {
    sqlx::query(statement).execute(database).await.unwrap().rows_affected()
}

impl Desk {
    async fn signs_in(&self, times: usize) {
        for _ in 0..times {
            self.app.sign_in(&self.tenant.slug, &self.tenant.owner.email).await.unwrap();
        }
    }

    /// How many rows a report on sign-ins until then has.
    async fn sign_ins_until(&self, until: &str) -> Value {
        self.ended(&self.request(json!({ "kind": "SIGN_INS", "until": until })).await["id"]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_what_a_log_that_was_away_caught_up_on_is_in_the_report() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    for _ in 0..4 {
        desk.signs_in(1).await;
        desk.app.settle().await.unwrap();
    }
    let until = now();
    let before = desk.sign_ins_until(&until).await;
    // As if it had been away for ten minutes, and had then caught up head by head.
    let mut database = desk.app.superuser_connection().await.unwrap();
    let late = sql(
        &mut database,
        "UPDATE compliance.audit_heads SET signed_at = signed_at + interval '10 minutes' WHERE stream = 'iam'",
    )
    .await;
    assert!(late >= 4, "{late} heads");
    let report = desk.sign_ins_until(&until).await;
    assert_eq!((&report["state"], &report["rows"]), (&json!("READY"), &before["rows"]), "{report}");
    assert_eq!(report["end"], before["end"], "{report}");
    let bundle = desk.take(&report).await;
    let (code, said) = desk.verify(&bundle, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_while_events_of_the_period_wait_there_is_no_report_without_them() {
    let desk = Desk::open(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "100")], &Duties::all()).await;
    desk.policy().await;
    desk.signs_in(1).await;
    desk.app.settle().await.unwrap();
    let before = desk.sign_ins_until(&now()).await;
    let number = |report: &Value| report["rows"].as_str().unwrap().parse::<u64>().unwrap();
    let paused = by_hand(&desk.app).await;
    desk.signs_in(3).await;
    let until = now();
    let report = desk.request(json!({ "kind": "SIGN_INS", "until": until })).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        desk.report(&report["id"]).await["state"],
        "MAKING",
        "it waits longer than for a log that is idle"
    );
    // As if both had happened five minutes ago.
    let given_up = desk.request(json!({ "kind": "SIGN_INS", "until": until })).await;
    let mut database = desk.app.superuser_connection().await.unwrap();
    sql(
        &mut database,
        "UPDATE compliance.audit_outbox SET occurred_at = occurred_at - interval '400 seconds'",
    )
    .await;
    let aged = "UPDATE compliance.reports SET requested_at = now() - interval '301 seconds'
                WHERE id = (SELECT id FROM compliance.reports ORDER BY id DESC LIMIT 1)";
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let ended = loop {
        sql(&mut database, aged).await;
        let report = desk.report(&given_up["id"]).await;
        if report["state"] != "MAKING" {
            break report;
        }
        assert!(tokio::time::Instant::now() < deadline, "{report}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!((&ended["state"], &ended["failure"]), (&json!("FAILED"), &json!("LOG_BEHIND")), "{ended}");
    sql(
        &mut database,
        "UPDATE compliance.audit_outbox SET occurred_at = occurred_at + interval '400 seconds'",
    )
    .await;
    drop(paused);
    let report = desk.ended(&report["id"]).await;
    assert_eq!(report["state"], "READY", "{report}");
    assert_eq!(number(&report), number(&before) + 3, "{report}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_14_a_quarter_is_its_zones_and_one_without_rows_is_proven_too() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    desk.app.settle().await.unwrap();
    for (zone, since, until) in [
        ("Asia/Shanghai", "2026-06-30T16:00:00.000000Z", "2026-09-30T16:00:00.000000Z"),
        ("UTC", "2026-07-01T00:00:00.000000Z", "2026-10-01T00:00:00.000000Z"),
        ("America/New_York", "2026-07-01T04:00:00.000000Z", "2026-10-01T04:00:00.000000Z"),
    ] {
        let asked =
            json!({ "kind": "PASSWORD_RESETS", "since": "2026-07-01", "until": "2026-10-01", "zone": zone });
        let report = desk.ended(&desk.request(asked).await["id"]).await;
        assert_eq!(report["rows"], "0", "{report}");
        let bundle = desk.take(&report).await;
        let demands = ["--allow-incomplete", "--since", since, "--until", until];
        let (code, said) = desk.verify(&bundle, &demands).await;
        assert_eq!(code, 0, "{zone}: {said}");
        let other = ["--allow-incomplete", "--since", since, "--until", "2026-09-30T15:59:59.999999Z"];
        let (code, said) = desk.verify(&bundle, &other).await;
        assert!(code >= 10 && said.contains("period ends at another time"), "{zone}: {code} {said}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_24_a_report_over_a_retired_key_holds_and_one_of_another_origin_does_not() {
    let desk = Desk::open(&[], &Duties::all()).await;
    desk.policy().await;
    desk.signs_in(2).await;
    desk.app.settle().await.unwrap();
    let slug = desk.tenant.slug.as_str();
    desk.app.keys(KeysTask::Rotate(None), &[slug]).await.unwrap();
    desk.app.keys(KeysTask::Retire, &[slug]).await.unwrap();
    desk.signs_in(2).await;
    desk.app.settle().await.unwrap();
    let asked = json!({ "kind": "SIGN_INS", "disclose": ["DIFF"] });
    let report = desk.ended(&desk.request(asked).await["id"]).await;
    let bundle = desk.take(&report).await;
    let (code, said) = desk.verify(&bundle, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    let rows = unzip(&bundle, "report.csv", &desk.folder);
    assert!(rows.lines().count() > 4, "{rows}");
    // The same tree under another name is another log, however it is spelled.
    let policy = desk.policy().await;
    let told = std::fs::read_to_string(&policy).unwrap();
    for (name, other) in
        [("audit.matricula", "audit.Matricula"), ("audit.matricula", "audit.rnatricula"), ("/iam", "/iam/")]
    {
        // The same key, which signs a log of another name.
        let renamed = |line: &str| {
            let key = line.strip_prefix("log ").and_then(|key| VerifierKey::parse(key).ok());
            let key = key.filter(|key| key.name().ends_with("/iam"))?;
            let key = VerifierKey::new(&key.name().replace(name, other), key.kind(), key.public()).unwrap();
            Some(format!("log {key}\n"))
        };
        let altered: String =
            told.lines().map(|line| renamed(line).unwrap_or_else(|| format!("{line}\n"))).collect();
        assert_ne!(altered, told, "{name}");
        let path = desk.folder.join("other-policy");
        std::fs::write(&path, altered).unwrap();
        let (code, said) = desk.verify_by(&bundle, &path, &["--allow-incomplete"]);
        let why = said.contains("the policy does not name the log");
        assert_eq!((code, why), (HEADS, true), "{other}: {said}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_24_a_report_reaches_over_a_change_of_the_logs_key_and_of_data_keys() {
    let duties = Duties::all_but(Queue::Sequence);
    let desk = Desk::open(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "0")], &duties).await;
    let first = desk.app.process(&["work", "--queue", "sequence"]).unwrap();
    let old = desk.policy().await;
    let old_text = std::fs::read_to_string(&old).unwrap();
    desk.signs_in(2).await;
    desk.app.settle().await.unwrap();
    let before = desk.sign_ins_until(&now()).await;
    let (before_size, slug) = (before["end"].clone(), desk.tenant.slug.as_str());
    desk.app.keys(KeysTask::RotateLogKey, &[slug]).await.unwrap();
    desk.app.keys(KeysTask::Rotate(None), &[slug]).await.unwrap();
    // Who has the older key in memory would go on with it for a while.
    first.kill9().await.unwrap();
    let second = desk.app.process(&["work", "--queue", "sequence"]).unwrap();
    desk.signs_in(2).await;
    desk.app.settle().await.unwrap();
    let asked = json!({ "kind": "SIGN_INS", "disclose": ["DIFF"], "keptSizes": [before_size] });
    let report = desk.ended(&desk.request(asked).await["id"]).await;
    let bundle = desk.take(&report).await;
    let told = std::fs::read_to_string(desk.policy().await).unwrap();
    let added: Vec<_> = told.lines().filter(|line| !old_text.contains(line)).collect();
    assert_eq!(added.len(), 3, "a key more for each of three logs: {told}");
    let policy = desk.folder.join("policy-of-both");
    std::fs::write(&policy, &told).unwrap();
    let (code, said) = desk.verify_by(&bundle, &policy, &["--allow-incomplete"]);
    assert_eq!(code, 0, "{said}");
    // By the newer key alone it verifies too, and by the older alone it does not.
    for (name, lines, wanted) in [
        (
            "newer",
            told.lines().filter(|line| !line.contains("/t/") || added.contains(line)).collect::<Vec<_>>(),
            0,
        ),
        ("older", old_text.lines().collect(), HEADS),
    ] {
        let policy = desk.folder.join(name);
        std::fs::write(&policy, lines.join("\n") + "\n").unwrap();
        let (code, said) = desk.verify_by(&bundle, &policy, &["--allow-incomplete"]);
        assert_eq!(code, wanted, "{name}: {said}");
    }
    let (is_whole, findings) = desk.app.fsck(Some(desk.tenant.id)).await.unwrap();
    assert!(is_whole, "{findings:?}");
    let told = desk.types_in("ADMIN").await;
    assert!(told.contains(&"rotate_log_key".to_owned()), "{told:?}");
    second.kill9().await.unwrap();
    desk.app.service.stop().await;
    std::fs::remove_dir_all(&desk.folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_25_who_has_lost_the_right_or_the_session_fetches_nothing_more() {
    let desk = Desk::open(&[], &Duties::all()).await;
    let report = desk.ended(&desk.request(json!({ "kind": "SIGN_INS" })).await["id"]).await;
    desk.take(&report).await;
    let refused = async |token: &str, what: &str| {
        let begun = tokio::time::Instant::now();
        loop {
            let (status, body) = desk.fetch(token, &report["url"]).await;
            if status != StatusCode::OK {
                assert!(!body.starts_with(b"PK"), "{what}");
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{what}: it is still given out");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let another = desk.app.member(&desk.tenant, Role::Auditor).await.unwrap();
    let change = "mutation ($id: ID!) { changeMemberRole(input: { id: $id, role: OPERATOR }) { userErrors { code } } }";
    let done =
        desk.app.client.graphql(&desk.tenant.owner.token, change, json!({ "id": another.id })).await.unwrap();
    assert_eq!(done.refusal("changeMemberRole"), "", "{}", done.body);
    let status = refused(&another.token, "another role").await;
    assert!([StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&status), "{status}");
    let again = desk.app.sign_in(&desk.tenant.slug, &another.email).await.unwrap();
    assert_eq!(refused(&again.token, "signed in with it").await, StatusCode::FORBIDDEN);
    let everywhere = "mutation { signOutEverywhere { signedOut } }";
    desk.app.client.graphql(&desk.auditor.token, everywhere, json!({})).await.unwrap();
    assert_eq!(refused(&desk.auditor.token, "signed out").await, StatusCode::UNAUTHORIZED);
    let fresh = desk.app.sign_in(&desk.tenant.slug, &desk.auditor.email).await.unwrap();
    assert_eq!(desk.fetch(&fresh.token, &report["url"]).await.0, StatusCode::OK);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_25_a_report_that_is_given_up_while_it_is_made_leaves_nothing() {
    let desk = Desk::open(&[], &Duties::all_but(Queue::Reports)).await;
    desk.policy().await;
    many_events(&desk, 20_000).await;
    // Held up when it begins to read leaves.
    let mut held = desk.app.superuser_connection().await.unwrap();
    sql(&mut held, "BEGIN").await;
    let report = desk.request(json!({ "kind": "SIGN_INS", "until": now() })).await;
    sql(&mut held, "LOCK TABLE compliance.audit_leaves IN ACCESS EXCLUSIVE MODE").await;
    let worker = desk.app.process(&["work", "--queue", "reports"]).unwrap();
    let mut database = desk.app.superuser_connection().await.unwrap();
    until_begun(&mut database).await;
    let cancelled =
        "UPDATE compliance.reports SET state = 'cancelled', version = version + 1 WHERE state = 'making'";
    assert_eq!(sql(&mut database, cancelled).await, 1);
    sql(&mut held, "ROLLBACK").await;
    assert_eq!(desk.ended(&report["id"]).await["state"], "CANCELLED");
    // Until the worker has seen it.
    let due = "UPDATE compliance.report_schedule SET due_at = now(), leased_until = '-infinity'";
    sql(&mut database, due).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !desk.pieces().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "{:?} {}", desk.pieces(), worker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = desk.report(&report["id"]).await;
    assert_eq!((&ended["state"], &ended["url"]), (&json!("CANCELLED"), &Value::Null), "{ended}");
    assert!(!desk.types_in("ADMIN").await.contains(&"make_report".to_owned()));
    worker.kill9().await.unwrap();
    desk.close().await;
}
