//! Sections 3.3, 4 and 15.7 to 15.10: creating, review, lists, quotas.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Grant, SCOPES, Stage, code};

const CREATE: &str = "/api/douyin/v1/video/create_video/";
const LIST: &str = "/api/douyin/v1/video/video_list/";

async fn begun() -> (Stage, Grant) {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    (stage, grant)
}

async fn uploaded(stage: &Stage, grant: &Grant) -> Value {
    stage.upload(grant, vec![1, 2, 3]).await["data"]["video"]["video_id"].clone()
}

/// `video_status` in the list and in the data, `is_reviewed`, and plays.
async fn shown(stage: &Stage, grant: &Grant, item_id: &str) -> (i64, i64, bool, i64) {
    let list = stage.get(LIST, grant, &[("count", "20")]).await;
    let listed =
        list["data"]["list"].as_array().expect("a list").iter().find(|entry| entry["item_id"] == item_id);
    let listed = listed.unwrap_or_else(|| panic!("{item_id} is not in {list}"));
    let entry = stage.video(grant, item_id).await;
    let integer = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("{value}"));
    (
        integer(&listed["video_status"]),
        integer(&entry["video_status"]),
        entry["is_reviewed"].as_bool().expect("a bool"),
        integer(&entry["statistics"]["play_count"]),
    )
}

#[tokio::test]
async fn a_video_id_is_good_for_one_post() {
    let (stage, grant) = begun().await;
    let video_id = uploaded(&stage, &grant).await;
    let created = stage.post(CREATE, &grant, json!({ "video_id": video_id, "text": "first" })).await;
    assert!(created["data"]["item_id"].as_str().is_some_and(|id| id.starts_with('@')), "{created}");
    assert!(created["data"]["video_id"].as_str().is_some_and(|id| id.parse::<i64>().is_ok()), "{created}");
    let again = stage.post(CREATE, &grant, json!({ "video_id": video_id, "text": "first" })).await;
    assert_eq!(code(&again), 2_190_007);
    let app = stage.app().await;
    let other = stage.grant(&app, &stage.user("Zhou").await, SCOPES).await;
    let foreign = uploaded(&stage, &grant).await;
    assert_eq!(
        code(&stage.post(CREATE, &other, json!({ "video_id": foreign })).await),
        2_190_007,
        "another's"
    );
    assert_eq!(code(&stage.post(CREATE, &grant, json!({ "video_id": "@x" })).await), 2_190_007, "unknown");
    let effects = stage.effects("post").await;
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0]["made"]["item_id"], created["data"]["item_id"]);
    stage.stop().await;
}

#[tokio::test]
async fn bodies_are_checked_and_refused_ones_post_nothing() {
    let (stage, grant) = begun().await;
    let video_id = uploaded(&stage, &grant).await;
    let long = "字".repeat(1_001);
    for (body, expected) in [
        (json!({ "text": long }), 2_114_001),
        (json!({ "micro_app_id": "tt1", "poi_id": "p" }), 28_001_007),
        (json!({ "private_status": 3 }), 28_001_007),
        (json!({ "private_status": "0" }), 28_001_007),
        (json!({ "custom_cover_image_url": "@unknown" }), 28_001_007),
        (json!({ "cover_tsp": "1.5" }), 28_001_007),
        (json!({ "at_users": ["nobody"], "cover_tsp": 1.5, "text": "字".repeat(1_000) }), 0),
    ] {
        let mut whole = body.clone();
        whole["video_id"] = video_id.clone();
        let answer = stage.post(CREATE, &grant, whole).await;
        assert_eq!(code(&answer), expected, "{:.60}", body.to_string());
    }
    assert_eq!(stage.effects("post").await.len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn a_post_is_reviewed_and_then_public_refused_or_taken_down() {
    let (stage, grant) = begun().await;
    let item_id = stage.publish(&grant, "passes").await;
    stage.advance(59).await;
    assert_eq!(shown(&stage, &grant, &item_id).await, (4, 4, false, 0), "in review");
    stage.advance(1).await;
    assert_eq!(shown(&stage, &grant, &item_id).await, (1, 5, true, 0), "public");
    stage.advance(86_400).await;
    let (_, _, _, plays) = shown(&stage, &grant, &item_id).await;
    assert!(plays > 0, "a day later somebody has watched");
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "takedown" })).await;
    stage.advance(86_400).await;
    assert_eq!(shown(&stage, &grant, &item_id).await, (2, 2, true, plays), "taken down: plays stand still");

    let refused = stage.publish(&grant, "this is sbx-forbidden").await;
    stage.advance(60).await;
    assert_eq!(shown(&stage, &grant, &refused).await, (2, 2, true, 0), "refused");

    let held = stage.publish(&grant, "held").await;
    stage.set("verdicts", json!({ "item_id": held, "verdict": "hold" })).await;
    stage.advance(9_999).await;
    assert_eq!(shown(&stage, &grant, &held).await, (4, 4, false, 0), "held");
    stage.set("verdicts", json!({ "item_id": held, "verdict": "fail", "after_s": 10 })).await;
    stage.advance(9).await;
    assert_eq!(shown(&stage, &grant, &held).await, (4, 4, false, 0), "not yet");
    stage.advance(1).await;
    assert_eq!(shown(&stage, &grant, &held).await, (2, 2, true, 0), "failed");
    stage.set("verdicts", json!({ "item_id": held, "verdict": "delete" })).await;
    assert!(stage.video(&grant, &held).await.is_null(), "deleted: missing");
    stage.stop().await;
}

#[tokio::test]
async fn rates_of_passing_and_late_takedowns_are_knobs() {
    let (stage, grant) = begun().await;
    stage.switch(json!({ "review_pass_permille": 0 })).await;
    let fails = stage.publish(&grant, "fails").await;
    stage
        .switch(json!({ "review_pass_permille": 1_000, "late_takedown_permille": 1_000,
                         "late_takedown_after_s": 600 }))
        .await;
    let sinks = stage.publish(&grant, "sinks").await;
    stage.advance(599).await;
    assert_eq!(shown(&stage, &grant, &fails).await.1, 2);
    assert_eq!(shown(&stage, &grant, &sinks).await.1, 5);
    stage.advance(1).await;
    assert_eq!(shown(&stage, &grant, &sinks).await.1, 2);
    stage.stop().await;
}

#[tokio::test]
async fn a_post_made_private_shows_no_plays_and_no_frame() {
    let (stage, grant) = begun().await;
    let item_id = stage.publish(&grant, "mine").await;
    stage.advance(90_000).await;
    let video_id = stage.video(&grant, &item_id).await["video_id"].clone();
    let frame = async || {
        let url = format!("{}/api/douyin/v1/video/get_iframe_by_video/", stage.url);
        let query = [("video_id", video_id.as_str().expect("a text"))];
        crate::stage::json_of(stage.http.get(url).query(&query)).await
    };
    let open = frame().await;
    assert_eq!((code(&open), &open["data"]["video_title"]), (0, &json!("mine")));
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "private" })).await;
    assert_eq!(shown(&stage, &grant, &item_id).await, (1, 5, true, 0));
    assert_eq!(code(&frame().await), 28_001_007);
    stage.stop().await;
}

#[tokio::test]
async fn lists_are_paged_from_new_to_old_and_miss_nothing() {
    let (stage, grant) = begun().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(stage.publish(&grant, &format!("post {number}")).await);
        // Two at the same instant: the cursor tells them apart.
        stage.advance(number % 2).await;
    }
    made.reverse();
    let (mut seen, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = stage.get(LIST, &grant, &[("count", "3"), ("cursor", &cursor)]).await;
        let entries = page["data"]["list"].as_array().expect("a list");
        seen.extend(entries.iter().map(|entry| entry["item_id"].as_str().expect("a text").to_owned()));
        cursor = page["data"]["cursor"].as_i64().expect("an integer").to_string();
        assert!(cursor.parse::<i64>().is_ok_and(|cursor| cursor > 1 << 53), "{cursor}");
        if page["data"]["has_more"] == false {
            break;
        }
        assert_eq!(entries.len(), 3);
    }
    assert_eq!(seen, made);
    for query in [
        [("count", "0"), ("cursor", "0")],
        [("count", "21"), ("cursor", "0")],
        [("count", "5"), ("cursor", "-1")],
    ] {
        assert_eq!(code(&stage.get(LIST, &grant, &query).await), 28_001_007, "{query:?}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn one_post_has_a_name_for_each_app_and_is_seen_by_its_author_alone() {
    let (stage, grant) = begun().await;
    let item_id = stage.publish(&grant, "one").await;
    let sister = stage.app().await;
    let users = stage.see("users").await;
    let lin = users["users"][0]["id"].as_str().expect("an id").to_owned();
    let elsewhere = stage.grant(&sister, &lin, SCOPES).await;
    let other = stage.grant(&sister, &stage.user("Zhou").await, SCOPES).await;
    let listed = stage.get(LIST, &elsewhere, &[("count", "5")]).await["data"]["list"][0].clone();
    assert_eq!(listed["title"], "one");
    assert_ne!(listed["item_id"], item_id.as_str());
    let theirs = listed["item_id"].as_str().expect("a text");
    assert_eq!(stage.video(&elsewhere, theirs).await["title"], "one");
    assert!(stage.video(&elsewhere, &item_id).await.is_null(), "the other app's name");
    assert!(stage.video(&other, theirs).await.is_null(), "another user's post");
    stage.stop().await;
}

#[tokio::test]
async fn seventy_five_posts_a_beijing_day() {
    let (stage, grant) = begun().await;
    // 15:59 UTC is 23:59 in Beijing.
    stage.set("clock", json!({ "now": "2026-01-01T15:59:00Z" })).await;
    for number in 0..75 {
        stage.publish(&grant, &format!("{number}")).await;
    }
    let video_id = uploaded(&stage, &grant).await;
    let create = async || code(&stage.post(CREATE, &grant, json!({ "video_id": video_id })).await);
    assert_eq!(create().await, 2_114_007, "the 76th");
    stage.advance(59).await;
    assert_eq!(create().await, 2_114_007, "a second before midnight");
    stage.advance(1).await;
    assert_eq!(create().await, 0, "midnight in Beijing; the refused call did not use the video up");
    assert_eq!(stage.effects("post").await.len(), 76);
    stage.stop().await;
}

#[tokio::test]
async fn call_quotas_end_and_begin_anew_at_eight_in_beijing() {
    let (stage, grant) = begun().await;
    stage.switch(json!({ "call_quota": { "video.list.bind": 2, "video.list": 1 } })).await;
    stage.set("clock", json!({ "now": "2026-01-01T23:59:59Z" })).await;
    let list = async |path: &str| code(&stage.get(path, &grant, &[("count", "5")]).await);
    assert_eq!((list(LIST).await, list(LIST).await, list(LIST).await), (0, 0, 28_003_017));
    assert_eq!(
        (list("/video/list/").await, list("/video/list/").await),
        (0, 2_190_001),
        "a scope for itself"
    );
    stage.advance(1).await;
    assert_eq!(list(LIST).await, 0);
    stage.switch(json!({ "call_quota": {}, "calls_per_s": 2 })).await;
    assert_eq!((list(LIST).await, list(LIST).await, list(LIST).await), (0, 0, 28_003_018));
    stage.advance(1).await;
    assert_eq!(list(LIST).await, 0);
    stage.stop().await;
}

#[tokio::test]
async fn users_may_be_kept_from_posting() {
    let (stage, grant) = begun().await;
    let video_id = uploaded(&stage, &grant).await;
    let create = async || code(&stage.post(CREATE, &grant, json!({ "video_id": video_id })).await);
    for (change, expected) in [
        (json!({ "posting_banned": true }), 2_114_005),
        (json!({ "posting_banned": false, "state": "banned" }), 28_001_046),
        (json!({ "state": "deregistered" }), 28_001_045),
        (json!({ "state": "active" }), 0),
    ] {
        let (status, _) = stage.control(Method::PATCH, "users/user_1", change.clone()).await;
        assert_eq!((status, create().await), (200, expected), "{change}");
    }
    stage.stop().await;
}
