//! The page, the control API's refusals, and the doors beside them.

use reqwest::Method;
use serde_json::json;

use crate::stage::{SCOPES, Stage};

#[tokio::test]
async fn the_page_shows_what_happened_and_nothing_of_it_is_markup() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("<script>alert(1)</script>").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    stage.publish(&grant, "\"><img src=x>").await;
    stage.set("faults", json!({ "path": "/<b>*", "harm": "busy" })).await;
    let answer = stage.http.get(format!("{}/_sandbox/", stage.url)).send().await.expect("answered");
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let html = answer.text().await.expect("text");
    assert!(html.starts_with("<!doctype html>") && html.contains("<html lang=\"en\">"), "{html}");
    for part in ["Users", "Videos", "Calls received", "Webhooks sent", "Faults armed", "Effects", "Clock"] {
        assert!(html.contains(&format!(">{part}</h2>")), "{part}");
    }
    assert!(html.contains("2026-01-01T02:00:00.000Z") && html.contains(&app.key), "{html}");
    assert!(html.contains("POST /api/douyin/v1/video/create_video/"), "{html}");
    assert!(
        html.contains("&lt;script&gt;alert(1)") && html.contains("&quot;&gt;&lt;img src=x&gt;"),
        "{html}"
    );
    for bad in ["<script", "<img", "<b>", "src=\"http", "href=\"http", "@import", "url("] {
        assert!(!html.contains(bad), "{bad}");
    }
    assert!(!html.contains(&grant.access) && !html.contains(&grant.refresh), "a token");
    for tag in
        ["table", "tr", "td", "th", "section", "form", "label", "fieldset", "select", "code", "main", "nav"]
    {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    // Every control has a label around it or words on it.
    let labels = html.matches("<label>").count();
    assert_eq!(html.matches("<input ").count() + html.matches("<select ").count(), labels);
    stage.stop().await;
}

#[tokio::test]
async fn forms_of_the_page_work_and_lead_back_to_it() {
    let stage = Stage::new().await;
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let url = format!("{}/_sandbox/{path}", stage.url);
        let answer = stage.http.post(url).form(fields).send().await.expect("answered");
        (
            answer.status().as_u16(),
            answer.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_owned),
        )
    };
    let back = (303, Some("/_sandbox/".to_owned()));
    assert_eq!(send("users", &[("nickname", "42")]).await, back);
    assert_eq!(
        send("apps", &[("name", "Demo"), ("redirect_uris", "https://a.example https://b.example")]).await,
        back
    );
    assert_eq!(send("clock", &[("advance_s", "60"), ("frozen", "")]).await, back);
    let fault = [("path", "/x*"), ("harm", "slow"), ("count", "2"), ("delay_ms", "")];
    assert_eq!(send("faults", &fault).await, back);
    assert_eq!(send("faults", &[("path", "/x"), ("harm", "nonsense")]).await, (400, None));
    assert_eq!(stage.see("users").await["users"][0]["nickname"], "42");
    assert_eq!(
        stage.see("apps").await["apps"][0]["redirect_uris"],
        json!(["https://a.example", "https://b.example"])
    );
    assert_eq!(
        stage.see("clock").await,
        json!({ "now_ms": 1_767_232_860_000_i64, "now": "2026-01-01T02:01:00.000Z", "frozen": true })
    );
    assert_eq!(stage.see("faults").await["faults"][0]["count"], 2);
    assert_eq!(send("faults/clear", &[]).await, back);
    assert_eq!(stage.see("faults").await["faults"], json!([]));
    stage.stop().await;
}

#[tokio::test]
async fn pages_of_other_hosts_can_not_use_the_control_api() {
    let stage = Stage::new().await;
    let own = stage.url.clone();
    let status = async |method: Method, path: &str, origin: &str| {
        let request = stage.http.request(method, format!("{own}{path}")).header("origin", origin);
        let answer = request.form(&[("nickname", "Mallory")]).send().await.expect("answered");
        answer.status().as_u16()
    };
    for origin in
        ["https://app.example", "http://127.0.0.1:1", &format!("{own}.app.example"), "null", "", "127.0.0.1"]
    {
        assert_eq!(status(Method::POST, "/_sandbox/users", origin).await, 403, "{origin}");
        assert_eq!(status(Method::DELETE, "/_sandbox/faults", origin).await, 403, "{origin}");
        assert_eq!(status(Method::GET, "/_sandbox/apps", origin).await, 403, "{origin}");
        assert_eq!(status(Method::POST, "/oauth/client_token/", origin).await, 200, "the platform's own");
    }
    assert_eq!(stage.see("users").await["users"], json!([]));
    assert_eq!(status(Method::POST, "/_sandbox/users", &own).await, 303, "the page itself");
    assert_eq!(stage.see("users").await["users"][0]["nickname"], "Mallory");
    stage.stop().await;
}

#[tokio::test]
async fn the_control_api_refuses_what_it_can_not_do() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    for (method, path, body, expected) in [
        (Method::POST, "nonsense", json!({}), 404),
        (Method::POST, "apps", json!({ "client_key": app.key }), 409),
        (Method::POST, "apps", json!({ "colour": "red" }), 400),
        (Method::PATCH, "apps/nobody", json!({}), 404),
        (Method::PATCH, "users/nobody", json!({}), 404),
        (Method::PUT, "apps/nobody/webhook", json!({ "url": "http://127.0.0.1:1/" }), 404),
        (Method::POST, "clock", json!({ "now": "yesterday" }), 400),
        (Method::POST, "revoke", json!({ "client_key": app.key, "user": "nobody" }), 404),
        (Method::POST, "verdicts", json!({ "item_id": "@x", "verdict": "pass" }), 404),
        (Method::POST, "verdicts", json!({ "item_id": "@x", "verdict": "maybe" }), 400),
        (Method::PATCH, "switches", json!({ "nonsense": 1 }), 400),
        (Method::PATCH, "switches", json!({ "review_delay_s": "soon" }), 400),
        (Method::POST, "clock", json!({ "advance_s": i64::MAX }), 400),
        (Method::POST, "clock", json!({ "now_ms": i64::MAX }), 400),
        (Method::POST, "clock", json!({ "advance_s": -10_000_000_000_i64 }), 400),
        (Method::POST, "clock", json!({ "now": "-0100-01-01T00:00:00Z" }), 400),
        (Method::POST, "verdicts", json!({ "item_id": "@x", "verdict": "pass", "after_s": i64::MAX }), 400),
        (Method::POST, "users", json!({ "reach_permille": i64::MAX }), 400),
        (Method::PATCH, "switches", json!({ "review_delay_s": i64::MAX }), 400),
        (Method::PATCH, "switches", json!({ "webhook_backoff_s": [1, i64::MIN + 1] }), 400),
        (Method::PATCH, "switches", json!({ "call_quota": { "video.list": 1e300 } }), 400),
        (Method::POST, "posts", json!({ "user": "nobody" }), 404),
        (Method::POST, "events", json!({ "client_key": app.key, "event": "authorize" }), 409),
        (Method::POST, "authorize", json!({ "client_key": app.key }), 400),
    ] {
        let (status, answer) = stage.control(method, path, body.clone()).await;
        assert_eq!(status, expected, "{path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    let get =
        async |path: &str| stage.http.get(format!("{}{path}", stage.url)).send().await.expect("answered");
    assert_eq!(get("/_sandbox/nonsense").await.status(), 404);
    assert_eq!(get("/livez").await.text().await.expect("text"), "ok\n");
    let abilities: serde_json::Value = get("/").await.json().await.expect("JSON");
    assert_eq!(abilities["platforms"], json!(["douyin"]));
    stage.stop().await;
}
