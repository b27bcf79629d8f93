//! Section 15.16: faults, and the ledger they are judged against.

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

async fn video(stage: &Stage, grant: &Grant) -> Value {
    let uploaded = stage.upload(grant, vec![4; 16]).await;
    json!({ "video_id": uploaded["data"]["video"]["video_id"], "text": "once" })
}

#[tokio::test]
async fn a_reset_after_the_commit_leaves_exactly_one_effect() {
    let (stage, grant) = begun().await;
    let body = video(&stage, &grant).await;
    stage.set("faults", json!({ "path": CREATE, "harm": "reset", "count": 1 })).await;
    let cut = stage.request(Method::POST, CREATE, &grant).json(&body).send().await;
    assert!(cut.is_err(), "an answer: {cut:?}");
    let effects = stage.effects("post").await;
    assert_eq!(effects.len(), 1, "it was posted all the same");
    let again = stage.post(CREATE, &grant, body.clone()).await;
    assert_eq!(code(&again), 2_190_007, "the video is used up");
    assert_eq!(stage.effects("post").await.len(), 1);
    let listed = stage.get(LIST, &grant, &[("count", "5")]).await["data"]["list"].clone();
    assert_eq!(
        (listed.as_array().map(Vec::len), &listed[0]["item_id"]),
        (Some(1), &effects[0]["made"]["item_id"])
    );
    let calls = stage.see(&format!("calls?path={CREATE}")).await["calls"].clone();
    assert_eq!(
        (&calls[0]["fault"], &calls[0]["done"], &calls[1]["fault"]),
        (&json!(1), &json!(true), &json!(null))
    );
    assert_eq!(
        calls[0]["request_fingerprint"], calls[1]["request_fingerprint"],
        "the same was asked for twice"
    );
    assert_eq!(effects[0]["call"], calls[0]["number"]);
    // Who uploads once more and posts again has posted twice: the ledger shows it by its content.
    let second = stage.post(CREATE, &grant, video(&stage, &grant).await).await;
    assert_eq!(code(&second), 0);
    let effects = stage.effects("post").await;
    assert_eq!(effects[0]["content_fingerprint"], effects[1]["content_fingerprint"]);
    assert_ne!(effects[0]["request_fingerprint"], effects[1]["request_fingerprint"]);
    stage.stop().await;
}

#[tokio::test]
async fn a_reset_before_the_commit_leaves_none() {
    let (stage, grant) = begun().await;
    let body = video(&stage, &grant).await;
    stage.set("faults", json!({ "path": CREATE, "harm": "reset", "count": 1, "after_commit": false })).await;
    assert!(stage.request(Method::POST, CREATE, &grant).json(&body).send().await.is_err());
    assert!(stage.effects("post").await.is_empty());
    assert_eq!(code(&stage.post(CREATE, &grant, body).await), 0);
    assert_eq!(stage.effects("post").await.len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn coded_faults_answer_and_do_nothing_unless_told_to() {
    let (stage, grant) = begun().await;
    let body = video(&stage, &grant).await;
    for (harm, new, old) in [
        ("busy", 28_001_005, 2_100_004),
        ("network", 28_001_006, 28_001_006),
        ("risk", 28_001_052, 28_001_052),
        ("retired", 28_001_056, 28_001_056),
        ("banned", 28_001_016, 2_190_016),
        ("rate", 28_003_018, 28_003_018),
        ("code", 2_114_007, 2_114_007),
    ] {
        for (path, expected) in [(CREATE, new), ("/video/create/", old)] {
            let fault = json!({ "path": path, "harm": harm, "count": 1, "code": 2_114_007 });
            stage.set("faults", fault).await;
            assert_eq!(code(&stage.post(path, &grant, body.clone()).await), expected, "{harm} on {path}");
        }
    }
    assert!(stage.effects("post").await.is_empty());
    stage.set("faults", json!({ "path": "/api/*", "harm": "busy", "count": 1, "after_commit": true })).await;
    assert_eq!(code(&stage.post(CREATE, &grant, body).await), 28_001_005);
    assert_eq!(stage.effects("post").await.len(), 1, "busy, and done all the same");
    stage.stop().await;
}

#[tokio::test]
async fn answers_are_cut_short_replaced_or_late() {
    let (stage, grant) = begun().await;
    let ask = || stage.request(Method::GET, LIST, &grant).query(&[("count", "5")]);
    stage.set("faults", json!({ "path": LIST, "harm": "truncated", "count": 1 })).await;
    let torn = ask().send().await.expect("answered");
    assert_eq!(torn.status(), 200);
    let text = torn.text().await.expect("whole, as far as its length goes");
    assert!(text.starts_with("{\"data\"") && serde_json::from_str::<Value>(&text).is_err(), "{text}");
    for (harm, status) in [("html502", 502), ("html413", 413)] {
        stage.set("faults", json!({ "path": LIST, "harm": harm, "count": 1 })).await;
        let page = ask().send().await.expect("answered");
        assert_eq!(
            (page.status().as_u16(), page.headers()["content-type"].to_str().ok()),
            (status, Some("text/html; charset=utf-8"))
        );
        assert!(page.text().await.expect("text").starts_with("<html>"));
    }
    stage.set("faults", json!({ "path": LIST, "harm": "slow", "count": 1, "delay_ms": 60_000 })).await;
    let late = ask().timeout(std::time::Duration::from_millis(200)).send().await;
    assert!(late.is_err_and(|error| error.is_timeout()), "a minute late");
    stage.set("faults", json!({ "path": LIST, "harm": "slow", "count": 1, "delay_ms": 1 })).await;
    assert_eq!(ask().send().await.expect("answered").status(), 200);
    stage.stop().await;
}

#[tokio::test]
async fn faults_are_counted_skipped_likely_and_disarmed() {
    let (stage, grant) = begun().await;
    let ask = async || code(&stage.get(LIST, &grant, &[("count", "5")]).await);
    stage.set("faults", json!({ "path": LIST, "harm": "busy", "count": 2, "skip": 1 })).await;
    assert_eq!([ask().await, ask().await, ask().await, ask().await], [0, 28_001_005, 28_001_005, 0]);
    assert_eq!(stage.see("faults").await["faults"][0]["struck"], 2);
    stage.set("faults", json!({ "path": "/api/*", "harm": "busy", "permille": 500 })).await;
    let mut struck = 0;
    for _ in 0..40 {
        struck += i32::from(ask().await != 0);
    }
    assert!((5..36).contains(&struck), "{struck} of 40");
    let (status, left) = stage.control(Method::DELETE, "faults/2", json!({})).await;
    assert_eq!((status, &left["armed"]), (200, &json!(1)));
    for _ in 0..8 {
        assert_eq!(ask().await, 0);
    }
    for bad in [
        json!({}),
        json!({ "path": "/x", "harm": "nonsense" }),
        json!({ "path": "/x", "harm": "busy", "y": 1 }),
    ] {
        assert_eq!(stage.control(Method::POST, "faults", bad.clone()).await.0, 400, "{bad}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn token_endpoints_fail_in_their_own_envelope() {
    let (stage, _) = begun().await;
    let app = stage.app().await;
    for (harm, expected) in [("busy", 10_001), ("network", 10_001), ("rate", 10_020), ("code", 10_015)] {
        for path in ["client_token", "nonsense"] {
            let fault = json!({ "path": "/oauth/*", "harm": harm, "count": 1, "code": 10_015 });
            stage.set("faults", fault).await;
            let answer = stage.client_token_answer(&app, path).await;
            assert_eq!(
                (&answer["data"]["error_code"], &answer["message"]),
                (&json!(expected), &json!("error")),
                "{harm} on {path}: {answer}"
            );
            assert!(answer.get("extra").is_none(), "{answer}");
        }
    }
    let broken = stage.http.post(format!("{}/oauth/client_token/", stage.url)).body("{");
    let answer = crate::stage::json_of(broken).await;
    assert_eq!((&answer["data"]["error_code"], &answer["message"]), (&json!(10_002), &json!("error")));
    stage.stop().await;
}

#[tokio::test]
async fn of_calls_at_the_same_time_for_one_video_one_posts() {
    let (stage, grant) = begun().await;
    let body = video(&stage, &grant).await;
    let calls = (0..16).map(|_| stage.post(CREATE, &grant, body.clone()));
    let answers = futures_util::future::join_all(calls).await;
    let codes: Vec<_> = answers.iter().map(code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 2_190_007).count(), 15, "{codes:?}");
    assert_eq!(stage.effects("post").await.len(), 1);
    stage.stop().await;
}
