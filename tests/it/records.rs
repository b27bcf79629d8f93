//! Records of processing: made of what is so, signed when nobody has to look at it or somebody has, and checked with openssl.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{compliance::processing::FIELDS, kernel::actor::Role};
use harness::app::TestApp;
use serde_json::{Value, json};
use server::serve::Duties;

use super::auditors::Desk;

const RECORDS: &str = "query ($all: Boolean!) { processingRecords(isCurrent: $all, first: 50) { nodes {
    id activity version fields { name values } content sha256 changed reviewedAt reviewedBy signature } } }";

const HOUSE: [(&str, &str); 4] = [
    ("MATRICULA_RECORDS_CONTROLLER", "Example Media Ltd (privacy@example.com)"),
    ("MATRICULA_RECORDS_REPRESENTATIVE", "none needed"),
    ("MATRICULA_RECORDS_DATA_PROTECTION_OFFICER", "D. Officer (dpo@example.com)"),
    ("MATRICULA_RECORDS_COUNTRY", "CN"),
];

const RECIPIENTS: (&str, &str) =
    ("MATRICULA_RECORDS_RECIPIENTS", "mail=Post; DE; standard contract, douyin=Douyin; CN; none needed");

const REGISTER: &str =
    "mutation { registerApp(input: { platform: \"douyin\", name: \"Seed\", clientKey: \"awseed\",
    clientSecret: \"s\", scopes: [\"user_info\"] }) @idempotent(key: \"s\") { app { id } } }";

async fn records(desk: &Desk, is_current: bool, are: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let nodes = |answer: &harness::client::Answer| {
        answer.data("processingRecords")["nodes"].as_array().unwrap().clone()
    };
    let token = &desk.auditor.token;
    let told =
        desk.app.client.graphql_until(token, RECORDS, json!({ "all": is_current }), |told| are(&nodes(told)));
    nodes(&told.await.unwrap())
}

fn of<'r>(records: &'r [Value], activity: &str) -> &'r Value {
    records.iter().find(|record| record["activity"] == activity).unwrap()
}

/// Has every tenant's turn be now, once it is nobody's.
async fn hurry(app: &TestApp) {
    let mut database = app.superuser_connection().await.unwrap();
    let under_way =
        "SELECT count(*) FROM compliance.daily_turns WHERE task = 'records' AND leased_until > now()";
    let begun = tokio::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(under_way).fetch_one(&mut database).await.unwrap() > 0 {
        assert!(begun.elapsed() < harness::client::PATIENCE, "a turn never ends");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let due =
        "UPDATE compliance.daily_turns SET due_at = now(), leased_until = '-infinity' WHERE task = 'records'";
    sqlx::query(due).execute(&mut database).await.unwrap();
}

/// Whether stock openssl takes the signature over the content.
fn verifies(desk: &Desk, record: &Value, content: &str) -> bool {
    let (text, signature) = (desk.folder.join("record.json"), desk.folder.join("record.p7s"));
    std::fs::write(&text, content).unwrap();
    std::fs::write(&signature, STANDARD.decode(record["signature"].as_str().unwrap()).unwrap()).unwrap();
    let run = Command::new("openssl")
        .args(["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-out", "/dev/null", "-in"])
        .arg(&signature)
        .arg("-content")
        .arg(&text)
        .arg("-CAfile")
        .arg(desk.authorities.file("root.pem"))
        .output()
        .unwrap();
    run.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_each_activity_is_made_signed_and_looked_at_again_when_it_changes() {
    let settings: Vec<_> = HOUSE.into_iter().chain([RECIPIENTS]).collect();
    let desk = Desk::open(&settings, &Duties::all()).await;
    let (app, owner) = (&desk.app, &desk.tenant.owner);
    let are_signed =
        |records: &[Value]| records.len() == 6 && records.iter().all(|r| !r["signature"].is_null());
    let first = records(&desk, true, are_signed).await;
    for record in &first {
        let names: Vec<_> =
            record["fields"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(names, FIELDS, "{record}");
        let content = record["content"].as_str().unwrap();
        assert!(content.contains(&desk.tenant.slug) && content.contains("dpo@example.com"), "{content}");
        assert!(verifies(&desk, record, content), "{record}");
        assert!(!verifies(&desk, record, &content.replace("dpo@", "xpo@")), "another text is refused");
        assert_eq!((&record["version"], &record["reviewedAt"]), (&json!(1), &Value::Null));
    }
    // Nothing new, nothing made: it was looked at all the same.
    hurry(app).await;
    assert_eq!(records(&desk, false, |all| all.len() == 6).await.len(), 6);
    // Another recipient: what changed is named, and nothing is signed that nobody looked at.
    let registered = app.client.graphql(&owner.token, REGISTER, json!({})).await.unwrap();
    assert!(registered.data("registerApp")["app"]["id"].is_string(), "{}", registered.body);
    hurry(app).await;
    let is_second = |records: &[Value]| of(records, "PUBLISHING")["version"] == 2;
    let second = records(&desk, true, is_second).await;
    let publishing = of(&second, "PUBLISHING");
    assert_eq!((&publishing["changed"], &publishing["signature"]), (&json!(["recipients"]), &Value::Null));
    assert!(publishing["content"].as_str().unwrap().contains("Douyin"));
    assert_eq!(of(&second, "MEMBERSHIP")["version"], 1);
    let review = "mutation ($id: ID!, $sha: String!) { reviewRecord(input: { id: $id, sha256: $sha }) {
        record { reviewedBy } userErrors { code field } } }";
    let by = async |token: &str, id: &Value, sha: &Value| {
        app.client.graphql(token, review, json!({ "id": id, "sha": sha })).await.unwrap()
    };
    let stale = of(&first, "PUBLISHING");
    for (id, sha) in [(&publishing["id"], &stale["sha256"]), (&stale["id"], &stale["sha256"])] {
        let refused = by(&owner.token, id, sha).await;
        let error = &refused.data("reviewRecord")["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["field"][1]),
            (&json!("INVALID"), &json!("sha256")),
            "{}",
            refused.body
        );
    }
    let operator = app.member(&desk.tenant, Role::Operator).await.unwrap();
    for token in [&operator.token, &desk.auditor.token] {
        let refused = by(token, &publishing["id"], &publishing["sha256"]).await;
        assert_eq!(refused.code(), "FORBIDDEN", "{}", refused.body);
    }
    let reviewed = by(&owner.token, &publishing["id"], &publishing["sha256"]).await;
    assert_eq!(reviewed.data("reviewRecord")["record"]["reviewedBy"], json!(owner.id), "{}", reviewed.body);
    let is_signed = |records: &[Value]| !of(records, "PUBLISHING")["signature"].is_null();
    let third = records(&desk, true, is_signed).await;
    let publishing = of(&third, "PUBLISHING");
    assert!(verifies(&desk, publishing, publishing["content"].as_str().unwrap()));
    assert!(of(&third, "ACCOUNT_LINKS")["signature"].is_null(), "each by itself");
    let told = desk.types_in("ADMIN").await;
    let count = |name: &str| told.iter().filter(|told| *told == name).count();
    assert_eq!((count("make_record"), count("sign_record"), count("review_record")), (9, 7, 5), "{told:?}");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_44_who_receives_and_is_not_declared_keeps_the_record_from_being_made() {
    let settings: Vec<_> = HOUSE
        .into_iter()
        .chain([("MATRICULA_RECORDS_RECIPIENTS", "mail=Post; DE; standard contract")])
        .collect();
    let desk = Desk::open(&settings, &Duties::all()).await;
    records(&desk, true, |records| records.len() == 6).await;
    let registered = desk.app.client.graphql(&desk.tenant.owner.token, REGISTER, json!({})).await.unwrap();
    assert!(registered.data("registerApp")["app"]["id"].is_string(), "{}", registered.body);
    hurry(&desk.app).await;
    let begun = tokio::time::Instant::now();
    while desk.app.figure("matricula_record_faults_total").await.unwrap() < 3 {
        assert!(begun.elapsed() < harness::client::PATIENCE, "nobody is told");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let still = records(&desk, false, |_| true).await;
    assert_eq!(still.len(), 6, "the old ones stay, and none is made that says nothing of the platform");
    let query =
        "{ auditEvents(filter: { types: [\"make_record\"], outcome: FAILURE }, last: 5) { nodes { leaf } } }";
    desk.app.settle().await.unwrap();
    let told = desk.app.client.graphql(&desk.auditor.token, query, json!({})).await.unwrap();
    let events = told.data("auditEvents")["nodes"].as_array().unwrap();
    assert_eq!(events.len(), 3, "{}", told.body);
    assert!(events[0]["leaf"].as_str().unwrap().contains("recipient_undeclared"), "{}", told.body);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_is_said_to_be_responsible_no_records_are_made() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let turn = app.service.parts.app.records.make_records().await.unwrap();
    assert_eq!((turn.made, turn.signed, turn.faults.len()), (0, 0, 0));
    let told = app.client.graphql(&tenant.owner.token, RECORDS, json!({ "all": true })).await.unwrap();
    assert_eq!(told.data("processingRecords")["nodes"], json!([]), "{}", told.body);
    app.stop().await.unwrap();
}
