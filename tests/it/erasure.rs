//! What is kept about a person is taken away for good, and what was proven before stays proven.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use domain::kernel::{actor::Role, ids::IdSource as _};
use harness::{
    app::{TestApp, TestTenant},
    client::{Answer, PATIENCE},
    stores::HarnessError,
};
use infra::system::System;
use serde_json::{Value, json};
use server::serve::Duties;
use sqlx::{Connection as _, Executor as _, PgConnection};
use url::Url;
use uuid::Uuid;

use super::{
    auditors::{Desk, unzip},
    endings::{back_up, put_back, stop_and_drop},
};

const ERASE: &str = "mutation ($id: ID!) { eraseSubject(input: { id: $id, basis: CONSENT_WITHDRAWN }) {
    erasure { subject { kind id } basis erasedBy openings reports } userErrors { code message field } } }";
const HOLD: &str = "mutation ($id: ID!) { placeHold(input: { id: $id, matter: \"2026-17\" }) {
    hold { id matter releasedAt } userErrors { code } } }";
const RELEASE: &str = "mutation ($id: ID!) { releaseHold(input: { id: $id }) {
    hold { releasedAt } userErrors { code } } }";

async fn run(app: &TestApp, token: &str, document: &str, id: &str) -> Answer {
    app.client.graphql(token, document, json!({ "id": id })).await.unwrap()
}

fn refusal(answer: &Answer, field: &str) -> String {
    let errors =
        answer.data(field)["userErrors"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    errors.first().map_or(String::new(), |error| error["code"].as_str().unwrap().to_owned())
}

async fn change_role(app: &TestApp, tenant: &TestTenant, member: &str, role: &str) {
    let change = format!(
        "mutation ($id: ID!) {{ changeMemberRole(input: {{ id: $id, role: {role} }}) {{ userErrors {{ code }} }} }}"
    );
    let changed = run(app, &tenant.owner.token, &change, member).await;
    assert_eq!(refusal(&changed, "changeMemberRole"), "", "{}", changed.body);
}

/// The UUID inside a global id.
fn uuid_of(id: &str) -> Uuid {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).unwrap()).unwrap();
    Uuid::try_parse(text.split(':').nth(1).unwrap()).unwrap()
}

pub(super) async fn count(database: &mut PgConnection, sql: &str, of: Uuid) -> i64 {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).bind(of).fetch_one(database).await.unwrap()
}

/// What is left in tables that would tell who a member was.
async fn traces(database: &mut PgConnection, member: Uuid) -> Vec<String> {
    let mut left = Vec::new();
    for (table, column) in [
        ("identity.members", "id"),
        ("identity.sessions", "member_id"),
        ("identity.recovery_codes", "member_id"),
        ("identity.password_resets", "member_id"),
        ("identity.api_keys", "issued_by"),
        ("identity.invitations", "invited_by"),
        ("accounts.group_grants", "member_id"),
        ("accounts.links", "member_id"),
        ("compliance.audit_openings", "subject"),
        ("compliance.subject_keys", "subject"),
    ] {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = $1");
        if count(database, &sql, member).await > 0 {
            left.push(table.to_owned());
        }
    }
    left
}

/// Where an entry of the ledger is, which has a hash behind its name; nowhere when it is not written.
pub(super) fn entry_at(path: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(path.parent()?).ok()?.map(|entry| entry.unwrap().path());
    let is_whole = |file: &PathBuf| !file.to_string_lossy().contains('#');
    files.into_iter().filter(is_whole).find(|file| file.with_extension("") == path)
}

/// Waits until an entry is there.
pub(super) async fn written(path: &Path) -> PathBuf {
    let begun = tokio::time::Instant::now();
    loop {
        if let Some(entry) = entry_at(path) {
            return entry;
        }
        assert!(begun.elapsed() < PATIENCE, "{} is not written", path.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_what_is_erased_is_gone_and_every_proof_holds() {
    let desk = Desk::open(&[], &Duties::all()).await;
    let (app, owner) = (&desk.app, desk.tenant.owner.token.clone());
    let leaver = app.member(&desk.tenant, Role::Operator).await.unwrap();
    let stayer = app.member(&desk.tenant, Role::Operator).await.unwrap();
    for member in [&leaver, &stayer] {
        change_role(app, &desk.tenant, &member.id, "ANALYST").await;
    }
    app.settle().await.unwrap();
    let asked = json!({ "kind": "ROLE_CHANGES", "disclose": ["DIFF", "PREV_STATE"] });
    let before = desk.request(asked.clone()).await;
    let before = desk.ended(&before["id"]).await;
    let taken = desk.take(&before).await;
    let kept = desk.folder.join("before.zip");
    std::fs::rename(&taken, &kept).unwrap();
    let (code, said) = desk.verify(&kept, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(!unzip(&kept, "report.csv", &desk.folder).contains("[erased"));

    // What must be kept is not erased, and that it was tried is in the log.
    let hold = run(app, &owner, HOLD, &leaver.id).await;
    let hold =
        hold.data("placeHold")["hold"]["id"].as_str().unwrap_or_else(|| panic!("{}", hold.body)).to_owned();
    let tried = run(app, &owner, ERASE, &leaver.id).await;
    assert_eq!(refusal(&tried, "eraseSubject"), "ON_LEGAL_HOLD", "{}", tried.body);
    app.settle().await.unwrap();
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type outcome leaf } } }";
    let trail = run(app, &desk.auditor.token, trail, tried.compliance_id()).await;
    let events = trail.data("auditTrail")["events"].as_array().unwrap();
    let refused = events.iter().find(|event| event["type"] == "erase_subject").unwrap();
    assert_eq!(refused["outcome"], "REFUSED");
    assert!(refused["leaf"].as_str().unwrap().contains("\"on_hold\""), "{refused}");
    for (role, token) in [("auditor", &desk.auditor.token), ("operator", &stayer.token)] {
        let refused = run(app, token, RELEASE, &hold).await;
        assert_eq!(refused.code(), "FORBIDDEN", "{role}: {}", refused.body);
    }
    let released = run(app, &owner, RELEASE, &hold).await;
    assert!(!released.data("releaseHold")["hold"]["releasedAt"].is_null(), "{}", released.body);
    assert_eq!(refusal(&run(app, &owner, RELEASE, &hold).await, "releaseHold"), "HOLD_ENDED");

    let own = run(app, &owner, ERASE, &desk.tenant.owner.id).await;
    assert_eq!(refusal(&own, "eraseSubject"), "INVALID", "{}", own.body);
    let erased = run(app, &owner, ERASE, &leaver.id).await;
    assert_eq!(refusal(&erased, "eraseSubject"), "", "{}", erased.body);
    let erasure = &erased.data("eraseSubject")["erasure"];
    let id = uuid_of(&leaver.id);
    assert_eq!(erasure["subject"], json!({ "kind": "member", "id": id.to_string() }));
    assert_eq!(
        (&erasure["basis"], &erasure["erasedBy"]),
        (&json!("CONSENT_WITHDRAWN"), &json!(desk.tenant.owner.id))
    );
    assert!(erasure["openings"].as_str().unwrap().parse::<u64>().unwrap() > 2, "{erasure}");
    assert_eq!(erasure["reports"], json!([before["id"]]), "it showed what is gone, and is thrown away");
    assert_eq!(desk.report(&before["id"]).await["state"], "EXPIRED");
    let mut database = app.superuser_connection().await.unwrap();
    assert_eq!(traces(&mut database, id).await, Vec::<String>::new());
    assert_eq!(
        count(
            &mut database,
            "SELECT count(*) FROM compliance.subject_keys WHERE subject = $1",
            uuid_of(&stayer.id)
        )
        .await,
        1
    );
    let again = run(app, &owner, ERASE, &leaver.id).await;
    assert_eq!(refusal(&again, "eraseSubject"), "NOT_FOUND");
    let viewer = app.client.graphql(&leaver.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    assert_eq!(viewer.code(), "UNAUTHENTICATED", "{}", viewer.body);
    assert!(app.sign_in(&desk.tenant.slug, &leaver.email).await.is_err());
    let tenant = desk.tenant.id.uuid().simple();
    let name = format!("erasures/{tenant}/member.{}.consent_withdrawn", id.simple());
    written(&app.content_folder().join(name)).await;
    let listed =
        "query { erasures(first: 5) { nodes { subject { id } } } legalHolds(first: 5) { nodes { matter } } }";
    let listed = app.client.graphql(&desk.auditor.token, listed, json!({})).await.unwrap();
    assert_eq!(listed.data("erasures")["nodes"][0]["subject"]["id"], id.to_string());
    assert_eq!(listed.data("legalHolds")["nodes"][0]["matter"], "2026-17");

    // The old report still proves what it proved; a new one says what is gone, and by which event.
    let (code, said) = desk.verify(&kept, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    app.settle().await.unwrap();
    let after = desk.request(asked).await;
    let after = desk.ended(&after["id"]).await;
    let after = desk.take(&after).await;
    let (code, said) = desk.verify(&after, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    let csv = unzip(&after, "report.csv", &desk.folder);
    let row = |id: Uuid| {
        let of = format!("member:{id}");
        let found = csv.lines().find(|line| line.contains(",change_member_role,") && line.contains(&of));
        found.unwrap_or_else(|| panic!("{csv}")).to_owned()
    };
    assert!(row(id).contains("[erased: ") && !row(id).contains("analyst"), "{}", row(id));
    assert!(row(uuid_of(&stayer.id)).contains("analyst"), "the others' is there");
    let (is_whole, findings) = app.fsck(Some(desk.tenant.id)).await.unwrap();
    assert!(is_whole, "{findings:?}");
    desk.close().await;
}

/// Copies a database to one beside it, or back.
pub(super) async fn copy(database: &Url, from: &str, to: &str) -> Result<(), HarnessError> {
    let mut admin = database.clone();
    admin.set_path("postgres");
    let mut admin = PgConnection::connect(admin.as_str()).await?;
    for sql in [
        format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'"),
        format!("CREATE DATABASE {to} TEMPLATE {from}"),
    ] {
        admin.execute(sqlx::AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_42_a_database_that_is_put_back_brings_nobody_back() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let leaver = app.member(&tenant, Role::Analyst).await.unwrap();
    let id = uuid_of(&leaver.id);
    let mut name = String::new();
    let backup = format!("kept_{}", System.next_uuid().simple());
    let app = app
        .after_pause(async |database: &Url| {
            database.path().trim_start_matches('/').clone_into(&mut name);
            copy(database, &name, &backup).await
        })
        .await
        .unwrap();
    let erased = run(&app, &tenant.owner.token, ERASE, &leaver.id).await;
    assert_eq!(refusal(&erased, "eraseSubject"), "", "{}", erased.body);
    let entry = format!("erasures/{}/member.{}.consent_withdrawn", tenant.id.uuid().simple(), id.simple());
    written(&app.content_folder().join(entry)).await;
    let app = app
        .after_pause(async |database: &Url| {
            copy(database, &backup, &name).await?;
            let mut database = PgConnection::connect(database.as_str()).await?;
            assert!(!traces(&mut database, id).await.is_empty(), "the backup has somebody in it");
            database.execute("REVOKE DELETE ON identity.sessions FROM matricula_app_rw").await?;
            Ok(())
        })
        .await
        .unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    // As long as that can't be done, nobody is let in; whoever does it, and how often, it is done once.
    let status = "SELECT count(*) FROM identity.tenants WHERE tenant_id = $1 AND status = 'awaiting_erasure'";
    assert_eq!(count(&mut database, status, tenant.id.uuid()).await, 1);
    assert!(app.sign_in(&tenant.slug, &tenant.owner.email).await.is_err());
    database.execute("GRANT DELETE ON identity.sessions TO matricula_app_rw").await.unwrap();
    let erasures = &app.service.parts.app.erasures;
    let (one, other) = tokio::join!(erasures.erase_again(), erasures.erase_again());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.done + other.done <= 1, "{one:?} {other:?}");
    assert!(one.faults.is_empty() && other.faults.is_empty(), "{one:?} {other:?}");
    assert_eq!(count(&mut database, status, tenant.id.uuid()).await, 0);
    assert_eq!(traces(&mut database, id).await, Vec::<String>::new());
    let query = "query ($id: ID!) { member(id: $id) { email } erasures(first: 5) { nodes { erasedBy subject { id } } }
        auditEvents(filter: { types: [\"erase_subject\"] }, last: 5) { nodes { leaf outcome } } }";
    app.settle().await.unwrap();
    let owner = app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    let told = run(&app, &owner.token, query, &leaver.id).await;
    assert_eq!(told.data("member"), &Value::Null);
    assert_eq!(
        told.data("erasures")["nodes"],
        json!([{ "erasedBy": null, "subject": { "id": id.to_string() } }])
    );
    let events = told.data("auditEvents")["nodes"].as_array().unwrap();
    let outcomes: Vec<_> = events.iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["FAILURE", "SUCCESS"], "{}", told.body);
    assert!(events.iter().all(|event| event["leaf"].as_str().unwrap().contains("\"database_put_back\"")));
    let database = app.superuser_url();
    app.stop().await.unwrap();
    let mut admin = database;
    admin.set_path("postgres");
    let mut admin = PgConnection::connect(admin.as_str()).await.unwrap();
    let drop = sqlx::AssertSqlSafe(format!("DROP DATABASE {backup} WITH (FORCE)"));
    admin.execute(drop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_7_and_42_after_a_restore_reports_go_on_and_a_kept_head_shows_what_was_lost() {
    let mut desk = Desk::open(&[], &Duties::all()).await;
    let leaver = desk.app.member(&desk.tenant, Role::Operator).await.unwrap();
    change_role(&desk.app, &desk.tenant, &leaver.id, "ANALYST").await;
    desk.app.settle().await.unwrap();
    let asked = json!({ "kind": "ROLE_CHANGES", "disclose": ["DIFF", "PREV_STATE"] });
    let before = desk.ended(&desk.request(asked.clone()).await["id"]).await;
    let before = desk.take(&before).await;
    let kept = desk.folder.join("before.zip");
    std::fs::rename(&before, &kept).unwrap();
    let backup = format!("kept_{}", System.next_uuid().simple());
    desk.app = back_up(desk.app, &backup).await;

    // Lost again: an erasure, and sign-ins of which an auditor has a report and a head.
    let erased = run(&desk.app, &desk.tenant.owner.token, ERASE, &leaver.id).await;
    assert_eq!(refusal(&erased, "eraseSubject"), "", "{}", erased.body);
    let id = uuid_of(&leaver.id);
    let entry =
        format!("erasures/{}/member.{}.consent_withdrawn", desk.tenant.id.uuid().simple(), id.simple());
    written(&desk.app.content_folder().join(entry)).await;
    for _ in 0..2 {
        desk.app.sign_in(&desk.tenant.slug, &desk.tenant.owner.email).await.unwrap();
    }
    desk.app.settle().await.unwrap();
    let between = desk.ended(&desk.request(json!({ "kind": "SIGN_INS" })).await["id"]).await;
    desk.take(&between).await;
    let (size, head) = desk.keep("IAM").await;
    desk.app = put_back(desk.app, &backup).await;

    let begun = tokio::time::Instant::now();
    while desk.app.figure("matricula_platform_log_refused").await.unwrap() != 1 {
        assert!(begun.elapsed() < PATIENCE, "nobody is told that the database was put back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let said = desk.app.resume_log(false).await.unwrap();
    assert!(said.contains("by their hashes alone"), "{said}");
    for _ in 0..6 {
        desk.app.sign_in(&desk.tenant.slug, &desk.tenant.owner.email).await.unwrap();
    }
    desk.app.settle().await.unwrap();
    let after = desk.ended(&desk.request(asked).await["id"]).await;
    let after = desk.take(&after).await;
    let (code, said) = desk.verify(&after, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "{said}");
    let csv = unzip(&after, "report.csv", &desk.folder);
    let row =
        csv.lines().find(|line| line.contains(",change_member_role,")).unwrap_or_else(|| panic!("{csv}"));
    assert!(row.contains("[erased: ") && !row.contains("analyst"), "{row}");
    let (code, said) = desk.verify(&kept, &["--allow-incomplete"]).await;
    assert_eq!(code, 0, "the old one proves what it proved: {said}");
    // The log went on from where it was put back to, which whoever kept a head of what was there sees.
    let asked = json!({ "kind": "SIGN_INS", "keptSizes": [size] });
    let forked = desk.ended(&desk.request(asked).await["id"]).await;
    let forked = desk.take(&forked).await;
    assert_eq!(desk.verify(&forked, &["--allow-incomplete"]).await.0, 0, "in itself it is whole");
    let (code, said) = desk.verify(&forked, &["--allow-incomplete", "--head", &head]).await;
    assert!(code >= 10 && said.contains("kept"), "{code} {said}");
    std::fs::remove_dir_all(&desk.folder).unwrap();
    stop_and_drop(desk.app, &backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_of_while_they_are_erased_is_told_of_wholly_or_not_at_all() {
    let desk = Desk::open(&[], &Duties::all()).await;
    let app = &desk.app;
    let leaver = app.member(&desk.tenant, Role::Operator).await.unwrap();
    let told = async {
        for role in ["ANALYST", "OPERATOR"].into_iter().cycle().take(24) {
            let change = format!(
                "mutation ($id: ID!) {{ changeMemberRole(input: {{ id: $id, role: {role} }}) {{ userErrors {{ code }} }} }}"
            );
            let changed = run(app, &desk.tenant.owner.token, &change, &leaver.id).await;
            if changed.body.get("errors").is_none() && refusal(&changed, "changeMemberRole") == "NOT_FOUND" {
                break;
            }
        }
    };
    let signed_in = async {
        for _ in 0..12 {
            if app.sign_in(&desk.tenant.slug, &leaver.email).await.is_err() {
                break;
            }
        }
    };
    let erased = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        // A change in between is no reason not to.
        for _ in 0..20 {
            let erased = run(app, &desk.tenant.owner.token, ERASE, &leaver.id).await;
            if erased.body.get("errors").is_none() {
                assert_eq!(refusal(&erased, "eraseSubject"), "", "{}", erased.body);
                return;
            }
        }
        panic!("it is never erased");
    };
    tokio::join!(told, signed_in, erased);
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    assert_eq!(traces(&mut database, uuid_of(&leaver.id)).await, Vec::<String>::new());
    for stream in ["IAM", "DATA", "ADMIN"] {
        let all = json!({ "kind": "CUSTOM", "stream": stream, "query": { "not": { "types": ["nothing"] } },
            "disclose": ["DIFF", "PREV_STATE"] });
        let report = desk.request(all).await;
        let report = desk.ended(&report["id"]).await;
        if report["failure"] == "LOG_EMPTY" {
            continue;
        }
        let bundle = desk.take(&report).await;
        let policy = desk.policy_of(&["iam", "data", "admin"]).await;
        let (code, said) = desk.verify_by(&bundle, &policy, &["--allow-incomplete"]);
        assert_eq!(code, 0, "{stream}: {said}");
        let csv = unzip(&bundle, "report.csv", &desk.folder);
        assert!(stream != "IAM" || csv.contains("[erased: "), "{csv}");
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_owner_is_forgotten_and_what_was_posted_is_not() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let seed = "mutation { registerApp(input: { platform: \"douyin\", name: \"Seed\", clientKey: \"awseed\", clientSecret: \"s\", scopes: [\"user_info\"] })
        @idempotent(key: \"s\") { app { id } } createGroup(input: { name: \"Seed\" }) @idempotent(key: \"s\") { group { id } } }";
    let seeded = app.client.graphql(&tenant.owner.token, seed, json!({})).await.unwrap();
    let platform_app = seeded.data("registerApp")["app"]["id"].as_str().unwrap().to_owned();
    let account = app.account(&tenant, &platform_app, "owner-of-it").await.unwrap();
    let [_, post] = app.post(&tenant, &account).await.unwrap();
    let erased = run(&app, &tenant.owner.token, ERASE, &account).await;
    assert_eq!(refusal(&erased, "eraseSubject"), "", "{}", erased.body);
    assert_eq!(erased.data("eraseSubject")["erasure"]["subject"]["kind"], "account");
    let query =
        "query ($id: ID!) { node(id: $id) { ... on Account { nickname state } ... on Post { caption } } }";
    let told = run(&app, &tenant.owner.token, query, &account).await;
    assert_eq!(told.data("node"), &json!({ "nickname": "", "state": "UNLINKED" }), "{}", told.body);
    assert_eq!(run(&app, &tenant.owner.token, query, &post).await.data("node")["caption"], "seed");
    let mut database = app.superuser_connection().await.unwrap();
    let id = uuid_of(&account);
    for sql in [
        "SELECT count(*) FROM accounts.tokens WHERE account_id = $1",
        "SELECT count(*) FROM compliance.audit_openings WHERE subject = $1",
        "SELECT count(*) FROM accounts.accounts WHERE id = $1 AND length(open_id_sealed) + length(profile_sealed) > 0",
    ] {
        assert_eq!(count(&mut database, sql, id).await, 0, "{sql}");
    }
    // Moved about afterwards, it does not come back.
    let group = &seeded.data("createGroup")["group"]["id"];
    let place = "mutation ($id: ID!, $g: ID!) { placeAccount(input: { id: $id, groupId: $g }) { userErrors { code } } }";
    let placed =
        app.client.graphql(&tenant.owner.token, place, json!({ "id": account, "g": group })).await.unwrap();
    assert_eq!(refusal(&placed, "placeAccount"), "", "{}", placed.body);
    assert_eq!(refusal(&run(&app, &tenant.owner.token, ERASE, &account).await, "eraseSubject"), "NOT_FOUND");
    // The same owner may come again, and is somebody new.
    let again = app.account(&tenant, &platform_app, "owner-of-it").await.unwrap();
    assert_ne!(again, account);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_persons_move_on_with_the_months_and_old_months_keys_are_destroyed() {
    let desk = Desk::open(&[("MATRICULA_PRIVACY_BACKUP_DAYS", "30")], &Duties::all()).await;
    let app = &desk.app;
    let member = app.member(&desk.tenant, Role::Operator).await.unwrap();
    change_role(app, &desk.tenant, &member.id, "ANALYST").await;
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let tenant = desk.tenant.id.uuid();
    let object: Uuid =
        sqlx::query_scalar("SELECT object_id FROM compliance.subject_epochs WHERE tenant_id = $1")
            .bind(tenant)
            .fetch_one(&mut database)
            .await
            .unwrap();
    let file = app.content_folder().join(format!("subject-keys/{}/{}", tenant.simple(), object.simple()));
    assert!(file.exists());
    let sql = async |database: &mut PgConnection, sql: &str| {
        let all =
            format!("SET session_replication_role = replica; {sql}; SET session_replication_role = origin");
        let all = all.replace("$1", &format!("'{tenant}'"));
        sqlx::raw_sql(sqlx::AssertSqlSafe(all)).execute(database).await.unwrap();
    };
    // Two months ago.
    sql(
        &mut database,
        "UPDATE compliance.subject_epochs SET epoch = epoch - 2 WHERE tenant_id = $1;
         UPDATE compliance.subject_keys SET epoch = epoch - 2 WHERE tenant_id = $1",
    )
    .await;
    let due =
        "UPDATE compliance.daily_turns SET due_at = now(), leased_until = '-infinity' WHERE tenant = $1";
    let erasures = &app.service.parts.app.erasures;
    let old = "SELECT count(*) FROM compliance.subject_epochs WHERE tenant_id = $1 AND emptied_at IS NOT NULL AND destroyed_at IS NULL";
    erasures.tend_subject_keys().await.unwrap();
    sql(&mut database, due).await;
    let begun = tokio::time::Instant::now();
    while count(&mut database, old, tenant).await == 0 {
        assert!(begun.elapsed() < PATIENCE, "the old month is never empty");
        assert_eq!(erasures.tend_subject_keys().await.unwrap().done, 0, "a backup may need it still");
    }
    let keys = "SELECT count(*) FROM compliance.subject_keys AS k JOIN compliance.subject_epochs AS e
        ON e.tenant_id = k.tenant_id AND e.epoch = k.epoch WHERE k.tenant_id = $1 AND e.emptied_at IS NULL";
    assert!(count(&mut database, keys, tenant).await >= 2 && file.exists());
    sql(&mut database, "UPDATE compliance.subject_epochs SET emptied_at = emptied_at - interval '31 days' WHERE tenant_id = $1").await;
    sql(&mut database, due).await;
    let begun = tokio::time::Instant::now();
    while file.exists() {
        assert!(begun.elapsed() < PATIENCE, "it is never destroyed");
        erasures.tend_subject_keys().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What was sealed under them is read as before, also by who has nothing in memory.
    let asked = json!({ "kind": "ROLE_CHANGES", "disclose": ["DIFF"] });
    let report = desk.request(asked).await;
    let report = desk.ended(&report["id"]).await;
    let bundle = desk.take(&report).await;
    assert!(unzip(&bundle, "report.csv", &desk.folder).contains("analyst"));
    desk.close().await;
}
