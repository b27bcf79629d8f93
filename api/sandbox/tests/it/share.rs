//! Sections 6 and 15.14: share_ids, tickets, signatures, and what comes of a share.

use md5::{Digest as _, Md5};
use reqwest::Method;
use serde_json::json;

use crate::{
    receiver::Receiver,
    stage::{App, SCOPES, Stage, code, hex},
};

fn md5(text: &str) -> String {
    hex(&Md5::digest(text))
}

/// A sandbox whose app is told of posts.
async fn begun() -> (Stage, App, Receiver) {
    let (stage, receiver) = (Stage::new().await, Receiver::start());
    let app = stage.app().await;
    let webhook = format!("apps/{}/webhook", app.key);
    assert_eq!(stage.control(Method::PUT, &webhook, json!({ "url": receiver.url })).await.0, 200);
    let subscriptions = json!({ "subscriptions": { "create_video": true } });
    stage.control(Method::PATCH, &format!("apps/{}", app.key), subscriptions).await;
    (stage, app, receiver)
}

#[tokio::test]
async fn a_share_becomes_a_post_whose_app_is_told_which() {
    let (stage, app, receiver) = begun().await;
    let (other, user) = (stage.app().await, stage.user("Lin").await);
    stage.grant(&app, &user, "user_info,aweme.forward").await;
    let (token, foreign) = (stage.client_token(&app).await, stage.client_token(&other).await);
    let share_id = async |token: &str| {
        let answer = stage.as_app("/share-id/", token, &[("need_callback", "true")]).await;
        answer["data"]["share_id"].as_str().expect("an id").to_owned()
    };
    let (mine, theirs) = (share_id(&token).await, share_id(&foreign).await);
    let ticket = stage.as_app("/open/getticket/", &token, &[]).await["data"].clone();
    assert_eq!(ticket["expires_in"], 7_200);
    let ticket = ticket["ticket"].as_str().expect("a ticket").to_owned();
    let link = |ticket: &str, state: &str| {
        let signature = md5(&format!("nonce_str=n1&ticket={ticket}&timestamp=1767232800"));
        let query = [
            ("share_type", "h5"),
            ("client_key", app.key.as_str()),
            ("nonce_str", "n1"),
            ("timestamp", "1767232800"),
            ("signature", &signature),
            ("state", state),
            ("title", "shared #sunrise"),
            ("video_path", "https://app.example/v.mp4"),
        ];
        reqwest::Url::parse_with_params("snssdk1128://openplatform/share", query).expect("a link").to_string()
    };
    let open = async |link: String| {
        stage.control(Method::POST, "share", json!({ "user": user, "link": link })).await
    };
    for (link, says) in [
        (link("@tkt-invented", &mine), "the signature fits no ticket that is alive"),
        (link(&ticket, &theirs), "state is no share_id of this app"),
        ("nonsense".to_owned(), "client_key is unknown"),
    ] {
        assert_eq!(open(link).await, (422, json!({ "error": says })));
    }
    let (status, post) = open(link(&ticket, &mine)).await;
    assert_eq!((status, &post["share_id"], &post["text"]), (201, &json!(mine), &json!("shared #sunrise")));
    let event = receiver.received(2).await[1].json();
    assert_eq!((&event["event"], &event["content"]["share_id"]), (&json!("create_video"), &json!(mine)));
    assert_eq!(event["content"]["item_id"], post["item_ids"][&app.key]);
    assert!(event.get("to_user_id").is_none(), "{event}");
    stage.advance(7_200).await;
    assert_eq!(open(link(&ticket, &mine)).await.0, 422, "tickets live two hours");
    assert_eq!(stage.effects("post_in_app").await.len(), 1);
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn shares_are_told_of_when_that_was_asked_for_and_granted() {
    let (stage, app, receiver) = begun().await;
    let user = stage.user("Lin").await;
    let token = stage.client_token(&app).await;
    let ticket = stage.as_app("/open/getticket/", &token, &[]).await["data"]["ticket"].clone();
    let signature = md5(&format!("nonce_str=n1&ticket={}&timestamp=1", ticket.as_str().expect("a ticket")));
    let share = async |need_callback: Option<&str>| {
        let share_id = match need_callback {
            Some(need_callback) => {
                let query = [("need_callback", need_callback)];
                stage.as_app("/share-id/", &token, &query).await["data"]["share_id"].clone()
            }
            None => json!(""),
        };
        let body = json!({ "user": user, "client_key": app.key, "nonce_str": "n1", "timestamp": "1",
                           "signature": signature, "state": share_id });
        stage.set("share", body).await;
        share_id
    };
    let told = async || {
        let sent = stage.see("webhooks?event=create_video").await;
        let ids = |sent: &serde_json::Value| {
            let body: serde_json::Value =
                serde_json::from_str(sent["body"].as_str().expect("a text")).expect("JSON");
            body["content"]["share_id"].clone()
        };
        sent["webhooks"].as_array().expect("a list").iter().map(ids).collect::<Vec<_>>()
    };
    stage.grant(&app, &user, "user_info").await;
    share(Some("true")).await;
    assert!(told().await.is_empty(), "the user did not grant aweme.forward");
    stage.switch(json!({ "create_video_needs_forward": false })).await;
    let first = share(Some("true")).await;
    assert_eq!(told().await, std::slice::from_ref(&first), "nobody asks for the grant");
    stage.switch(json!({ "create_video_needs_forward": true })).await;
    stage.grant(&app, &user, "user_info,aweme.forward").await;
    for silent in [Some("false"), Some(""), None] {
        share(silent).await;
    }
    let last = share(Some("true")).await;
    assert_eq!(told().await, [first, last], "only what was asked for, and has a share_id");
    stage.set("revoke", json!({ "client_key": app.key, "user": user })).await;
    share(Some("true")).await;
    assert_eq!(told().await.len(), 2, "the grant was taken back");
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn what_a_server_posts_is_told_of_when_switched_on_and_granted() {
    let (stage, app, receiver) = begun().await;
    let user = stage.user("Lin").await;
    let told = async || {
        let sent = stage.see("webhooks?event=create_video").await;
        sent["webhooks"].as_array().map(Vec::len)
    };
    let grant = stage.grant(&app, &user, SCOPES).await;
    stage.switch(json!({ "create_video_event": true })).await;
    stage.publish(&grant, "not granted").await;
    assert_eq!(told().await, Some(0));
    let grant = stage.grant(&app, &user, "video.create.bind,aweme.forward").await;
    stage.publish(&grant, "granted").await;
    assert_eq!(told().await, Some(1));
    stage.switch(json!({ "create_video_event": false })).await;
    stage.publish(&grant, "switched off").await;
    assert_eq!(told().await, Some(1));
    receiver.stop().await;
    stage.stop().await;
}

#[tokio::test]
async fn page_signatures_are_checked_against_living_tickets() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    let token = stage.client_token(&app).await;
    let ticket = stage.as_app("/js/getticket/", &token, &[]).await["data"]["ticket"].clone();
    let ticket = ticket.as_str().expect("a ticket");
    let page = "https://app.example/page";
    let good = md5(&format!("jsapi_ticket={ticket}&nonce_str=n1&timestamp=1&url={page}"));
    for (signature, valid) in [(good.as_str(), true), ("0", false)] {
        let body = json!({ "client_key": app.key, "nonce_str": "n1", "timestamp": 1, "url": page, "signature": signature });
        assert_eq!(stage.set("page-signature", body).await["valid"], valid, "{signature}");
    }
    let user = stage.grant(&app, &stage.user("Lin").await, SCOPES).await;
    assert_eq!(code(&stage.as_app("/share-id/", &user.access, &[]).await), 2_190_002, "a user's token");
    stage.stop().await;
}
