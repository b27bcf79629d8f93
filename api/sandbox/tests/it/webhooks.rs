//! Sections 9 and 15.13: saving an address, signatures, retries, duplicates, subscriptions.

use reqwest::Method;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::{
    receiver::{PATIENCE, Receiver},
    stage::{App, SCOPES, Stage, code, hex, json_of},
};

/// The contract's rule, written out once more: hex of SHA-1 over secret and body.
fn signed(secret: &str, body: &str) -> String {
    hex(&Sha1::digest([secret.as_bytes(), body.as_bytes()].concat()))
}

async fn save(stage: &Stage, app: &App, url: &str) -> (u16, Value) {
    stage.control(Method::PUT, &format!("apps/{}/webhook", app.key), json!({ "url": url })).await
}

async fn subscribe(stage: &Stage, app: &App, event: &str, status: i64) -> i64 {
    let token = stage.client_token(app).await;
    let request =
        stage.http.post(format!("{}/event/status/update/", stage.url)).header("access-token", token);
    code(&json_of(request.json(&json!({ "list": [{ "event": event, "status": status }] }))).await)
}

/// A sandbox whose app has a saved address; one challenge has been came.
async fn begun() -> (Stage, App, Receiver) {
    let (stage, receiver) = (Stage::new().await, Receiver::start());
    let app = stage.app().await;
    let (status, told) = save(&stage, &app, &receiver.url).await;
    assert_eq!((status, &told["saved"]), (200, &json!(true)), "{told}");
    (stage, app, receiver)
}

/// The delivery, once `met` says it is as wanted.
async fn delivery(stage: &Stage, number: i64, met: fn(&Value) -> bool) -> Value {
    tokio::time::timeout(PATIENCE, look_for(stage, number, met)).await.expect("the delivery gets that far")
}

async fn look_for(stage: &Stage, number: i64, met: fn(&Value) -> bool) -> Value {
    loop {
        let sent = stage.see("webhooks").await;
        let found = sent["webhooks"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|sent| sent["number"] == number)
            .cloned();
        if let Some(found) = found.filter(met) {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

fn attempts(delivery: &Value) -> usize {
    delivery["attempts"].as_array().map(Vec::len).unwrap_or_default()
}

#[tokio::test]
async fn an_address_is_saved_when_it_sends_the_challenge_back() {
    let (stage, receiver) = (Stage::new().await, Receiver::start());
    let app = stage.app().await;
    let saved = async || stage.see("apps").await["apps"][0]["webhook_url"].clone();
    for wrong in [json!("48213"), json!(1), json!(null), json!({})] {
        receiver.send_back(Some(wrong.clone()));
        let (status, told) = save(&stage, &app, &receiver.url).await;
        assert_eq!((status, &told["saved"], saved().await), (422, &json!(false), json!(null)), "{wrong}");
    }
    receiver.send_back(None);
    receiver.answer_with(&[204]);
    assert_eq!(save(&stage, &app, &receiver.url).await.0, 422, "not 200");
    assert_eq!(save(&stage, &app, "http://127.0.0.1:1/").await.0, 422, "nobody there");
    assert_eq!(save(&stage, &app, "nonsense").await.0, 400);
    assert_eq!(save(&stage, &app, &receiver.url).await.0, 200);
    assert_eq!(saved().await, receiver.url.as_str());
    let came = receiver.received(6).await;
    let trial = came.last().expect("came");
    let body = trial.json();
    assert_eq!((&body["event"], &body["client_key"]), (&json!("verify_webhook"), &json!(app.key)));
    assert!(body["content"]["challenge"].is_i64(), "{body}");
    assert_eq!(trial.signature, signed(&app.secret, &trial.body));
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn events_come_when_they_are_switched_on_and_signed_over_their_bytes() {
    let (stage, app, receiver) = begun().await;
    let user = stage.user("林 Lin").await;
    stage.grant(&app, &user, "user_info").await;
    assert_eq!(subscribe(&stage, &app, "authorize", 1).await, 0);
    assert_eq!(subscribe(&stage, &app, "unauthorize", 1).await, 0);
    assert_eq!(subscribe(&stage, &app, "nonsense", 1).await, 2_100_005);
    assert_eq!(subscribe(&stage, &app, "authorize", 2).await, 2_100_005);
    let grant = stage.grant(&app, &user, "user_info,item.comment").await;
    let came = receiver.received(2).await;
    assert_eq!(came.len(), 2, "none before it was switched on");
    let body = came[1].json();
    assert_eq!(
        body,
        json!({ "event": "authorize", "client_key": app.key, "from_user_id": grant.open_id,
                "content": { "scopes": ["item.comment", "user_info"] } })
    );
    stage.set("revoke", json!({ "client_key": app.key, "user": user })).await;
    let came = receiver.received(3).await;
    assert_eq!(came[2].json()["event"], "unauthorize");
    for one in &came {
        assert_eq!(one.signature, signed(&app.secret, &one.body), "{}", one.body);
    }
    let ids: std::collections::HashSet<_> = came.iter().map(|one| &one.msg_id).collect();
    assert_eq!(ids.len(), 3, "each has a Msg-Id of its own");
    assert_eq!(subscribe(&stage, &app, "authorize", 0).await, 0);
    let listed = stage.as_app("/event/status/list/", &stage.client_token(&app).await, &[]).await;
    let status = |event: &str| {
        let list = listed["data"]["list"].as_array().expect("a list");
        list.iter().find(|row| row["event"] == event).map(|row| row["status"].clone())
    };
    assert_eq!((status("authorize"), status("unauthorize")), (Some(json!(0)), Some(json!(1))));
    let secret = json!({ "webhook_secret": "another" });
    stage.control(Method::PATCH, &format!("apps/{}", app.key), secret).await;
    stage
        .set(
            "events",
            json!({ "client_key": app.key, "event": "new_video_digg", "content": { "action_type": 1 } }),
        )
        .await;
    let last = receiver.received(4).await[3].clone();
    assert_eq!(last.signature, signed("another", &last.body), "a secret of its own");
    assert_eq!(last.json()["content"], "{\"action_type\":1}", "newer events have text");
    assert!(last.json()["log_id"].is_string());
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn every_event_of_the_documents_can_be_switched_on() {
    const EVENTS: &str = "verify_webhook create_video authorize unauthorize contract_authorize \
        contract_unauthorize item_comment_reply new_video_digg new_follow_action im_receive_msg im_send_msg \
        im_enter_direct_msg im_group_receive_msg group_fans_event enter_group_audit_change im_authorize \
        receive_msg enter_im dial_phone website_contact personal_tab_contact union_auth_info_for_c \
        union_auth_info_for_b life_trade_order_notify life_trade_certificate_notify life_product_audit \
        life_member_join life_member_leave";
    let stage = Stage::new().await;
    let app = stage.app().await;
    for event in EVENTS.split_whitespace() {
        assert_eq!(subscribe(&stage, &app, event, 1).await, 0, "{event}");
    }
    assert_eq!(subscribe(&stage, &app, "commission", 1).await, 2_100_005);
    let listed = stage.as_app("/event/status/list/", &stage.client_token(&app).await, &[]).await;
    let listed = listed["data"]["list"].as_array().expect("a list").clone();
    assert_eq!(listed.len(), EVENTS.split_whitespace().count());
    assert!(listed.iter().all(|row| row["status"] == 1), "{listed:?}");
    stage.stop().await;
}

#[tokio::test]
async fn a_fans_comment_is_told_to_the_author_who_granted_it() {
    let (stage, app, receiver) = begun().await;
    let (lin, fan) = (stage.user("Lin").await, stage.user("Fan").await);
    subscribe(&stage, &app, "item_comment_reply", 1).await;
    let grant = stage.grant(&app, &lin, "video.create.bind,video.data.bind").await;
    let item_id = stage.publish(&grant, "talked about").await;
    let say = async |user: &str, content: &str| {
        stage.set("comments", json!({ "user": user, "item_id": item_id, "content": content })).await
    };
    say(&fan, "before the grant").await;
    stage.grant(&app, &lin, SCOPES).await;
    let told = say(&fan, "nice").await;
    say(&lin, "thanks").await;
    say(&fan, "really").await;
    let came = receiver.received(3).await;
    let contents: Vec<_> = came[1..].iter().map(|one| one.json()["content"]["content"].clone()).collect();
    assert!(contents.contains(&json!("nice")) && contents.contains(&json!("really")), "{contents:?}");
    let nice =
        came.iter().map(crate::receiver::Received::json).find(|body| body["content"]["content"] == "nice");
    let nice = nice.expect("it came");
    assert_eq!(nice["to_user_id"], grant.open_id.as_str());
    assert_eq!(nice["content"]["comment_id"], told["comment_id"]);
    assert_eq!(nice["content"]["reply_to_item_id"], item_id.as_str());
    assert_eq!(nice["from_user_id"], nice["content"]["comment_user_id"]);
    assert_eq!(
        stage.see("webhooks?event=item_comment_reply").await["webhooks"].as_array().map(Vec::len),
        Some(2)
    );
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn a_failed_delivery_is_tried_three_times_more_with_the_same_id() {
    let (stage, app, receiver) = begun().await;
    receiver.answer_with(&[500, 302, 500, 500]);
    stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
    receiver.received(2).await;
    let mut sent = delivery(&stage, 2, |sent| attempts(sent) == 1).await;
    for (made, wait_s) in [(2, 10), (3, 60), (4, 300)] {
        let (at, due) = (sent["attempts"][made - 2]["at_ms"].as_i64(), sent["due_ms"].as_i64());
        assert_eq!(due.zip(at).map(|(due, at)| due - at), Some(wait_s * 1_000), "before try {made}");
        stage.advance(wait_s - 1).await;
        assert_eq!(
            attempts(&stage.see("webhooks?since=1").await["webhooks"][0]),
            made - 1,
            "not before it is due"
        );
        stage.advance(1).await;
        let came = receiver.received(1 + made).await;
        assert_eq!(came[made], came[1], "byte for byte, Msg-Id and all");
        sent = match made {
            2 => delivery(&stage, 2, |sent| attempts(sent) == 2).await,
            3 => delivery(&stage, 2, |sent| attempts(sent) == 3).await,
            _ => delivery(&stage, 2, |sent| attempts(sent) == 4).await,
        };
    }
    assert_eq!(sent["state"], "given_up");
    receiver.answer_with(&[500]);
    stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
    delivery(&stage, 3, |sent| attempts(sent) == 1).await;
    stage.advance(10).await;
    let sent = delivery(&stage, 3, |sent| sent["state"] == "delivered").await;
    assert_eq!(sent["attempts"][1]["status"], 200);
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn duplicates_come_with_the_same_id_and_long_silence_ends_subscriptions() {
    let (stage, app, receiver) = begun().await;
    stage.switch(json!({ "webhook_duplicate_permille": 1_000 })).await;
    stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
    let came = receiver.received(3).await;
    assert_eq!(came[1], came[2]);
    delivery(&stage, 2, |sent| sent["state"] == "delivered" && attempts(sent) == 2).await;
    stage
        .switch(json!({ "webhook_duplicate_permille": 0, "webhook_tries": 1, "webhook_disable_after": 3 }))
        .await;
    subscribe(&stage, &app, "authorize", 1).await;
    for number in 3..=5 {
        receiver.answer_with(&[503]);
        let on = &stage.see("apps").await["apps"][0]["subscriptions"]["authorize"];
        assert_eq!(on, true, "before failure {number}");
        stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
        receiver.received(usize::try_from(number).expect("small") + 1).await;
        delivery(&stage, number, |sent| sent["state"] == "given_up").await;
    }
    assert_eq!(stage.see("apps").await["apps"][0]["subscriptions"]["authorize"], false);
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn subscribing_anew_forgets_the_failures() {
    let (stage, app, receiver) = begun().await;
    stage.switch(json!({ "webhook_tries": 1, "webhook_disable_after": 2 })).await;
    let change = async |on: bool| {
        let change = json!({ "subscriptions": { "authorize": on } });
        assert_eq!(stage.control(Method::PATCH, &format!("apps/{}", app.key), change).await.0, 200);
        let app = stage.see("apps").await["apps"][0].clone();
        (app["subscriptions"]["authorize"].clone(), app["webhook_failures"].clone())
    };
    let fail = async |number: i64| {
        receiver.answer_with(&[503]);
        stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
        delivery(&stage, number, |sent| sent["state"] == "given_up").await;
        stage.see("apps").await["apps"][0]["subscriptions"]["authorize"].clone()
    };
    assert_eq!(change(true).await, (json!(true), json!(0)));
    assert_eq!((fail(2).await, fail(3).await), (json!(true), json!(false)));
    assert_eq!(change(false).await, (json!(false), json!(2)), "nothing is switched on");
    assert_eq!(change(true).await, (json!(true), json!(0)));
    assert_eq!((fail(4).await, fail(5).await), (json!(true), json!(false)), "two once more");
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn mock_events_go_to_the_saved_address_whether_wanted_or_not() {
    let (stage, app, receiver) = begun().await;
    let token = stage.client_token(&app).await;
    let mock = async |event: &str| {
        let request = stage.http.post(format!("{}/sandbox/webhook/event/send/", stage.url));
        code(&json_of(request.header("access-token", &token).json(&json!({ "event_type": event }))).await)
    };
    assert_eq!(mock("nonsense").await, 2_100_005);
    for (count, event) in ["create_video", "item_comment_reply", "new_follow_action"].into_iter().enumerate()
    {
        assert_eq!(mock(event).await, 0, "{event}");
        let came = receiver.received(2 + count).await;
        let body = came[1 + count].json();
        assert_eq!(body["event"], event);
        assert_eq!(body.get("to_user_id").is_none(), event == "create_video", "{body}");
    }
    stage.control(Method::PATCH, &format!("apps/{}", app.key), json!({ "scopes": ["user_info"] })).await;
    assert_eq!(mock("create_video").await, 2_190_004);
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn a_silent_receiver_is_given_up_on() {
    let (stage, app, receiver) = begun().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    stage.switch(json!({ "webhook_timeout_ms": 50 })).await;
    let (status, told) =
        save(&stage, &app, &format!("http://{}", silent.local_addr().expect("an address"))).await;
    assert_eq!((status, &told["error"]), (422, &json!("timed out")));
    assert_eq!(stage.see("apps").await["apps"][0]["webhook_url"], receiver.url.as_str(), "the old one stays");
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn on_a_running_clock_retries_come_by_themselves() {
    let (stage, app, receiver) = begun().await;
    stage.switch(json!({ "webhook_backoff_s": [1] })).await;
    stage.set("clock", json!({ "frozen": false })).await;
    receiver.answer_with(&[500]);
    stage.set("events", json!({ "client_key": app.key, "event": "authorize" })).await;
    let came = receiver.received(3).await;
    assert_eq!(came[1], came[2]);
    let sent = delivery(&stage, 2, |sent| sent["state"] == "delivered").await;
    let at = |index: usize| sent["attempts"][index]["at_ms"].as_i64().expect("an instant");
    assert!(at(1) - at(0) >= 1_000, "not before it was due: {sent}");
    receiver.stop().await;
    stage.stop().await;
}
