//! Ways in that were tried once, and must stay shut.

use domain::kernel::{
    actor::Role,
    ids::{IdSource as _, SessionId, TenantId},
    scope::TenantScope,
};
use harness::app::{PASSWORD, TestApp, TestTenant};
use infra::system::System;
use serde_json::{Value, json};
use sqlx::Executor as _;

const INVITE: &str = "mutation ($role: Role!, $key: String!) {
    inviteMember(input: { email: \"next@example.com\", role: $role }) @idempotent(key: $key) { token userErrors { code } } }";
const CHANGE: &str = "mutation ($id: ID!, $role: Role!) { changeMemberRole(input: { id: $id, role: $role }) {
    member { role } userErrors { code } } }";
const VIEWER: &str = "{ viewer { permissions session { id } } }";

async fn issue_key(app: &TestApp, token: &str, scopes: &str) -> String {
    let mutation = format!(
        "mutation {{ issueApiKey(input: {{ name: \"k\", scopes: [{scopes}] }}) @idempotent(key: \"k\") {{ key userErrors {{ code }} }} }}"
    );
    let issued = app.client.graphql(token, &mutation, json!({})).await.unwrap();
    issued.data("issueApiKey")["key"].as_str().unwrap_or_else(|| panic!("{}", issued.body)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_rights_they_do_not_hold() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let admin = app.member(&tenant, Role::Admin).await.unwrap();
    let scopes = "MANAGE_MEMBERS, READ_MEMBERS, READ_ACCOUNTS, READ_CONTENT, READ_POSTS";
    let key = issue_key(&app, &tenant.owner.token, scopes).await;
    for role in ["OWNER", "ADMIN", "AUDITOR"] {
        let invited = app.client.graphql(&key, INVITE, json!({ "role": role, "key": role })).await.unwrap();
        assert_eq!(invited.code(), "FORBIDDEN", "{role}: {}", invited.body);
    }
    let change = json!({ "id": admin.id, "role": "ANALYST" });
    let changed = app.client.graphql(&key, CHANGE, change).await.unwrap();
    assert_eq!(changed.code(), "FORBIDDEN", "nor takes them: {}", changed.body);
    let reset =
        "mutation ($id: ID!) { startPasswordReset(input: { id: $id }) @idempotent(key: \"r\") { token } }";
    let reset = app.client.graphql(&key, reset, json!({ "id": admin.id })).await.unwrap();
    assert_eq!(reset.code(), "FORBIDDEN", "{}", reset.body);
    let analyst = app.client.graphql(&key, INVITE, json!({ "role": "ANALYST", "key": "a" })).await.unwrap();
    assert!(analyst.data("inviteMember")["token"].is_string(), "what it holds it may give: {}", analyst.body);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_invitations_are_worth_what_their_maker_still_holds() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let second = app.member(&tenant, Role::Owner).await.unwrap();
    let key = issue_key(&app, &second.token, "READ_AUDIT, READ_MEMBERS").await;
    let invited =
        app.client.graphql(&second.token, INVITE, json!({ "role": "OWNER", "key": "o" })).await.unwrap();
    let token = invited.data("inviteMember")["token"].as_str().unwrap().to_owned();

    let down = json!({ "id": second.id, "role": "ANALYST" });
    let down = app.client.graphql(&tenant.owner.token, CHANGE, down).await.unwrap();
    assert_eq!(down.data("changeMemberRole")["member"]["role"], "ANALYST", "{}", down.body);
    let viewer = app.client.graphql(&key, VIEWER, json!({})).await.unwrap();
    assert_eq!(viewer.data("viewer")["permissions"], json!(["READ_MEMBERS"]), "{}", viewer.body);
    let body = json!({ "token": token, "name": "Next", "password": PASSWORD });
    assert_eq!(app.client.post("/auth/invitations/accept", &body).await.unwrap().status, 400);

    let suspend = "mutation ($id: ID!) { suspendMember(input: { id: $id }) { userErrors { code } } }";
    app.client.graphql(&tenant.owner.token, suspend, json!({ "id": second.id })).await.unwrap();
    let after = app.client.graphql(&key, VIEWER, json!({})).await.unwrap();
    assert_eq!(after.code(), "UNAUTHENTICATED", "{}", after.body);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_given_again_under_another_role_and_leaves_its_event() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let second = app.member(&tenant, Role::Owner).await.unwrap();
    let variables = json!({ "role": "OWNER", "key": "same" });
    let first = app.client.graphql(&second.token, INVITE, variables.clone()).await.unwrap();
    assert!(first.data("inviteMember")["token"].is_string(), "{}", first.body);
    let again = app.client.graphql(&second.token, INVITE, variables.clone()).await.unwrap();
    assert_eq!(again.body["extensions"]["idempotentReplay"], true, "{}", again.body);
    app.settle().await.unwrap();
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type reason } } }";
    let trail =
        app.client.graphql(&tenant.owner.token, trail, json!({ "id": again.compliance_id() })).await.unwrap();
    let told = json!({ "type": "invite_member", "reason": "replayed" });
    assert!(trail.data("auditTrail")["events"].as_array().unwrap().contains(&told), "{}", trail.body);

    let down = json!({ "id": second.id, "role": "ADMIN" });
    app.client.graphql(&tenant.owner.token, CHANGE, down).await.unwrap();
    let demoted = app.client.graphql(&second.token, INVITE, variables).await.unwrap();
    assert_eq!(demoted.code(), "FORBIDDEN", "{}", demoted.body);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_stays_ended_whoever_read_it_before() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let viewer = app.client.graphql(&tenant.owner.token, VIEWER, json!({})).await.unwrap();
    assert!(viewer.data("viewer")["session"]["id"].is_string());
    let mut database = app.superuser_connection().await.unwrap();
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM identity.sessions WHERE tenant_id = $1 LIMIT 1")
        .bind(tenant.id.uuid())
        .fetch_one(&mut database)
        .await
        .unwrap();
    let (id, scope, now) =
        (SessionId::from_uuid(id), TenantScope::of(tenant.id), app.service.parts.app.clock.now());
    let units = &app.service.parts.app.units;
    let mut refresh = units.begin(scope, &app.origin("refresh")).await.unwrap();
    assert!(refresh.session(id).await.unwrap().unwrap().revoked_at.is_none());
    let mut revoke = units.begin(scope, &app.origin("revoke")).await.unwrap();
    revoke.end_session(id, now).await.unwrap();
    revoke.commit().await.unwrap();
    assert!(!refresh.touch_session(id, now).await.unwrap(), "ended meanwhile");
    refresh.commit().await.unwrap();
    let mut read = units.begin(scope, &app.origin("read")).await.unwrap();
    assert!(read.session(id).await.unwrap().unwrap().revoked_at.is_some());
    drop(read);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_tenants_get_no_keys() {
    let app = TestApp::start().await.unwrap();
    app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let count = "SELECT count(*) FROM compliance.tenant_keys";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
    for (path, prefix, name) in [
        ("/auth/refresh", "mrt_", "refreshToken"),
        ("/auth/password-reset/confirm", "mpr_", "token"),
        ("/auth/invitations/accept", "miv_", "token"),
    ] {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let mut bytes = System.next_uuid().as_bytes().to_vec();
        bytes.resize(64, 7);
        let mut body = json!({ name: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)) });
        if path.ends_with("confirm") || path.ends_with("accept") {
            body["password"] = Value::from(PASSWORD);
        }
        if path.ends_with("accept") {
            body["name"] = Value::from("Mallory");
        }
        let answer = app.client.post(path, &body).await.unwrap();
        assert!(matches!(answer.status, 400 | 401), "{path}: {} {}", answer.status, answer.body);
    }
    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut database).await.unwrap();
    assert!(after <= before + 1, "only the platform's own: {before} then {after}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_is_one_account_however_it_is_spelt() {
    let app = TestApp::start_with(&[("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE", "3")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut statuses = Vec::new();
    for padding in ["", " ", "  ", "\t", " \t "] {
        let email = format!("{padding}{}{padding}", tenant.owner.email);
        let body = json!({ "tenant": tenant.slug, "email": email, "password": "wrong" });
        statuses.push(app.client.post("/auth/sign-in", &body).await.unwrap().status);
    }
    assert_eq!(statuses[..3], [401; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_from_a_session_are_limited() {
    let app = TestApp::start_with(&[("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE", "3")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let alias =
        |n: u8| format!("a{n}: disableTotp(input: {{ code: \"00000{n}\" }}) {{ userErrors {{ code }} }}");
    let aliases = (0..6).map(alias).collect::<Vec<_>>().join(" ");
    let answer = app
        .client
        .graphql(&tenant.owner.token, &format!("mutation {{ {aliases} }}"), json!({}))
        .await
        .unwrap();
    let throttled = answer.body["errors"].as_array().unwrap();
    assert!(throttled.iter().all(|error| error["extensions"]["code"] == "THROTTLED"), "{}", answer.body);
    assert!((2..=4).contains(&throttled.len()), "{}", answer.body);
    app.stop().await.unwrap();
}

async fn sign_ins(app: &TestApp, tenant: &TestTenant) -> i64 {
    let mut database = app.superuser_connection().await.unwrap();
    sqlx::query_scalar(
        "SELECT count(*) FROM compliance.audit_leaves WHERE tenant_id = $1 AND type = 'sign_in'",
    )
    .bind(tenant.id.uuid())
    .fetch_one(&mut database)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_written_twice_is_logged_once_and_stops_nobody() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let before = sign_ins(&app, &tenant).await;
    let mut database = app.superuser_connection().await.unwrap();
    let again = "INSERT INTO compliance.audit_outbox SELECT tenant_id, event_id, stream, compliance_id, type, outcome, actor_id,
                 target_id, occurred_at, leaf FROM compliance.audit_leaves";
    database.execute(again).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(sign_ins(&app, &tenant).await, before);
    app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    app.settle().await.unwrap();
    assert_eq!(sign_ins(&app, &tenant).await, before + 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_log_is_broken_stops_no_other() {
    let app = TestApp::start().await.unwrap();
    let (broken, well) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let forged = |tenant: TenantId| {
        format!(
            "INSERT INTO compliance.audit_outbox (tenant_id, event_id, stream, compliance_id, type, outcome, occurred_at, leaf)
             VALUES ('{}', gen_random_uuid(), 'iam', gen_random_uuid(), 'sign_in', 'success', '2000-01-01', 'no leaf')",
            tenant.uuid()
        )
    };
    database.execute(sqlx::AssertSqlSafe(forged(broken.id))).await.unwrap();
    let before = sign_ins(&app, &well).await;
    app.sign_in(&well.slug, &well.owner.email).await.unwrap();
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    while sign_ins(&app, &well).await == before {
        assert!(tokio::time::Instant::now() < deadline, "the other tenant's log stands still");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    database.execute("DELETE FROM compliance.audit_outbox WHERE leaf = 'no leaf'").await.unwrap();
    app.stop().await.unwrap();
}
