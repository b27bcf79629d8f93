//! The doors before a session: sign in, carry on, reset, accept. And the compliance ID on every answer.

use std::collections::HashSet;

use domain::kernel::actor::Role;
use harness::app::{PASSWORD, TestApp};
use reqwest::Method;
use serde_json::json;

/// The one-time token in a message.
fn reset_token(mail: &str) -> String {
    let unfolded = mail.replace("=\r\n", "").replace("=3D", "=");
    let at = unfolded.find("mpr_").unwrap();
    unfolded[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_tells_nothing_to_who_guesses() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let sign_in = |slug: &str, email: &str, password: &str| {
        let body = json!({ "tenant": slug, "email": email, "password": password });
        let client = app.client.clone();
        async move { client.post("/auth/sign-in", &body).await.unwrap() }
    };
    let good = sign_in(&tenant.slug, &tenant.owner.email, PASSWORD).await;
    assert_eq!(good.status, 200, "{}", good.body);
    assert_eq!(good.headers.get("cache-control").unwrap(), "no-store");
    let folded = sign_in(&tenant.slug, &tenant.owner.email.to_uppercase(), PASSWORD).await;
    assert_eq!(folded.status, 200, "addresses are one whatever their case");

    let wrong = [
        sign_in(&tenant.slug, &tenant.owner.email, "wrong horse battery staple").await,
        sign_in(&tenant.slug, "nobody@nowhere.example", PASSWORD).await,
        sign_in("no-such-tenant", &tenant.owner.email, PASSWORD).await,
        sign_in("'; DROP TABLE identity.members; --", &tenant.owner.email, PASSWORD).await,
        sign_in(&tenant.slug, "no address", PASSWORD).await,
    ];
    for answer in &wrong {
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.body["code"], "UNAUTHENTICATED");
        assert_eq!(answer.body["message"], wrong[0].body["message"], "every refusal says the same");
        assert_eq!(answer.body["complianceId"], answer.compliance_id());
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_once_and_its_second_use_ends_the_session() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let refresh = |token: String| {
        let client = app.client.clone();
        async move { client.post("/auth/refresh", &json!({ "refreshToken": token })).await.unwrap() }
    };
    let first = tenant.owner.refresh.clone();
    let second = refresh(first.clone()).await;
    assert_eq!(second.status, 200, "{}", second.body);
    let next = second.body["refreshToken"].as_str().unwrap().to_owned();
    let token = second.body["accessToken"].as_str().unwrap().to_owned();
    let viewer = "{ viewer { member { id } } }";
    assert_eq!(app.client.graphql(&token, viewer, json!({})).await.unwrap().status, 200);

    assert_eq!(refresh(first).await.status, 401, "a token works once");
    assert_eq!(refresh(next).await.status, 401, "the thief's and the owner's next tokens are worth nothing");
    let after = app.client.graphql(&token, viewer, json!({})).await.unwrap();
    assert_eq!((after.status, after.code()), (401, "UNAUTHENTICATED"), "the session is over");

    for rubbish in ["", "mrt_", "mrt_AAAA", &"x".repeat(5_000)] {
        assert_eq!(refresh(rubbish.to_owned()).await.status, 401, "{rubbish}");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_of_one_token_give_one_pair_at_most() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let body = json!({ "refreshToken": tenant.owner.refresh });
    let tries = (0..8).map(|_| app.client.post("/auth/refresh", &body));
    let answers = futures_util::future::join_all(tries).await;
    let good = answers.iter().filter(|answer| answer.as_ref().is_ok_and(|a| a.status == 200)).count();
    assert!(good <= 1, "{good} pairs were given for one token");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_reset_by_mail_and_by_who_manages_members() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let member = app.member(&tenant, Role::Operator).await.unwrap();

    let ask = |email: &str| json!({ "tenant": tenant.slug, "email": email });
    for email in [member.email.as_str(), "nobody@nowhere.example"] {
        let answer = app.client.post("/auth/password-reset/request", &ask(email)).await.unwrap();
        assert_eq!(answer.status, 202, "the same answer whether there is such a member: {}", answer.body);
    }
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    let mail = loop {
        let mail = app.mail().unwrap();
        if !mail.is_empty() || tokio::time::Instant::now() >= deadline {
            break mail;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(mail.len(), 1, "one member, one message");
    let mailed = reset_token(&mail[0]);

    let mutation = "mutation ($input: StartPasswordResetInput!) {
        startPasswordReset(input: $input) @idempotent(key: \"reset-1\") { token userErrors { code } }
    }";
    let input = json!({ "input": { "id": member.id } });
    let started = app.client.graphql(&tenant.owner.token, mutation, input).await.unwrap();
    let handed = started.data("startPasswordReset")["token"].as_str().unwrap().to_owned();

    let confirm = |token: &str, password: &str| {
        let (client, body) = (app.client.clone(), json!({ "token": token, "password": password }));
        async move { client.post("/auth/password-reset/confirm", &body).await.unwrap() }
    };
    let new = "a password that is new";
    let stale = confirm(&mailed, new).await;
    assert_eq!(stale.status, 400, "handed out by an administrator, it is the only one that works");
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type outcome reason } } }";
    let id = json!({ "id": stale.compliance_id() });
    let event = json!({ "type": "reset_password", "outcome": "REFUSED", "reason": "token_invalid" });
    app.client
        .graphql_until(&tenant.owner.token, trail, id, |answer| {
            answer.data("auditTrail")["events"].as_array().is_some_and(|events| events.contains(&event))
        })
        .await
        .unwrap();
    let short = confirm(&handed, "short").await;
    assert_eq!((short.status, short.body["field"].as_str()), (400, Some("password")), "{}", short.body);
    assert_eq!(confirm(&handed, new).await.status, 200);
    assert_eq!(confirm(&handed, new).await.status, 400, "a reset works once");

    let old = app.client.graphql(&member.token, "{ viewer { member { id } } }", json!({})).await.unwrap();
    assert_eq!(old.code(), "UNAUTHENTICATED", "a reset ends all sessions");
    let body = json!({ "tenant": tenant.slug, "email": member.email, "password": new });
    assert_eq!(app.client.post("/auth/sign-in", &body).await.unwrap().status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_a_reset_takes_no_token_away_and_fills_no_mailbox() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let ask = json!({ "tenant": tenant.slug, "email": tenant.owner.email });
    for _ in 0..8 {
        assert_eq!(app.client.post("/auth/password-reset/request", &ask).await.unwrap().status, 202);
    }
    let list = "{ auditEvents(filter: { types: [\"request_password_reset\"] }, first: 20) { nodes { outcome reason } } }";
    let events = app
        .client
        .graphql_until(&tenant.owner.token, list, json!({}), |answer| {
            answer.data("auditEvents")["nodes"].as_array().is_some_and(|nodes| nodes.len() == 8)
        })
        .await
        .unwrap();
    let refused = json!({ "outcome": "REFUSED", "reason": "too_many_open" });
    let nodes = events.data("auditEvents")["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().filter(|node| **node == refused).count(), 3, "{}", events.body);
    let deadline = tokio::time::Instant::now() + harness::client::PATIENCE;
    while app.mail().unwrap().len() < 5 {
        assert!(tokio::time::Instant::now() < deadline, "five were to be sent");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut tokens: Vec<String> = app.mail().unwrap().iter().map(|mail| reset_token(mail)).collect();
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 5);
    let mut statuses = Vec::new();
    for token in &tokens {
        let body = json!({ "token": token, "password": "a password that is new" });
        statuses.push(app.client.post("/auth/password-reset/confirm", &body).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 400, 400, 400, 400], "any of them works, and then none");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_limited_by_rate() {
    let app = TestApp::start_with(&[("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE", "3")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let body = json!({ "tenant": tenant.slug, "email": tenant.owner.email, "password": "wrong" });
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let answer = app.client.post("/auth/sign-in", &body).await.unwrap();
        if answer.status == 429 {
            assert!(answer.headers.contains_key("retry-after"));
            assert_eq!(answer.body["code"], "THROTTLED");
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [401; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_documents_are_sent_by_name_and_others_can_be_shut_out() {
    let document = "{ viewer { permissions } }";
    let name = {
        use sha2::{Digest as _, Sha256};
        use std::fmt::Write as _;
        let mut name = "sha256:".to_owned();
        for byte in Sha256::digest(document) {
            write!(name, "{byte:02x}").unwrap();
        }
        name
    };
    let file = std::env::temp_dir().join(format!("matricula-manifest-{}.json", std::process::id()));
    std::fs::write(&file, json!({ &name: document }).to_string()).unwrap();
    let manifest = file.to_str().unwrap();
    let trusting = [("MATRICULA_DOCUMENTS_MANIFEST", manifest)];
    // Members are found by a document of the harness's own, so free documents stay allowed here.
    let app = TestApp::start_with(&trusting).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let bearer = format!("Bearer {}", tenant.owner.token);
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    let send =
        |body: serde_json::Value| app.client.send(Method::POST, "/graphql", &headers, Some(body.to_string()));
    let known = send(json!({ "documentId": name })).await.unwrap();
    assert!(known.data("viewer")["permissions"].is_array(), "{}", known.body);
    let unknown = send(json!({ "documentId": "sha256:00" })).await.unwrap();
    assert_eq!(unknown.code(), "PERSISTED_QUERY_NOT_FOUND", "{}", unknown.body);
    app.stop().await.unwrap();

    let shut = TestApp::start_with(&[trusting[0], ("MATRICULA_DOCUMENTS_FREE", "false")]).await.unwrap();
    let free = shut.client.graphql("", document, json!({})).await.unwrap();
    assert_eq!(free.code(), "FORBIDDEN", "{}", free.body);
    let body = json!({ "documentId": name }).to_string();
    let by_name = shut.client.send(Method::POST, "/graphql", &headers[..1], Some(body)).await.unwrap();
    assert_eq!(by_name.data("viewer"), &serde_json::Value::Null, "{}", by_name.body);
    assert!(by_name.body.get("errors").is_none());
    shut.stop().await.unwrap();
    std::fs::remove_file(file).unwrap();
}

/// Each left an event.
pub(super) async fn all_resolve(app: &TestApp, ids: HashSet<uuid::Uuid>) {
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for id in ids {
        let events: i64 =
            sqlx::query_scalar("SELECT count(*) FROM compliance.audit_leaves WHERE compliance_id = $1")
                .bind(id)
                .fetch_one(&mut database)
                .await
                .unwrap();
        assert!(events >= 1, "{id} left nothing in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_of_its_own_that_resolves() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let bearer = format!("Bearer {}", tenant.owner.token);
    let json_type = ("content-type", "application/json");
    let theirs = ("x-compliance-id", "0198b2f0-0000-7000-8000-000000000000");
    let query = |text: &str| Some(json!({ "query": text }).to_string());
    let send =
        |method: Method, path: &'static str, headers: Vec<(&'static str, &str)>, body: Option<String>| {
            let client = app.client.clone();
            let headers: Vec<(&'static str, String)> =
                headers.into_iter().map(|(n, v)| (n, v.to_owned())).collect();
            async move {
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                client.send(method, path, &headers, body).await.unwrap()
            }
        };
    let answers = [
        (
            200,
            send(
                Method::POST,
                "/graphql",
                vec![json_type, ("authorization", &bearer), theirs],
                query("{ viewer { permissions } }"),
            )
            .await,
        ),
        (200, send(Method::POST, "/graphql", vec![json_type], query("{ tenant { name } }")).await),
        (400, send(Method::POST, "/graphql", vec![json_type], Some("not json".to_owned())).await),
        (
            415,
            send(Method::POST, "/graphql", vec![("content-type", "text/plain")], query("{ __typename }"))
                .await,
        ),
        (405, send(Method::PUT, "/graphql", vec![json_type], None).await),
        (413, send(Method::POST, "/graphql", vec![json_type], Some(" ".repeat(400_000))).await),
        (
            401,
            send(
                Method::POST,
                "/graphql",
                vec![json_type, ("authorization", "Bearer nonsense")],
                query("{ __typename }"),
            )
            .await,
        ),
        (404, send(Method::GET, "/no/such/route", vec![theirs], None).await),
        (400, send(Method::POST, "/auth/sign-in", vec![json_type], Some("{}".to_owned())).await),
        (
            413,
            send(Method::POST, "/auth/sign-in", vec![json_type], Some(format!("\"{}\"", "x".repeat(20_000))))
                .await,
        ),
        (200, send(Method::GET, "/.well-known/jwks.json", vec![], None).await),
    ];
    let mut ids = HashSet::new();
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{:?} {}", answer.headers, answer.body);
        let id = uuid::Uuid::parse_str(answer.compliance_id()).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_ne!(id.to_string(), theirs.1, "a client's own id is never echoed as ours");
        assert!(ids.insert(id), "ids are unique");
        if answer.body.get("errors").is_some() {
            assert_eq!(answer.body["errors"][0]["extensions"]["complianceId"], answer.compliance_id());
        }
    }
    all_resolve(&app, ids).await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_43_whatever_is_asked_and_however_the_answer_has_one_id_that_resolves() {
    let app = TestApp::start_with(&[("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE", "1")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let long = "0198b2f0-".repeat(800);
    let theirs = ("x-compliance-id", "0198b2f0-0000-7000-8000-000000000000");
    let guess =
        json!({ "tenant": tenant.slug, "email": tenant.owner.email, "password": "wrong" }).to_string();
    let json_type = ("content-type", "application/json");
    let bearer = format!("Bearer {}", tenant.owner.token);
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "graphql-transport-ws"),
    ];
    let mut no_key = upgrade.to_vec();
    no_key.retain(|(name, _)| *name != "sec-websocket-key");
    let sign_in = || (Method::POST, "/auth/sign-in", vec![json_type], Some(guess.clone()));
    let asked = [
        (Method::HEAD, "/.well-known/jwks.json", vec![], None),
        (Method::HEAD, "/no/such/route", vec![], None),
        (Method::OPTIONS, "/graphql", vec![("origin", "https://elsewhere.example")], None),
        (Method::TRACE, "/graphql", vec![], None),
        (Method::GET, "/no/such/route", vec![("x-compliance-id", long.as_str())], None),
        (Method::GET, "/no/such/route", vec![theirs, theirs, ("X-Compliance-ID", "another")], None),
        (Method::GET, "/%2e%2e/%00", vec![], None),
        sign_in(),
        sign_in(),
        sign_in(),
        (Method::GET, "/graphql", upgrade.to_vec(), None),
        (Method::GET, "/graphql", no_key, None),
        (Method::POST, "/graphql", vec![json_type, ("authorization", &bearer)], Some("{".repeat(10_000))),
    ];
    let (mut ids, mut statuses) = (HashSet::new(), Vec::new());
    for (method, path, headers, body) in asked {
        let what = format!("{method} {path}");
        let answer = app.client.send(method, path, &headers, body).await.unwrap();
        assert_eq!(
            answer.headers.get_all("x-compliance-id").iter().count(),
            1,
            "{what} {:?}",
            answer.headers
        );
        let id = uuid::Uuid::parse_str(answer.compliance_id()).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(id.get_version_num() == 7 && id.to_string() != theirs.1, "{what}");
        assert!(ids.insert(id), "{what}: ids are unique");
        statuses.push(answer.status);
    }
    assert!(statuses.contains(&429) && statuses.contains(&101) && statuses.contains(&404), "{statuses:?}");
    all_resolve(&app, ids).await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_43_what_no_server_takes_for_a_request_gets_a_bare_refusal_and_harms_nobody() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let app = TestApp::start().await.unwrap();
    let mut refused = 0;
    let address = app.client.base().trim_start_matches("http://").to_owned();
    for bytes in [
        "GET /graphql T/http\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(300_000)),
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        // It may have hung up before it was all sent.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut told = Vec::new();
        let read = tokio::time::timeout(harness::client::PATIENCE, stream.read_to_end(&mut told)).await;
        read.expect("the connection is ended").ok();
        let told = String::from_utf8_lossy(&told);
        // There is no request to be answered, and so none to resolve: a status, nothing else, and the connection's end.
        let is_bare = told.starts_with("HTTP/1.1 4")
            && told.ends_with("\r\n\r\n")
            && told.matches("HTTP/").count() == 1;
        assert!(told.is_empty() || is_bare, "{:?}: {told:?}", &bytes[..bytes.len().min(60)]);
        refused += usize::from(told.starts_with("HTTP/1.1 400 "));
    }
    assert!(refused >= 5, "{refused}");
    let after = app.client.send(Method::GET, "/.well-known/jwks.json", &[], None).await.unwrap();
    assert_eq!(after.status, 200);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_43_what_is_answered_too_late_has_an_id_that_resolves() {
    let app = TestApp::start_with(&[("MATRICULA_HTTP_DEADLINE_S", "1")]).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    app.settle().await.unwrap();
    let mut held = app.superuser_connection().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE identity.members IN ACCESS EXCLUSIVE MODE")
        .execute(&mut held)
        .await
        .unwrap();
    let query = "{ members(first: 1) { nodes { id } } }";
    let late = app.client.graphql(&tenant.owner.token, query, json!({})).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut held).await.unwrap();
    assert_eq!(late.code(), "UNAVAILABLE", "{}", late.body);
    let id = uuid::Uuid::parse_str(late.compliance_id()).unwrap();
    all_resolve(&app, HashSet::from([id])).await;
    app.stop().await.unwrap();
}
