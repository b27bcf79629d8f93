//! Sections 7 and 15.11: daily rows, when they are out, and totals that only grow.

use serde_json::{Value, json};

use crate::stage::{Grant, SCOPES, Stage, code};

async fn begun() -> (Stage, Grant, String) {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    let item_id = stage.publish(&grant, "watched").await;
    (stage, grant, item_id)
}

async fn rows(stage: &Stage, grant: &Grant, path: &str, item_id: &str, days: &str) -> Vec<Value> {
    let path = format!("/data/external/{path}/");
    let answer = stage.get(&path, grant, &[("item_id", item_id), ("date_type", days)]).await;
    answer["data"]["result_list"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

fn sum(rows: &[Value], column: &str) -> i64 {
    rows.iter().map(|row| row[column].as_i64().unwrap_or_else(|| panic!("{row}"))).sum()
}

#[tokio::test]
async fn a_day_is_out_at_ten_on_the_next() {
    // The clock says 2026-01-01 10:00 in Beijing.
    let (stage, grant, item_id) = begun().await;
    stage.set("clock", json!({ "now": "2026-01-02T01:59:59Z" })).await;
    let before = rows(&stage, &grant, "item/play", &item_id, "7").await;
    assert_eq!((before.len(), sum(&before, "play")), (7, 0));
    assert_eq!((&before[0]["date"], &before[6]["date"]), (&json!("2025-12-26"), &json!("2026-01-01")));
    stage.advance(1).await;
    let after = rows(&stage, &grant, "item/play", &item_id, "7").await;
    assert!(after[6]["play"].as_i64().is_some_and(|plays| plays > 0), "{after:?}");
    assert_eq!(sum(&after[..6], "play"), 0);
    stage.stop().await;
}

#[tokio::test]
async fn nothing_is_told_of_the_days_before_the_grant() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let early = stage.grant(&app, &user, "video.create.bind").await;
    let item_id = stage.publish(&early, "watched").await;
    stage.advance(3 * 86_400).await;
    let grant = stage.grant(&app, &user, SCOPES).await;
    stage.advance(86_400).await;
    let seen = rows(&stage, &grant, "item/play", &item_id, "7").await;
    assert_eq!(seen[6]["date"], "2026-01-04");
    assert!(seen[6]["play"].as_i64().is_some_and(|plays| plays > 0), "the day of the grant: {seen:?}");
    assert_eq!(sum(&seen[..6], "play"), 0, "before it: {seen:?}");
    stage.stop().await;
}

#[tokio::test]
async fn totals_only_grow_and_the_base_is_the_sum_of_the_days() {
    let (stage, grant, item_id) = begun().await;
    let mut last = [0; 3];
    for _ in 0..40 {
        stage.advance(5 * 3_600 + 123).await;
        let entry = stage.video(&grant, &item_id).await;
        let now = ["play_count", "digg_count", "share_count"]
            .map(|name| entry["statistics"][name].as_i64().expect("a number"));
        assert!(now.iter().zip(last).all(|(now, last)| *now >= last), "{last:?} and then {now:?}");
        last = now;
    }
    assert!(last.iter().all(|total| *total > 0), "{last:?}");
    let path = "/data/external/item/base/";
    let base = stage.get(path, &grant, &[("item_id", &item_id)]).await["data"]["result"].clone();
    let play = sum(&rows(&stage, &grant, "item/play", &item_id, "15").await, "play");
    let like = sum(&rows(&stage, &grant, "item/like", &item_id, "30").await, "like");
    let share = sum(&rows(&stage, &grant, "item/share", &item_id, "30").await, "share");
    assert_eq!((&base["total_play"], &base["total_like"]), (&json!(play), &json!(like)));
    assert_eq!(base["total_share"], share);
    assert!(play <= last[0] && play > 0, "{play} of {last:?}");
    assert!(base["avg_play_duration"].is_f64(), "{base}");
    let user = rows(&stage, &grant, "user/item", &item_id, "30").await;
    assert_eq!((sum(&user, "new_play"), sum(&user, "new_issue")), (play, 1));
    assert_eq!(sum(&rows(&stage, &grant, "user/like", &item_id, "30").await, "new_like"), like);
    let fans = rows(&stage, &grant, "user/fans", &item_id, "7").await;
    for pair in fans.windows(2) {
        let of = |row: &Value, name: &str| row[name].as_i64().expect("a number");
        assert_eq!(
            of(&pair[0], "total_fans") + of(&pair[1], "new_fans"),
            of(&pair[1], "total_fans"),
            "{fans:?}"
        );
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_verdict_that_comes_again_changes_no_figure() {
    let (stage, grant, item_id) = begun().await;
    stage.set("clock", json!({ "now": "2026-01-04T02:00:00Z" })).await;
    let seen = async || {
        let rows = rows(&stage, &grant, "item/play", &item_id, "7").await;
        (stage.video(&grant, &item_id).await["statistics"].clone(), rows)
    };
    let before = seen().await;
    assert!(before.0["play_count"].as_i64() > Some(0) && sum(&before.1, "play") > 0, "{before:?}");
    for after_s in [0, 3_600] {
        stage.set("verdicts", json!({ "item_id": item_id, "verdict": "pass", "after_s": after_s })).await;
        assert_eq!(seen().await, before, "passed already");
    }
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "takedown" })).await;
    stage.advance(1).await;
    let (down, _) = seen().await;
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "pass" })).await;
    assert_eq!(seen().await.0, down, "taken down, and passed already");
    stage.stop().await;
}

#[tokio::test]
async fn a_private_post_hides_its_plays_alone_and_goes_on_when_it_is_public() {
    let (stage, grant, item_id) = begun().await;
    stage.set("clock", json!({ "now": "2026-01-04T02:00:00Z" })).await;
    let plays = async || rows(&stage, &grant, "item/play", &item_id, "7").await;
    let likes = async || rows(&stage, &grant, "item/like", &item_id, "7").await;
    let shown = async || stage.video(&grant, &item_id).await["statistics"].clone();
    let judge = async |verdict: &str| {
        stage.set("verdicts", json!({ "item_id": item_id, "verdict": verdict })).await;
    };
    let (before, daily) = (shown().await, (plays().await, likes().await));
    assert!(before["digg_count"].as_i64() > Some(0), "{before}");
    judge("private").await;
    let mut hidden = before.clone();
    hidden["play_count"] = 0.into();
    assert_eq!(shown().await, hidden);
    assert_eq!((plays().await, likes().await), daily, "days that are past");
    judge("private").await;
    stage.advance(2 * 86_400).await;
    assert_eq!(shown().await, hidden, "nobody watches");
    let later = plays().await;
    assert_eq!((&later[6]["date"], &later[6]["play"]), (&json!("2026-01-05"), &json!(0)));
    assert_eq!(later[..5], daily.0[2..]);
    judge("public").await;
    assert_eq!(shown().await, before, "it goes on from where it was");
    stage.advance(86_400).await;
    assert!(shown().await["play_count"].as_i64() > before["play_count"].as_i64());
    assert_eq!(plays().await[..6], later[1..]);
    stage.stop().await;
}

#[tokio::test]
async fn a_post_that_was_made_private_is_watched_from_when_it_is_public() {
    let (stage, grant, _) = begun().await;
    let uploaded = stage.upload(&grant, vec![9; 9]).await;
    let body = json!({ "video_id": uploaded["data"]["video"]["video_id"], "private_status": 1 });
    let created = stage.post("/api/douyin/v1/video/create_video/", &grant, body).await;
    let item_id = created["data"]["item_id"].as_str().expect("an id").to_owned();
    let shown = async || stage.video(&grant, &item_id).await["statistics"]["play_count"].clone();
    stage.advance(2 * 86_400).await;
    assert_eq!(shown().await, 0);
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "public" })).await;
    assert_eq!(shown().await, 0, "nobody has watched");
    stage.advance(86_400).await;
    assert!(shown().await.as_i64() > Some(0));
    stage.stop().await;
}

#[tokio::test]
async fn a_comment_counts_at_once_and_on_its_own_day() {
    let (stage, grant, item_id) = begun().await;
    let fan = stage.user("Fan").await;
    // Midnight in Beijing: the first instant of the third.
    stage.set("clock", json!({ "now": "2026-01-02T16:00:00Z" })).await;
    for said in 1..=2 {
        stage.set("comments", json!({ "user": fan, "item_id": item_id, "content": "nice" })).await;
        assert_eq!(stage.video(&grant, &item_id).await["statistics"]["comment_count"], said);
    }
    stage.set("clock", json!({ "now": "2026-01-04T02:00:00Z" })).await;
    let daily = rows(&stage, &grant, "item/comment", &item_id, "7").await;
    assert_eq!((&daily[6]["date"], &daily[6]["comment"]), (&json!("2026-01-03"), &json!(2)));
    assert_eq!(sum(&daily, "comment"), 2);
    stage.stop().await;
}

#[tokio::test]
async fn posts_older_than_thirty_days_and_other_periods_are_refused() {
    let (stage, grant, item_id) = begun().await;
    let ask = async |path: &str, item_id: &str, days: &str| {
        let path = format!("/data/external/{path}/");
        code(&stage.get(&path, &grant, &[("item_id", item_id), ("date_type", days)]).await)
    };
    for (path, item, days, expected) in [
        ("item/play", item_id.as_str(), "15", 0),
        ("item/play", &item_id, "30", 2_100_005),
        ("item/comment", &item_id, "30", 2_100_005),
        ("item/like", &item_id, "30", 0),
        ("item/like", &item_id, "8", 2_100_005),
        ("item/like", "@unknown", "7", 2_100_005),
        ("user/profile", "", "30", 0),
        ("user/profile", "", "1", 2_100_005),
    ] {
        assert_eq!(ask(path, item, days).await, expected, "{path} {days}");
    }
    // The access token lives 15 days, the figures of a post 30.
    stage.set("clock", json!({ "now": "2026-01-31T02:00:01Z" })).await;
    let users = stage.see("apps").await;
    let app = crate::stage::App {
        key: users["apps"][0]["client_key"].as_str().expect("a key").to_owned(),
        secret: users["apps"][0]["client_secret"].as_str().expect("a secret").to_owned(),
    };
    let fresh = stage.grant(&app, "user_1", SCOPES).await;
    let query = [("item_id", item_id.as_str()), ("date_type", "7")];
    assert_eq!(code(&stage.get("/data/external/item/like/", &fresh, &query).await), 2_100_005);
    stage.stop().await;
}

#[tokio::test]
async fn fans_are_described_and_checked() {
    let (stage, grant, _) = begun().await;
    let fan = stage.set("users", json!({ "nickname": "Fan", "follows": ["user_1"] })).await;
    let stranger = stage.set("users", json!({ "nickname": "Stranger" })).await;
    let users = stage.see("users").await["users"].clone();
    let known_as = |id: &Value| {
        let user = users.as_array().expect("a list").iter().find(|user| user["id"] == *id).expect("there");
        user["open_ids"]
            .as_object()
            .and_then(|ids| ids.values().next())
            .and_then(Value::as_str)
            .expect("an id")
            .to_owned()
    };
    let check =
        async |follower: &str| stage.get("/fans/check/", &grant, &[("follower_open_id", follower)]).await;
    let yes = check(&known_as(&fan["id"])).await;
    assert_eq!(
        (&yes["data"]["is_follower"], &yes["data"]["follow_time"]),
        (&json!(true), &json!(1_767_232_800))
    );
    assert_eq!(check(&known_as(&stranger["id"])).await["data"]["is_follower"], false);
    assert_eq!(code(&check(&grant.open_id).await), 2_100_006);
    let data = stage.get("/api/douyin/v1/user/fans_data/", &grant, &[]).await["data"]["fans_data"].clone();
    let all = data["all_fans_num"].as_i64().expect("a number");
    for name in ["gender_distributions", "age_distributions", "active_days_distributions"] {
        assert_eq!(sum(data[name].as_array().expect("a list"), "value"), all, "{name}");
    }
    for path in ["source", "favourite", "comment"] {
        let answer = stage.get(&format!("/data/extern/fans/{path}/"), &grant, &[]).await;
        assert!(answer["data"]["list"].as_array().is_some_and(|list| !list.is_empty()), "{path}: {answer}");
    }
    stage.stop().await;
}
