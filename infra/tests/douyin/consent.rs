//! Consent: the page, the code, who it was, and how it ends.

use domain::accounts::{
    model::AppCredentials,
    ports::{ConsentAsk, PlatformNews},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    receiver::Receiver,
    stage::{REDIRECT, Stage, kind, quick, scope, secret},
};

#[tokio::test]
async fn an_owner_says_yes_and_the_code_works_once() {
    let stage = Stage::new().await;
    let adapter = stage.adapter(quick());
    let (app, user) = (stage.app().await, stage.user("林 Lin").await);
    let scopes = ["item.comment", "user_info", "video.list.bind"].map(str::to_owned);
    let page = adapter.authorizer.consent_url(&ConsentAsk {
        client_key: &app.client_key,
        scopes: &scopes,
        redirect_uri: REDIRECT,
        state: "s t&te",
        challenge: None,
    });
    let back = stage.consent(&page, &user).await;
    let pair =
        |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!((pair("state").as_deref(), pair("from").as_deref()), (Some("s t&te"), Some("douyin")));
    let code = secret(&pair("code").unwrap());

    let granted = adapter.authorizer.exchange(&scope(1), &app, &code, None).await.unwrap();
    assert_eq!(granted.scopes, ["user_info", "video.list.bind"], "what was optional was not ticked");
    assert_eq!((granted.access_life_s, granted.refresh_life_s), (1_296_000, 2_592_000));
    let profile =
        adapter.authorizer.profile(&scope(1), &app, &granted.access, &granted.open_id).await.unwrap();
    assert_eq!(profile.nickname, "林 Lin");
    assert!(profile.avatar.is_some() && profile.union_id.is_some());

    let again = adapter.authorizer.exchange(&scope(1), &app, &code, None).await;
    assert_eq!(kind(&again), ("consent_gone", 10_007));
    assert_eq!(stage.effects("grant").await, 1);
    stage.stop().await;
}

#[tokio::test]
async fn wrong_credentials_are_the_apps_fault() {
    let stage = Stage::new().await;
    let adapter = stage.adapter(quick());
    let (app, other, user) = (stage.app().await, stage.app().await, stage.user("Lin").await);
    let exchange =
        async |app, code: &str| kind(&adapter.authorizer.exchange(&scope(1), app, &secret(code), None).await);
    let code = stage.code(&adapter, &app, &user).await;
    let code = code.expose_str().unwrap();
    let wrong = AppCredentials { client_secret: secret("wrong"), ..app.clone() };
    assert_eq!(exchange(&wrong, code).await, ("app_wrong", 10_013));
    let nobody = AppCredentials { client_key: "awnobody00000000".to_owned(), ..app.clone() };
    assert_eq!(exchange(&nobody, code).await, ("app_wrong", 10_003));
    assert_eq!(exchange(&other, code).await, ("app_wrong", 10_014));
    assert_eq!(exchange(&app, "").await, ("bad_call", 10_005));
    assert_eq!(exchange(&app, "never-issued").await, ("consent_gone", 10_007));
    stage.change_app(&app, json!({ "state": "in_review" })).await;
    assert_eq!(exchange(&app, code).await, ("app_wrong", 10_012));
    stage.change_app(&app, json!({ "state": "banned" })).await;
    assert_eq!(exchange(&app, code).await, ("app_off", 2_190_016));
    stage.switch(json!({ "codes": "new" })).await;
    assert_eq!(exchange(&app, code).await, ("app_off", 28_001_016));
    stage.change_app(&app, json!({ "state": "approved" })).await;
    assert_eq!(exchange(&app, code).await, ("done", 0), "no refusal used it up");
    stage.stop().await;
}

#[tokio::test]
async fn a_profile_is_of_who_consented_to_it() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let other = stage.user("Zhou").await;
    let others = stage.granted(&adapter, &app, &other).await;
    let profile = async |access, open_id: &str| {
        kind(&adapter.authorizer.profile(&scope(1), &app, access, open_id).await)
    };
    assert_eq!(profile(&granted.access, &granted.open_id).await, ("done", 0));
    assert_eq!(profile(&granted.access, &others.open_id).await, ("bad_call", 2_190_015));
    assert_eq!(profile(&secret("act.nobody"), &granted.open_id).await, ("token_dead", 10_008));
    stage.stop().await;
}

#[tokio::test]
async fn an_owner_who_takes_consent_back_is_heard_of() {
    let stage = Stage::new().await;
    let (adapter, app, user) = (stage.adapter(quick()), stage.app().await, stage.user("Lin").await);
    let mut receiver = Receiver::start(adapter.authorizer.clone(), app.clone()).await;
    // The platform saves an address that sends its challenge back.
    let path = format!("apps/{}/webhook", app.client_key);
    stage.control(Method::PUT, &path, json!({ "url": receiver.url })).await;
    let challenge = receiver.news.recv().await.unwrap();
    assert!(matches!(challenge, Some(PlatformNews::Challenge(_))), "{challenge:?}");

    stage.change_app(&app, json!({ "subscriptions": { "authorize": true, "unauthorize": true } })).await;
    let granted = stage.granted(&adapter, &app, &user).await;
    assert_eq!(receiver.news.recv().await.unwrap(), Some(PlatformNews::Other), "of the consent");
    stage.set("revoke", json!({ "client_key": app.client_key, "user": user })).await;
    let revoked = PlatformNews::ConsentRevoked { open_id: granted.open_id.clone() };
    assert_eq!(receiver.news.recv().await.unwrap(), Some(revoked));
    let (signature, body) = receiver.last.lock().unwrap().clone();
    let forged = AppCredentials { client_secret: secret("another"), ..app.clone() };
    assert_eq!(adapter.authorizer.news(&forged, &signature, &body), None);

    let refresh = granted.refresh.unwrap();
    assert_eq!(kind(&adapter.authorizer.refresh(&scope(1), &app, &refresh).await), ("consent_gone", 10_010));
    assert_eq!(kind(&adapter.authorizer.renew(&scope(1), &app, &refresh).await), ("consent_gone", 10_010));
    let profile = adapter.authorizer.profile(&scope(1), &app, &granted.access, &granted.open_id).await;
    assert_eq!(kind(&profile), ("token_dead", 10_008));
    stage.stop().await;
}
