//! One tenant never sees another's row: through the API, and with the application's own role in SQL.

use domain::kernel::actor::Role;
use harness::app::{TestApp, TestTenant};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, Row as _};

fn account_id(account: &Value) -> &str {
    account.as_str().unwrap()
}

/// Has some of everything in a tenant.
pub(super) async fn ids_of(app: &TestApp, tenant: &TestTenant) -> Vec<String> {
    let seed = "mutation { inviteMember(input: { email: \"seed@example.com\", role: ADMIN }) @idempotent(key: \"s\") { invitation { id } }
        issueApiKey(input: { name: \"seed\", scopes: [READ_AUDIT] }) @idempotent(key: \"s\") { apiKey { id } }
        beginUpload(input: { name: \"seed.mp4\", sizeBytes: \"5\" }) { upload { id } } }";
    let seeded = app.client.graphql(&tenant.owner.token, seed, json!({})).await.unwrap();
    app.settle().await.unwrap();
    let read =
        "{ viewer { tenant { id } session { id } member { id } } auditEvents(first: 1) { nodes { id } } }";
    let read = app.client.graphql(&tenant.owner.token, read, json!({})).await.unwrap();
    let apps = "mutation {
        registerApp(input: { platform: \"douyin\", name: \"Seed\", clientKey: \"awseed\", clientSecret: \"s\", scopes: [\"user_info\"] })
            @idempotent(key: \"s\") { app { id } }
        createGroup(input: { name: \"Seed\" }) @idempotent(key: \"s\") { group { id } } }";
    let apps = app.client.graphql(&tenant.owner.token, apps, json!({})).await.unwrap();
    let platform_app = apps.data("registerApp")["app"]["id"].clone();
    let link =
        "mutation ($app: ID!) { beginLink(input: { appId: $app }) @idempotent(key: \"s\") { link { id } } }";
    let link = app.client.graphql(&tenant.owner.token, link, json!({ "app": platform_app })).await.unwrap();
    let account: Value = app.account(tenant, platform_app.as_str().unwrap(), "owner").await.unwrap().into();
    let [plan, post] = app.post(tenant, account_id(&account)).await.unwrap().map(Value::from);
    let report = Value::from(app.report(tenant).await.unwrap());
    let hold = "mutation ($id: ID!) { placeHold(input: { id: $id, matter: \"seed\" }) { hold { id } } }";
    let member = json!({ "id": tenant.owner.id });
    let hold = app.client.graphql(&tenant.owner.token, hold, member).await.unwrap();
    let leaver = app.member(tenant, Role::Analyst).await.unwrap();
    let erase =
        "mutation ($id: ID!) { eraseSubject(input: { id: $id, basis: OBJECTED }) { erasure { id } } }";
    let erased = app.client.graphql(&tenant.owner.token, erase, json!({ "id": leaver.id })).await.unwrap();
    let record = Value::from(app.record(tenant).await.unwrap().0);
    let ids = [
        &record,
        &erased.data("eraseSubject")["erasure"]["id"],
        &hold.data("placeHold")["hold"]["id"],
        &report,
        &plan,
        &post,
        &platform_app,
        &account,
        &link.data("beginLink")["link"]["id"],
        &apps.data("createGroup")["group"]["id"],
        &seeded.body["data"]["inviteMember"]["invitation"]["id"],
        &seeded.body["data"]["issueApiKey"]["apiKey"]["id"],
        &seeded.body["data"]["beginUpload"]["upload"]["id"],
        &read.data("viewer")["tenant"]["id"],
        &read.data("viewer")["session"]["id"],
        &read.data("viewer")["member"]["id"],
        &read.data("auditEvents")["nodes"][0]["id"],
    ];
    ids.into_iter()
        .map(|id| id.as_str().unwrap_or_else(|| panic!("{} {}", seeded.body, read.body)).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_node_is_as_absent_as_what_never_was() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let ids = ids_of(&app, &aurora).await;
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";
    let own = app.client.graphql(&aurora.owner.token, query, json!({ "ids": ids })).await.unwrap();
    assert!(own.data("nodes").as_array().unwrap().iter().all(|node| !node.is_null()), "{}", own.body);
    let foreign = app.client.graphql(&borealis.owner.token, query, json!({ "ids": ids })).await.unwrap();
    assert_eq!(foreign.data("nodes"), &json!(vec![Value::Null; ids.len()]), "{}", foreign.body);
    assert!(foreign.body.get("errors").is_none(), "not even an error tells that they exist");
    for id in &ids {
        let one = "query ($id: ID!) { node(id: $id) { id } member(id: $id) { id } }";
        let answer = app.client.graphql(&borealis.owner.token, one, json!({ "id": id })).await.unwrap();
        assert_eq!((answer.data("node"), answer.data("member")), (&Value::Null, &Value::Null));
    }
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { id } } }";
    let trail =
        app.client.graphql(&borealis.owner.token, trail, json!({ "id": own.compliance_id() })).await.unwrap();
    assert_eq!(trail.data("auditTrail")["events"], json!([]), "{}", trail.body);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_tenant_is_refused() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let own = app
        .client
        .graphql(&aurora.owner.token, "{ members { pageInfo { endCursor } } }", json!({}))
        .await
        .unwrap();
    let cursor = own.data("members")["pageInfo"]["endCursor"].clone();
    let query = "query ($after: String!) { members(first: 1, after: $after) { nodes { id } } }";
    let answer = app.client.graphql(&borealis.owner.token, query, json!({ "after": cursor })).await.unwrap();
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    app.stop().await.unwrap();
}

/// Runs a statement as the application, in a transaction of `tenant`, and says what came of it.
async fn run_as(app: &TestApp, tenant: &TestTenant, sql: &str) -> Result<u64, String> {
    let mut connection = app.app_connection().await.unwrap();
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("SELECT set_config('app.tenant_id', $1, true)")
        .bind(tenant.id.uuid().to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    let done = tx.execute(sqlx::AssertSqlSafe(sql.to_owned())).await;
    tx.rollback().await.unwrap();
    done.map(|done| done.rows_affected()).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_applications_own_role_is_held_by_the_database() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let theirs = borealis.id.uuid();
    let cases: [(&str, Result<u64, &str>); 13] = [
        // What opens events is there, and is taken away of nobody but of who was erased.
        ("DELETE FROM compliance.audit_openings", Ok(0)),
        (&format!("SELECT * FROM identity.members WHERE tenant_id = '{theirs}'"), Ok(0)),
        ("SELECT * FROM identity.members", Ok(1)),
        (&format!("UPDATE identity.members SET role = 'analyst' WHERE tenant_id = '{theirs}'"), Ok(0)),
        (&format!("UPDATE identity.members SET tenant_id = '{theirs}'"), Err("row-level security")),
        (
            &format!(
                "INSERT INTO kernel.idempotency_keys VALUES ('{theirs}', 'x', 'x', 'x', '', NULL, now())"
            ),
            Err("row-level security"),
        ),
        // Nor a tenant before its end has begun.
        ("DELETE FROM identity.tenants", Ok(0)),
        ("TRUNCATE identity.members CASCADE", Err("permission denied")),
        ("DELETE FROM compliance.audit_outbox", Err("permission denied")),
        ("UPDATE compliance.audit_leaves SET leaf = ''", Err("permission denied")),
        ("SELECT * FROM compliance.audit_outbox", Err("permission denied")),
        ("SELECT * FROM identity.tenant_directory", Err("permission denied")),
        ("CREATE TABLE identity.mine (id int)", Err("permission denied")),
    ];
    for (sql, wanted) in cases {
        let came = run_as(&app, &aurora, sql).await;
        match wanted {
            Ok(rows) => assert_eq!(came, Ok(rows), "{sql}"),
            Err(part) => assert!(came.as_ref().is_err_and(|text| text.contains(part)), "{sql}: {came:?}"),
        }
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_there_is_an_error_and_not_an_empty_list() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut connection = app.app_connection().await.unwrap();
    let fresh = connection.execute("SELECT * FROM identity.members").await;
    assert!(fresh.unwrap_err().to_string().contains("app.tenant_id"), "never set on this connection");
    let mut tx = connection.begin().await.unwrap();
    sqlx::query("SELECT set_config('app.tenant_id', $1, true)")
        .bind(tenant.id.uuid().to_string())
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen = sqlx::query("SELECT count(*) AS n FROM identity.members").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(seen.get::<i64, _>("n"), 1);
    tx.commit().await.unwrap();
    let after = connection.execute("SELECT * FROM identity.members").await;
    assert!(
        after.unwrap_err().to_string().contains("invalid input syntax"),
        "the setting ended with its transaction"
    );
    for hostile in ["", "00000000-0000-0000-0000-000000000000", "' OR true --"] {
        let mut tx = connection.begin().await.unwrap();
        sqlx::query("SELECT set_config('app.tenant_id', $1, true)")
            .bind(hostile)
            .execute(&mut *tx)
            .await
            .unwrap();
        let rows = sqlx::query("SELECT * FROM identity.members").fetch_all(&mut *tx).await;
        assert!(rows.is_err() || rows.is_ok_and(|rows| rows.is_empty()), "{hostile:?}");
        tx.rollback().await.unwrap();
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorder_only_adds_access_events() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut recorder = app.recorder_connection().await.unwrap();
    let insert = |stream: &str| {
        format!(
            "INSERT INTO compliance.audit_outbox (tenant_id, event_id, stream, compliance_id, type, outcome, occurred_at, leaf)
             VALUES ('{}', gen_random_uuid(), '{stream}', gen_random_uuid(), 'x', 'success', now(), 'x')",
            tenant.id.uuid()
        )
    };
    for (sql, part) in [
        (insert("iam"), "row-level security"),
        ("SELECT * FROM compliance.audit_outbox".to_owned(), "permission denied"),
        ("SELECT leaf FROM compliance.audit_leaves".to_owned(), "permission denied"),
        ("SELECT actor_id FROM compliance.audit_outbox".to_owned(), "permission denied"),
        ("DELETE FROM compliance.audit_outbox WHERE tenant_id IS NULL".to_owned(), "permission denied"),
        ("SELECT * FROM identity.members".to_owned(), "permission denied"),
    ] {
        let error = recorder.execute(sqlx::AssertSqlSafe(sql.clone())).await.unwrap_err().to_string();
        assert!(error.contains(part), "{sql}: {error}");
    }
    let mut tx = recorder.begin().await.unwrap();
    tx.execute(sqlx::AssertSqlSafe(insert("access"))).await.unwrap();
    tx.rollback().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_refuses_a_role_that_could_step_around_the_wall() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let member = app.member(&tenant, Role::Analyst).await.unwrap();
    assert!(!member.id.is_empty());
    let superuser = app.superuser_url();
    let db =
        infra::postgres::Db::connect(superuser.as_str(), infra::postgres::PoolSettings::default()).unwrap();
    let refused = infra::postgres::self_check(&db, &migrations::names()).await.unwrap_err().to_string();
    assert!(refused.contains("is a superuser") && refused.contains("matricula_app_rw"), "{refused}");
    let app_db =
        infra::postgres::Db::connect(app.app_url(), infra::postgres::PoolSettings::default()).unwrap();
    infra::postgres::self_check(&app_db, &migrations::names()).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    database.execute("ALTER TABLE identity.members DISABLE ROW LEVEL SECURITY").await.unwrap();
    let open = infra::postgres::self_check(&app_db, &migrations::names()).await.unwrap_err().to_string();
    assert!(open.contains("identity.members"), "{open}");
    database.execute("ALTER TABLE identity.members ENABLE ROW LEVEL SECURITY").await.unwrap();
    database.execute("ALTER TABLE identity.members DISABLE TRIGGER note_change").await.unwrap();
    let unnoted = infra::postgres::self_check(&app_db, &migrations::names()).await.unwrap_err().to_string();
    assert!(unnoted.contains("identity.members") && unnoted.contains("are not noted"), "{unnoted}");
    database.execute("ALTER TABLE identity.members ENABLE TRIGGER note_change").await.unwrap();
    database.execute("DROP TRIGGER leave_changes ON publishing.posts").await.unwrap();
    let unnoted = infra::postgres::self_check(&app_db, &migrations::names()).await.unwrap_err().to_string();
    assert!(unnoted.contains("publishing.posts"), "{unnoted}");
    let again = "CREATE CONSTRAINT TRIGGER leave_changes AFTER INSERT OR UPDATE OR DELETE ON publishing.posts
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION compliance.leave_changes()";
    database.execute(again).await.unwrap();
    let behind =
        infra::postgres::self_check(&app_db, &["m20990101_0001_not_yet".to_owned()]).await.unwrap_err();
    assert!(behind.to_string().contains("matricula migrate"), "{behind}");
    app.stop().await.unwrap();
}
