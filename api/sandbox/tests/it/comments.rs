//! Sections 8 and 15.12: reading, answering and pinning.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Grant, SCOPES, Stage, code};

const LIST: &str = "/item/comment/list/";
const REPLIES: &str = "/item/comment/reply/list/";
const REPLY: &str = "/item/comment/reply/";
const TOP: &str = "/item/comment/top/";

async fn begun() -> (Stage, Grant, String) {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    stage.user("Fan").await;
    let grant = stage.grant(&app, &user, SCOPES).await;
    let item_id = stage.publish(&grant, "talked about").await;
    stage.advance(60).await;
    (stage, grant, item_id)
}

async fn say(stage: &Stage, item_id: &str, content: &str, reply_to: Option<&str>) -> String {
    let body = json!({ "user": "user_2", "item_id": item_id, "content": content, "reply_to": reply_to });
    stage.set("comments", body).await["comment_id"].as_str().expect("an id").to_owned()
}

fn contents(page: &Value) -> Vec<&str> {
    let list = page["data"]["list"].as_array().unwrap_or_else(|| panic!("{page}"));
    list.iter().filter_map(|comment| comment["content"].as_str()).collect()
}

#[tokio::test]
async fn comments_are_paged_and_sorted() {
    let (stage, grant, item_id) = begun().await;
    for number in 0..5 {
        say(&stage, &item_id, &format!("c{number}"), None).await;
        stage.advance(1).await;
    }
    let page = async |cursor: &str, sort: &str| {
        let query = [("item_id", item_id.as_str()), ("count", "2"), ("cursor", cursor), ("sort_type", sort)];
        stage.get(LIST, &grant, &query).await
    };
    for (cursor, sort, expected, next, more) in [
        ("0", "time_asc", &["c0", "c1"][..], 2, true),
        ("2", "time_asc", &["c2", "c3"], 4, true),
        ("4", "time_asc", &["c4"], 5, false),
        ("9", "time_asc", &[], 9, false),
        ("0", "time", &["c4", "c3"], 2, true),
    ] {
        let answer = page(cursor, sort).await;
        assert_eq!(contents(&answer), expected, "{sort} from {cursor}");
        assert_eq!((&answer["data"]["cursor"], &answer["data"]["has_more"]), (&json!(next), &json!(more)));
    }
    let first = page("0", "time_asc").await["data"]["list"][0].clone();
    let names: Vec<_> = first.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = [
        "avatar",
        "comment_id",
        "comment_user_id",
        "content",
        "create_time",
        "digg_count",
        "nick_name",
        "reply_comment_total",
        "top",
    ];
    assert_eq!(names, expected);
    assert_eq!((&first["nick_name"], &first["create_time"]), (&json!("Fan"), &json!(1_767_232_860)));
    assert_eq!(stage.video(&grant, &item_id).await["statistics"]["comment_count"], 5);
    for (name, value) in
        [("count", "21"), ("count", "0"), ("cursor", "x"), ("sort_type", "best"), ("item_id", "@x")]
    {
        let mut query =
            vec![("item_id", item_id.as_str()), ("count", "2"), ("cursor", "0"), ("sort_type", "time")];
        query.retain(|(kept, _)| *kept != name);
        query.push((name, value));
        let expected = if name == "item_id" { 2_111_007 } else { 2_100_005 };
        assert_eq!(code(&stage.get(LIST, &grant, &query).await), expected, "{name}={value}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn replies_are_kept_under_what_they_answer_and_written_down_once() {
    let (stage, grant, item_id) = begun().await;
    let asked = say(&stage, &item_id, "where to buy?", None).await;
    let answer = stage
        .post(REPLY, &grant, json!({ "item_id": item_id, "comment_id": asked, "content": "here" }))
        .await;
    assert_eq!((code(&answer), answer["data"]["nick_name"].as_str()), (0, Some("Lin")));
    let reply_id = answer["data"]["comment_id"].as_str().expect("an id").to_owned();
    say(&stage, &item_id, "thanks", Some(&reply_id)).await;
    let on_video = stage.post(REPLY, &grant, json!({ "item_id": item_id, "content": "hello all" })).await;
    assert_eq!(code(&on_video), 0);
    let query =
        [("item_id", item_id.as_str()), ("count", "9"), ("sort_type", "time_asc"), ("comment_id", &asked)];
    let top_level = stage.get(LIST, &grant, &query).await;
    assert_eq!(contents(&top_level), ["where to buy?", "hello all"]);
    assert_eq!(top_level["data"]["list"][0]["reply_comment_total"], 2);
    assert_eq!(contents(&stage.get(REPLIES, &grant, &query).await), ["here", "thanks"]);
    let effects = stage.effects("comment").await;
    assert_eq!(effects.len(), 2, "the fan's are not the app's");
    assert_eq!(effects[0]["made"]["comment_id"], reply_id);
    stage.switch(json!({ "comment_reply_risk_params": true })).await;
    assert_eq!(code(&stage.get(REPLIES, &grant, &query).await), 2_100_005);
    stage.stop().await;
}

#[tokio::test]
async fn comments_that_can_not_be_are_refused() {
    let (stage, grant, item_id) = begun().await;
    let other_item = stage.publish(&grant, "another").await;
    let elsewhere = say(&stage, &other_item, "elsewhere", None).await;
    for (body, expected) in [
        (json!({ "item_id": item_id, "content": "sbx-forbidden word" }), 2_111_001),
        (json!({ "item_id": item_id, "content": "x", "comment_id": "@unknown" }), 2_111_003),
        (json!({ "item_id": item_id, "content": "x", "comment_id": elsewhere }), 2_111_004),
        (json!({ "item_id": "@unknown", "content": "x" }), 2_111_007),
        (json!({ "item_id": item_id, "content": "  " }), 2_100_005),
        (json!({ "content": "x" }), 2_100_005),
    ] {
        assert_eq!(code(&stage.post(REPLY, &grant, body.clone()).await), expected, "{body}");
    }
    assert!(stage.effects("comment").await.is_empty());
    stage.stop().await;
}

#[tokio::test]
async fn one_first_level_comment_is_pinned_at_most() {
    let (stage, grant, item_id) = begun().await;
    let (first, second) =
        (say(&stage, &item_id, "first", None).await, say(&stage, &item_id, "second", None).await);
    let reply = say(&stage, &item_id, "reply", Some(&first)).await;
    let pin = async |id: &str, top: Value| {
        code(&stage.post(TOP, &grant, json!({ "item_id": item_id, "comment_id": id, "top": top })).await)
    };
    let pinned = async || {
        let query = [("item_id", item_id.as_str()), ("count", "9")];
        let page = stage.get(LIST, &grant, &query).await;
        let list = page["data"]["list"].as_array().expect("a list").clone();
        list.iter()
            .filter(|c| c["top"] == true)
            .map(|c| c["content"].as_str().expect("a text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(pin(&reply, json!(true)).await, 2_100_005, "a reply");
    assert_eq!(pin(&first, json!("true")).await, 2_100_005, "no truth value");
    assert_eq!((pin(&first, json!(true)).await, pinned().await), (0, vec!["first".to_owned()]));
    assert_eq!((pin(&second, json!(true)).await, pinned().await), (0, vec!["second".to_owned()]));
    assert_eq!((pin(&first, json!(false)).await, pinned().await), (0, vec!["second".to_owned()]));
    assert_eq!((pin(&second, json!(false)).await, pinned().await), (0, Vec::new()));
    stage.switch(json!({ "pin_review_s": 30 })).await;
    assert_eq!(pin(&first, json!(true)).await, 0);
    stage.advance(29).await;
    assert_eq!(pin(&second, json!(true)).await, 2_111_005);
    stage.advance(1).await;
    assert_eq!(pin(&second, json!(true)).await, 0);
    stage.stop().await;
}

#[tokio::test]
async fn the_enterprise_family_is_for_enterprise_accounts() {
    let (stage, _, item_id) = begun().await;
    let apps = stage.see("apps").await;
    let text = |name: &str| apps["apps"][0][name].as_str().expect("a text").to_owned();
    let app = crate::stage::App { key: text("client_key"), secret: text("client_secret") };
    let grant = stage.grant(&app, "user_1", "video.comment").await;
    let query = [("item_id", item_id.as_str()), ("count", "50")];
    assert_eq!(code(&stage.get("/video/comment/list/", &grant, &query).await), 2_112_001);
    stage.control(Method::PATCH, "users/user_1", json!({ "e_account_role": "EAccountM" })).await;
    assert_eq!(code(&stage.get("/video/comment/list/", &grant, &query).await), 0);
    stage.stop().await;
}
