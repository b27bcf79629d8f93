//! How the audit logs keep up: every tenant in turn, before the answer, and no further behind than allowed.

use domain::{
    compliance::ports::{SequencerStore as _, SequencingTx},
    kernel::ids::TenantId,
};
use harness::app::TestApp;
use infra::postgres::{Db, PgSequencerStore, PoolSettings};
use serde_json::json;
use sqlx::{Executor as _, PgConnection};

const INVITE: &str = "mutation ($email: String!) {
    inviteMember(input: { email: $email, role: ANALYST }) @idempotent(key: $email) { complianceId userErrors { code } } }";

/// Sequencing by hand. While it is open the service's own sequencer stands still.
async fn by_hand(app: &TestApp) -> Box<dyn SequencingTx> {
    let store = PgSequencerStore::new(Db::connect(app.sequencer_url(), PoolSettings::default()).unwrap());
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    loop {
        if let Some(tx) = store.begin().await.unwrap() {
            return tx;
        }
        assert!(tokio::time::Instant::now() < deadline, "the service's sequencer never rests");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Events of a tenant that nobody asked for.
async fn flood(database: &mut PgConnection, tenant: TenantId, stream: &str, count: u32) {
    let statement = format!(
        "INSERT INTO compliance.audit_outbox
             (tenant_id, event_id, stream, compliance_id, type, outcome, occurred_at, leaf)
         SELECT '{}', ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '{stream}', gen_random_uuid(),
                'access', 'success', '2000-01-01', 'flood'
         FROM generate_series(1, {count}) AS n",
        tenant.uuid()
    );
    database.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
}

async fn drain(database: &mut PgConnection) {
    database.execute("DELETE FROM compliance.audit_outbox WHERE leaf = 'flood'").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenants_flood_delays_no_other() {
    let app = TestApp::start().await.unwrap();
    let (loud, quiet, silent) =
        (app.tenant().await.unwrap(), app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let mut tx = by_hand(&app).await;
    flood(&mut database, loud.id, "access", 500).await;
    flood(&mut database, quiet.id, "access", 3).await;

    let taken = tx.take(10, &[]).await.unwrap();
    let of = |tenant: TenantId| taken.events.iter().filter(|event| event.log.tenant == tenant).count();
    assert_eq!((of(loud.id), of(quiet.id), of(silent.id)), (7, 3, 0), "in turns, and the batch is full");
    assert!(taken.more, "the loud one has more");
    let rest = tx.take(1_000, &[loud.id]).await.unwrap();
    assert!(rest.events.is_empty() && !rest.more, "who rests is left alone");
    let rest = tx.take(1_000, &[]).await.unwrap();
    assert_eq!((rest.events.len(), rest.more), (493, false));

    drain(&mut database).await;
    drop(tx);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_answered_when_its_event_has_its_index() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for number in 0..5 {
        let email = json!({ "email": format!("guest-{number}@example.com") });
        let answer = app.client.graphql(&tenant.owner.token, INVITE, email).await.unwrap();
        let leaves: Vec<String> = sqlx::query_scalar(
            "SELECT type FROM compliance.audit_leaves WHERE compliance_id = $1::uuid AND stream = 'iam'",
        )
        .bind(answer.data("inviteMember")["complianceId"].as_str().unwrap())
        .fetch_all(&mut database)
        .await
        .unwrap();
        assert_eq!(leaves, ["invite_member"], "{}", answer.body);
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stands_still_delays_a_change_and_then_refuses_the_next() {
    let settings = [("MATRICULA_AUDIT_WAITING_MAX", "50"), ("MATRICULA_AUDIT_INDEX_WAIT_MS", "300")];
    let app = TestApp::start_with(&settings).await.unwrap();
    let (behind, other) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    app.settle().await.unwrap();
    let email = |name: &str| json!({ "email": format!("{name}@example.com") });
    let mut database = app.superuser_connection().await.unwrap();

    let tx = by_hand(&app).await;
    let late = app.client.graphql(&behind.owner.token, INVITE, email("late")).await.unwrap();
    assert!(
        late.data("inviteMember")["complianceId"].is_string(),
        "late is done all the same: {}",
        late.body
    );
    flood(&mut database, other.id, "access", 200).await;
    flood(&mut database, behind.id, "iam", 50).await;
    let refused = app
        .client
        .graphql_until(&behind.owner.token, INVITE, email("refused"), |answer| answer.code() == "UNAVAILABLE")
        .await
        .unwrap();
    assert!(!refused.compliance_id().is_empty());
    let read = "{ viewer { tenant { slug } } }";
    let answer = app.client.graphql(&behind.owner.token, read, json!({})).await.unwrap();
    assert_eq!(answer.data("viewer")["tenant"]["slug"], behind.slug, "reading goes on: {}", answer.body);
    let answer = app.client.graphql(&other.owner.token, INVITE, email("other")).await.unwrap();
    assert!(
        answer.data("inviteMember")["complianceId"].is_string(),
        "access events hold nobody up: {}",
        answer.body
    );

    drain(&mut database).await;
    drop(tx);
    app.client
        .graphql_until(&behind.owner.token, INVITE, email("again"), |answer| {
            answer.data("inviteMember")["complianceId"].is_string()
        })
        .await
        .unwrap();
    app.stop().await.unwrap();
}
