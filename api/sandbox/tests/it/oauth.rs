//! Sections 2 and 15.1 to 15.4: the page, codes, tokens and their lives, revocation.

use reqwest::Method;
use serde_json::json;

use crate::stage::{App, Grant, REDIRECT, SCOPES, Stage, code, json_of};

const DAY_S: i64 = 86_400;

async fn open_page(stage: &Stage, changes: &[(&str, &str)], app: &App) -> (u16, String) {
    let mut query = vec![
        ("client_key", app.key.as_str()),
        ("response_type", "code"),
        ("scope", "user_info"),
        ("redirect_uri", REDIRECT),
    ];
    query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let url = format!("{}/platform/oauth/connect/", stage.url);
    let response = stage.http.get(url).query(&query).send().await.expect("answered");
    (response.status().as_u16(), response.text().await.expect("text"))
}

#[tokio::test]
async fn the_page_fails_without_sending_anybody_back() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    stage.user("Lin").await;
    for (changes, says) in [
        (&[("client_key", "awnobody00000000")][..], "10003"),
        (&[("client_key", "")], "10005"),
        (&[("redirect_uri", "https://app.example/callback")], "10006"),
        (&[("redirect_uri", "https://evil.example/callback?from=douyin")], "10006"),
        (&[("scope", "user_info,nonsense.scope")], "scope illegal: nonsense.scope"),
        (&[("optionalScope", "nonsense,1")], "scope illegal: nonsense"),
        (&[("response_type", "token")], "10002"),
        (&[("scope", "<script>x</script>")], "&lt;script&gt;"),
    ] {
        let (status, html) = open_page(&stage, changes, &app).await;
        assert_eq!(status, 200, "{changes:?}");
        assert!(html.contains(says) && !html.contains("<form"), "{changes:?}: {html}");
        assert!(!html.contains("<script"), "{html}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn redirects_match_as_the_switch_says() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    let other_query = &[("redirect_uri", "https://app.example/callback?x=1#y")];
    let other_path = &[("redirect_uri", "https://app.example/elsewhere")];
    for (rule, query_fits, path_fits) in
        [("exact", false, false), ("before_query", true, false), ("host", true, true)]
    {
        stage.switch(json!({ "redirect_match": rule })).await;
        assert_eq!(open_page(&stage, other_query, &app).await.1.contains("<form"), query_fits, "{rule}");
        assert_eq!(open_page(&stage, other_path, &app).await.1.contains("<form"), path_fits, "{rule}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_click_brings_the_user_back_with_what_was_granted() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin & <Co>").await);
    let optional = &[("optionalScope", "item.comment,1,video.list.bind,0"), ("state", "a b&c")];
    let (_, html) = open_page(&stage, optional, &app).await;
    assert!(html.contains("Lin &amp; &lt;Co&gt;"), "{html}");
    assert!(html.contains("name=\"optional\" value=\"item.comment\" checked"), "{html}");
    assert!(html.contains("name=\"optional\" value=\"video.list.bind\">"), "{html}");
    let mut fields = vec![
        ("client_key", app.key.as_str()),
        ("response_type", "code"),
        ("scope", "user_info"),
        ("redirect_uri", REDIRECT),
        ("optionalScope", "item.comment,1,video.list.bind,0"),
        ("state", "a b&c"),
        ("user", &user),
        ("optional", "video.list.bind"),
    ];
    let click = async |fields: &[(&str, &str)]| {
        let url = format!("{}/platform/oauth/connect/", stage.url);
        stage.http.post(url).form(fields).send().await.expect("answered")
    };
    let refused = click(&[&fields[..], &[("decision", "deny")]].concat()).await;
    assert_eq!(refused.status(), 200);
    assert!(refused.headers().get("location").is_none());
    fields.push(("decision", "allow"));
    let allowed = click(&fields).await;
    assert_eq!(allowed.status(), 302);
    let location = allowed.headers()["location"].to_str().expect("text").to_owned();
    let location = reqwest::Url::parse(&location).expect("an address");
    let pairs: Vec<_> = location.query_pairs().into_owned().collect();
    let pair = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!((pair("from"), pair("state")), (Some("douyin"), Some("a b&c")));
    assert_eq!(pair("scopes"), Some("user_info,video.list.bind"));
    let tokens = stage.exchange(&app, pair("code").expect("a code")).await;
    assert_eq!(tokens["data"]["scope"], "user_info,video.list.bind");
    stage.stop().await;
}

#[tokio::test]
async fn a_code_lives_ten_minutes_works_once_and_is_bound_to_its_app() {
    let stage = Stage::new().await;
    let (app, other, user) = (stage.app().await, stage.app().await, stage.user("Lin").await);
    for (wait_s, expected) in [(599, 0), (600, 10_007)] {
        let text = stage.code(&app, &user, "user_info").await;
        stage.advance(wait_s).await;
        assert_eq!(code(&stage.exchange(&app, &text).await), expected, "after {wait_s} s");
    }
    let text = stage.code(&app, &user, "user_info").await;
    assert_eq!(code(&stage.exchange(&other, &text).await), 10_014);
    assert_eq!(code(&stage.exchange(&app, &text).await), 0);
    assert_eq!(code(&stage.exchange(&app, &text).await), 10_007, "used");
    let (first, second) =
        (stage.code(&app, &user, "user_info").await, stage.code(&app, &user, "user_info").await);
    assert_eq!(code(&stage.exchange(&app, &first).await), 10_007, "superseded");
    assert_eq!(code(&stage.exchange(&app, &second).await), 0);
    stage.stop().await;
}

#[tokio::test]
async fn the_exchange_refuses_by_the_table_and_takes_every_kind_of_body() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let all = |code: &str| {
        [
            ("client_key", app.key.clone()),
            ("client_secret", app.secret.clone()),
            ("code", code.to_owned()),
            ("grant_type", "authorization_code".to_owned()),
        ]
    };
    for (name, value, expected) in [
        ("client_key", "awnobody00000000", 10_003),
        ("client_secret", "wrong", 10_013),
        ("grant_type", "password", 10_002),
        ("code", "never-issued", 10_007),
        ("code", "", 10_005),
        ("client_key", "", 10_005),
    ] {
        let text = stage.code(&app, &user, "user_info").await;
        let fields = all(&text).map(|(key, kept)| (key, if key == name { value.to_owned() } else { kept }));
        let fields = fields.each_ref().map(|(key, value)| (*key, value.as_str()));
        let answer = stage.form("/oauth/access_token/", &fields).await;
        assert_eq!((code(&answer), answer["message"].as_str()), (expected, Some("error")), "{name}={value}");
    }
    let url = format!("{}/oauth/access_token/", stage.url);
    for kind in ["form", "json", "multipart", "query", "get"] {
        let fields = all(&stage.code(&app, &user, "user_info").await);
        let request = match kind {
            "form" => stage.http.post(&url).form(&fields),
            "json" => {
                stage.http.post(&url).json(&fields.into_iter().collect::<std::collections::HashMap<_, _>>())
            }
            "multipart" => {
                let form = fields.into_iter().fold(reqwest::multipart::Form::new(), |f, (k, v)| f.text(k, v));
                stage.http.post(&url).multipart(form)
            }
            "query" => stage.http.post(&url).query(&fields),
            _ => stage.http.get(&url).query(&fields),
        };
        let answer = json_of(request).await;
        let data = &answer["data"];
        assert_eq!((code(&answer), answer["message"].as_str()), (0, Some("success")), "{kind}: {answer}");
        assert_eq!(
            (data["expires_in"].as_i64(), data["refresh_expires_in"].as_i64()),
            (Some(1_296_000), Some(2_592_000))
        );
        assert!(data["access_token"].as_str().is_some_and(|token| token.starts_with("act.")), "{answer}");
        assert!(data["refresh_token"].as_str().is_some_and(|token| token.starts_with("rft.")), "{answer}");
        for name in ["captcha", "desc_url", "description"] {
            assert_eq!(data[name], "", "{name}");
        }
    }
    stage.control(Method::PATCH, &format!("apps/{}", app.key), json!({ "state": "in_review" })).await;
    assert_eq!(code(&stage.client_token_answer(&app, "client_token").await), 10_012);
    stage.stop().await;
}

async fn list(stage: &Stage, grant: &Grant) -> i64 {
    code(&stage.get("/api/douyin/v1/video/video_list/", grant, &[("count", "10")]).await)
}

async fn refresh(stage: &Stage, app: &App, token: &str) -> serde_json::Value {
    let fields =
        [("client_key", app.key.as_str()), ("grant_type", "refresh_token"), ("refresh_token", token)];
    stage.form("/oauth/refresh_token/", &fields).await
}

async fn renew(stage: &Stage, app: &App, token: &str) -> serde_json::Value {
    let fields = [("client_key", app.key.as_str()), ("refresh_token", token)];
    stage.form("/oauth/renew_refresh_token/", &fields).await
}

#[tokio::test]
async fn an_access_token_lives_fifteen_days_and_a_refresh_token_thirty() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let mut grant = stage.grant(&app, &user, SCOPES).await;
    stage.advance(15 * DAY_S - 1).await;
    assert_eq!(list(&stage, &grant).await, 0);
    stage.advance(1).await;
    assert_eq!(list(&stage, &grant).await, 28_001_008);
    let answer = refresh(&stage, &app, &grant.refresh).await;
    assert_eq!(answer["data"]["refresh_token"], grant.refresh.as_str(), "the same refresh token");
    assert_eq!(answer["data"]["expires_in"], 15 * DAY_S);
    assert_eq!(answer["data"]["refresh_expires_in"], 15 * DAY_S, "which lives no longer for it");
    answer["data"]["access_token"].as_str().expect("a token").clone_into(&mut grant.access);
    assert_eq!(list(&stage, &grant).await, 0);
    stage.advance(15 * DAY_S - 1).await;
    assert_eq!(code(&refresh(&stage, &app, &grant.refresh).await), 0);
    stage.advance(1).await;
    assert_eq!(code(&refresh(&stage, &app, &grant.refresh).await), 10_010);
    assert_eq!(code(&renew(&stage, &app, &grant.refresh).await), 10_010);
    stage.stop().await;
}

#[tokio::test]
async fn the_legacy_refresh_gives_the_same_token_a_longer_life() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    let fresh = refresh(&stage, &app, &grant.refresh).await;
    assert_ne!(fresh["data"]["access_token"], grant.access.as_str());
    stage.switch(json!({ "legacy_refresh": true })).await;
    let grant = stage.grant(&app, &user, SCOPES).await;
    stage.advance(DAY_S).await;
    let same = refresh(&stage, &app, &grant.refresh).await;
    assert_eq!(
        (&same["data"]["access_token"], &same["data"]["expires_in"]),
        (&json!(grant.access), &json!(15 * DAY_S))
    );
    stage.stop().await;
}

#[tokio::test]
async fn a_refresh_token_is_renewed_five_times_and_the_old_one_dies_at_once() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let mut token = stage.grant(&app, &user, SCOPES).await.refresh;
    for time in 1..=5 {
        stage.advance(30 * DAY_S - 1).await;
        let answer = renew(&stage, &app, &token).await;
        assert_eq!((code(&answer), &answer["data"]["expires_in"]), (0, &json!(30 * DAY_S)), "renewal {time}");
        assert_eq!(code(&refresh(&stage, &app, &token).await), 10_010, "the old one, after renewal {time}");
        answer["data"]["refresh_token"].as_str().expect("a token").clone_into(&mut token);
        assert_eq!(code(&refresh(&stage, &app, &token).await), 0, "the new one, after renewal {time}");
    }
    assert_eq!(code(&renew(&stage, &app, &token).await), 10_020);
    assert_eq!(code(&refresh(&stage, &app, &token).await), 0, "a refused renewal kills nothing");
    let poor = json!({ "scopes": ["user_info"] });
    stage.control(Method::PATCH, &format!("apps/{}", app.key), poor).await;
    assert_eq!(code(&renew(&stage, &app, &token).await), 10_004);
    stage.stop().await;
}

#[tokio::test]
async fn client_tokens_overlap_by_five_minutes_and_only_two_work() {
    let stage = Stage::new().await;
    let app = stage.app().await;
    let works = async |token: &str| code(&stage.as_app("/event/status/list/", token, &[]).await);
    let first = stage.client_token(&app).await;
    stage.advance(60).await;
    let second = stage.client_token(&app).await;
    stage.advance(299).await;
    assert_eq!((works(&first).await, works(&second).await), (0, 0), "both, within five minutes");
    stage.advance(1).await;
    assert_eq!((works(&first).await, works(&second).await), (2_190_002, 0), "five minutes later");
    let third = stage.client_token(&app).await;
    let fourth = stage.client_token(&app).await;
    assert_eq!(
        (works(&second).await, works(&third).await, works(&fourth).await),
        (2_190_002, 0, 0),
        "two newest"
    );
    let stable = stage.client_token_answer(&app, "stable_client_token").await;
    assert_eq!(stable["data"]["access_token"], fourth.as_str());
    stage.advance(7_199).await;
    assert_eq!(works(&fourth).await, 0);
    stage.advance(1).await;
    assert_eq!(works(&fourth).await, 2_190_008, "two hours");
    assert_ne!(
        stage.client_token_answer(&app, "stable_client_token").await["data"]["access_token"],
        fourth.as_str()
    );
    stage.switch(json!({ "client_tokens_per_5_min": 3 })).await;
    stage.advance(301).await;
    for expected in [0, 0, 0, 10_020] {
        assert_eq!(code(&stage.client_token_answer(&app, "client_token").await), expected);
    }
    stage.stop().await;
}

#[tokio::test]
async fn faults_of_tokens_have_old_codes_on_classic_paths_and_new_ones_on_new() {
    let stage = Stage::new().await;
    let (app, user, other) = (stage.app().await, stage.user("Lin").await, stage.user("Zhou").await);
    let good = stage.grant(&app, &user, SCOPES).await;
    let others = stage.grant(&app, &other, SCOPES).await;
    let narrow = stage.grant(&app, &other, "user_info").await;
    let cases = [
        ("unknown", Grant { access: "act.nobody".to_owned(), ..good.clone() }, 2_190_002, 28_001_003),
        ("of another", Grant { open_id: others.open_id.clone(), ..good.clone() }, 2_190_015, 28_001_015),
        ("not granted", narrow, 2_190_003, 28_001_012),
        ("good", good.clone(), 0, 0),
    ];
    for (name, grant, old, new) in &cases {
        let (classic, newer) = ("/video/list/", "/api/douyin/v1/video/video_list/");
        assert_eq!(code(&stage.get(classic, grant, &[("count", "5")]).await), *old, "{name}");
        assert_eq!(code(&stage.get(newer, grant, &[("count", "5")]).await), *new, "{name}");
        stage.switch(json!({ "codes": "old" })).await;
        assert_eq!(code(&stage.get(newer, grant, &[("count", "5")]).await), *old, "{name}, old everywhere");
        stage.switch(json!({ "codes": "by_path" })).await;
    }
    let legacy = stage.http.get(format!("{}/video/list/", stage.url));
    let query = [("open_id", good.open_id.as_str()), ("access_token", &good.access), ("count", "5")];
    assert_eq!(code(&json_of(legacy.query(&query)).await), 0, "the token in the query");
    let both = stage.http.get(format!("{}/video/list/", stage.url)).header("access-token", "act.nobody");
    assert_eq!(code(&json_of(both.query(&query)).await), 2_190_002, "the header wins");
    stage.control(Method::PATCH, &format!("apps/{}", app.key), json!({ "scopes": ["user_info"] })).await;
    assert_eq!(list(&stage, &good).await, 28_001_018, "the app lacks the scope");
    stage.control(Method::PATCH, &format!("apps/{}", app.key), json!({ "state": "banned" })).await;
    assert_eq!(list(&stage, &good).await, 28_001_016, "the app is banned");
    stage.stop().await;
}

#[tokio::test]
async fn a_revocation_kills_both_tokens_and_the_code_on_its_way() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let grant = stage.grant(&app, &user, SCOPES).await;
    let pending = stage.code(&app, &user, SCOPES).await;
    stage.set("revoke", json!({ "client_key": app.key, "user": user })).await;
    assert_eq!(list(&stage, &grant).await, 28_001_003);
    assert_eq!(code(&refresh(&stage, &app, &grant.refresh).await), 10_010);
    assert_eq!(code(&stage.exchange(&app, &pending).await), 10_007);
    let info =
        stage.form("/oauth/userinfo/", &[("access_token", &grant.access), ("open_id", &grant.open_id)]).await;
    assert_eq!(code(&info), 10_008);
    stage.stop().await;
}

#[tokio::test]
async fn apps_see_different_open_ids_and_one_union_id() {
    let stage = Stage::new().await;
    let (app, sister, user) = (stage.app().await, stage.app().await, stage.user("Lin").await);
    let stranger = stage.set("apps", json!({ "developer": "another", "redirect_uris": [REDIRECT] })).await;
    let stranger = App {
        key: stranger["client_key"].as_str().expect("a key").to_owned(),
        secret: stranger["client_secret"].as_str().expect("a secret").to_owned(),
    };
    let mut seen = Vec::new();
    for app in [&app, &sister, &stranger] {
        let grant = stage.grant(app, &user, SCOPES).await;
        let info = stage
            .form("/oauth/userinfo/", &[("access_token", &grant.access), ("open_id", &grant.open_id)])
            .await;
        assert_eq!((code(&info), info["data"]["nickname"].as_str()), (0, Some("Lin")));
        seen.push((grant.open_id, info["data"]["union_id"].as_str().expect("an id").to_owned()));
    }
    assert!(seen[0].0 != seen[1].0 && seen[1].0 != seen[2].0, "{seen:?}");
    assert!(seen[0].1 == seen[1].1 && seen[1].1 != seen[2].1, "{seen:?}");
    stage.stop().await;
}
