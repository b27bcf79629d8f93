//! What can be followed, on sockets and event streams, across replicas.

use std::{collections::HashSet, time::Duration};

use harness::app::TestApp;
use serde_json::{Value, json};

use super::doors::all_resolve;

const EVENTS: &str = "subscription { memberEvents { kind subjectId seq } }";

async fn invite(app: &TestApp, token: &str, email: &str) -> String {
    let mutation = "mutation ($email: String!) {
        inviteMember(input: { email: $email, role: ANALYST }) @idempotent(key: $email) { invitation { id } } }";
    let answer = app.client.graphql(token, mutation, json!({ "email": email })).await.unwrap();
    answer.data("inviteMember")["invitation"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.body))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn news_reaches_subscribers_of_every_replica_and_of_no_other_tenant() {
    let app = TestApp::start().await.unwrap();
    let (replica, other) = app.replica().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let mut here = app.client.socket(&aurora.owner.token).await.unwrap();
    here.subscribe("1", EVENTS).await.unwrap();
    let mut there = other.socket(&aurora.owner.token).await.unwrap();
    there.subscribe("1", EVENTS).await.unwrap();
    let mut stranger = other.socket(&borealis.owner.token).await.unwrap();
    stranger.subscribe("1", EVENTS).await.unwrap();

    let id = invite(&app, &aurora.owner.token, "a@example.com").await;
    for socket in [&mut here, &mut there] {
        let event = socket.receive("next").await.unwrap();
        assert_eq!(event["payload"]["data"]["memberEvents"]["subjectId"], id, "{event}");
        assert!(event["payload"]["extensions"]["complianceId"].is_string(), "{event}");
    }
    // The stranger's own news comes next, so nothing came before it.
    let own = invite(&app, &borealis.owner.token, "b@example.com").await;
    let event = stranger.receive("next").await.unwrap();
    assert_eq!(event["payload"]["data"]["memberEvents"]["subjectId"], own, "{event}");
    drop((here, there, stranger));
    replica.stop().await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_the_session_it_was_opened_in() {
    let app = TestApp::start().await.unwrap();
    let (replica, other) = app.replica().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let second = app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    let mut socket = other.socket(&second.token).await.unwrap();
    socket.subscribe("1", EVENTS).await.unwrap();
    let everywhere = "mutation { signOutEverywhere { signedOut } }";
    let answer = app.client.graphql(&tenant.owner.token, everywhere, json!({})).await.unwrap();
    assert_eq!(answer.data("signOutEverywhere")["signedOut"], true, "{}", answer.body);
    let code = tokio::time::timeout(Duration::from_secs(5), socket.closed()).await;
    assert_eq!(code.expect("within 5 s").unwrap(), 4403);
    replica.stop().await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_told_to_go_elsewhere_when_the_service_stops() {
    let app = TestApp::start().await.unwrap();
    let (replica, other) = app.replica().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut socket = other.socket(&tenant.owner.token).await.unwrap();
    socket.subscribe("1", EVENTS).await.unwrap();
    let (closed, ()) = tokio::join!(socket.closed(), replica.stop());
    assert_eq!(closed.unwrap(), 1001);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_43_every_operation_of_a_socket_has_an_id_of_its_own_that_resolves() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let mut socket = app.client.socket(&tenant.owner.token).await.unwrap();
    let mut ids = HashSet::new();
    let mut take = |told: &Value| {
        let id = told["extensions"]["complianceId"].as_str().unwrap_or_else(|| panic!("{told}"));
        assert!(ids.insert(uuid::Uuid::parse_str(id).unwrap()), "ids are unique: {told}");
    };
    // Asked, refused by the schema, refused unread, and one that is followed.
    let ask = |id: &str, query: &str| json!({ "id": id, "type": "subscribe", "payload": { "query": query } });
    socket.send(&ask("asked", "{ viewer { permissions } }")).await.unwrap();
    take(&socket.receive("next").await.unwrap()["payload"]);
    socket.receive("complete").await.unwrap();
    for (id, query) in [("unknown", "{ nothing }"), ("unread", "{{{")] {
        socket.send(&ask(id, query)).await.unwrap();
        take(&socket.receive("error").await.unwrap()["payload"][0]);
    }
    socket.subscribe("followed", EVENTS).await.unwrap();
    invite(&app, &tenant.owner.token, "a@example.com").await;
    let followed = socket.receive("next").await.unwrap();
    take(&followed["payload"]);
    // What follows of one operation is of one answer.
    invite(&app, &tenant.owner.token, "b@example.com").await;
    let again = socket.receive("next").await.unwrap();
    assert_eq!(
        again["payload"]["extensions"]["complianceId"],
        followed["payload"]["extensions"]["complianceId"]
    );
    drop(socket);
    all_resolve(&app, ids).await;
    app.stop().await.unwrap();
}
