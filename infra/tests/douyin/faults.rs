//! Everything that goes wrong between the platform and its answer.

use std::time::Duration;

use infra::outbound::OutboundSettings;
use serde_json::{Value, json};

use crate::stage::{Adapter, Stage, kind, quick, scope};

const EXCHANGE: &str = "/oauth/access_token/";
const REFRESH: &str = "/oauth/refresh_token/";
const RENEW: &str = "/oauth/renew_refresh_token/";
const PROFILE: &str = "/oauth/userinfo/";

/// Gives up soon.
fn hasty() -> OutboundSettings {
    OutboundSettings { total_timeout: Duration::from_secs(1), ..quick() }
}

/// One stroke of a fault.
fn once() -> Value {
    json!({ "count": 1 })
}

#[tokio::test]
async fn a_code_that_was_exchanged_unheard_is_not_exchanged_again() {
    let stage = Stage::new().await;
    let adapter = stage.adapter(quick());
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let (mut calls, mut grants) = (0, 0);
    for (harm, more, expected, granted) in [
        ("busy", once(), ("not_done", 0), false),
        ("network", once(), ("not_done", 0), false),
        ("rate", once(), ("not_done", 0), false),
        ("risk", once(), ("not_done", 0), false),
        ("banned", once(), ("app_off", 2_190_016), false),
        ("retired", once(), ("ability_off", 28_001_056), false),
        ("code", json!({ "count": 1, "code": 424_242 }), ("unlisted", 0), false),
        ("html502", once(), ("unknown", 0), false),
        ("html413", once(), ("unknown", 0), false),
        ("reset", once(), ("unknown", 0), true),
        ("truncated", once(), ("unknown", 0), true),
    ] {
        let code = stage.code(&adapter, &app, &user).await;
        stage.fault(EXCHANGE, harm, more).await;
        let result = adapter.authorizer.exchange(&scope(1), &app, &code, None).await;
        (calls, grants) = (calls + 1, grants + usize::from(granted));
        assert_eq!(kind(&result), expected, "{harm}");
        assert_eq!((stage.calls(EXCHANGE).await, stage.effects("grant").await), (calls, grants), "{harm}");
        // What a refusal leaves undone can be done; what was done unheard is used up.
        let again = adapter.authorizer.exchange(&scope(1), &app, &code, None).await;
        (calls, grants) = (calls + 1, grants + usize::from(!granted));
        assert_eq!(kind(&again).0, if granted { "consent_gone" } else { "done" }, "{harm}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_renewal_is_asked_for_once_and_its_loss_is_known() {
    let stage = Stage::new().await;
    let mut calls = 0;
    for (harm, more, expected, renewed) in [
        ("busy", once(), ("unknown", 0), false),
        ("network", once(), ("unknown", 0), false),
        ("risk", once(), ("unknown", 0), false),
        ("retired", once(), ("ability_off", 28_001_056), false),
        ("html502", once(), ("unknown", 0), false),
        ("reset", json!({ "count": 1, "after_commit": false }), ("unknown", 0), false),
        ("busy", json!({ "count": 1, "after_commit": true }), ("unknown", 0), true),
        ("reset", once(), ("unknown", 0), true),
        ("truncated", once(), ("unknown", 0), true),
    ] {
        let (adapter, app, granted) = stage.linked().await;
        let token = granted.refresh.unwrap();
        stage.fault(RENEW, harm, more).await;
        let result = adapter.authorizer.renew(&scope(1), &app, &token).await;
        calls += 1;
        assert_eq!((kind(&result), stage.calls(RENEW).await), (expected, calls), "{harm}");
        // The old token tells which it was.
        let settled = adapter.authorizer.refresh(&scope(1), &app, &token).await;
        assert_eq!(kind(&settled).0, if renewed { "consent_gone" } else { "done" }, "{harm}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn what_may_be_asked_twice_is_asked_until_it_is_heard() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    let refresh = async |adapter: &Adapter| kind(&adapter.authorizer.refresh(&scope(1), &app, &token).await);
    stage.fault(REFRESH, "reset", json!({ "count": 2 })).await;
    assert_eq!((refresh(&adapter).await, stage.calls(REFRESH).await), (("done", 0), 3));
    stage.fault(REFRESH, "reset", json!({ "count": 3 })).await;
    assert_eq!((refresh(&adapter).await, stage.calls(REFRESH).await), (("unknown", 0), 6));
    for (harm, expected) in [
        ("busy", ("not_done", 0)),
        ("network", ("not_done", 0)),
        ("rate", ("not_done", 0)),
        ("risk", ("not_done", 0)),
        ("banned", ("app_off", 2_190_016)),
        ("truncated", ("unknown", 0)),
        ("html502", ("unknown", 0)),
    ] {
        let before = stage.calls(REFRESH).await;
        stage.fault(REFRESH, harm, once()).await;
        assert_eq!(refresh(&adapter).await, expected, "{harm}");
        assert_eq!(stage.calls(REFRESH).await, before + 1, "{harm}: an answer is not asked for again");
    }
    stage.fault(PROFILE, "reset", once()).await;
    let profile = adapter.authorizer.profile(&scope(1), &app, &granted.access, &granted.open_id).await;
    assert_eq!((kind(&profile), stage.calls(PROFILE).await), (("done", 0), 2));
    stage.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_late_is_lost_though_the_call_was_heard() {
    let stage = Stage::new().await;
    let (app, user) = (stage.app().await, stage.user("Lin").await);
    let patient = stage.adapter(quick());
    let adapter = stage.adapter(hasty());
    let code = stage.code(&patient, &app, &user).await;
    stage.fault(EXCHANGE, "slow", json!({ "count": 1, "delay_ms": 60_000 })).await;
    let late = adapter.authorizer.exchange(&scope(1), &app, &code, None).await;
    assert_eq!((kind(&late), adapter.outcomes()), (("unknown", 0), vec!["timed_out"]));
    assert_eq!((stage.calls(EXCHANGE).await, stage.effects("grant").await), (1, 1));
    stage.stop().await;
}

#[tokio::test]
async fn a_platform_that_goes_on_failing_is_left_alone_for_that_app() {
    let stage = Stage::new().await;
    let (adapter, app, granted) = stage.linked().await;
    let token = granted.refresh.unwrap();
    let other = stage.app().await;
    let refresh = async |app| kind(&adapter.authorizer.refresh(&scope(1), app, &token).await);
    stage.fault(REFRESH, "html502", json!({})).await;
    adapter.outcomes();
    let mut tries = 0;
    while refresh(&app).await == ("unknown", 0) {
        tries += 1;
        assert!(tries < 50, "it is never left alone");
    }
    let outcomes = adapter.outcomes();
    assert_eq!((outcomes.last(), outcomes.first()), (Some(&"breaker_open"), Some(&"server_error")));
    assert_eq!(stage.calls(REFRESH).await, tries);
    assert_eq!(refresh(&app).await, ("not_done", 0));
    assert_eq!(stage.calls(REFRESH).await, tries, "nothing was sent");
    assert_eq!(refresh(&other).await, ("unknown", 0), "another app's calls go on");
    let profile = adapter.authorizer.profile(&scope(1), &app, &granted.access, &granted.open_id).await;
    assert_eq!(kind(&profile), ("done", 0), "and so do other endpoints");
    stage.stop().await;
}
