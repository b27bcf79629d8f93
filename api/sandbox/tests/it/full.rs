//! What becomes of steps and deliveries when the journal can't grow.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    process::{Dir, Process, limit_bytes},
    receiver::Receiver,
    stage::client,
};

async fn control(process: &Process, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}/_sandbox/{path}", process.url);
    let answer = client().request(method, url).json(body).send().await.expect("answered");
    (answer.status(), answer.json().await.unwrap_or_default())
}

async fn nicknames(process: &Process) -> Vec<Value> {
    let (_, known) = control(process, Method::GET, "users", &Value::Null).await;
    known["users"].as_array().expect("a list").iter().map(|user| user["nickname"].clone()).collect()
}

#[tokio::test]
async fn a_step_that_could_be_written_in_part_is_undone_and_those_after_it_are_kept() {
    let dir = Dir::new("full");
    let process = Process::start_limited(&dir.0);
    let add = async |nickname: &str| {
        control(&process, Method::POST, "users", &json!({ "nickname": nickname })).await.0
    };
    assert_eq!(add("first").await, 201);
    assert_eq!(add(&"x".repeat(100_000)).await, 500, "more than fits");
    assert_eq!(add("second").await, 201, "it fits, once the half line is gone");
    assert_eq!(nicknames(&process).await, ["first", "second"]);
    process.kill();
    let process = Process::start(&dir.0);
    assert_eq!(nicknames(&process).await, ["first", "second"]);
    process.kill();
}

#[tokio::test]
async fn a_delivery_that_can_not_be_written_down_is_not_sent_over_and_over() {
    let (dir, receiver) = (Dir::new("full-delivery"), Receiver::start());
    let limit = limit_bytes(&dir.0);
    let process = Process::start_limited(&dir.0);
    let journal_bytes = || std::fs::metadata(dir.0.join("journal.jsonl")).expect("there").len();
    control(&process, Method::PATCH, "switches", &json!({ "webhook_timeout_ms": 60_000 })).await;
    let (_, app) = control(&process, Method::POST, "apps", &json!({})).await;
    let key = app["client_key"].as_str().expect("a key");
    let saved = json!({ "url": receiver.url });
    assert_eq!(control(&process, Method::PUT, &format!("apps/{key}/webhook"), &saved).await.0, 200);
    receiver.hold(true);
    let event = json!({ "client_key": key, "event": "authorize" });
    assert_eq!(control(&process, Method::POST, "events", &event).await.0, 202);
    let came = receiver.received(2).await;

    // A user whose line fills the journal to the last byte, so that not the shortest fits after it.
    let before = journal_bytes();
    assert_eq!(control(&process, Method::POST, "users", &json!({ "nickname": "x" })).await.0, 201);
    let line = journal_bytes() - before;
    let filling = usize::try_from(limit - journal_bytes() - line + 1).expect("room");
    let filler = json!({ "nickname": "x".repeat(filling) });
    assert_eq!(control(&process, Method::POST, "users", &filler).await.0, 201);
    assert_eq!(journal_bytes(), limit);

    receiver.hold(false);
    for _ in 0..50 {
        let (_, sent) = control(&process, Method::GET, "webhooks?since=1", &Value::Null).await;
        assert_eq!(sent["webhooks"][0]["attempts"], json!([]), "not written down");
    }
    assert_eq!(receiver.received(2).await, came, "sent once");
    process.kill();
    let process = Process::start(&dir.0);
    assert_eq!(receiver.received(3).await[2], came[1], "at least once, and with the same id");
    process.kill();
    receiver.stop().await;
}
