//! What a directory keeps, what a seed decides.

use sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use crate::{
    process::{Dir, Process},
    receiver::{PATIENCE, Receiver},
    stage::{Grant, SCOPES, Stage, client},
};

/// Plays the same story; everything the sandbox knows afterwards, without the wall's time.
async fn story(stage: &Stage) -> (Value, Grant) {
    let (app, lin, fan) = (stage.app().await, stage.user("Lin").await, stage.user("Fan").await);
    let grant = stage.grant(&app, &lin, SCOPES).await;
    stage.switch(json!({ "review_pass_permille": 500 })).await;
    stage.set("faults", json!({ "path": "/item/*", "harm": "busy", "permille": 500 })).await;
    for number in 0..6 {
        let item_id = stage.publish(&grant, &format!("post {number}")).await;
        stage.set("comments", json!({ "user": fan, "item_id": item_id, "content": "hm" })).await;
        stage.post("/item/comment/reply/", &grant, json!({ "item_id": item_id, "content": "yes" })).await;
        stage.advance(7_777).await;
    }
    (known(stage).await, grant)
}

async fn known(stage: &Stage) -> Value {
    let mut all = Value::Null;
    for path in ["state", "switches", "apps", "users", "posts", "faults", "calls", "webhooks", "ledger"] {
        all[path] = stage.see(path).await;
    }
    without_wall(&mut all);
    all
}

fn without_wall(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_wall),
        Value::Object(fields) => {
            fields.retain(|name, _| !name.starts_with("wall"));
            fields.values_mut().for_each(without_wall);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_same_calls_get_the_same_answers_by_the_seed() {
    let mut stories = Vec::new();
    for seed in [7, 7, 8] {
        let stage = Stage::seeded(seed, None).await;
        stories.push(story(&stage).await.0);
        stage.stop().await;
    }
    assert_eq!(stories[0], stories[1]);
    assert_ne!(stories[0]["posts"], stories[2]["posts"]);
    assert_ne!(stories[0]["users"], stories[2]["users"]);
    let stages: Vec<_> =
        stories[0]["posts"]["posts"].as_array().expect("a list").iter().map(|p| &p["stage"]).collect();
    assert!(stages.contains(&&json!("public")) && stages.contains(&&json!("refused")), "{stages:?}");
}

#[tokio::test]
async fn answers_do_not_depend_on_when_a_receiver_answers() {
    let (quick, slow) = (Stage::new().await, Stage::new().await);
    // One for both, for its address is in the calls.
    let receiver = Receiver::start();
    let mut grants = Vec::new();
    for stage in [&quick, &slow] {
        let (app, user) = (stage.app().await, stage.user("Lin").await);
        let path = format!("apps/{}/webhook", app.key);
        assert_eq!(stage.control(reqwest::Method::PUT, &path, json!({ "url": receiver.url })).await.0, 200);
        stage.switch(json!({ "string_numbers": "sometimes", "webhook_timeout_ms": 60_000 })).await;
        grants.push(stage.grant(&app, &user, SCOPES).await);
        receiver.hold(true);
        stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
        if grants.len() == 1 {
            receiver.hold(false);
            let told =
                async { while stage.see("webhooks?since=1").await["webhooks"][0]["state"] != "delivered" {} };
            tokio::time::timeout(PATIENCE, told).await.expect("told");
        }
    }
    for number in 0..16 {
        let answers = [
            quick.get("/video/list/", &grants[0], &[("count", "5")]).await,
            slow.get("/video/list/", &grants[1], &[("count", "5")]).await,
        ];
        assert_eq!(answers[0], answers[1], "call {number}");
    }
    let calls = async |stage: &Stage| {
        let mut calls = stage.see("calls").await;
        without_wall(&mut calls);
        calls
    };
    assert_eq!(calls(&quick).await, calls(&slow).await);
    assert_eq!(slow.see("webhooks?since=1").await["webhooks"][0]["state"], "waiting");
    receiver.hold(false);
    receiver.stop().await;
    quick.stop().await;
    slow.stop().await;
}

#[tokio::test]
async fn a_directory_keeps_everything_and_is_used_by_one_at_a_time() {
    let dir = Dir::new("kept");
    let stage = Stage::seeded(7, Some(&dir.0)).await;
    let (_, grant) = story(&stage).await;
    // What is in the journal must be readable whatever callers send.
    for depth in [60, 63, 64, 100, 120, 126, 127] {
        let nested = format!("{{\"x\":{}0.1{}}}", "[".repeat(depth), "]".repeat(depth));
        let request = stage.request(reqwest::Method::POST, "/item/comment/reply/", &grant).body(nested);
        assert_eq!(request.send().await.expect("answered").status(), 200, "{depth} deep");
    }
    let hostile =
        json!({ "video_id": "\u{0}\u{2028}\n\"", "cover_tsp": 1.1e-300, "private_status": u64::MAX });
    stage.post("/api/douyin/v1/video/create_video/", &grant, hostile).await;
    let before = known(&stage).await;
    let options = |seed| Options { listen: ([127, 0, 0, 1], 0).into(), dir: Some(dir.0.clone()), seed };
    assert!(Sandbox::start(&options(None)).is_err(), "in use");
    stage.stop().await;
    assert!(Sandbox::start(&options(Some(8))).is_err(), "another seed");
    let sandbox = Sandbox::start(&options(None)).expect("started");
    let url = format!("http://{}", sandbox.address);
    let mut after = Value::Null;
    for path in before.as_object().expect("an object").keys() {
        let answer = client().get(format!("{url}/_sandbox/{path}")).send().await.expect("answered");
        after[path] = answer.json().await.expect("JSON");
    }
    without_wall(&mut after);
    assert_eq!(after, before);
    let list =
        client().get(format!("{url}/api/douyin/v1/video/video_list/")).header("access-token", &grant.access);
    let list: Value = list
        .query(&[("open_id", grant.open_id.as_str()), ("count", "20")])
        .send()
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    assert_eq!(list["data"]["list"].as_array().map(Vec::len), Some(6), "tokens work on");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_answered() {
    let dir = Dir::new("killed");
    let (http, mut answered) = (client(), 0);
    for round in 0..3 {
        let process = Process::start(&dir.0);
        let url = format!("{}/_sandbox/users", process.url);
        let known: Value = http.get(&url).send().await.expect("answered").json().await.expect("JSON");
        assert_eq!(known["users"].as_array().map(Vec::len), Some(answered), "round {round}");
        for _ in 0..25 {
            let answer =
                http.post(&url).json(&json!({ "nickname": format!("user {answered}") })).send().await;
            assert_eq!(answer.expect("answered").status(), 201);
            answered += 1;
        }
        process.kill();
    }
    let process = Process::start(&dir.0);
    let url = format!("{}/_sandbox/users", process.url);
    let known: Value = http.get(&url).send().await.expect("answered").json().await.expect("JSON");
    let last = known["users"].as_array().expect("a list").iter().any(|user| user["nickname"] == "user 74");
    assert!(last, "{known}");
    process.kill();
}

#[tokio::test]
async fn a_webhook_on_its_way_comes_after_the_restart_with_the_same_id() {
    let dir = Dir::new("webhook");
    let (http, receiver) = (client(), Receiver::start());
    let process = Process::start(&dir.0);
    let send = async |process: &Process, method: reqwest::Method, path: &str, body: Value| {
        let request = http.request(method, format!("{}/_sandbox/{path}", process.url)).json(&body);
        let answer = request.send().await.expect("answered");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json::<Value>().await.expect("JSON")
    };
    let (post, put) = (reqwest::Method::POST, reqwest::Method::PUT);
    send(&process, post.clone(), "clock", json!({ "frozen": true })).await;
    let app = send(&process, post.clone(), "apps", json!({})).await;
    let key = app["client_key"].as_str().expect("a key");
    send(&process, put, &format!("apps/{key}/webhook"), json!({ "url": receiver.url })).await;
    receiver.answer_with(&[500]);
    send(&process, post.clone(), "events", json!({ "client_key": key, "event": "authorize" })).await;
    let came = receiver.received(2).await;
    // The failure has to be told before the process is killed, or the event would be due at once.
    let told = async {
        let none = json!([]);
        let look = || send(&process, reqwest::Method::GET, "webhooks?since=1", json!(null));
        while look().await["webhooks"][0]["attempts"] == none {}
    };
    tokio::time::timeout(PATIENCE, told).await.expect("told");
    process.kill();
    let process = Process::start(&dir.0);
    send(&process, post, "clock", json!({ "advance_s": 10 })).await;
    assert_eq!(receiver.received(3).await[2], came[1]);
    process.kill();
    receiver.stop().await;
}
