//! graphql-transport-ws: the twelve checks, and what else a socket promises.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::{Config, Limits, Outcome, SocketLimits, Transport};

use crate::client::Toy;
use crate::socket_client::{Socket, handshake};

fn impatient() -> Toy {
    let sockets = SocketLimits {
        init_timeout: Duration::from_millis(50),
        ping_interval: Duration::from_millis(50),
        ..SocketLimits::default()
    };
    Toy::start_with(Config { sockets, ..Config::default() })
}

fn code_of(message: &Value) -> &str {
    message["payload"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

#[actix_web::test]
async fn check_01_subscribing_before_the_acknowledgement_closes_with_4401() {
    let toy = Toy::start();
    let mut socket = Socket::connect(&toy).await;
    socket.subscribe("1", "{ hello }").await;
    assert_eq!(socket.closed().await, 4401);
}

#[actix_web::test]
async fn check_02_a_second_init_closes_with_4429() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await, 4429);
}

#[actix_web::test]
async fn check_03_bad_json_closes_with_4400() {
    let toy = Toy::start();
    for text in ["{", "", "[]", "\u{1F4A3}"] {
        let mut socket = Socket::ready(&toy).await;
        socket.text(text).await;
        assert_eq!(socket.closed().await, 4400, "{text}");
    }
    let mut early = Socket::connect(&toy).await;
    early.text("nonsense").await;
    assert_eq!(early.closed().await, 4400);
}

#[actix_web::test]
async fn check_04_an_unknown_type_closes_with_4400() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.send(json!({ "id": "1", "type": "start", "payload": { "query": "{ hello }" } })).await;
    assert_eq!(socket.closed().await, 4400);
}

#[actix_web::test]
async fn check_05_a_duplicate_id_closes_with_4409() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { watched }").await;
    assert_eq!(socket.next().await["payload"]["data"]["watched"], 0);
    socket.subscribe("1", "{ hello }").await;
    assert_eq!(socket.closed().await, 4409);
}

#[actix_web::test]
async fn check_06_no_init_closes_with_4408() {
    let toy = impatient();
    let mut socket = Socket::connect(&toy).await;
    assert_eq!(socket.closed().await, 4408);
    // Pings do not buy time.
    let mut socket = Socket::connect(&toy).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.closed().await, 4408);
}

#[actix_web::test]
async fn check_07_an_invalid_document_is_answered_by_error_alone() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    for (query, code) in [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: 1) watched }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription { ...F } fragment F on Subscription { a: watched b: watched }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription { __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ posts(first: 9999) { nodes { id } } }", "COST_EXCEEDED"),
    ] {
        socket.subscribe("1", query).await;
        let answer = socket.next().await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("1")), "{query}: {answer}");
        assert_eq!(code_of(&answer), code, "{query}");
        assert!(answer["payload"][0]["extensions"]["complianceId"].is_string());
    }
    // Neither `next` nor `complete` followed any of them.
    socket.subscribe("2", "{ hello }").await;
    let next = socket.next().await;
    assert_eq!((&next["type"], &next["id"]), (&json!("next"), &json!("2")));
    assert_eq!(next["payload"]["data"]["hello"], "world");
    assert_eq!(socket.next().await, json!({ "id": "2", "type": "complete" }));
}

#[actix_web::test]
async fn check_08_a_client_complete_is_met_with_silence() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { watched }").await;
    socket.next().await;
    assert_eq!(toy.server.toy.watchers.load(Ordering::SeqCst), 1);
    socket.send(json!({ "id": "1", "type": "complete" })).await;
    socket.send(json!({ "id": "unknown", "type": "complete" })).await;
    socket.send(json!({ "type": "ping" })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong" }));
    toy.server.toy.watched.send_replace(7);
    // The ID may be used again, and only the new operation answers.
    socket.subscribe("1", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"], json!({ "hello": "world" }));
    assert_eq!(socket.next().await["type"], "complete");
    assert_eq!(toy.server.toy.watchers.load(Ordering::SeqCst), 0, "the stream was dropped");
    assert_eq!(toy.server.host.streams.load(Ordering::SeqCst), 500, "its place was given back");
}

#[actix_web::test]
async fn check_09_ping_is_answered_by_pong() {
    let toy = Toy::start();
    let mut socket = Socket::connect(&toy).await;
    socket.send(json!({ "type": "ping", "payload": { "a": [1, null] } })).await;
    assert_eq!(socket.next().await, json!({ "type": "pong", "payload": { "a": [1, null] } }));
    socket.send(json!({ "type": "pong" })).await;
    socket.send(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.next().await["type"], "connection_ack");
}

#[actix_web::test]
async fn check_10_large_messages_close_cleanly_with_1009() {
    let toy = Toy::start();
    for size in [64 * 1024 + 1, 200_000, 2_000_000] {
        let mut socket = Socket::ready(&toy).await;
        socket.try_text("x".repeat(size)).await;
        assert_eq!(socket.closed().await, 1009, "{size}");
    }
    let mut socket = Socket::ready(&toy).await;
    let comment = "#".repeat(50_000);
    socket.subscribe("1", &format!("{{ hello }} {comment}")).await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "world");
    let mut binary = Socket::ready(&toy).await;
    binary.binary(vec![1, 2, 3]).await;
    assert_eq!(binary.closed().await, 1003);
}

#[actix_web::test]
async fn check_11_other_subprotocols_are_refused() {
    let toy = Toy::start();
    for protocol in ["", "graphql-ws", "graphql-transport-wss"] {
        let refusal = handshake(&toy, protocol, &[]).await.err().expect("a refusal");
        assert_eq!(refusal.status(), 400, "{protocol}");
        assert!(refusal.headers().contains_key("x-compliance-id"));
    }
    assert!(handshake(&toy, "graphql-ws, graphql-transport-ws", &[]).await.is_ok());
}

#[actix_web::test]
async fn check_12_five_values_arrive_end_to_end() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("a", "subscription { count(to: 5) }").await;
    let mut ids = Vec::new();
    for expected in 1..=5 {
        let next = socket.next().await;
        assert_eq!((&next["type"], &next["id"]), (&json!("next"), &json!("a")));
        assert_eq!(next["payload"]["data"]["count"], expected);
        ids.push(next["payload"]["extensions"]["complianceId"].as_str().unwrap().to_owned());
    }
    assert_eq!(socket.next().await, json!({ "id": "a", "type": "complete" }));
    ids.dedup();
    assert_eq!(ids.len(), 1, "one ID for the operation");
    assert_ne!(ids[0], socket.connection_id);
    let records = toy.server.host.records.lock().unwrap();
    let known: Vec<_> = records.iter().map(|record| (record.answer_id.to_string(), record.outcome)).collect();
    assert_eq!(
        known,
        [(socket.connection_id.clone(), Outcome::Connected), (ids[0].clone(), Outcome::Streaming)]
    );
    assert_eq!(records[1].transport, Transport::WebSocket);
    assert_eq!(records[1].caller.as_deref(), Some("alice"));
}

#[actix_web::test]
async fn origins_are_checked() {
    let toy = Toy::start();
    let connect = async |origin| handshake(&toy, "graphql-transport-ws", &[("origin", origin)]).await;
    assert!(connect("https://app.example").await.is_ok());
    for origin in ["https://evil.example", "null", ""] {
        let refusal = connect(origin).await.err().expect("a refusal");
        assert_eq!(refusal.status(), 403, "{origin}");
    }
}

#[actix_web::test]
async fn a_refused_credential_closes_with_4403_and_an_outage_with_1013() {
    let toy = Toy::start();
    for (token, code) in [("expired", 4403), ("down", 1013)] {
        let mut socket = Socket::connect(&toy).await;
        socket.send(json!({ "type": "connection_init", "payload": { "token": token } })).await;
        assert_eq!(socket.closed().await, code);
    }
}

#[actix_web::test]
async fn the_end_of_the_credential_closes_with_4403() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { watched }").await;
    socket.next().await;
    toy.server.host.revoked.send_replace(true);
    assert_eq!(socket.closed().await, 4403);
}

#[actix_web::test]
async fn draining_closes_with_1001_and_refuses_new_sockets() {
    let toy = Toy::start();
    let mut idle = Socket::connect(&toy).await;
    let mut busy = Socket::ready(&toy).await;
    busy.subscribe("1", "subscription { watched }").await;
    busy.next().await;
    toy.server.drain.begin();
    assert_eq!(busy.closed().await, 1001);
    assert_eq!(idle.closed().await, 1001);
    let refusal = handshake(&toy, "graphql-transport-ws", &[]).await.err().expect("a refusal");
    assert_eq!(refusal.status(), 503);
    assert_eq!(toy.run("{ hello }").await.status, 200, "requests are still answered");
}

#[actix_web::test]
async fn the_server_pings_and_closes_silent_sockets() {
    // Patient enough for a machine that is busy with other things.
    let sockets = SocketLimits { ping_interval: Duration::from_millis(400), ..SocketLimits::default() };
    let toy = Toy::start_with(Config { sockets, ..Config::default() });
    let mut socket = Socket::connect(&toy).await;
    socket.send(json!({ "type": "connection_init" })).await;
    socket.next().await;
    // Reading answers pings, so the socket lives through many.
    for _ in 0..4 {
        socket.pinged().await;
    }
    socket.subscribe("1", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "world");
}

/// Opens a socket by hand and returns it with the handshake read; frames of the client have a mask of zeros.
async fn raw(toy: &Toy) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", toy.server.port)).await.unwrap();
    let head = "GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let init = br#"{"type":"connection_init"}"#;
    let mut frame = vec![0x81, 0x80 + u8::try_from(init.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(init);
    stream.write_all(&frame).await.unwrap();
    let mut received = Vec::new();
    while !received.windows(14).any(|window| window == b"connection_ack") {
        assert!(stream.read_buf(&mut received).await.unwrap() > 0, "closed before the acknowledgement");
    }
    stream
}

/// Reads to the end of the connection and returns the code of the close frame.
async fn raw_close_code(mut stream: TcpStream) -> u16 {
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await.unwrap();
    let at = received.iter().rposition(|byte| *byte == 0x88).expect("a close frame");
    u16::from_be_bytes([received[at + 2], received[at + 3]])
}

#[actix_web::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let toy = impatient();
    assert_eq!(raw_close_code(raw(&toy).await).await, 1008);
}

#[actix_web::test]
async fn a_frame_of_a_terabyte_is_refused_by_its_header() {
    let toy = Toy::start();
    let mut stream = raw(&toy).await;
    stream.write_all(&[0x81, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(raw_close_code(stream).await, 1009);
}

#[actix_web::test]
async fn a_socket_has_a_most_of_operations() {
    let sockets = SocketLimits { operations: 3, ..SocketLimits::default() };
    let toy = Toy::start_with(Config { sockets, ..Config::default() });
    let mut socket = Socket::ready(&toy).await;
    for id in ["1", "2", "3"] {
        socket.subscribe(id, "subscription { watched }").await;
        assert_eq!(socket.next().await["type"], "next");
    }
    socket.subscribe("4", "{ hello }").await;
    let refused = socket.next().await;
    assert_eq!((refused["type"].as_str(), code_of(&refused)), (Some("error"), "THROTTLED"));
    socket.send(json!({ "id": "1", "type": "complete" })).await;
    socket.subscribe("4", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "world");
}

#[actix_web::test]
async fn the_hosts_cap_on_streams_is_kept() {
    let toy = Toy::start();
    toy.server.host.streams.store(1, Ordering::SeqCst);
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { watched }").await;
    assert_eq!(socket.next().await["type"], "next");
    socket.subscribe("2", "subscription { watched }").await;
    assert_eq!(code_of(&socket.next().await), "THROTTLED");
    assert_eq!(socket.close(4000).await, Some(4000), "a close is answered with its own code");
}

#[actix_web::test]
async fn mutations_and_failures_work_as_over_http() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    let create =
        "mutation { createPost(input: { title: \"a\" }) @idempotent(key: \"k\") { key complianceId } }";
    socket.subscribe("1", create).await;
    let next = socket.next().await;
    assert_eq!(next["payload"]["data"]["createPost"]["key"], "k");
    assert_eq!(
        next["payload"]["data"]["createPost"]["complianceId"],
        next["payload"]["extensions"]["complianceId"]
    );
    assert_eq!(next["payload"]["extensions"]["cost"]["requestedQueryCost"], 10);
    assert_eq!(socket.next().await["type"], "complete");
    socket.subscribe("2", "{ hello secretFailure }").await;
    let next = socket.next().await;
    assert_eq!(next["payload"]["errors"][0]["message"], "internal error");
    assert_eq!(next["payload"]["data"]["hello"], "world");
    assert_eq!(socket.next().await["type"], "complete");
    for payload in [json!({}), json!({ "query": 1 }), json!({ "query": "{ hello }", "x": 1 })] {
        socket.send(json!({ "id": "3", "type": "subscribe", "payload": payload })).await;
        assert_eq!(code_of(&socket.next().await), "BAD_USER_INPUT");
    }
}

#[actix_web::test]
async fn a_subscription_that_cannot_start_says_why() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { refused }").await;
    let answer = socket.next().await;
    assert_eq!(answer["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
}

#[actix_web::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let toy = Toy::start();
    let mut stream = raw(&toy).await;
    stream.write_all(&[0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]).await.unwrap();
    assert_eq!(raw_close_code(stream).await, 1007);
}

#[actix_web::test]
async fn fragments_without_end_are_refused() {
    let toy = Toy::start();
    let mut stream = raw(&toy).await;
    stream.write_all(&[0x01, 0x80, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&[0x00, 0x80, 0, 0, 0, 0].repeat(1_000)).await.unwrap();
    assert_eq!(raw_close_code(stream).await, 1009);
    let mut stream = raw(&toy).await;
    let mut fragment = vec![0x01, 0xFE, 0x80, 0x00, 0, 0, 0, 0];
    fragment.resize(8 + 0x8000, b' ');
    stream.write_all(&fragment).await.unwrap();
    fragment[0] = 0x00;
    stream.write_all(&fragment.repeat(3)).await.unwrap();
    assert_eq!(raw_close_code(stream).await, 1009);
}

#[actix_web::test]
async fn a_panicking_stream_ends_alone() {
    let toy = Toy::start();
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "subscription { panics }").await;
    assert_eq!(socket.next().await["payload"]["data"]["panics"], 1);
    let error = socket.next().await;
    assert_eq!((error["type"].as_str(), code_of(&error)), (Some("error"), "INTERNAL_SERVER_ERROR"));
    socket.subscribe("1", "{ hello }").await;
    assert_eq!(socket.next().await["payload"]["data"]["hello"], "world");
}

#[actix_web::test]
async fn limits_hold_on_sockets_too() {
    let limits = Limits { deadline: Duration::from_millis(50), depth: 1, ..Limits::default() };
    let toy = Toy::start_with(Config { limits, ..Config::default() });
    let mut socket = Socket::ready(&toy).await;
    socket.subscribe("1", "{ stuck }").await;
    assert_eq!(code_of(&socket.next().await), "UNAVAILABLE");
    socket.subscribe("1", "{ me { id } }").await;
    assert_eq!(code_of(&socket.next().await), "GRAPHQL_VALIDATION_FAILED");
}

#[actix_web::test]
async fn a_slow_client_makes_its_stream_wait() {
    let toy = Toy::start();
    let mut slow = Socket::ready(&toy).await;
    slow.subscribe("1", "subscription { flood }").await;
    assert_eq!(slow.next().await["type"], "next");
    // Nothing more is read. Other sockets are served meanwhile, and the flood comes to a stop.
    let mut made = 0;
    let mut other = Socket::ready(&toy).await;
    for round in 0.. {
        other.subscribe("1", "{ hello }").await;
        assert_eq!(other.next().await["type"], "next");
        assert_eq!(other.next().await["type"], "complete");
        let now = toy.server.toy.flooded.load(Ordering::SeqCst);
        if round > 100 && now == made {
            break;
        }
        made = now;
    }
    assert!(made < 5_000, "{made} values of 10 kB were made for a client that reads none");
}
