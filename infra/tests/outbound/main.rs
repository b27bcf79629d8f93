//! Calls over real sockets: what each way of failing is told as, and which way calls go out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

mod proxy;
mod server;
mod socks;

use std::time::Duration;

use domain::kernel::{
    ids::{AppId, TenantId},
    scope::TenantScope,
    secret::Secret,
};
use infra::outbound::{
    ANSWER_MAX_BYTES, Call, EgressRoutes, HttpTransport, Judgement, Line, Method, Proxy, Reply, SendFault,
    Timeout, Transport,
};
use proxy::HttpProxy;
use server::Server;
use socks::SocksProxy;
use url::Url;
use uuid::Uuid;

/// Longest a test waits for what must not come.
const SHORT: Duration = Duration::from_secs(1);

fn scope() -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1)))
}

fn call(url: &str) -> Call {
    Call {
        scope: scope(),
        line: Line { platform: "p", app: AppId::from_uuid(Uuid::from_u128(2)), endpoint: "e" },
        account: None,
        method: Method::Post,
        url: Url::parse(url).unwrap(),
        headers: vec![("access-token", Secret::from("act.1".to_owned()))],
        body: Some(Secret::from("a=b".to_owned())),
        repeatable: true,
        patience: None,
        judge: |_| Judgement::Unclear,
    }
}

fn by(proxy: Option<&str>) -> HttpTransport {
    let tenants = proxy.map(|url| (scope().tenant(), Proxy::parse(url).unwrap())).into_iter().collect();
    let routes = EgressRoutes { default: None, tenants };
    HttpTransport::new(Duration::from_secs(5), routes).expect("a transport")
}

/// `not_done` or `unknown`, and why.
fn told(result: &Result<Reply, SendFault>) -> (&'static str, &'static str) {
    match result {
        Ok(reply) => panic!("an answer: {}", reply.status),
        Err(fault @ SendFault::NotDone { .. }) => ("not_done", fault.as_str()),
        Err(fault @ SendFault::Unknown { .. }) => ("unknown", fault.as_str()),
    }
}

#[tokio::test]
async fn an_answer_comes_whole() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let reply = by(None).send(&call(&server.url)).await.unwrap();
    assert_eq!((reply.status, reply.body.expose()), (200, b"{}".as_slice()));
    let heard = server.heard();
    assert!(heard[0].starts_with("POST / HTTP/1.1\r\n") && heard[0].ends_with("\r\n\r\na=b"), "{heard:?}");
    assert!(
        heard[0].contains("access-token: act.1") && heard[0].contains("user-agent: matricula/"),
        "{heard:?}"
    );
    assert!(!heard[0].contains("cookie") && !heard[0].contains("accept-encoding"), "{heard:?}");
}

#[tokio::test]
async fn whoever_is_not_reached_did_nothing() {
    let dead = server::unused_address().await;
    // A label of more than 63 bytes is a name that nobody needs to be asked about.
    let nobody = format!("http://{}.invalid", "x".repeat(64));
    for url in [format!("http://{dead}"), nobody] {
        assert_eq!(told(&by(None).send(&call(&url)).await), ("not_done", "unreachable"), "{url}");
    }
    let plain = Server::rude("220 no TLS is spoken here\r\n").await;
    let secure = plain.url.replace("http://", "https://");
    assert_eq!(told(&by(None).send(&call(&secure)).await), ("not_done", "unreachable"), "no TLS there");
    let silent = Server::silent().await;
    let secure = silent.url.replace("http://", "https://");
    let hasty = HttpTransport::new(SHORT, EgressRoutes::default()).expect("a transport");
    assert_eq!(told(&hasty.send(&call(&secure)).await), ("not_done", "unreachable"), "TLS never comes about");
    assert_eq!((silent.connections(), silent.heard().len()), (1, 0));
}

#[tokio::test]
async fn whoever_heard_the_call_may_have_done_it() {
    for (answer, why) in [
        ("", "cut"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "cut"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "cut"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", "cut"),
        ("nonsense\r\n\r\n", "cut"),
    ] {
        let server = Server::answering(answer).await;
        let result = by(None).send(&call(&server.url)).await;
        assert_eq!(told(&result), ("unknown", why), "{answer:?}");
        assert_eq!(server.heard().len(), 1, "{answer:?}");
        let fault = result.unwrap_err();
        let all = format!("{fault} {fault:?}");
        assert!(!all.contains(&server.url) && !all.contains("act."), "{all}");
    }
    let silent = Server::silent().await;
    let result = Timeout::new(by(None), SHORT).send(&call(&silent.url)).await;
    assert_eq!((told(&result), silent.heard().len()), (("unknown", "timed_out"), 1));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let most = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(ANSWER_MAX_BYTES));
    let server = Server::answering(&most).await;
    let reply = by(None).send(&call(&server.url)).await.unwrap();
    assert_eq!(reply.body.expose().len(), ANSWER_MAX_BYTES);
    for head in ["", "content-length: 1048577\r\n", "content-length: 99999999999\r\n"] {
        let more = format!("HTTP/1.1 200 OK\r\n{head}\r\n{}", "x".repeat(ANSWER_MAX_BYTES + 1));
        let server = Server::answering(&more).await;
        assert_eq!(told(&by(None).send(&call(&server.url)).await), ("unknown", "too_long"), "{head}");
    }
}

#[tokio::test]
async fn redirects_are_handed_back() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [301, 302, 307, 308] {
        let answer =
            format!("HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
        let server = Server::answering(&answer).await;
        assert_eq!(by(None).send(&call(&server.url)).await.unwrap().status, status);
    }
    assert!(elsewhere.heard().is_empty());
}

#[tokio::test]
async fn what_must_not_be_asked_twice_has_its_own_connection() {
    let server = Server::keeping("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let transport = by(None);
    for _ in 0..3 {
        transport.send(&call(&server.url)).await.unwrap();
    }
    assert_eq!((server.heard().len(), server.connections()), (3, 1), "kept");
    for _ in 0..3 {
        transport.send(&Call { repeatable: false, ..call(&server.url) }).await.unwrap();
    }
    assert_eq!((server.heard().len(), server.connections()), (6, 4), "one each");
}

#[tokio::test]
async fn calls_go_by_the_proxy_and_by_nothing_else() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let http = HttpProxy::start().await;
    assert_eq!(by(Some(&http.url)).send(&call(&server.url)).await.unwrap().status, 200);
    assert_eq!(http.seen(), [format!("POST {}/ HTTP/1.1", server.url)]);
    let socks = SocksProxy::start(server.address).await;
    // A name that means nothing here: only the proxy is asked for it.
    assert_eq!(by(Some(&socks.url)).send(&call("http://platform.invalid")).await.unwrap().status, 200);
    assert_eq!(socks.asked(), ["platform.invalid:80"]);
    assert_eq!(server.heard().len(), 2);

    let dead = server::unused_address().await;
    for proxy in [format!("http://{dead}"), format!("https://{dead}"), format!("socks5://{dead}")] {
        assert_eq!(
            told(&by(Some(&proxy)).send(&call(&server.url)).await),
            ("not_done", "unreachable"),
            "{proxy}"
        );
    }
    assert_eq!(server.heard().len(), 2, "a proxy that is away is not gone around");
}

#[tokio::test]
async fn a_tunnel_that_is_refused_was_none() {
    let http = HttpProxy::start().await;
    let dead = server::unused_address().await;
    let secure = call(&format!("https://{dead}"));
    assert_eq!(told(&by(Some(&http.url)).send(&secure).await), ("not_done", "unreachable"));
    assert_eq!(http.seen(), [format!("CONNECT {dead} HTTP/1.1")]);
    let refusing =
        Server::answering("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(told(&by(Some(&refusing.url)).send(&secure).await), ("not_done", "unreachable"));
}

#[tokio::test]
async fn nothing_prints_a_proxys_login() {
    let dead = server::unused_address().await;
    let transport = by(Some(&format!("http://user:hunter2@{dead}")));
    let fault = transport.send(&call("http://platform.invalid")).await.unwrap_err();
    let all = format!("{transport:?} {fault} {fault:?}");
    assert!(!all.contains("hunter2") && all.contains(&dead.to_string()), "{all}");
}
