//! Heads of tenants' logs stand in the platform's log, signed, and a database that was put back is not signed again.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    compliance::log::{
        anchor::anchor_leaf,
        checkpoint::Checkpoint,
        merkle::{Hash, leaf_hash, verify_inclusion},
        note::{Note, VerifierKey},
        policy::LogPolicy,
    },
    kernel::{actor::Role, ids::PLATFORM},
};
use harness::{
    app::{TestApp, TestTenant},
    client::Answer,
};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::sequencing::FAULTS;

const ORIGIN: &str = "audit.matricula.localhost/platform";

/// A turn of the notary every so often.
const SWIFT: [(&str, &str); 1] = [("MATRICULA_NOTARY_INTERVAL_MS", "100")];

const INCLUSION: &str =
    "query ($stream: AuditStream!, $size: String) { platformInclusion(stream: $stream, size: $size) {
    index salt leafHash hashes tenantCheckpoint { size root note verifierKeys }
    checkpoint { size root note madeAt verifierKeys } } }";

fn hash(value: &Value) -> Hash {
    Hash::from_slice(&STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Opens a checkpoint of the log called `origin` with its own verifier keys.
fn opened(checkpoint: &Value, origin: &str) -> (Checkpoint, String) {
    let keys = checkpoint["verifierKeys"].as_array().unwrap().iter();
    let keys = keys.map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap()).collect();
    let note = checkpoint["note"].as_str().unwrap();
    let trusted = LogPolicy::new(origin, keys, Vec::new(), 0).unwrap().open(note.as_bytes(), None).unwrap();
    assert_eq!(trusted.checkpoint.size(), number(&checkpoint["size"]));
    assert_eq!(trusted.checkpoint.root(), hash(&checkpoint["root"]));
    (trusted.checkpoint, Note::parse(note.as_bytes()).unwrap().text().to_owned())
}

async fn inclusion(app: &TestApp, tenant: &TestTenant, size: Option<&str>) -> Answer {
    let asked = json!({ "stream": "IAM", "size": size });
    app.client
        .graphql_until(&tenant.owner.token, INCLUSION, asked, |answer| {
            !answer.data("platformInclusion").is_null()
        })
        .await
        .unwrap()
}

async fn sql(database: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(database).await.unwrap();
}

async fn size(database: &mut PgConnection, table: &str) -> i64 {
    let asked = format!("SELECT coalesce(max(size), 0) FROM compliance.{table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(asked)).fetch_one(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_head_is_proven_against_the_platforms() {
    let app = TestApp::start_with(&SWIFT).await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let mut proven = Vec::new();
    for tenant in [&aurora, &borealis] {
        let answer = inclusion(&app, tenant, None).await;
        let proof = answer.data("platformInclusion");
        let (head, text) = opened(
            &proof["tenantCheckpoint"],
            &format!("audit.matricula.localhost/t/{}/iam", tenant.id.uuid()),
        );
        let (platform, _) = opened(&proof["checkpoint"], ORIGIN);
        let salt: [u8; 32] = STANDARD.decode(proof["salt"].as_str().unwrap()).unwrap().try_into().unwrap();
        let leaf = leaf_hash(&anchor_leaf(&salt, &text));
        assert_eq!(leaf, hash(&proof["leafHash"]));
        let hashes: Vec<_> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
        let index = number(&proof["index"]);
        verify_inclusion(leaf, index, platform.size(), &hashes, platform.root()).unwrap();
        // The leaf of another index, or without its salt, is not there.
        let bare = leaf_hash(&anchor_leaf(&[0; 32], &text));
        assert!(verify_inclusion(bare, index, platform.size(), &hashes, platform.root()).is_err());
        proven.push((head.size().to_string(), salt));
    }
    assert_ne!(proven[0].1, proven[1].1);
    // That very head again, when the platform's log has grown on.
    app.sign_in(&aurora.slug, &aurora.owner.email).await.unwrap();
    let again = inclusion(&app, &aurora, Some(&proven[0].0)).await;
    assert_eq!(again.data("platformInclusion")["tenantCheckpoint"]["size"], proven[0].0.as_str());
    let none = json!({ "stream": "IAM", "size": "123456" });
    let none = app.client.graphql(&aurora.owner.token, INCLUSION, none).await.unwrap();
    assert_eq!(none.data("platformInclusion"), &Value::Null, "{}", none.body);
    let operator = app.member(&aurora, Role::Operator).await.unwrap();
    for query in ["{ platformCheckpoint { size } }", "{ platformInclusion(stream: IAM) { salt } }"] {
        let refused = app.client.graphql(&operator.token, query, json!({})).await.unwrap();
        assert_eq!(refused.code(), "FORBIDDEN", "{}", refused.body);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salt_is_behind_the_wall() {
    let app = TestApp::start_with(&SWIFT).await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    inclusion(&app, &aurora, None).await;
    inclusion(&app, &borealis, None).await;
    let mut database = app.app_connection().await.unwrap();
    let all = "SELECT DISTINCT tenant_id FROM compliance.platform_anchors";
    assert!(sqlx::query(all).fetch_all(&mut database).await.is_err(), "no tenant, no rows");
    let scope = format!("BEGIN; SELECT set_config('app.tenant_id', '{}', true)", borealis.id.uuid());
    sql(&mut database, &scope).await;
    let seen: Vec<uuid::Uuid> = sqlx::query_scalar(all).fetch_all(&mut database).await.unwrap();
    assert_eq!(seen, [borealis.id.uuid()]);
    let write = "UPDATE compliance.platform_heads SET note = 'x'";
    assert!(sqlx::query(write).execute(&mut database).await.is_err());
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_7_a_database_that_was_put_back_is_not_signed_and_everybody_hears_of_it() {
    let app = TestApp::start_with(&SWIFT).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    inclusion(&app, &tenant, None).await;
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let tables = [
        "audit_leaves",
        "audit_tiles",
        "audit_heads",
        "platform_anchors",
        "platform_tiles",
        "platform_heads",
    ];
    // A backup of all that is kept of the logs, as of one moment.
    let copies = tables.map(|table| format!("CREATE TABLE public.kept_{table} AS TABLE compliance.{table};"));
    sql(&mut database, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {} COMMIT", copies.concat())).await;
    let kept: i64 = sqlx::query_scalar("SELECT max(size) FROM public.kept_platform_heads")
        .fetch_one(&mut database)
        .await
        .unwrap();
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    while size(&mut database, "platform_heads").await < kept + 2 {
        assert!(tokio::time::Instant::now() < deadline, "the platform's log stands still");
        app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    }
    app.settle().await.unwrap();
    assert!(app.fsck(None).await.unwrap().0);
    // Until all is signed, and nothing more comes.
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    let (signed, signed_root) = loop {
        let newest = size(&mut database, "platform_heads").await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let root = root(&mut database, newest).await;
        if root.is_some() && size(&mut database, "platform_heads").await == newest {
            break (newest, root);
        }
        assert!(tokio::time::Instant::now() < deadline, "the platform's log does not come to rest");
    };
    // It is put back, and the service goes on.
    let back = tables.map(|table| {
        format!("DELETE FROM compliance.{table}; INSERT INTO compliance.{table} TABLE public.kept_{table};")
    });
    sql(&mut database, &format!("BEGIN; {} COMMIT", back.concat())).await;
    let refused: i64 = until_refused(&mut database).await;
    assert!(refused >= 1);
    let metrics = format!("http://{}/metrics", app.service.operators);
    let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
    assert!(text.contains("matricula_platform_log_refused 1"), "{text}");
    // What was put back is whole in itself, which is why fsck alone does not find it.
    app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    app.settle().await.unwrap();
    assert!(app.fsck(Some(tenant.id)).await.unwrap().0);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(size(&mut database, "platform_heads").await, kept, "nothing more was signed");
    // By right, says the operator: it goes on as the log that was signed.
    let gone = tables.map(|table| format!("DROP TABLE public.kept_{table};"));
    sql(&mut database, &gone.concat()).await;
    let mark = app.resume_log(true).await.unwrap_err().to_string();
    assert!(mark.contains("the mark is not lost"), "{mark}");
    let said = app.resume_log(false).await.unwrap();
    assert!(said.contains(&format!("those from {kept} on by their hashes alone")), "{said}");
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    while size(&mut database, "platform_heads").await <= signed {
        assert!(tokio::time::Instant::now() < deadline, "the platform's log stands still");
        app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    }
    assert_eq!(root(&mut database, signed).await, signed_root, "it is the head that was signed");
    inclusion(&app, &tenant, None).await;
    app.settle().await.unwrap();
    let (is_whole, reports) = app.fsck(None).await.unwrap();
    let platform = reports.iter().find(|report| report["stream"] == "platform").unwrap();
    assert!(is_whole && platform["lost"] == json!(signed - kept), "{reports:?}");
    let outcomes: Vec<String> = sqlx::query_scalar(
        "SELECT outcome FROM compliance.audit_leaves
         WHERE tenant_id = $1 AND type = 'resume_platform_log' ORDER BY index",
    )
    .bind(PLATFORM.uuid())
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert_eq!(outcomes, ["refused", "success"]);
    let said = app.resume_log(false).await.unwrap();
    assert!(said.contains("nothing is in the way"), "{said}");
    // Whoever says of one that it is lost, to be rid of the head that it tells of, is found out.
    sql(
        &mut database,
        "WITH gone AS (DELETE FROM compliance.platform_anchors WHERE index = 0 RETURNING index, leaf_hash)
         INSERT INTO compliance.platform_lost_leaves SELECT * FROM gone",
    )
    .await;
    let (_, reports) = app.fsck(None).await.unwrap();
    let platform = reports.iter().find(|report| report["stream"] == "platform").unwrap();
    let finding = &platform["findings"][0];
    assert!(
        finding["index"] == 0 && finding["problem"].as_str().unwrap().contains("no event says"),
        "{platform}"
    );
    sql(&mut database, "UPDATE compliance.platform_lost_leaves SET leaf_hash = sha256(leaf_hash)").await;
    let (_, reports) = app.fsck(None).await.unwrap();
    let platform = reports.iter().find(|report| report["stream"] == "platform").unwrap();
    let tile = |finding: &&Value| finding["place"] == "tile";
    assert!(platform["findings"].as_array().unwrap().iter().any(|finding| tile(&finding)), "{platform}");
    app.service.stop().await;
}

async fn root(database: &mut PgConnection, size: i64) -> Option<Vec<u8>> {
    let asked = "SELECT root FROM compliance.platform_heads WHERE size = $1 AND note IS NOT NULL";
    sqlx::query_scalar(asked).bind(size).fetch_optional(database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_9_wherever_the_platforms_log_breaks_off_it_goes_on_and_has_every_head_once() {
    let app = TestApp::start_with(&SWIFT).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    inclusion(&app, &tenant, None).await;
    let mut database = app.superuser_connection().await.unwrap();
    let until_grown = async |database: &mut PgConnection, from: i64| {
        let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
        while size(database, "platform_heads WHERE note IS NOT NULL").await <= from {
            assert!(tokio::time::Instant::now() < deadline, "the platform's log stands still");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    for fault in FAULTS {
        sql(&mut database, fault).await;
        for (kind, when, table, how) in [
            ("TRIGGER", "BEFORE INSERT", "platform_anchors", ""),
            ("TRIGGER", "BEFORE INSERT OR UPDATE", "platform_tiles", ""),
            ("TRIGGER", "BEFORE INSERT", "platform_heads", ""),
            ("CONSTRAINT TRIGGER", "AFTER INSERT", "platform_heads", "DEFERRABLE INITIALLY DEFERRED"),
            // Signed, and not written down.
            ("TRIGGER", "BEFORE UPDATE", "platform_heads", ""),
        ] {
            let made = format!(
                "CREATE {kind} full_disk {when} ON compliance.{table} {how} FOR EACH ROW EXECUTE FUNCTION compliance.full()"
            );
            sql(&mut database, &made).await;
            // What was committed before is signed, where it can be.
            let unsigned = "SELECT count(*) FROM compliance.platform_heads WHERE note IS NULL";
            while when != "BEFORE UPDATE"
                && sqlx::query_scalar::<_, i64>(unsigned).fetch_one(&mut database).await.unwrap() > 0
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let before = size(&mut database, "platform_heads WHERE note IS NOT NULL").await;
            app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(700)).await;
            let meanwhile = size(&mut database, "platform_heads WHERE note IS NOT NULL").await;
            assert_eq!(meanwhile, before, "{when} {table}: {fault}");
            sql(&mut database, &format!("DROP TRIGGER full_disk ON compliance.{table}")).await;
            until_grown(&mut database, before).await;
        }
    }
    app.settle().await.unwrap();
    let (is_whole, reports) = app.fsck(None).await.unwrap();
    assert!(is_whole, "{reports:?}");
    let (leaves, size): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM compliance.platform_anchors), (SELECT max(size) FROM compliance.platform_heads)",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    assert_eq!(leaves, size, "each leaf is of a head of its own");
    app.stop().await.unwrap();
}

/// How often the refusal is in the platform's own log, once it is.
async fn until_refused(database: &mut PgConnection) -> i64 {
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    loop {
        let told: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM compliance.audit_leaves
             WHERE tenant_id = $1 AND stream = 'admin' AND type = 'sign_platform_log' AND outcome = 'refused'
               AND convert_from(leaf, 'UTF8') LIKE '%smaller_than_signed%'",
        )
        .bind(PLATFORM.uuid())
        .fetch_one(&mut *database)
        .await
        .unwrap();
        if told > 0 {
            return told;
        }
        assert!(tokio::time::Instant::now() < deadline, "the refusal is not told");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fsck_finds_a_tenants_log_that_was_put_back_alone() {
    let app = TestApp::start_with(&SWIFT).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let early = inclusion(&app, &tenant, None).await;
    let early = number(&early.data("platformInclusion")["tenantCheckpoint"]["size"]);
    let mut database = app.superuser_connection().await.unwrap();
    let log = format!("tenant_id = '{}' AND stream = 'iam'", tenant.id.uuid());
    sql(
        &mut database,
        &format!("CREATE TABLE public.kept AS SELECT * FROM compliance.audit_tiles WHERE {log}"),
    )
    .await;
    app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    let late = inclusion(&app, &tenant, Some(&(early + 1).to_string())).await;
    assert_eq!(number(&late.data("platformInclusion")["tenantCheckpoint"]["size"]), early + 1);
    app.settle().await.unwrap();
    app.check_logs().await.unwrap();
    // All that is kept of that log goes back to where it was, heads and tiles as well.
    sql(
        &mut database,
        &format!(
            "DELETE FROM compliance.audit_leaves WHERE {log} AND index >= {early};
             DELETE FROM compliance.audit_heads WHERE {log} AND size > {early};
             DELETE FROM compliance.audit_tiles WHERE {log};
             INSERT INTO compliance.audit_tiles TABLE public.kept"
        ),
    )
    .await;
    assert!(app.fsck(Some(tenant.id)).await.unwrap().0, "in itself it is whole");
    let (whole, reports) = app.fsck(None).await.unwrap();
    let platform = reports.iter().find(|report| report["stream"] == "platform").unwrap();
    assert!(!whole && platform["tenant"].is_null(), "{platform}");
    let finding = &platform["findings"][0];
    assert_eq!((&finding["place"], &finding["field"]), (&json!("leaf"), &json!("checkpoint")), "{platform}");
    let problem = finding["problem"].as_str().unwrap();
    let of = format!("no head of {} leaves of {} iam", early + 1, tenant.id.uuid());
    assert!(problem.contains(&of), "{problem}");
    // And what is kept of the platform's log itself is derived anew like any other.
    sql(&mut database, "UPDATE compliance.platform_anchors SET salt = sha256(salt) WHERE index = 0").await;
    let (_, reports) = app.fsck(None).await.unwrap();
    let platform = reports.iter().find(|report| report["stream"] == "platform").unwrap();
    assert_eq!(platform["findings"][0]["index"], 0, "{platform}");
    app.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_notarises_reads_heads_and_writes_nothing_of_tenants() {
    let app = TestApp::start().await.unwrap();
    let mut notary = PgConnection::connect(app.notary_url()).await.unwrap();
    for refused in [
        "SELECT salt FROM compliance.platform_anchors",
        "SELECT leaf FROM compliance.audit_leaves",
        "SELECT seed_sealed FROM compliance.log_keys",
        "SELECT id FROM identity.members",
        "UPDATE compliance.platform_heads SET root = root",
        "DELETE FROM compliance.platform_heads",
        "DELETE FROM compliance.platform_anchors",
        "UPDATE compliance.platform_anchors SET index = 0",
        "INSERT INTO compliance.audit_heads SELECT * FROM compliance.audit_heads",
    ] {
        let error = sqlx::raw_sql(refused).execute(&mut notary).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    app.stop().await.unwrap();
}
