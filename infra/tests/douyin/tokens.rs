//! The lives of tokens.

use domain::{
    accounts::{model::AppCredentials, ports::Authorizer},
    kernel::secret::Secret,
};
use serde_json::json;

use crate::stage::{DAY_S, Stage, kind, scope};

async fn refresh(authorizer: &dyn Authorizer, app: &AppCredentials, token: &Secret) -> (&'static str, i64) {
    kind(&authorizer.refresh(&scope(1), app, token).await)
}

async fn renew(authorizer: &dyn Authorizer, app: &AppCredentials, token: &Secret) -> (&'static str, i64) {
    kind(&authorizer.renew(&scope(1), app, token).await)
}

#[tokio::test]
async fn refreshing_gives_an_access_token_and_keeps_the_refresh_token() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    stage.advance(10 * DAY_S).await;
    let refreshed = adapter.authorizer.refresh(&scope(1), &app, &token).await.unwrap();
    assert_ne!(refreshed.access, granted.access);
    assert_eq!(refreshed.refresh.as_ref(), Some(&token));
    assert_eq!((refreshed.access_life_s, refreshed.refresh_life_s), (15 * DAY_S, Some(20 * DAY_S)));
    assert_eq!(refreshed.scopes, Some(granted.scopes));
    let profile = adapter.authorizer.profile(&scope(1), &app, &refreshed.access, &granted.open_id).await;
    assert_eq!(kind(&profile), ("done", 0));
    stage.advance(20 * DAY_S).await;
    assert_eq!(refresh(&*adapter.authorizer, &app, &token).await, ("consent_gone", 10_010));
    stage.stop().await;
}

#[tokio::test]
async fn the_same_access_token_may_come_back_with_a_longer_life() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    stage.switch(json!({ "legacy_refresh": true })).await;
    stage.advance(DAY_S).await;
    let refreshed = adapter.authorizer.refresh(&scope(1), &app, &granted.refresh.unwrap()).await.unwrap();
    assert_eq!((refreshed.access, refreshed.access_life_s), (granted.access, 15 * DAY_S));
    stage.stop().await;
}

#[tokio::test]
async fn renewing_kills_the_old_token_and_works_five_times() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let authorizer = &*adapter.authorizer;
    let mut token = granted.refresh.unwrap();
    for _ in 0..authorizer.facts().renewals_max {
        stage.advance(23 * DAY_S).await;
        let renewed = authorizer.renew(&scope(1), &app, &token).await.unwrap();
        assert_eq!(renewed.life_s, 30 * DAY_S);
        assert_eq!(refresh(authorizer, &app, &token).await, ("consent_gone", 10_010), "the old one");
        assert_eq!(refresh(authorizer, &app, &renewed.refresh).await, ("done", 0), "the new one");
        token = renewed.refresh;
    }
    assert_eq!(renew(authorizer, &app, &token).await, ("renewals_over", 10_020));
    assert_eq!(refresh(authorizer, &app, &token).await, ("done", 0), "a refused renewal kills nothing");
    stage.stop().await;
}

#[tokio::test]
async fn renewing_takes_a_scope_of_the_app() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    stage.change_app(&app, json!({ "scopes": ["user_info"] })).await;
    assert_eq!(renew(&*adapter.authorizer, &app, &token).await, ("app_lacks", 10_004));
    let scope = adapter.authorizer.facts().renewal_scope.unwrap();
    stage.change_app(&app, json!({ "scopes": ["user_info", scope] })).await;
    assert_eq!(renew(&*adapter.authorizer, &app, &token).await, ("done", 0));
    stage.stop().await;
}

#[tokio::test]
async fn every_quirk_of_the_envelopes_is_read() {
    let stage = Stage::new().await;
    for quirks in [
        json!({ "string_numbers": "always" }),
        json!({ "omit_data_code": "always" }),
        json!({ "union_id_in_token": true, "codes": "new" }),
    ] {
        stage.switch(quirks.clone()).await;
        let (adapter, app, granted) = stage.linked().await;
        assert_eq!((granted.access_life_s, granted.refresh_life_s), (1_296_000, 2_592_000), "{quirks}");
        let authorizer = &*adapter.authorizer;
        let profile = authorizer.profile(&scope(1), &app, &granted.access, &granted.open_id).await;
        assert_eq!(kind(&profile), ("done", 0), "{quirks}");
        let token = granted.refresh.unwrap();
        assert_eq!(refresh(authorizer, &app, &token).await, ("done", 0), "{quirks}");
        assert_eq!(renew(authorizer, &app, &token).await, ("done", 0), "{quirks}");
        assert_eq!(renew(authorizer, &app, &token).await, ("consent_gone", 10_010), "{quirks}");
    }
    stage.stop().await;
}
