//! Somebody with a shell on the database, as its superuser, changes what is kept of the logs. `matricula log fsck` says
//! where; what it can't see is said here too, and what does.

use std::time::Duration;

use harness::app::{TestApp, TestTenant};
use serde_json::{Value, json};
use server::serve::{Duties, Queue};
use sqlx::{Connection as _, Executor as _, PgConnection};

/// What is kept of the logs.
const TABLES: [&str; 3] = ["audit_leaves", "audit_tiles", "audit_heads"];

async fn sql(database: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(database).await.unwrap();
}

/// Has the tenant's log of the stream `iam` grow to 40 leaves, head by head.
async fn grown(app: &TestApp) -> TestTenant {
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    loop {
        app.settle().await.unwrap();
        let size: i64 = sqlx::query_scalar(
            "SELECT coalesce(max(size), 0) FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = 'iam'",
        )
        .bind(tenant.id.uuid())
        .fetch_one(&mut database)
        .await
        .unwrap();
        if size >= 40 {
            return tenant;
        }
        for _ in 0..5 {
            app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
        }
    }
}

async fn keep(database: &mut PgConnection) {
    for table in TABLES {
        sql(database, &format!("CREATE TABLE public.kept_{table} AS TABLE compliance.{table}")).await;
    }
}

async fn put_back(database: &mut PgConnection) {
    for table in TABLES {
        let again =
            format!("TRUNCATE compliance.{table}; INSERT INTO compliance.{table} TABLE public.kept_{table}");
        sql(database, &again).await;
    }
}

/// Place, index and field.
type Found = (String, String, String);

/// The findings in the tenant's log of the stream `iam`.
fn found(reports: &[Value]) -> Vec<Found> {
    let iam = reports.iter().find(|report| report["stream"] == "iam");
    let findings =
        iam.map_or(&Value::Null, |report| &report["findings"]).as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    findings.iter().map(|f| (text(&f["place"]), text(&f["index"]), text(&f["field"]))).collect()
}

fn place(place: &str, index: &str, field: &str) -> Found {
    (place.to_owned(), index.to_owned(), field.to_owned())
}

/// What is done to the log `{log}`, and what is found.
fn attacks() -> Vec<(&'static str, &'static str, Vec<Found>)> {
    let leaf = |index: &str, field: &str| place("leaf", index, field);
    vec![
        (
            "a leaf is edited",
            "UPDATE compliance.audit_leaves SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'),
                 '\"outcome\":\"success\"', '\"outcome\":\"refused\"'), 'UTF8') WHERE {log} AND index = 20",
            vec![leaf("20", "outcome"), leaf("20", "leaf")],
        ),
        (
            "a leaf is edited, and everything in its row with it",
            "UPDATE compliance.audit_leaves SET outcome = 'refused', leaf = convert_to(replace(convert_from(leaf, 'UTF8'),
                 '\"outcome\":\"success\"', '\"outcome\":\"refused\"'), 'UTF8') WHERE {log} AND index = 20;
             UPDATE compliance.audit_leaves SET leaf_hash = sha256('\\x00'::bytea || leaf) WHERE {log} AND index = 20",
            vec![place("tile", "tile/0/000.p/{size}", "hashes")],
        ),
        ("a column is edited", "UPDATE compliance.audit_leaves SET type = 'sign_out' WHERE {log} AND index = 7", vec![
            leaf("7", "type"),
        ]),
        ("who did it", "UPDATE compliance.audit_leaves SET actor_id = gen_random_uuid() WHERE {log} AND index = 7", vec![
            leaf("7", "actor_id"),
        ]),
        ("to whom", "UPDATE compliance.audit_leaves SET target_id = gen_random_uuid() WHERE {log} AND index = 7", vec![
            leaf("7", "target_id"),
        ]),
        ("how it ended", "UPDATE compliance.audit_leaves SET outcome = 'failure' WHERE {log} AND index = 7", vec![leaf(
            "7", "outcome",
        )]),
        (
            "which answer, and which event",
            "UPDATE compliance.audit_leaves SET compliance_id = gen_random_uuid(), event_id = gen_random_uuid()
             WHERE {log} AND index = 7",
            vec![leaf("7", "event_id"), leaf("7", "compliance_id")],
        ),
        (
            "two events' times are swapped",
            "UPDATE compliance.audit_leaves AS a SET occurred_at = b.occurred_at FROM compliance.audit_leaves AS b
             WHERE a.{log} AND b.{log} AND a.index + b.index = 25 AND a.index IN (12, 13)",
            vec![leaf("12", "occurred_at"), leaf("13", "occurred_at")],
        ),
        (
            "one is deleted in the middle",
            "DELETE FROM compliance.audit_leaves WHERE {log} AND index = 20",
            vec![leaf("20", "row")],
        ),
        (
            "one is deleted in the middle, and those behind moved up",
            "DELETE FROM compliance.audit_leaves WHERE {log} AND index = 20;
             UPDATE compliance.audit_leaves SET index = -index WHERE {log} AND index > 20;
             UPDATE compliance.audit_leaves SET index = -index - 1 WHERE {log} AND index < 0",
            vec![leaf("{last}", "row"), place("tile", "tile/0/000.p/{size}", "hashes"), place("head", "{head}", "root")],
        ),
        (
            "two are reordered",
            "UPDATE compliance.audit_leaves SET index = index - 1000 WHERE {log} AND index IN (20, 21);
             UPDATE compliance.audit_leaves SET index = 1041 - (index + 2000) WHERE {log} AND index < 0",
            vec![place("tile", "tile/0/000.p/{size}", "hashes"), place("head", "{head}", "root")],
        ),
        ("a root is edited", "UPDATE compliance.audit_heads SET root = sha256(root) WHERE {log} AND size = {size}", vec![
            place("head", "{size}", "root"),
            place("head", "{size}", "note"),
        ]),
        (
            "a note is another stream's",
            "UPDATE compliance.audit_heads AS h SET note = (SELECT o.note FROM compliance.audit_heads AS o
                 WHERE o.tenant_id = h.tenant_id AND o.stream = 'access' LIMIT 1) WHERE h.{log} AND h.size = {size}",
            vec![place("head", "{size}", "note")],
        ),
        (
            "the newest head is deleted",
            "DELETE FROM compliance.audit_heads WHERE {log} AND size = {size}",
            vec![place("head", "{before}", "size"), place("log", "null", "tiles")],
        ),
        (
            "a head is larger than the log",
            "INSERT INTO compliance.audit_heads SELECT tenant_id, stream, size + 1, root, note, signed_at
             FROM compliance.audit_heads WHERE {log} AND size = {size}",
            vec![leaf("{size}", "row"), leaf("0", "row")],
        ),
        ("the tiles are deleted", "DELETE FROM compliance.audit_tiles WHERE {log}", vec![place(
            "tile",
            "tile/0/000.p/{size}",
            "row",
        )]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_what_was_changed_is_named() {
    // A head that is put there by hand would become a leaf of the platform's log, which is not put back.
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Notarise)).await.unwrap();
    let tenant = grown(&app).await;
    let mut database = app.superuser_connection().await.unwrap();
    let (whole, reports) = app.fsck(None).await.unwrap();
    assert!(whole, "{reports:#?}");
    let of_tenant = |report: &&Value| report["tenant"] == json!(tenant.id.uuid().to_string());
    let streams: Vec<_> = reports.iter().filter(of_tenant).map(|report| report["stream"].clone()).collect();
    assert_eq!(streams, ["iam", "admin", "data", "access"].map(Value::from));
    let sizes: Vec<i64> = sqlx::query_scalar(
        "SELECT size FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = 'iam' ORDER BY size DESC LIMIT 2",
    )
    .bind(tenant.id.uuid())
    .fetch_all(&mut database)
    .await
    .unwrap();
    let (size, before) = (sizes[0], sizes[1]);
    let head: i64 = sqlx::query_scalar(
        "SELECT min(size) FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = 'iam' AND size > 20",
    )
    .bind(tenant.id.uuid())
    .fetch_one(&mut database)
    .await
    .unwrap();
    let fill = |text: &str| {
        text.replace("{size}", &size.to_string())
            .replace("{before}", &before.to_string())
            .replace("{head}", &head.to_string())
            .replace("{last}", &(size - 1).to_string())
    };
    keep(&mut database).await;
    // Only what a constraint forbids even to a superuser is left out of the way.
    sql(&mut database, "ALTER TABLE compliance.audit_leaves DROP CONSTRAINT audit_leaves_index_check").await;
    for (what, attack, expected) in attacks() {
        let attack = fill(attack)
            .replace("a.{log}", &log_of(&tenant, "a."))
            .replace("b.{log}", &log_of(&tenant, "b."))
            .replace("h.{log}", &log_of(&tenant, "h."))
            .replace("{log}", &log_of(&tenant, ""));
        sql(&mut database, &attack).await;
        let (whole, reports) = app.fsck(Some(tenant.id)).await.unwrap();
        assert!(!whole, "{what}");
        let expected: Vec<_> = expected.iter().map(|(p, i, f)| (p.clone(), fill(i), f.clone())).collect();
        let found = found(&reports);
        for (number, wanted) in expected.iter().enumerate() {
            assert!(found.contains(wanted), "{what}, {number}: {wanted:?} in {found:?}");
        }
        put_back(&mut database).await;
    }
    app.check_logs().await.unwrap();
    app.stop().await.unwrap();
}

fn log_of(tenant: &TestTenant, table: &str) -> String {
    format!("({table}tenant_id = '{}' AND {table}stream = 'iam')", tenant.id.uuid())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_a_trigger_that_is_turned_off_is_named_while_it_is() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for (turned_off, put_back) in [
        (
            "ALTER TABLE identity.members DISABLE TRIGGER note_change",
            "ALTER TABLE identity.members ENABLE TRIGGER note_change",
        ),
        (
            "ALTER TABLE identity.members ENABLE REPLICA TRIGGER leave_changes",
            "ALTER TABLE identity.members ENABLE TRIGGER leave_changes",
        ),
        (
            "ALTER TRIGGER leave_changes ON identity.members RENAME TO left_changes",
            "ALTER TRIGGER left_changes ON identity.members RENAME TO leave_changes",
        ),
        (
            "CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON identity.members FOR EACH STATEMENT
                 WHEN (false) EXECUTE FUNCTION compliance.refuse_truncate()",
            "CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON identity.members FOR EACH STATEMENT
                 EXECUTE FUNCTION compliance.refuse_truncate()",
        ),
        (
            "CREATE FUNCTION public.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             ALTER TRIGGER refuse_truncate ON identity.members RENAME TO refused_truncate;
             CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON identity.members FOR EACH STATEMENT
                 EXECUTE FUNCTION public.refuse_truncate()",
            "DROP TRIGGER refuse_truncate ON identity.members;
             ALTER TRIGGER refused_truncate ON identity.members RENAME TO refuse_truncate",
        ),
    ] {
        sql(&mut database, turned_off).await;
        let (whole, reports) = app.fsck(Some(tenant.id)).await.unwrap();
        let data = reports.iter().find(|report| report["stream"] == "data").unwrap();
        let named = json!([{ "place": "table", "index": "identity.members", "field": "trigger",
            "problem": "is turned off or gone: what is changed there now is in no log" }]);
        assert_eq!((whole, &data["findings"]), (false, &named), "{turned_off}");
        sql(&mut database, put_back).await;
        let (whole, reports) = app.fsck(Some(tenant.id)).await.unwrap();
        assert!(whole, "{put_back}: {reports:#?}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_the_newest_ten_are_deleted() {
    let app = TestApp::start().await.unwrap();
    let tenant = grown(&app).await;
    let mut database = app.superuser_connection().await.unwrap();
    let log = log_of(&tenant, "");
    let last: i64 = sqlx::query_scalar(
        "SELECT max(index) FROM compliance.audit_leaves WHERE tenant_id = $1 AND stream = 'iam'",
    )
    .bind(tenant.id.uuid())
    .fetch_one(&mut database)
    .await
    .unwrap();
    sql(&mut database, &format!("DELETE FROM compliance.audit_leaves WHERE {log} AND index > {}", last - 10))
        .await;
    let (_, reports) = app.fsck(Some(tenant.id)).await.unwrap();
    let expected: Vec<_> = (last - 9..=last).map(|index| place("leaf", &index.to_string(), "row")).collect();
    assert_eq!(found(&reports), expected);
    // The program says the same, by its exit code too.
    let code = app
        .process(&["log", "fsck", "--tenant", &tenant.id.uuid().to_string()])
        .unwrap()
        .ended()
        .await
        .unwrap();
    assert_eq!(code, Some(1));
    let other = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let code = app
        .process(&["log", "fsck", "--tenant", &other.id.uuid().to_string()])
        .unwrap()
        .ended()
        .await
        .unwrap();
    assert_eq!(code, Some(0), "another tenant's logs are whole");
    app.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_a_truncated_outbox_is_missed_by_fsck_and_not_by_who_has_an_answer() {
    let app =
        TestApp::start_for(&[("MATRICULA_AUDIT_INDEX_WAIT_MS", "0")], &Duties::all_but(Queue::Sequence))
            .await
            .unwrap();
    let tenant = app.tenant().await.unwrap();
    let answer =
        app.client.graphql(&tenant.owner.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    app.service.parts.app.access_log.flush().await;
    let mut database = app.superuser_connection().await.unwrap();
    sql(&mut database, "TRUNCATE compliance.audit_outbox").await;
    let (replica, client) = app.replica().await.unwrap();
    client.graphql(&tenant.owner.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    replica.parts.app.access_log.flush().await;
    app.settle().await.unwrap();
    let (whole, reports) = app.fsck(None).await.unwrap();
    assert!(whole && !reports.is_empty(), "an event that never had an index leaves no gap: {reports:#?}");
    // Every answer's identifier resolves; the caller who keeps it sees that this one does not.
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type } } }";
    let id = json!({ "id": answer.compliance_id() });
    let resolved = client.graphql(&tenant.owner.token, trail, id).await.unwrap();
    assert_eq!(resolved.data("auditTrail")["events"], json!([]), "{}", resolved.body);
    replica.stop().await;
    app.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_finds_it_by_itself_and_figures_tell() {
    let app = TestApp::start_with(&[("MATRICULA_AUDIT_VERIFY_EVERY_S", "1")]).await.unwrap();
    let tenant = grown(&app).await;
    let metrics = format!("http://{}/metrics", app.service.operators);
    let figure = async |name: &str| {
        let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
        let line =
            text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let until = async |name: &str, holds: fn(f64) -> bool| {
        let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
        while !holds(figure(name).await) {
            assert!(tokio::time::Instant::now() < deadline, "{name} is {}", figure(name).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("matricula_audit_verified_timestamp_seconds", |at| at > 1_700_000_000.0).await;
    assert!(figure("matricula_audit_differences").await.abs() < f64::EPSILON);
    let mut database = app.superuser_connection().await.unwrap();
    let edit = format!(
        "UPDATE compliance.audit_leaves SET type = 'sign_out' WHERE {} AND index = 7",
        log_of(&tenant, "")
    );
    database.execute(sqlx::AssertSqlSafe(edit)).await.unwrap();
    until("matricula_audit_differences", |count| count >= 1.0).await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_checks_may_read_logs_and_nothing_else() {
    let app = TestApp::start().await.unwrap();
    let tenant = grown(&app).await;
    let mut verifier = PgConnection::connect(app.verifier_url()).await.unwrap();
    let keys: i64 =
        sqlx::query_scalar("SELECT count(public_key) FROM compliance.log_keys WHERE tenant_id = $1")
            .bind(tenant.id.uuid())
            .fetch_one(&mut verifier)
            .await
            .unwrap();
    assert_eq!(keys, 1);
    for refused in [
        "SELECT seed_sealed FROM compliance.log_keys",
        "SELECT leaf FROM compliance.audit_outbox",
        "SELECT wrapped FROM compliance.tenant_keys",
        "SELECT id FROM identity.members",
        "DELETE FROM compliance.audit_leaves",
        "UPDATE compliance.audit_heads SET size = 1",
        "INSERT INTO compliance.audit_tiles SELECT * FROM compliance.audit_tiles",
    ] {
        let error = sqlx::raw_sql(refused).execute(&mut verifier).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    app.stop().await.unwrap();
}
