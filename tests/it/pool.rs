//! The token pool on two replicas, against a platform that fails: every account ends with a token that works.
//!
//! `MATRICULA_TEST_POOL_ACCOUNTS` says how many accounts are due in the same minute; the test prints what it took.

use std::{io::Write as _, time::Duration};

use harness::{
    app::{TestApp, TestTenant},
    platform::{TestPlatform, TestPlatformApp},
};
use reqwest::Method;
use serde_json::json;
use sqlx::Row as _;

/// Accounts in an ordinary test run.
const ACCOUNTS: usize = 60;

/// Longest all of them may take.
const PATIENCE: Duration = Duration::from_mins(4);

#[expect(clippy::disallowed_methods, reason = "how large a rehearsal is, is said by who runs it")]
fn accounts() -> usize {
    std::env::var("MATRICULA_TEST_POOL_ACCOUNTS").ok().and_then(|text| text.parse().ok()).unwrap_or(ACCOUNTS)
}

async fn link_all(
    platform: &TestPlatform,
    app: &TestApp,
    tenant: &TestTenant,
    registered: &TestPlatformApp,
    count: usize,
) {
    for number in 0..count {
        if number == count / 4 {
            // The first quarter's refresh tokens have six days left, the others' thirty.
            platform.control(Method::POST, "clock", &json!({ "advance_s": 24 * 86_400 })).await.unwrap();
        }
        let name = format!("Owner {number}");
        let (status, text) =
            platform.link(&app.client, &tenant.owner.token, registered, &name).await.unwrap();
        assert_eq!(status, 200, "{text}");
    }
}

/// Lets every access token end within the same minute, and the first quarter's refresh tokens within the week.
async fn age(app: &TestApp) {
    let mut database = app.superuser_connection().await.unwrap();
    for sql in [
        "UPDATE accounts.tokens SET access_issued_at = now() - interval '15 days', access_expires_at = now() + interval '5 minutes'",
        "UPDATE accounts.tokens SET refresh_expires_at = now() + interval '6 days' WHERE account_id IN
             (SELECT id FROM accounts.accounts ORDER BY created_at LIMIT (SELECT count(*) / 4 FROM accounts.accounts))",
        "UPDATE accounts.token_schedule SET due_at = now()",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
}

/// Accounts whose access token is not fresh, or whose refresh token is about to end, or that are not connected.
async fn unfinished(app: &TestApp) -> (i64, i64) {
    let mut database = app.superuser_connection().await.unwrap();
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM accounts.tokens WHERE access_expires_at < now() + interval '14 days'
                    OR refresh_expires_at < now() + interval '7 days' OR renewing_since IS NOT NULL) AS stale,
                (SELECT count(*) FROM accounts.accounts WHERE state <> 'connected') AS lost",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    (row.get("stale"), row.get("lost"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_platform_and_two_replicas_leave_every_account_with_a_token_that_works() {
    let count = accounts();
    let platform = TestPlatform::start().unwrap();
    let app = platform.app().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    Box::pin(link_all(&platform, &app, &tenant, &registered, count)).await;
    let (replica, _) = app.replica().await.unwrap();

    let fault = |path: &str, draft: serde_json::Value| {
        let mut draft = draft;
        draft["path"] = path.into();
        draft
    };
    let refresh = "/oauth/refresh_token/";
    let renew = "/oauth/renew_refresh_token/";
    for draft in [
        // Once each: the work is done, and the connection is closed without an answer.
        fault(refresh, json!({ "harm": "reset", "count": 1, "skip": 3 })),
        fault(renew, json!({ "harm": "reset", "count": 1, "skip": 2 })),
        fault(refresh, json!({ "harm": "busy", "permille": 100 })),
        fault(refresh, json!({ "harm": "html502", "permille": 111 })),
        fault(renew, json!({ "harm": "busy", "permille": 200 })),
    ] {
        platform.control(Method::POST, "faults", &draft).await.unwrap();
    }
    let before = (platform.calls(refresh).await.unwrap(), platform.calls(renew).await.unwrap());
    assert_eq!(before, ((0, 0), (0, 0)), "nothing was due before");
    age(&app).await;
    let begun = tokio::time::Instant::now();
    loop {
        let (stale, lost) = unfinished(&app).await;
        assert_eq!(lost, 0, "an account was disconnected");
        if stale == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{stale} of {count} accounts are not done");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = begun.elapsed();
    let (asked, refreshed) = platform.calls(refresh).await.unwrap();
    let (renewals, renewed) = platform.calls(renew).await.unwrap();
    let due = count / 4;
    let least = count + due;
    let ratio = (asked + renewals) * 100 / least;
    writeln!(
        std::io::stderr(),
        "{count} accounts, {due} with a renewal: {asked} refresh calls ({refreshed} done), {renewals} renewals \
         ({renewed} done), {ratio} % of the least, in {took:?}"
    )
    .unwrap();
    // A renewal is never asked for twice with one token: each account's was done once, the lost one's too.
    assert_eq!(renewed, due, "of {renewals} calls");
    // A refresh is done again only where its answer was lost, or to find out what became of a renewal: one of each was
    // lost, and those that were not done were asked about too.
    let asked_about = renewals - renewed + 1;
    assert!(refreshed <= count + 1 + asked_about, "{refreshed}");
    // A fifth fails by chance: of few accounts, now and then many do.
    let most = if count < 300 { 190 } else { 150 };
    assert!(ratio < most, "{ratio} % of the least number of calls");
    the_tokens_are_the_ones_that_work(&platform, &app, count).await;
    replica.stop().await;
    app.stop().await.unwrap();
    platform.stop().await;
}

/// Waits until the platform has made as many renewals.
async fn until_renewed(platform: &TestPlatform, count: usize) {
    let begun = tokio::time::Instant::now();
    while platform.calls("/oauth/renew_refresh_token/").await.unwrap().1 < count {
        assert!(begun.elapsed() < PATIENCE, "no renewal was asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_renewals_answer_and_its_commit_the_new_token_is_not_lost() {
    let platform = TestPlatform::start().unwrap();
    let app = Box::pin(platform.untended_app()).await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let registered = platform.register(&app, &tenant).await.unwrap();
    Box::pin(link_all(&platform, &app, &tenant, &registered, 4)).await;
    age(&app).await;
    // Nobody may write of tokens from the moment that a renewal is noted, so that its answer can't be committed. What
    // was noted is seen by a trigger: a lock taken any earlier would keep the renewal from being asked for.
    let mut database = app.superuser_connection().await.unwrap();
    for sql in [
        "CREATE FUNCTION accounts.hold_answers() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$",
        "CREATE TRIGGER hold_answers BEFORE UPDATE ON accounts.tokens FOR EACH ROW
         WHEN (OLD.renewing_since IS NOT NULL AND NEW.renewing_since IS NULL) EXECUTE FUNCTION accounts.hold_answers()",
        "GRANT EXECUTE ON FUNCTION accounts.hold_answers() TO PUBLIC",
        "SELECT pg_advisory_lock(4711)",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    let worker = app.process(&["work", "--queue", "tokens"]).unwrap();
    until_renewed(&platform, 1).await;
    // The answer has come when somebody waits to write it down.
    let begun = tokio::time::Instant::now();
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted",
        )
        .fetch_one(&mut database)
        .await
        .unwrap();
        if waiting > 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "no answer is waiting: {}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.kill9().await.unwrap();
    // Whoever was waiting is gone, and so is what it would have written.
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted",
    )
    .execute(&mut database)
    .await
    .unwrap();
    sqlx::query("SELECT pg_advisory_unlock(4711)").execute(&mut database).await.unwrap();
    let renewing: i64 =
        sqlx::query_scalar("SELECT count(*) FROM accounts.tokens WHERE renewing_since IS NOT NULL")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert!(renewing >= 1, "the renewal is noted, and its answer is not");

    // Claims of the one that is gone run out by themselves; nobody waits for that here.
    sqlx::query("UPDATE accounts.token_schedule SET leased_until = '-infinity', due_at = now()")
        .execute(&mut database)
        .await
        .unwrap();
    let second = app.process(&["work", "--queue", "tokens"]).unwrap();
    let begun = tokio::time::Instant::now();
    loop {
        let (stale, lost) = unfinished(&app).await;
        assert_eq!(lost, 0, "an account was disconnected: {}", second.log());
        if stale == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{stale} accounts are not done: {}", second.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(platform.calls("/oauth/renew_refresh_token/").await.unwrap(), (1, 1), "asked for once");
    the_tokens_are_the_ones_that_work(&platform, &app, 4).await;
    second.kill9().await.unwrap();
    app.stop().await.unwrap();
    platform.stop().await;
}

/// Asks the platform with every token that is kept.
async fn the_tokens_are_the_ones_that_work(platform: &TestPlatform, app: &TestApp, count: usize) {
    platform.control(Method::DELETE, "faults", &json!({})).await.unwrap();
    let parts = &app.service.parts.app;
    let mut database = app.superuser_connection().await.unwrap();
    let rows =
        sqlx::query("SELECT tenant_id, id FROM accounts.accounts").fetch_all(&mut database).await.unwrap();
    let mut works = 0;
    for row in rows {
        let tenant = domain::kernel::ids::TenantId::from_uuid(row.get("tenant_id"));
        let account = domain::kernel::ids::AccountId::from_uuid(row.get("id"));
        let scope = domain::kernel::scope::TenantScope::of(tenant);
        let lease = parts.accounts.lease_token(&app.origin("test"), scope, account).await.unwrap();
        let mut url = url::Url::parse(&format!("{}/oauth/userinfo/", platform.url)).unwrap();
        let access = lease.access.expose_str().unwrap();
        url.query_pairs_mut().append_pair("access_token", access).append_pair("open_id", &lease.open_id);
        let answer = platform.http().post(url).send().await.unwrap();
        let body: serde_json::Value = answer.json().await.unwrap();
        works += usize::from(body["data"]["error_code"] == 0);
    }
    assert_eq!(works, count, "every token is let in");
}
