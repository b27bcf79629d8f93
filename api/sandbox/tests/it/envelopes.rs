//! Sections 1.2 and 15.5: the three shapes, their quirks, and what is not there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{SCOPES, Stage, code, json_of};

fn names(value: &Value) -> Vec<&str> {
    value.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[tokio::test]
async fn each_shape_has_its_fields_and_their_types() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;

    let a = stage.get("/api/douyin/v1/video/video_list/", &grant, &[("count", "5")]).await;
    assert_eq!(names(&a), ["data", "extra"]);
    let extra = ["description", "error_code", "logid", "now", "sub_description", "sub_error_code"];
    assert_eq!(names(&a["extra"]), extra);
    assert_eq!(names(&a["data"]), ["cursor", "description", "error_code", "has_more", "list"]);
    assert_eq!(a["extra"]["now"], 1_767_232_800_000_i64, "milliseconds");
    let log_id = a["extra"]["logid"].as_str().expect("a text");
    assert!(log_id.starts_with("20260101100000") && log_id.len() == 34, "{log_id}");

    let refused = stage.get("/api/douyin/v1/video/video_list/", &grant, &[("count", "21")]).await;
    assert_eq!(refused["data"]["error_code"], 28_001_007);
    assert_eq!(refused["extra"]["error_code"], 28_001_007);
    assert_eq!(refused["data"]["description"], refused["extra"]["description"]);

    let url = format!("{}/api/douyin/v1/video/get_iframe_by_video", stage.url);
    let b = json_of(stage.http.get(url).query(&[("video_id", "1")])).await;
    assert_eq!(names(&b), ["data", "err_msg", "err_no", "log_id"]);
    assert_eq!(
        (b["err_no"].as_i64(), b["err_msg"].as_str()),
        (Some(28_001_007), Some("invalid parameter: video"))
    );

    let c = stage.form("/oauth/access_token/", &[]).await;
    assert_eq!(names(&c), ["data", "message"]);
    assert_eq!(names(&c["data"]), ["captcha", "desc_url", "description", "error_code", "log_id"]);
    stage.stop().await;
}

#[tokio::test]
async fn numbers_are_strings_and_codes_are_left_out_where_asked_for() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    let ask = async |quirks: &str| {
        let request = stage.request(Method::GET, "/api/douyin/v1/video/video_list/", &grant);
        json_of(request.query(&[("count", "5")]).header("x-sandbox-quirks", quirks)).await
    };
    let strings = ask("string-numbers").await;
    assert_eq!((&strings["data"]["error_code"], &strings["data"]["cursor"]), (&json!("0"), &json!("0")));
    assert_eq!(
        (&strings["extra"]["now"], &strings["data"]["has_more"]),
        (&json!("1767232800000"), &json!(false))
    );
    let omitted = ask("omit-data-code").await;
    assert_eq!((omitted["data"].get("error_code"), &omitted["extra"]["error_code"]), (None, &json!(0)));
    let both = ask("omit-data-code, string-numbers").await;
    assert_eq!((both["data"].get("error_code"), &both["extra"]["error_code"]), (None, &json!("0")));
    assert_eq!(ask("").await["data"]["error_code"], 0);

    stage.switch(json!({ "string_numbers": "always", "omit_data_code": "always" })).await;
    let always = ask("").await;
    assert_eq!((always["data"].get("error_code"), &always["extra"]["error_code"]), (None, &json!("0")));
    let tokens = stage.client_token_answer(&app, "client_token").await;
    assert_eq!((&tokens["data"]["expires_in"], &tokens["data"]["error_code"]), (&json!("7200"), &json!("0")));

    stage.switch(json!({ "string_numbers": "sometimes", "omit_data_code": "never" })).await;
    let mut as_text = 0;
    for _ in 0..32 {
        as_text += usize::from(ask("").await["data"]["error_code"].is_string());
    }
    assert!((4..29).contains(&as_text), "{as_text} of 32");
    stage.stop().await;
}

#[tokio::test]
async fn unknown_and_restricted_paths_are_refused_inside_a_200() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    for (path, expected) in [
        ("/api/douyin/v1/video/nonsense/", 28_001_017),
        ("/api/douyin/v1/video/video_list", 28_001_017),
        ("/star/hot_list/", 28_001_018),
        ("/open_api/2/star/info/", 28_001_018),
        ("/api/match/v1/taskbox/query_task_info/", 28_001_018),
        ("/buyin/kolProductShare/", 28_001_018),
    ] {
        assert_eq!(code(&stage.get(path, &grant, &[("count", "5")]).await), expected, "{path}");
    }
    assert_eq!(code(&stage.post("/video/delete/", &grant, json!({ "item_id": "@x" })).await), 28_001_056);
    assert_eq!(
        code(&stage.post("/api/douyin/v1/video/video_list/", &grant, json!({})).await),
        28_001_017,
        "POST"
    );
    stage.switch(json!({ "open_restricted": true })).await;
    assert_eq!(code(&stage.get("/star/hot_list/", &grant, &[]).await), 0);
    stage.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_fails_answers_in_the_shape_of_its_family() {
    let stage = Stage::new().await;
    let ask = async |path: &str| json_of(stage.http.post(format!("{}{path}", stage.url)).body("{")).await;
    for (path, fields) in [
        ("/api/douyin/v1/schema/get_chat/", ["data", "err_msg", "err_no", "log_id"].as_slice()),
        ("/api/douyin/v1/role/check/", &["data", "err_msg", "err_no", "log_id"]),
        ("/role/check/", &["data", "err_msg", "err_no", "log_id"]),
        ("/api/apps/v1/url_link/generate/", &["data", "err_msg", "err_no", "log_id"]),
        ("/aweme/v1/video/self/mount/", &["data", "err_msg", "err_no", "log_id"]),
        ("/api/match/v1/taskbox/save_agent/", &["data", "err_msg", "err_no", "log_id"]),
        ("/api/douyin/v1/video/get_iframe_by_nonsense/", &["data", "err_msg", "err_no", "log_id"]),
        ("/oauth/business_token/", &["data", "message"]),
        ("/poi/search/keyword/", &["data", "extra"]),
        ("/roleplay/", &["data", "extra"]),
    ] {
        let expected = if path.contains("/match/") { 28_001_018 } else { 28_001_017 };
        let answer = ask(path).await;
        assert_eq!((names(&answer).as_slice(), code(&answer)), (fields, expected), "{path}: {answer}");
        stage.set("faults", json!({ "path": path, "harm": "risk", "count": 1 })).await;
        let struck = ask(path).await;
        assert_eq!((names(&struck).as_slice(), code(&struck)), (fields, 28_001_052), "{path}: {struck}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_do_no_harm() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    let path = "/api/douyin/v1/video/create_video/";
    for body in [
        "{",
        "[]",
        "null",
        "\"x\"",
        "{\"video_id\": 5}",
        "{\"video_id\": \"@x\", \"at_users\": \"lin\"}",
        "{}",
    ] {
        let request = stage.request(Method::POST, path, &grant).header("content-type", "application/json");
        let answer = json_of(request.body(body.to_owned())).await;
        assert_eq!(code(&answer), 28_001_007, "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let request = stage.request(Method::POST, path, &grant).body(format!("{{\"video_id\": {deep}}}"));
    assert_eq!(code(&json_of(request).await), 28_001_007, "nested");
    let huge = stage.request(Method::POST, path, &grant).body(vec![b'x'; 3 * 1_024 * 1_024]).send().await;
    assert!(huge.is_err() || huge.is_ok_and(|answer| answer.status() == 413), "more than a body may have");
    let torn = stage.request(Method::POST, "/api/douyin/v1/video/upload_video/", &grant);
    let torn = torn.header("content-type", "multipart/form-data; boundary=x").body("--x\r\nnonsense");
    assert_eq!(torn.send().await.expect("answered").status(), 400);
    assert!(stage.effects("post").await.is_empty());
    assert!(stage.effects("upload").await.is_empty());
    stage.stop().await;
}
