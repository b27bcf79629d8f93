//! The HTTP table: methods, media types, statuses, headers, refusals.

use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::{Config, ErrorCode, Limits, OperationKind, Outcome};

use crate::client::{RESPONSE_JSON, Toy, send};

const HELLO: &str = r#"{"query":"{ hello }"}"#;

#[actix_web::test]
async fn media_types_are_negotiated() {
    let toy = Toy::start();
    let check = async |accept: &str, query: &str, status: u16, media: &str| {
        let body = json!({ "query": query }).to_string();
        let answer = send(toy.post(body).header("accept", accept)).await;
        let sent = answer.header("content-type").unwrap().to_owned();
        assert_eq!(answer.status, status, "{accept}: {}", answer.text);
        assert!(sent.starts_with(media), "{accept}: {sent}");
        answer.id();
    };
    // `post` has set one `Accept` already; a list of two is weighed as one.
    check("application/json;q=0.1", "{ hello }", 200, RESPONSE_JSON).await;
    let plain = |accept: &str, query: &str| {
        let request = toy.request("POST", "/graphql").header("content-type", "application/json");
        request.header("accept", accept).body(json!({ "query": query }).to_string())
    };
    for (accept, query, status, media) in [
        ("*/*", "{ hello }", 200, "application/json"),
        ("application/json", "{ nope }", 200, "application/json"),
        ("application/json", "{", 200, "application/json"),
        ("application/json;q=0.1, application/graphql-response+json;q=0.2", "{ nope }", 400, RESPONSE_JSON),
        ("text/html", "{ hello }", 406, "application/json"),
    ] {
        let answer = send(plain(accept, query)).await;
        assert_eq!(answer.status, status, "{accept}: {}", answer.text);
        assert!(answer.header("content-type").unwrap().starts_with(media), "{accept}");
        answer.id();
    }
}

#[actix_web::test]
async fn requests_of_the_wrong_shape_are_refused() {
    let toy = Toy::start();
    let typed = |content_type: &str| {
        let request = toy.request("POST", "/graphql").header("content-type", content_type);
        request.body(HELLO)
    };
    for content_type in ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    {
        send(typed(content_type)).await.assert_refused(415, "BAD_USER_INPUT");
    }
    send(toy.request("POST", "/graphql").body(HELLO)).await.assert_refused(415, "BAD_USER_INPUT");
    send(toy.post(HELLO).header("content-encoding", "gzip")).await.assert_refused(415, "BAD_USER_INPUT");
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = send(toy.request(method, "/graphql")).await;
        answer.assert_refused(405, "BAD_USER_INPUT");
        assert_eq!(answer.header("allow"), Some("GET, POST"));
    }
    assert_eq!(send(toy.request("HEAD", "/graphql")).await.status, 405);
    for body in
        ["", "{", "[]", "7", r#"{"qeury":""}"#, r#"{"query":{}}"#, "\u{0}", "[{\"query\":\"{hello}\"}]"]
    {
        send(toy.post(body)).await.assert_refused(400, "BAD_USER_INPUT");
    }
    send(toy.post(vec![0xFF, 0xFE])).await.assert_refused(400, "BAD_USER_INPUT");
}

#[actix_web::test]
async fn get_reads_and_never_writes() {
    let toy = Toy::start();
    let get = |query: &str| toy.request("GET", &format!("/graphql?{query}")).header("accept", RESPONSE_JSON);
    assert_eq!(send(get("query=%7Bhello%7D")).await.body["data"]["hello"], "world");
    assert_eq!(send(get("documentId=sha256:hello")).await.body["data"]["hello"], "world");
    for query in
        ["documentId=sha256:create", "query=mutation%7Bpurge%7D", "query=subscription%7Bcount(to:1)%7D"]
    {
        let answer = send(get(query)).await;
        answer.assert_refused(405, "BAD_USER_INPUT");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    assert_eq!(toy.server.toy.created.load(Ordering::SeqCst), 0);
    send(get("documentId=sha256:none")).await.assert_refused(400, "PERSISTED_QUERY_NOT_FOUND");
    toy.server.host.allows_free_documents.store(false, Ordering::SeqCst);
    send(get("query=%7Bhello%7D")).await.assert_refused(403, "FORBIDDEN");
    assert_eq!(send(get("documentId=sha256:hello")).await.status, 200);
}

#[actix_web::test]
async fn a_simple_get_is_anonymous_whatever_cookies_it_carries() {
    let toy = Toy::start();
    let get = || toy.request("GET", "/graphql?query=%7Bhello%7D").header("cookie", "session=alice");
    assert_eq!(send(get()).await.status, 200);
    assert_eq!(toy.server.host.authentications.load(Ordering::SeqCst), 0);
    assert_eq!(send(get().header("graphql-require-preflight", "1")).await.status, 200);
    let records = toy.server.host.records.lock().unwrap();
    let callers: Vec<_> = records.iter().map(|record| record.caller.as_deref()).collect();
    assert_eq!(callers, [None, Some("alice")]);
}

#[actix_web::test]
async fn trusted_documents_run_without_their_text() {
    let toy = Toy::start();
    toy.server.host.allows_free_documents.store(false, Ordering::SeqCst);
    let answer = send(toy.post(r#"{"documentId":"sha256:hello"}"#)).await;
    assert_eq!(answer.body["data"]["hello"], "world");
    send(toy.post(HELLO)).await.assert_refused(403, "FORBIDDEN");
    let both = r#"{"documentId":"sha256:hello","query":"{hello}"}"#;
    send(toy.post(both)).await.assert_refused(400, "BAD_USER_INPUT");
    let records = toy.server.host.records.lock().unwrap();
    let operation = records[0].operation.as_ref().unwrap();
    assert!(operation.is_trusted);
    assert_eq!(operation.name.as_deref(), Some("Hello"));
}

#[actix_web::test]
async fn credentials_decide_before_the_body_is_read() {
    let toy = Toy::start();
    let with = |token: &str| toy.post("not json").header("authorization", format!("Bearer {token}"));
    send(with("expired")).await.assert_refused(401, "UNAUTHENTICATED");
    let down = send(with("down")).await;
    down.assert_refused(503, "UNAVAILABLE");
    assert_eq!(down.header("retry-after"), Some("5"));
    assert_eq!(down.body["errors"][0]["extensions"]["retryAfter"], 5);
    send(with("alice")).await.assert_refused(400, "BAD_USER_INPUT");
}

/// Sends a request head and what there is of a body, then reads the answer's head.
async fn raw(toy: &Toy, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", toy.server.port)).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0_u8; 4096];
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "closed without an answer");
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

#[actix_web::test]
async fn sixty_megabytes_are_refused_without_being_read() {
    let toy = Toy::start();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 62914560\r\n\r\n";
    // Nothing of the announced body is ever sent: an answer proves that none was waited for.
    let answer = raw(&toy, head, b"{").await;
    assert!(answer.starts_with("http/1.1 413"), "{answer}");
    assert!(answer.contains("x-compliance-id: "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(toy.server.host.authentications.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn a_body_of_unknown_length_is_counted_as_it_comes() {
    let toy = Toy::start();
    let chunk = vec![b' '; 64 * 1024];
    let stream = futures_util::stream::iter((0..8).map(move |_| Ok::<_, std::io::Error>(chunk.clone())));
    let answer = send(toy.post(reqwest::Body::wrap_stream(stream))).await;
    answer.assert_refused(413, "BAD_USER_INPUT");
}

#[actix_web::test]
async fn trusted_callers_may_send_more() {
    let toy = Toy::start();
    let body = || json!({ "query": "{ hello }", "variables": { "x": "y".repeat(300_000) } }).to_string();
    send(toy.post(body())).await.assert_refused(413, "BAD_USER_INPUT");
    let large = toy.post(body()).header("authorization", "Bearer large");
    assert_eq!(send(large).await.status, 200);
}

#[actix_web::test]
async fn nothing_runs_unrecorded() {
    let toy = Toy::start();
    toy.server.host.can_record.store(false, Ordering::SeqCst);
    let create = "mutation { createPost(input: { title: \"a\" }) { post { id } } }";
    toy.run(create).await.assert_refused(503, "UNAVAILABLE");
    let get = toy.request("GET", "/graphql?query=%7Bhello%7D");
    send(get).await.assert_refused(503, "UNAVAILABLE");
    assert_eq!(toy.server.toy.created.load(Ordering::SeqCst), 0);
}

#[actix_web::test]
async fn every_answer_is_recorded_once_with_what_is_known() {
    let toy = Toy::start();
    let mut ids = Vec::new();
    ids.push(toy.run("query Q { hello me { rank } }").await.id());
    ids.push(toy.run("{").await.id());
    ids.push(toy.run("{ nope }").await.id());
    ids.push(toy.run("{ forbidden }").await.id());
    ids.push(send(toy.post("[]").header("x-request-id", "a\tb c".repeat(100))).await.id());
    let client_id = toy.post(HELLO).header("x-compliance-id", "00000000-0000-7000-8000-000000000000");
    ids.push(send(client_id).await.id());
    let records = toy.server.host.records.lock().unwrap();
    let recorded: Vec<_> = records.iter().map(|record| record.answer_id.to_string()).collect();
    assert_eq!(recorded, ids);
    assert!(toy.server.host.answers.lock().unwrap().is_empty(), "recorded twice");
    let outcomes: Vec<_> = records.iter().map(|record| (record.status, record.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            (200, Outcome::Answered(None)),
            (400, Outcome::Refused(ErrorCode::GraphqlParseFailed)),
            (400, Outcome::Refused(ErrorCode::GraphqlValidationFailed)),
            (200, Outcome::Answered(Some(ErrorCode::Forbidden))),
            (400, Outcome::Refused(ErrorCode::BadUserInput)),
            (200, Outcome::Answered(None)),
        ]
    );
    let operation = records[0].operation.as_ref().unwrap();
    assert_eq!(operation.kind, OperationKind::Query);
    assert_eq!(operation.name.as_deref(), Some("Q"));
    assert_eq!(operation.root_fields, ["hello", "me"]);
    assert_eq!(operation.document_hash.len(), "sha256:".len() + 64);
    assert_eq!((operation.requested_cost, records[0].actual_cost), (8, 8));
    assert_eq!(records[4].client_ref.as_deref(), Some(&"abc".repeat(22)[..64]));
    assert_eq!(records[5].client_ref.as_deref(), Some("00000000-0000-7000-8000-000000000000"));
}

#[actix_web::test]
async fn cost_is_charged_refunded_and_told() {
    let toy = Toy::start();
    let answer = toy.run("{ posts(first: 50) { nodes { id } } }").await;
    let cost = &answer.body["extensions"]["cost"];
    assert_eq!(cost["requestedQueryCost"], 52);
    assert_eq!(cost["actualQueryCost"], 5);
    assert_eq!(
        cost["throttleStatus"],
        json!({
            "maximumAvailable": 2_000, "currentlyAvailable": 1_995, "restoreRate": 100
        })
    );
    assert_eq!(answer.header("ratelimit"), Some("\"points\";r=1995;t=3"));
    assert_eq!(answer.header("ratelimit-policy"), Some("\"points\";q=2000;w=20"));
    assert_eq!(toy.server.host.points.load(Ordering::SeqCst), 1_995);

    let dear = toy.run("{ posts(first: 100) { nodes { id } edges { node { id } } } a: posts(first: 797) { nodes { id } } }").await;
    assert_eq!(dear.status, 400);
    let dear = toy.run("{ posts(first: 999) { nodes { id } } }").await;
    dear.assert_refused(400, "COST_EXCEEDED");
    assert_eq!(dear.body["errors"][0]["extensions"]["requestedQueryCost"], 1_001);
    assert_eq!(dear.body["errors"][0]["extensions"]["maximumQueryCost"], 1_000);
    assert_eq!(toy.server.host.points.load(Ordering::SeqCst), 1_995, "nothing was charged");

    toy.server.host.points.store(3, Ordering::SeqCst);
    let throttled = toy.run("{ posts(first: 50) { nodes { id } } }").await;
    throttled.assert_refused(429, "THROTTLED");
    assert_eq!(throttled.header("retry-after"), Some("7"));
    assert_eq!(throttled.header("ratelimit"), Some("\"points\";r=3;t=3"));
}

/// The library leaves defaults out where it decides on `@skip` and `@include`.
#[actix_web::test]
async fn a_default_means_the_same_to_price_and_executor() {
    let toy = Toy::start();
    let query = |default: bool, directive: &str| {
        format!(
            "query($s: Boolean = {default}) {{ hello posts(first: 50) @{directive}(if: $s) {{ nodes {{ id }} }} }}"
        )
    };
    for (default, directive, is_there) in
        [(true, "skip", false), (false, "skip", true), (true, "include", true), (false, "include", false)]
    {
        for variables in [json!({}), json!({ "s": default })] {
            let answer = toy.run_with(&query(default, directive), variables).await;
            assert_eq!(answer.body["data"].get("posts").is_some(), is_there, "{default} {directive}");
            let price = if is_there { 52 } else { 0 };
            assert_eq!(
                answer.body["extensions"]["cost"]["requestedQueryCost"], price,
                "{default} {directive}"
            );
        }
    }
    let sent = toy.run_with(&query(true, "skip"), json!({ "s": false })).await;
    assert!(sent.body["data"].get("posts").is_some(), "what is sent goes before the default");
}

#[actix_web::test]
async fn a_document_that_fails_validation_costs_one_point() {
    let toy = Toy::start();
    toy.run("{ posts(first: 50) { nodes { nope } } }").await.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(toy.server.host.points.load(Ordering::SeqCst), 1_999);
}

#[actix_web::test]
async fn resolver_failures_are_coded_and_masked() {
    let toy = Toy::start();
    let masked = toy.run("{ hello secretFailure }").await;
    assert_eq!((masked.status, masked.code()), (200, "INTERNAL_SERVER_ERROR"));
    assert_eq!(masked.body["data"], json!({ "hello": "world", "secretFailure": null }));
    assert_eq!(masked.body["errors"][0]["message"], "internal error");
    assert_eq!(masked.body["errors"][0]["path"], json!(["secretFailure"]));
    assert!(!masked.text.contains("hunter2"));
    masked.id();

    let null = toy.run("{ nonNullFailure }").await;
    assert_eq!((null.status, null.code()), (200, "UNAVAILABLE"));
    assert_eq!(null.body.get("data"), Some(&json!(null)));

    let many = toy.run("{ manyFailures }").await;
    assert_eq!(many.body["errors"].as_array().unwrap().len(), 20);
    assert_eq!(many.body["data"]["manyFailures"].as_array().unwrap().len(), 100);

    let input = toy.run("{ posts(first: 3000000000) { nodes { id } } }").await;
    assert_ne!(input.code(), "INTERNAL_SERVER_ERROR", "{}", input.text);
}

#[actix_web::test]
async fn a_panicking_resolver_is_answered_and_the_server_lives() {
    let toy = Toy::start();
    toy.run("{ panics }").await.assert_refused(500, "INTERNAL_SERVER_ERROR");
    assert_eq!(toy.run("{ hello }").await.body["data"]["hello"], "world");
    assert_eq!(toy.server.host.records.lock().unwrap().len(), 2);
}

#[actix_web::test]
async fn the_deadline_ends_an_operation() {
    let limits = Limits { deadline: std::time::Duration::from_millis(50), ..Limits::default() };
    let toy = Toy::start_with(Config { limits, ..Config::default() });
    toy.run("{ stuck }").await.assert_refused(503, "UNAVAILABLE");
    assert_eq!(toy.run("{ hello }").await.status, 200);
}

#[actix_web::test]
async fn resolvers_may_set_headers() {
    let toy = Toy::start();
    let answer = toy.run("{ withCookie }").await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[actix_web::test]
async fn operations_are_chosen_by_name() {
    let toy = Toy::start();
    let run = async |query: &str, name: serde_json::Value| {
        send(toy.post(json!({ "query": query, "operationName": name }).to_string())).await
    };
    let two = "query A { hello } query B { me { rank } }";
    assert_eq!(run(two, json!("A")).await.body["data"], json!({ "hello": "world" }));
    run(two, json!(null)).await.assert_refused(400, "OPERATION_RESOLUTION_FAILURE");
    run(two, json!("C")).await.assert_refused(400, "OPERATION_RESOLUTION_FAILURE");
    run("{ hello }", json!("A")).await.assert_refused(400, "OPERATION_RESOLUTION_FAILURE");
    assert_eq!(run("{ hello }", json!("")).await.status, 200);
}

#[actix_web::test]
async fn introspection_needs_leave() {
    let toy = Toy::start();
    let answer = toy.run("{ __schema { queryType { name } } }").await;
    assert_eq!(answer.body["data"]["__schema"]["queryType"]["name"], "Query");
    assert_eq!(answer.body["extensions"]["cost"]["requestedQueryCost"], 100);
    toy.server.host.allows_introspection.store(false, Ordering::SeqCst);
    let hidden = "{ ...F } fragment F on Query { t: __type(name: \"Query\") { name } }";
    toy.run(hidden).await.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(toy.run("{ __typename }").await.body["data"]["__typename"], "Query");
    let misspelt = toy.run("{ helo }").await;
    assert!(!misspelt.text.contains("hello"), "suggestions are off: {}", misspelt.text);
}

#[actix_web::test]
async fn subscriptions_need_a_stream() {
    let toy = Toy::start();
    toy.run("subscription { count(to: 1) }").await.assert_refused(400, "BAD_USER_INPUT");
}
