//! graphql-sse, distinct connections mode.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use transport::{Config, Outcome, SocketLimits, Transport};

use crate::client::Toy;

/// An event: its name and its data; comments are events without a name.
type Event = (String, String);

pub(crate) struct Events {
    body: futures_util::stream::BoxStream<'static, reqwest::Result<actix_web::web::Bytes>>,
    buffer: String,
    id: String,
}

impl Events {
    async fn open(toy: &Toy, query: &str) -> Self {
        Self::post(toy, &json!({ "query": query })).await
    }

    pub(crate) async fn post(toy: &Toy, body: &Value) -> Self {
        let request = toy.request("POST", "/graphql").header("content-type", "application/json");
        let request = request.header("accept", "text/event-stream").header("authorization", "Bearer alice");
        let response = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let id = response.headers()["x-compliance-id"].to_str().unwrap().to_owned();
        Self { body: response.bytes_stream().boxed(), buffer: String::new(), id }
    }

    /// The next event or comment; `None` at the end of the body.
    async fn any(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                };
                let event = (field("event:"), field("data:"));
                self.buffer = rest.to_string();
                return Some(event);
            }
            let chunk = self.body.next().await?.ok()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.any().await?;
            if !event.0.is_empty() {
                return Some(event);
            }
        }
    }

    /// The payload of a `next` event, after checking its ID.
    pub(crate) async fn value(&mut self) -> Value {
        let value: Value = serde_json::from_str(&self.text().await).unwrap();
        assert_eq!(value["extensions"]["complianceId"], self.id.as_str());
        value
    }

    /// The payload of a `next` event, as it was sent.
    pub(crate) async fn text(&mut self) -> String {
        let (name, data) = self.next().await.unwrap();
        assert_eq!(name, "next");
        data
    }

    pub(crate) async fn assert_complete(&mut self) {
        assert_eq!(self.next().await, Some(("complete".to_owned(), String::new())));
        assert_eq!(self.next().await, None);
    }
}

#[actix_web::test]
async fn values_arrive_and_complete() {
    let toy = Toy::start();
    let mut events = Events::open(&toy, "subscription { count(to: 3) }").await;
    for expected in 1..=3 {
        assert_eq!(events.value().await["data"]["count"], expected);
    }
    events.assert_complete().await;
    let records = toy.server.host.records.lock().unwrap();
    assert_eq!((records[0].outcome, records[0].transport), (Outcome::Streaming, Transport::EventStream));
    assert_eq!(records[0].caller.as_deref(), Some("alice"));
}

#[actix_web::test]
async fn queries_mutations_and_refused_documents_are_one_event() {
    let toy = Toy::start();
    let mut events = Events::open(&toy, "{ hello }").await;
    assert_eq!(events.value().await["data"]["hello"], "world");
    events.assert_complete().await;
    let mut events = Events::open(&toy, "mutation { purge }").await;
    assert_eq!(events.value().await["data"]["purge"], true);
    events.assert_complete().await;
    for (query, code) in [("{ nope }", "GRAPHQL_VALIDATION_FAILED"), ("{", "GRAPHQL_PARSE_FAILED")] {
        let mut events = Events::open(&toy, query).await;
        let value = events.value().await;
        assert_eq!(value["errors"][0]["extensions"]["code"], code);
        assert_eq!(value.get("data"), None);
        events.assert_complete().await;
    }
    assert_eq!(toy.server.host.records.lock().unwrap().len(), 4);
}

#[actix_web::test]
async fn other_refusals_are_ordinary_answers() {
    let toy = Toy::start();
    let post = |body: &'static str| {
        let request = toy.request("POST", "/graphql").header("content-type", "application/json");
        request.header("accept", "text/event-stream").body(body)
    };
    let answer = crate::client::send(post("[]")).await;
    answer.assert_refused(400, "BAD_USER_INPUT");
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    toy.server.host.streams.store(0, Ordering::SeqCst);
    let answer = crate::client::send(post(r#"{"query":"subscription { watched }"}"#)).await;
    answer.assert_refused(429, "THROTTLED");
}

#[actix_web::test]
async fn the_end_of_the_credential_ends_the_stream() {
    let toy = Toy::start();
    let mut events = Events::open(&toy, "subscription { watched }").await;
    assert_eq!(events.value().await["data"]["watched"], 0);
    toy.server.host.revoked.send_replace(true);
    assert_eq!(events.value().await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    events.assert_complete().await;
}

#[actix_web::test]
async fn draining_cuts_the_stream_without_complete() {
    let toy = Toy::start();
    let mut events = Events::open(&toy, "subscription { watched }").await;
    events.value().await;
    toy.server.drain.begin();
    assert_eq!(events.next().await, None);
}

#[actix_web::test]
async fn a_silent_stream_is_kept_alive_and_dropped_with_its_client() {
    let sockets = SocketLimits { ping_interval: Duration::from_millis(20), ..SocketLimits::default() };
    let toy = Toy::start_with(Config { sockets, ..Config::default() });
    let mut events = Events::open(&toy, "subscription { watched }").await;
    let mut comments = 0;
    while comments < 3 {
        if events.any().await.unwrap().0.is_empty() {
            comments += 1;
        }
    }
    assert_eq!(toy.server.toy.watchers.load(Ordering::SeqCst), 1);
    drop(events);
    // Ends by the test runner's own time-out if the stream or its place is kept.
    let is_kept = || {
        let streams = toy.server.host.streams.load(Ordering::SeqCst);
        streams < 500 || toy.server.toy.watchers.load(Ordering::SeqCst) > 0
    };
    while is_kept() {
        tokio::task::yield_now().await;
    }
}
