//! Keys are rotated while the service runs: nothing sealed is lost, other tenants notice nothing, the log tells of it.

use harness::app::{TestApp, TestTenant};
use serde_json::json;
use server::keys::KeysTask;

/// Versions of the tenant's keys, and under which of them its data keys are.
async fn versions(app: &TestApp, tenant: &TestTenant) -> (Vec<i32>, Vec<i32>) {
    let mut database = app.superuser_connection().await.unwrap();
    let of = tenant.id.uuid();
    let keys =
        sqlx::query_scalar("SELECT version FROM compliance.tenant_keys WHERE tenant_id = $1 ORDER BY 1");
    let keys = keys.bind(of).fetch_all(&mut database).await.unwrap();
    let under =
        sqlx::query_scalar("SELECT kek_version FROM compliance.data_keys WHERE tenant_id = $1 ORDER BY 1");
    (keys, under.bind(of).fetch_all(&mut database).await.unwrap())
}

async fn email(client: &harness::client::Client, token: &str) -> String {
    let answer = client.graphql(token, "{ viewer { member { email } } }", json!({})).await.unwrap();
    answer.data("viewer")["member"]["email"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_a_running_service() {
    let app = TestApp::start().await.unwrap();
    let (rotated, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let before = versions(&app, &other).await;
    assert_eq!(versions(&app, &rotated).await.0, [1]);
    app.keys(KeysTask::Rotate(None), &[&rotated.slug]).await.unwrap();
    let (keys, under) = versions(&app, &rotated).await;
    assert_eq!(keys, [1, 2]);
    assert!(under.len() >= 3 && under.iter().all(|version| *version == 2), "{under:?}");
    assert_eq!(versions(&app, &other).await, before);

    // This replica with the old keys in memory, another with none.
    let (replica, client) = app.replica().await.unwrap();
    for client in [&app.client, &client] {
        assert_eq!(email(client, &rotated.owner.token).await, rotated.owner.email);
        assert_eq!(email(client, &other.owner.token).await, other.owner.email);
    }
    // Retired, the old key takes nothing any more and does not come back.
    app.keys(KeysTask::Retire, &[&rotated.slug]).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for undo in [
        "UPDATE compliance.data_keys SET kek_version = 1 WHERE tenant_id = $1",
        "UPDATE compliance.tenant_keys SET retired_at = NULL WHERE tenant_id = $1 AND version = 1",
        "UPDATE compliance.tenant_keys SET retired_at = now() WHERE tenant_id = $1 AND version = 2",
    ] {
        let refused = sqlx::query(undo).bind(rotated.id.uuid()).execute(&mut database).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("23514"), "{refused}");
    }
    let retired: Vec<i32> = sqlx::query_scalar(
        "SELECT version FROM compliance.tenant_keys WHERE tenant_id = $1 AND retired_at IS NOT NULL",
    )
    .bind(rotated.id.uuid())
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert_eq!(retired, [1]);
    // Found by its keyed hash, as before.
    app.sign_in(&rotated.slug, &rotated.owner.email).await.unwrap();
    replica.stop().await;

    app.settle().await.unwrap();
    let list = "{ auditEvents(filter: { stream: ADMIN, types: [\"rotate_keys\", \"retire_keys\"] }) { nodes { outcome } } }";
    let events = app.client.graphql(&rotated.owner.token, list, json!({})).await.unwrap();
    assert_eq!(
        events.data("auditEvents")["nodes"],
        json!([{ "outcome": "SUCCESS" }, { "outcome": "SUCCESS" }]),
        "{}",
        events.body
    );
    let events = app.client.graphql(&other.owner.token, list, json!({})).await.unwrap();
    assert_eq!(events.data("auditEvents")["nodes"], json!([]));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_cut_short_is_finished_by_rewrapping() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let of = tenant.id.uuid();
    let old: Vec<(String, i32, Vec<u8>)> =
        sqlx::query_as("SELECT purpose, version, wrapped FROM compliance.data_keys WHERE tenant_id = $1")
            .bind(of)
            .fetch_all(&mut database)
            .await
            .unwrap();
    app.keys(KeysTask::Rotate(None), &[&tenant.slug]).await.unwrap();
    // As it is when the process ended after the new key and before the rest.
    for (purpose, version, wrapped) in &old {
        sqlx::query(
            "UPDATE compliance.data_keys SET kek_version = 1, wrapped = $4
             WHERE tenant_id = $1 AND purpose = $2 AND version = $3",
        )
        .bind(of)
        .bind(purpose)
        .bind(version)
        .bind(wrapped)
        .execute(&mut database)
        .await
        .unwrap();
    }
    let (replica, client) = app.replica().await.unwrap();
    assert_eq!(
        email(&client, &tenant.owner.token).await,
        tenant.owner.email,
        "both keys are needed, and there"
    );
    replica.stop().await;
    app.keys(KeysTask::Rewrap, &[&tenant.slug]).await.unwrap();
    assert!(versions(&app, &tenant).await.1.iter().all(|version| *version == 2));
    app.keys(KeysTask::Rewrap, &[&tenant.slug]).await.unwrap();
    let (replica, client) = app.replica().await.unwrap();
    assert_eq!(email(&client, &tenant.owner.token).await, tenant.owner.email);
    replica.stop().await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_rotated() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let unknown = app.keys(KeysTask::Rotate(Some("aws-kms".to_owned())), &[&tenant.slug]).await.unwrap_err();
    assert!(unknown.to_string().contains("local-keyring"), "{unknown}");
    let unknown = app.keys(KeysTask::Status, &[&tenant.slug, "nobody-at-all"]).await.unwrap_err();
    assert!(unknown.to_string().contains("nobody-at-all"), "{unknown}");
    assert_eq!(versions(&app, &tenant).await.0, [1]);
    app.keys(KeysTask::Rotate(None), &[]).await.unwrap();
    assert_eq!(
        email(&app.client, &tenant.owner.token).await,
        tenant.owner.email,
        "the platform's key is another"
    );
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_nothing_is_done_and_that_it_was_tried_is_in_the_log() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let invite = "mutation ($key: String!) { inviteMember(input: { email: \"a@example.com\", role: ANALYST })
        @idempotent(key: $key) { userErrors { code } } }";
    let before = app.client.graphql(&tenant.owner.token, invite, json!({ "key": "1" })).await.unwrap();
    assert_eq!(before.status, 200, "{}", before.body);
    // Who is behind the token is remembered for a moment, so that the command itself is reached.
    app.client.graphql(&tenant.owner.token, "{ viewer { member { id } } }", json!({})).await.unwrap();
    app.settle().await.unwrap();
    // As when the provider is away and every key's time is over: none is held, and none can be had.
    app.service.parts.envelope.close();
    let answer = app.client.graphql(&tenant.owner.token, invite, json!({ "key": "2" })).await.unwrap();
    assert!(["UNAVAILABLE", "INTERNAL_SERVER_ERROR"].contains(&answer.code()), "{}", answer.body);
    app.service.parts.app.access_log.flush().await;
    let mut database = app.superuser_connection().await.unwrap();
    let told: Vec<(String, String)> = sqlx::query_as(
        "SELECT type, outcome FROM compliance.audit_outbox WHERE tenant_id = $1 AND compliance_id = $2::uuid
         UNION ALL SELECT type, outcome FROM compliance.audit_leaves WHERE tenant_id = $1 AND compliance_id = $2::uuid",
    )
    .bind(tenant.id.uuid())
    .bind(answer.compliance_id())
    .fetch_all(&mut database)
    .await
    .unwrap();
    for event in ["invite_member", "access"] {
        assert!(
            told.contains(&(event.to_owned(), "failure".to_owned())),
            "{event} in {told:?}: {}",
            answer.body
        );
    }
    let invitations: i64 = sqlx::query_scalar("SELECT count(*) FROM identity.invitations")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(invitations, 1, "the one from before");
    // Its log can't grow without keys, so what waits is not waited for.
    app.service.stop().await;
}
