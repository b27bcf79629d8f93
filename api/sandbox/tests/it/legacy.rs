//! Section 3.4 and what else is written twice: old paths do the same, for old scopes and with old codes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Grant, REDIRECT, SCOPES, Stage, code, file, json_of};

async fn put(stage: &Stage, grant: &Grant, path: &str, field: &str, query: &[(&str, &str)]) -> Value {
    let request = stage.request(Method::POST, path, grant).query(query);
    json_of(request.multipart(file(field, vec![8; 64]))).await
}

#[tokio::test]
async fn old_paths_upload_post_and_list() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, "video.create,video.list,video.data").await;
    let whole =
        put(&stage, &grant, "/video/upload/", "video", &[]).await["data"]["video"]["video_id"].clone();
    let id = stage.post("/video/part/init/", &grant, json!({})).await["data"]["upload_id"].clone();
    let id = id.as_str().expect("an id");
    let part = [("upload_id", id), ("part_number", "1")];
    assert_eq!(code(&put(&stage, &grant, "/video/part/upload/", "video", &part).await), 0);
    let complete = stage.request(Method::POST, "/video/part/complete/", &grant).query(&[("upload_id", id)]);
    let parted = json_of(complete).await["data"]["video"]["video_id"].clone();
    let image =
        put(&stage, &grant, "/image/upload/", "image", &[]).await["data"]["image"]["image_id"].clone();
    let mut made = Vec::new();
    for (path, body) in [
        ("/video/create/", json!({ "video_id": whole })),
        ("/video/create/", json!({ "video_id": parted })),
        ("/image/create/", json!({ "image_id": image })),
    ] {
        let created = stage.post(path, &grant, body).await;
        assert_eq!(code(&created), 0, "{path}: {created}");
        made.push(created["data"]["item_id"].clone());
        stage.advance(1).await;
    }
    let listed = stage.get("/video/list/", &grant, &[("count", "9")]).await["data"]["list"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    let data = stage.post("/video/data/", &grant, json!({ "item_ids": made })).await["data"]["list"].clone();
    let types: Vec<_> = data.as_array().expect("a list").iter().map(|entry| &entry["media_type"]).collect();
    assert_eq!(types, [4, 4, 2]);
    let denied = stage.get("/api/douyin/v1/video/video_list/", &grant, &[("count", "9")]).await;
    assert_eq!(code(&denied), 28_001_012, "the new path wants the new scope");
    stage.stop().await;
}

#[tokio::test]
async fn basic_info_goes_by_either_id_and_says_less() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, &format!("{SCOPES},posting.behavior")).await;
    let item_id = stage.publish(&grant, "brief").await;
    let video_id = stage.video(&grant, &item_id).await["video_id"].clone();
    let path = "/api/douyin/v1/video/video_basic_info/";
    for body in [json!({ "item_ids": [item_id] }), json!({ "video_ids": [video_id] })] {
        let answer = stage.post(path, &grant, body.clone()).await;
        let entry =
            answer["data"]["list"][0].as_object().unwrap_or_else(|| panic!("{body}: {answer}")).clone();
        let names: Vec<_> = entry.keys().map(String::as_str).collect();
        let expected = ["cover", "create_time", "item_id", "media_type", "title", "video_id", "video_status"];
        assert_eq!((names.as_slice(), &entry["title"]), (&expected[..], &json!("brief")));
    }
    let both = json!({ "item_ids": ["@unknown"], "video_ids": [video_id] });
    assert_eq!(stage.post(path, &grant, both).await["data"]["list"], json!([]), "item_ids win");
    assert_eq!(code(&stage.post(path, &grant, json!({})).await), 28_001_007);
    stage.stop().await;
}

#[tokio::test]
async fn silent_login_gives_an_open_id_for_login_id_alone() {
    let stage = Stage::new().await;
    let (app, _, zhou) = (stage.app().await, stage.user("Lin").await, stage.user("Zhou").await);
    let ask = async |scope: &str| {
        let query = [
            ("client_key", app.key.as_str()),
            ("response_type", "code"),
            ("scope", scope),
            ("redirect_uri", REDIRECT),
            ("sandbox_user", &zhou),
        ];
        let url = format!("{}/oauth/authorize/v2/", stage.url);
        stage.http.get(url).query(&query).send().await.expect("answered")
    };
    assert_eq!(ask("user_info").await.status(), 200, "an error page");
    let answer = ask("login_id").await;
    assert_eq!(answer.status(), 302);
    let to = reqwest::Url::parse(answer.headers()["location"].to_str().expect("text")).expect("an address");
    let text = to.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let tokens = stage.exchange(&app, &text).await;
    let known = stage.see("users").await["users"][1]["open_ids"][&app.key].clone();
    assert_eq!((&tokens["data"]["open_id"], &tokens["data"]["scope"]), (&known, &json!("login_id")));
    stage.stop().await;
}
