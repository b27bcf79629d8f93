//! Second factors, sessions, API keys and tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::kernel::actor::Role;
use harness::app::{PASSWORD, TestApp};
use serde_json::{Value, json};

const VIEWER: &str = "{ viewer { permissions member { id hasSecondFactor } } }";

/// The code an authenticator app shows for an `otpauth://` address, `steps` steps of 30 s from now.
#[expect(clippy::disallowed_methods, reason = "an authenticator app has a clock of its own")]
fn code_of(uri: &str, steps: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let app = totp_rs::Totp::from_url(uri).unwrap();
    app.generate(now.checked_add_signed(steps * 30).unwrap()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_set_up_asked_for_and_given_up() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let token = &tenant.owner.token;
    let enrol = "mutation { enrolTotp @idempotent(key: \"e1\") { provisioningUri userErrors { code } } }";
    let enrolled = app.client.graphql(token, enrol, json!({})).await.unwrap();
    let uri = enrolled.data("enrolTotp")["provisioningUri"].as_str().unwrap().to_owned();

    let confirm = |code: String, key: &'static str| {
        let mutation = "mutation ($code: String!, $key: String!) { confirmTotp(input: { code: $code }) @idempotent(key: $key) {
            recoveryCodes userErrors { code field } } }";
        let (client, token) = (app.client.clone(), token.clone());
        async move { client.graphql(&token, mutation, json!({ "code": code, "key": key })).await.unwrap() }
    };
    let wrong = confirm("000000".to_owned(), "c0").await;
    assert_eq!(wrong.refusal("confirmTotp"), "CODE_WRONG");
    let code = code_of(&uri, -1);
    let confirmed = confirm(code.clone(), "c1").await;
    let codes = confirmed.data("confirmTotp")["recoveryCodes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10, "{}", confirmed.body);

    let sign_in = |extra: Value| {
        let mut body = json!({ "tenant": tenant.slug, "email": tenant.owner.email, "password": PASSWORD });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let client = app.client.clone();
        async move { client.post("/auth/sign-in", &body).await.unwrap() }
    };
    let bare = sign_in(json!({})).await;
    assert_eq!((bare.status, bare.body["field"].as_str()), (401, Some("totpCode")), "{}", bare.body);
    assert_eq!(sign_in(json!({ "totpCode": code })).await.status, 401, "a step works once");
    let next = code_of(&uri, 0);
    assert_eq!(sign_in(json!({ "totpCode": next })).await.status, 200);
    assert_eq!(sign_in(json!({ "totpCode": next })).await.status, 401, "a step works once");
    let spoken = codes[0].as_str().unwrap().to_uppercase().replace('-', " ");
    assert_eq!(sign_in(json!({ "recoveryCode": spoken })).await.status, 200, "case and dashes do not matter");
    assert_eq!(sign_in(json!({ "recoveryCode": codes[0] })).await.status, 401, "a recovery code works once");

    let disable = "mutation ($code: String!) { disableTotp(input: { code: $code }) {
        member { hasSecondFactor } userErrors { code } } }";
    let given_up = app.client.graphql(token, disable, json!({ "code": codes[1] })).await.unwrap();
    assert_eq!(given_up.data("disableTotp")["member"]["hasSecondFactor"], false, "{}", given_up.body);
    assert_eq!(sign_in(json!({})).await.status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_allows_its_scopes_until_it_is_taken_back() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let issue = "mutation ($input: IssueApiKeyInput!, $key: String!) {
        issueApiKey(input: $input) @idempotent(key: $key) { apiKey { id name scopes } key userErrors { code field } } }";
    let ask = |input: Value, key: &'static str| {
        let (client, token) = (app.client.clone(), tenant.owner.token.clone());
        async move { client.graphql(&token, issue, json!({ "input": input, "key": key })).await.unwrap() }
    };
    for (input, field) in [
        (json!({ "name": " ", "scopes": ["READ_AUDIT"] }), "name"),
        (json!({ "name": "x", "scopes": [] }), "scopes"),
        (json!({ "name": "x", "scopes": ["READ_AUDIT"], "days": 366 }), "days"),
    ] {
        let refused = ask(input, "bad").await;
        assert_eq!(
            refused.data("issueApiKey")["userErrors"][0]["field"],
            json!(["input", field]),
            "{}",
            refused.body
        );
    }
    let issued = ask(json!({ "name": "nightly export", "scopes": ["READ_MEMBERS"] }), "k1").await;
    let key = issued.data("issueApiKey")["key"].as_str().unwrap().to_owned();
    let id = issued.data("issueApiKey")["apiKey"]["id"].as_str().unwrap().to_owned();

    let viewer = app.client.graphql(&key, VIEWER, json!({})).await.unwrap();
    assert_eq!(viewer.data("viewer")["permissions"], json!(["READ_MEMBERS"]), "{}", viewer.body);
    assert_eq!(viewer.data("viewer")["member"], Value::Null);
    let members = app.client.graphql(&key, "{ members { nodes { id } } }", json!({})).await.unwrap();
    assert_eq!(members.status, 200);
    let audit = app.client.graphql(&key, "{ auditEvents { nodes { id } } }", json!({})).await.unwrap();
    assert_eq!(audit.code(), "FORBIDDEN");

    let revoke = "mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { apiKey { revokedAt } userErrors { code } } }";
    let revoked = app.client.graphql(&tenant.owner.token, revoke, json!({ "id": id })).await.unwrap();
    assert!(revoked.data("revokeApiKey")["apiKey"]["revokedAt"].is_string(), "{}", revoked.body);
    let after = app.client.graphql(&key, VIEWER, json!({})).await.unwrap();
    assert_eq!(after.code(), "UNAUTHENTICATED");

    let admin = app.member(&tenant, Role::Admin).await.unwrap();
    let over = "mutation { issueApiKey(input: { name: \"x\", scopes: [MANAGE_OWNERS] }) @idempotent(key: \"o\") { key } }";
    let refused = app.client.graphql(&admin.token, over, json!({})).await.unwrap();
    assert_eq!(refused.code(), "FORBIDDEN", "nobody gives what they have not: {}", refused.body);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let member = app.member(&tenant, Role::Analyst).await.unwrap();
    let second = app.sign_in(&tenant.slug, &member.email).await.unwrap();
    let list = "{ viewer { member { sessions { nodes { id isCurrent } } } } }";
    let listed = app.client.graphql(&member.token, list, json!({})).await.unwrap();
    let sessions = listed.data("viewer")["member"]["sessions"]["nodes"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["isCurrent"] == false).unwrap();

    let revoke = "mutation ($id: ID!) { revokeSession(input: { id: $id }) { session { revokedAt } userErrors { code } } }";
    let revoked = app.client.graphql(&member.token, revoke, json!({ "id": other["id"] })).await.unwrap();
    assert!(revoked.data("revokeSession")["session"]["revokedAt"].is_string(), "{}", revoked.body);
    assert_eq!(app.client.graphql(&second.token, VIEWER, json!({})).await.unwrap().code(), "UNAUTHENTICATED");
    assert_eq!(app.client.graphql(&member.token, VIEWER, json!({})).await.unwrap().status, 200);

    let out =
        app.client.graphql(&member.token, "mutation { signOut { signedOut } }", json!({})).await.unwrap();
    assert_eq!(out.data("signOut")["signedOut"], true, "{}", out.body);
    assert_eq!(app.client.graphql(&member.token, VIEWER, json!({})).await.unwrap().code(), "UNAUTHENTICATED");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_keys_are_rotated_without_signing_anybody_out() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let keys = |client: harness::client::Client| async move {
        let set = client.send(reqwest::Method::GET, "/.well-known/jwks.json", &[], None).await.unwrap();
        set.body["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = keys(app.client.clone()).await;
    let new = app.service.parts.app.identity.rotate_signing_key().await.unwrap();
    let after = keys(app.client.clone()).await;
    assert!(!before.contains(&new) && after.contains(&new) && before.iter().all(|kid| after.contains(kid)));
    assert_eq!(app.client.graphql(&tenant.owner.token, VIEWER, json!({})).await.unwrap().status, 200);
    let again = app.sign_in(&tenant.slug, &tenant.owner.email).await.unwrap();
    assert_eq!(app.client.graphql(&again.token, VIEWER, json!({})).await.unwrap().status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_tokens_are_refused() {
    let app = TestApp::start().await.unwrap();
    let other = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let stranger = other.tenant().await.unwrap();
    let (head, rest) = tenant.owner.token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let forged = [
        stranger.owner.token.clone(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{}", signature.chars().rev().collect::<String>()),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}."),
        format!("{head}.{claims}.{signature}.{signature}"),
        "mak_AAAA".to_owned(),
        "\u{0}".escape_default().to_string(),
    ];
    for token in forged {
        let answer = app.client.graphql(&token, VIEWER, json!({})).await.unwrap();
        assert_eq!((answer.status, answer.code()), (401, "UNAUTHENTICATED"), "{token}");
    }
    tokio::time::timeout(Duration::from_secs(30), app.stop()).await.unwrap().unwrap();
    other.stop().await.unwrap();
}
