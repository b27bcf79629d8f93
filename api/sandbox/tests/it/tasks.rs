//! Section 11.1: posting tasks, and what counts as public.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{App, Grant, SCOPES, Stage, code, json_of};

async fn as_app(stage: &Stage, app: &App, path: &str, body: Value) -> Value {
    let request = stage.http.post(format!("{}{path}", stage.url));
    json_of(request.header("access-token", stage.client_token(app).await).json(&body)).await
}

async fn begun() -> (Stage, App, Grant) {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, &format!("{SCOPES},posting.behavior")).await;
    (stage, app, grant)
}

#[tokio::test]
async fn a_post_is_bound_and_verified_while_it_is_public() {
    let (stage, app, grant) = begun().await;
    let item_id = stage.publish(&grant, "for the task").await;
    let video_id = stage.video(&grant, &item_id).await["video_id"].clone();
    let task = json!({ "task_name": "t", "start_time": 1_767_232_800, "end_time": 1_767_236_400 });
    let created = as_app(&stage, &app, "/task/posting/create/", task).await;
    let task_id = created["data"]["task_id"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    let bind = async |video_id: &Value| {
        let body = json!({ "task_id": task_id, "video_id": video_id });
        code(&stage.post("/task/posting/bind_video/", &grant, body).await)
    };
    let verify = async || {
        let body = json!({ "task_id": task_id, "target_open_id": grant.open_id, "video_id": video_id });
        as_app(&stage, &app, "/task/posting/user/", body).await
    };
    assert_eq!(bind(&video_id).await, 2_118_100, "in review");
    stage.advance(60).await;
    assert_eq!(code(&verify().await), 2_118_106, "not bound yet");
    assert_eq!(bind(&video_id).await, 0);
    let verified = verify().await;
    assert_eq!((code(&verified), &verified["data"]["result"]), (0, &json!(true)));
    stage.set("verdicts", json!({ "item_id": item_id, "verdict": "private" })).await;
    assert_eq!(code(&verify().await), 2_118_100, "private is not public");
    assert_eq!(bind(&json!("1")).await, 2_100_005, "unknown");
    let native = stage.set("posts", json!({ "user": "user_1", "text": "by hand" })).await;
    stage.advance(60).await;
    assert_eq!(bind(&native["video_id"]).await, 2_100_005, "not from this app");
    stage.advance(3_600).await;
    let late = stage.publish(&grant, "late").await;
    stage.advance(60).await;
    assert_eq!(bind(&stage.video(&grant, &late).await["video_id"]).await, 2_100_005, "after the end");
    stage.stop().await;
}

#[tokio::test]
async fn tasks_are_an_apps_own_and_verified_so_often_a_second() {
    let (stage, app, grant) = begun().await;
    for (start, end) in [(5, 5), (6, 5), (-1, 5), (5, i64::MAX)] {
        let task = json!({ "task_name": "t", "start_time": start, "end_time": end });
        assert_eq!(
            code(&as_app(&stage, &app, "/task/posting/create/", task).await),
            2_100_005,
            "{start} to {end}"
        );
    }
    stage.switch(json!({ "task_checks_per_s": 2 })).await;
    let body = json!({ "task_id": "1", "target_open_id": grant.open_id, "video_id": "1" });
    for expected in [2_100_005, 2_100_005, 2_118_110] {
        assert_eq!(code(&as_app(&stage, &app, "/task/posting/user/", body.clone()).await), expected);
    }
    stage.control(Method::PATCH, &format!("apps/{}", app.key), json!({ "scopes": ["user_info"] })).await;
    assert_eq!(code(&as_app(&stage, &app, "/task/posting/user/", body).await), 2_190_004);
    stage.stop().await;
}
