//! Sections 3.1, 3.2 and 15.6: whole uploads, parts, images.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Grant, SCOPES, Stage, code, file, json_of};

const INIT: &str = "/api/douyin/v1/video/init_video_part_upload/";
const PART: &str = "/api/douyin/v1/video/upload_video_part/";
const COMPLETE: &str = "/api/douyin/v1/video/complete_video_part_upload/";

async fn begun() -> (Stage, Grant) {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    stage
        .switch(json!({ "whole_limit_bytes": 1_000, "part_min_bytes": 100, "part_max_bytes": 400,
                         "total_limit_bytes": 900, "gateway_limit_bytes": 50_000 }))
        .await;
    (stage, grant)
}

async fn init(stage: &Stage, grant: &Grant) -> String {
    let answer = stage.post(INIT, grant, json!({})).await;
    answer["data"]["upload_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn put(stage: &Stage, grant: &Grant, id: &str, number: &str, bytes: Vec<u8>) -> i64 {
    let request =
        stage.request(Method::POST, PART, grant).query(&[("upload_id", id), ("part_number", number)]);
    code(&json_of(request.multipart(file("video", bytes))).await)
}

async fn complete(stage: &Stage, grant: &Grant, id: &str) -> Value {
    json_of(stage.request(Method::POST, COMPLETE, grant).query(&[("upload_id", id)])).await
}

#[tokio::test]
async fn a_whole_video_is_taken_up_to_the_limits() {
    let (stage, grant) = begun().await;
    let answer = stage.upload(&grant, vec![1; 1_000]).await;
    assert_eq!(code(&answer), 0, "{answer}");
    let video = &answer["data"]["video"];
    assert!(
        video["video_id"].as_str().is_some_and(|id| id.starts_with('@') && id.contains(['+', '/', '='])),
        "{video}"
    );
    assert_eq!((&video["width"], &video["height"]), (&json!(720), &json!(1_280)));
    assert_eq!(code(&stage.upload(&grant, vec![1; 1_001]).await), 2_190_005);
    assert_eq!(code(&stage.upload(&grant, Vec::new()).await), 2_190_007);
    let request = stage.request(Method::POST, "/api/douyin/v1/video/upload_video/", &grant);
    assert_eq!(
        code(&json_of(request.multipart(file("file", vec![1]))).await),
        28_001_007,
        "another field's name"
    );
    let request = stage.request(Method::POST, "/video/upload/", &grant);
    assert_eq!(code(&json_of(request.multipart(file("file", vec![1]))).await), 2_100_005, "the old code");
    let request = stage.request(Method::POST, "/api/douyin/v1/video/upload_video/", &grant);
    let too_big = request.multipart(file("video", vec![1; 60_000])).send().await;
    if let Ok(answer) = too_big {
        assert_eq!(answer.status(), 413);
        assert!(answer.text().await.is_ok_and(|html| html.starts_with("<html>")));
    }
    assert_eq!(stage.effects("upload").await.len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn the_picture_and_length_are_those_of_the_file() {
    let (stage, grant) = begun().await;
    let mvhd = |seconds: u32| {
        let mut bytes = [&108_u32.to_be_bytes()[..], b"mvhd", &[0; 12], &1_000_u32.to_be_bytes()].concat();
        bytes.extend((seconds * 1_000).to_be_bytes());
        bytes.resize(108, 0);
        bytes
    };
    let tkhd = [
        &92_u32.to_be_bytes()[..],
        b"tkhd",
        &[0; 76],
        &(1_080_u32 << 16).to_be_bytes(),
        &(1_920_u32 << 16).to_be_bytes(),
    ]
    .concat();
    let answer = stage.upload(&grant, [mvhd(900), tkhd].concat()).await;
    let video = &answer["data"]["video"];
    assert_eq!((&video["width"], &video["height"]), (&json!(1_080), &json!(1_920)));
    assert_eq!(code(&stage.upload(&grant, mvhd(901)).await), 2_114_006, "over fifteen minutes");
    stage.stop().await;
}

#[tokio::test]
async fn parts_come_in_any_order_and_a_repeat_replaces() {
    let (stage, grant) = begun().await;
    let id = init(&stage, &grant).await;
    for (number, size) in [("3", 7), ("1", 100), ("2", 300), ("1", 150)] {
        assert_eq!(put(&stage, &grant, &id, number, vec![1; size]).await, 0, "part {number}");
    }
    let answer = complete(&stage, &grant, &id).await;
    assert_eq!(code(&answer), 0, "{answer}");
    let video_id = answer["data"]["video"]["video_id"].clone();
    assert_eq!(code(&complete(&stage, &grant, &id).await), 28_001_007, "completed already");
    assert_eq!(put(&stage, &grant, &id, "4", vec![1; 5]).await, 28_001_007, "a part after the end");
    let created =
        stage.post("/api/douyin/v1/video/create_video/", &grant, json!({ "video_id": video_id })).await;
    assert_eq!(code(&created), 0, "{created}");
    stage.stop().await;
}

#[tokio::test]
async fn parts_that_can_not_be_put_together_are_refused() {
    let (stage, grant) = begun().await;
    for (parts, expected) in [
        (&[][..], 28_001_007),
        (&[("1", 100), ("3", 100)][..], 28_001_007),
        (&[("2", 100)][..], 28_001_007),
        (&[("1", 99), ("2", 100)][..], 28_001_007),
        (&[("1", 100), ("2", 99)][..], 0),
        (&[("1", 1)][..], 0),
    ] {
        let id = init(&stage, &grant).await;
        for (number, size) in parts {
            assert_eq!(put(&stage, &grant, &id, number, vec![1; *size]).await, 0, "{parts:?}");
        }
        assert_eq!(code(&complete(&stage, &grant, &id).await), expected, "{parts:?}");
    }
    let id = init(&stage, &grant).await;
    for (number, size, expected) in [
        ("0", 100, 28_001_007),
        ("-1", 100, 28_001_007),
        ("x", 100, 28_001_007),
        ("1", 401, 28_001_007),
        ("1", 400, 0),
        ("2", 400, 0),
        ("3", 101, 2_190_005),
        ("2", 300, 0),
        ("3", 200, 0),
    ] {
        assert_eq!(
            put(&stage, &grant, &id, number, vec![1; size]).await,
            expected,
            "part {number} of {size}"
        );
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_upload_is_its_users_and_lives_two_hours() {
    let (stage, grant) = begun().await;
    let app = stage.app().await;
    let other = stage.grant(&app, &stage.user("Zhou").await, SCOPES).await;
    let id = init(&stage, &grant).await;
    assert_eq!(put(&stage, &other, &id, "1", vec![1; 100]).await, 28_001_007, "another user");
    assert_eq!(put(&stage, &grant, "@unknown", "1", vec![1; 100]).await, 28_001_007);
    stage.advance(7_200).await;
    assert_eq!(put(&stage, &grant, &id, "1", vec![1; 100]).await, 0, "two hours");
    stage.advance(1).await;
    assert_eq!(put(&stage, &grant, &id, "2", vec![1; 100]).await, 28_001_007, "more");
    assert_eq!(code(&complete(&stage, &grant, &id).await), 28_001_007);
    let url = format!("{}{INIT}", stage.url);
    let bare = || stage.http.post(&url).header("access-token", &grant.access);
    assert_eq!(code(&json_of(bare()).await), 28_001_007, "no open_id");
    stage.switch(json!({ "init_part_needs_open_id": false })).await;
    assert_eq!(code(&json_of(bare()).await), 0);
    stage.stop().await;
}

#[tokio::test]
async fn images_make_a_post_of_media_type_2() {
    let (stage, grant) = begun().await;
    let upload = async |field: &str| {
        let request = stage.request(Method::POST, "/api/douyin/v1/video/upload_image/", &grant);
        json_of(request.multipart(file(field, vec![9; 20]))).await
    };
    assert_eq!(code(&upload("video").await), 28_001_007);
    let image = upload("image").await["data"]["image"].clone();
    assert_eq!((&image["width"], &image["height"]), (&json!(720), &json!(1_280)));
    let path = "/api/douyin/v1/video/create_image_text/";
    for list in [json!([]), json!(["@unknown"]), json!("x"), json!(null)] {
        assert_eq!(
            code(&stage.post(path, &grant, json!({ "image_list": list })).await),
            28_001_007,
            "{list}"
        );
    }
    let created = stage.post(path, &grant, json!({ "image_list": [image["image_id"]], "text": "set" })).await;
    let item_id = created["data"]["item_id"].as_str().unwrap_or_else(|| panic!("{created}"));
    assert_eq!(stage.video(&grant, item_id).await["media_type"], 2);
    stage.stop().await;
}
