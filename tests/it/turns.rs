//! Whose turn it is, and what is done with it: fair between tenants, ended in order, and never without somebody's consent.

use std::{collections::HashSet, time::Duration};

use chrono::TimeDelta;
use domain::kernel::{clock::Clock as _, ids::IdSource as _};
use harness::{
    app::TestApp,
    client::Answer,
    platform::TestPlatform,
    posting::{Desk, is_there, posted, video},
};
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use server::serve::{Duties, Queue};
use sqlx::PgConnection;
use uuid::Uuid;

const CREATE: &str = "/api/douyin/v1/video/create_video/";
const PATIENCE: Duration = Duration::from_mins(2);

/// So many accounts of a tenant are due, the first as long ago.
async fn due(database: &mut PgConnection, tenant: Uuid, accounts: i32, ago_s: f64) {
    let sql = "INSERT INTO publishing.account_turns (tenant, account, due_at, leased_until, fence)
        SELECT $1, md5($1::text || n)::uuid, now() - make_interval(secs => $3 - n / 1e4), '-infinity', 0
        FROM generate_series(1, $2) AS n";
    sqlx::query(sql).bind(tenant).bind(accounts).bind(ago_s).execute(database).await.unwrap();
}

async fn claim(database: &mut PgConnection, most: i32) -> Vec<(Uuid, Uuid)> {
    let sql = "SELECT tenant, account FROM publishing.claim_turns($1, interval '1 minute')";
    sqlx::query_as(sql).bind(most).fetch_all(database).await.unwrap()
}

fn of(claimed: &[(Uuid, Uuid)], tenant: Uuid) -> usize {
    claimed.iter().filter(|(other, _)| *other == tenant).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_of_one_tenant_do_not_keep_anothers_waiting() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    assert_eq!(claim(&mut database, 16).await, [], "nothing is due");
    let [large, small, later] = [0; 3].map(|_| System.next_uuid());
    due(&mut database, large, 10_000, 3_600.0).await;
    due(&mut database, later, 5, -3_600.0).await;
    assert_eq!(claim(&mut database, 16).await.len(), 16, "all of the one that has something due");
    // Whatever is due longer, the other's is in the next claim.
    due(&mut database, small, 1, 0.5).await;
    let next = claim(&mut database, 16).await;
    assert_eq!((next.len(), of(&next, small), of(&next, large)), (16, 1, 15));
    assert_eq!(of(&claim(&mut database, 16).await, small), 0, "it is somebody's now");

    // Also when one is claimed at a time, as by a worker that has one place free, and whoever else waits longer: who has
    // none under way comes first.
    let free =
        "UPDATE publishing.account_turns SET leased_until = '-infinity', due_at = due_at - interval '1 hour'
        WHERE tenant <> $1";
    sqlx::query(free).bind(later).execute(&mut database).await.unwrap();
    let others = [0; 16].map(|_| System.next_uuid());
    for other in others {
        due(&mut database, other, 2, 7_200.0).await;
    }
    let latest = "UPDATE publishing.account_turns SET due_at = now() - interval '1 second' WHERE tenant = $1";
    sqlx::query(latest).bind(small).execute(&mut database).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..18 {
        order.push(claim(&mut database, 1).await[0].0);
    }
    assert!(
        order.iter().collect::<HashSet<_>>().len() == 18 && order.contains(&small),
        "each tenant once: {order:?}"
    );
    sqlx::query("DELETE FROM publishing.account_turns WHERE tenant = ANY ($1)")
        .bind(&others[..])
        .execute(&mut database)
        .await
        .unwrap();
    sqlx::query("DELETE FROM publishing.account_turns WHERE tenant = $1")
        .bind(small)
        .execute(&mut database)
        .await
        .unwrap();

    // Two who claim at once get different ones, and shares are even.
    let [one, other] = [0; 2].map(|_| System.next_uuid());
    due(&mut database, one, 50, 10.0).await;
    due(&mut database, other, 3, 10.0).await;
    let mut second = app.superuser_connection().await.unwrap();
    let (first, second) = tokio::join!(claim(&mut database, 9), claim(&mut second, 9));
    let both: Vec<_> = first.iter().chain(&second).copied().collect();
    assert_eq!(both.iter().collect::<HashSet<_>>().len(), 18, "each once");
    assert_eq!(of(&both, other), 3);
    assert!(of(&both, one) >= 6 && of(&both, large) >= 6, "{} and {}", of(&both, one), of(&both, large));
    // A claim that is larger than what is left gives what is left.
    sqlx::query("DELETE FROM publishing.account_turns WHERE tenant = $1")
        .bind(large)
        .execute(&mut database)
        .await
        .unwrap();
    let rest = claim(&mut database, 500).await;
    assert_eq!((rest.len(), of(&rest, one)), (50 - of(&both, one), 50 - of(&both, one)));
    assert_eq!(claim(&mut database, 500).await, []);
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_file_is_not_kept_waiting_by_thousands_of_another() {
    let app = TestApp::start_for(&[], &Duties::all_but(Queue::Uploads)).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let [large, small] = [0; 2].map(|_| System.next_uuid());
    // Of files that are not there: nobody but the claims is asked here.
    sqlx::query("SET session_replication_role = replica").execute(&mut database).await.unwrap();
    for (tenant, files, work, ago_s) in [
        (large, 3_000, "tend", 3_600.0),
        (small, 2, "tend", 1.0),
        (large, 2_000, "transcode", 3_600.0),
        (small, 1, "transcode", 1.0),
    ] {
        let sql = "INSERT INTO content.upload_schedule (tenant, upload, due_at, leased_until, work)
            SELECT $1, md5($1::text || $3 || n)::uuid, now() - make_interval(secs => $4), '-infinity', $3
            FROM generate_series(1, $2) AS n";
        let filled = sqlx::query(sql).bind(tenant).bind(files).bind(work).bind(ago_s);
        filled.execute(&mut database).await.unwrap();
    }
    let mut claim = async |of: &str, most: i32| -> Vec<Uuid> {
        let sql = format!("SELECT tenant FROM content.claim_due_{of}(now(), $1, interval '1 minute')");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(most).fetch_all(&mut database).await.unwrap()
    };
    let share = |claimed: Vec<Uuid>| claimed.into_iter().filter(|tenant| *tenant == small).count();
    assert_eq!(share(claim("uploads", 8).await), 2, "its two are among the first eight");
    assert_eq!(share(claim("uploads", 8).await), 0, "and somebody's now");
    // One at a time: who has one under way comes after who has none.
    let turns = [claim("transcodes", 1).await, claim("transcodes", 1).await].concat();
    assert_eq!(share(turns), 1);
    app.stop().await.unwrap();
}

async fn one_post(desk: &Desk, app: &TestApp, plan: &str) -> Value {
    desk.posts(app, plan).await.unwrap().remove(0)
}

async fn until_hindered(desk: &Desk, app: &TestApp, plan: &str, by: &str) {
    let hindered = |post: &Value| post["hinderedBy"].as_str().is_some_and(|why| why.contains(by));
    desk.until(app, plan, PATIENCE, hindered).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_to_stop_waits_for_the_platform_and_asks_for_nothing_more() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let slow = json!({ "path": CREATE, "harm": "slow", "count": 1, "delay_ms": 4_000 });
    platform.control(Method::POST, "faults", &slow).await.unwrap();
    let asked = desk.post(&app, &[(0, "asked".to_owned())], System.now()).await.unwrap();
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let begun = tokio::time::Instant::now();
    while posted(&platform).await.unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for: {}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(one_post(&desk, &app, &asked).await["status"], "CREATING");
    let number = worker.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &number]).status().unwrap().success());
    // What is due by now is for others.
    let late = desk.post(&app, &[(1, "late".to_owned())], System.now()).await.unwrap();
    assert_eq!(worker.ended().await.unwrap(), Some(0));
    let post = one_post(&desk, &app, &asked).await;
    assert!(is_there(&post), "its answer was waited for: {post}");
    assert!(!post["timeline"].to_string().contains("ANSWER_LOST"), "{post}");
    assert_eq!(one_post(&desk, &app, &late).await["status"], "WAITING");
    assert_eq!(platform.calls(CREATE).await.unwrap().0, 1);
    app.stop().await.unwrap();
    platform.stop().await;
}

/// A worker that stands still for longer than its turn lasts is followed by another; what it does once it goes on is refused,
/// but for what the platform answered it.
#[tokio::test(flavor = "multi_thread")]
async fn who_stood_still_for_longer_than_a_turn_spoils_nothing() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &video(0).await.unwrap()).await.unwrap();
    let slow = json!({ "path": CREATE, "harm": "slow", "count": 1, "delay_ms": 3_000 });
    platform.control(Method::POST, "faults", &slow).await.unwrap();
    let plan = desk.post(&app, &[(0, "once".to_owned())], System.now()).await.unwrap();
    let signal = |worker: &harness::process::Process, name: &str| {
        let number = worker.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([name, &number]).status().unwrap().success());
    };
    let still = app.process(&["work", "--queue", "posts"]).unwrap();
    let begun = tokio::time::Instant::now();
    while posted(&platform).await.unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for: {}", still.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    signal(&still, "-STOP");
    let fence = "SELECT fence FROM publishing.account_turns WHERE tenant = $1";
    let mut database = app.superuser_connection().await.unwrap();
    let tenant = desk.tenant.id.uuid();
    let before: i64 = sqlx::query_scalar(fence).bind(tenant).fetch_one(&mut database).await.unwrap();
    // As if its turn had lasted until now.
    let over =
        "UPDATE publishing.account_turns SET leased_until = now() - interval '1 second' WHERE tenant = $1";
    sqlx::query(over).bind(tenant).execute(&mut database).await.unwrap();
    let next = app.process(&["work", "--queue", "posts"]).unwrap();
    let found = desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    let after: i64 = sqlx::query_scalar(fence).bind(tenant).fetch_one(&mut database).await.unwrap();
    assert!(after > before, "another turn: {before}, {after}");
    signal(&still, "-CONT");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let post = one_post(&desk, &app, &plan).await;
    assert_eq!((&post["item"], posted(&platform).await.unwrap().len()), (&found[0]["item"], 1), "{post}");
    assert_eq!(platform.calls(CREATE).await.unwrap().0, 1, "asked for once");
    assert!(is_there(&post), "{post}");
    for worker in [still, next] {
        worker.kill9().await.unwrap();
    }
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_that_nobody_agreed_to_as_it_is() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let items = [(0, "with".to_owned()), (1, "without".to_owned())];
    let plan = desk.post(&app, &items, System.now()).await.unwrap();
    let query = "query ($plan: ID!) { posts(planId: $plan, first: 20) { nodes {
        caption digest receipts { digest confirmedById confirmedAt complianceId } } } }";
    let told = app.client.graphql(token, query, json!({ "plan": plan })).await.unwrap();
    for post in told.data("posts")["nodes"].as_array().unwrap() {
        let receipts = post["receipts"].as_array().unwrap();
        assert_eq!((receipts.len(), &receipts[0]["digest"]), (1, &post["digest"]), "{}", told.body);
        assert!(receipts[0]["confirmedById"].is_string() && receipts[0]["confirmedAt"].is_string());
    }
    // As if it had come to be due in some other way than by somebody's consent.
    let mut database = app.superuser_connection().await.unwrap();
    let removed = "DELETE FROM publishing.receipts AS r USING publishing.posts AS p
        WHERE p.tenant_id = r.tenant_id AND p.id = r.post_id AND p.caption = 'without'";
    assert_eq!(sqlx::query(removed).execute(&mut database).await.unwrap().rows_affected(), 1);
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let settled = |post: &Value| is_there(post) || post["status"] == "AWAITING_APPROVAL";
    let posts = desk.until(&app, &plan, PATIENCE, settled).await.unwrap();
    let without = posts.iter().find(|post| post["caption"] == "without").unwrap();
    assert!(without["timeline"].to_string().contains("nobody has agreed to this post as it is"), "{without}");
    assert_eq!(posted(&platform).await.unwrap().len(), 1);
    assert_eq!(platform.calls(CREATE).await.unwrap().0, 1);
    // It waits for somebody, who may agree to it as to any other.
    desk.approve(&app, &plan).await.unwrap();
    desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    assert_eq!(posted(&platform).await.unwrap().len(), 2);
    worker.kill9().await.unwrap();
    app.stop().await.unwrap();
    platform.stop().await;
}

/// The platform did what it was asked, nobody heard, and then nobody may look for us: whoever looks himself can say so.
#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_read_any_more_can_be_said_by_who_looks() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let plan = desk.post(&app, &[(0, "lost".to_owned())], System.now()).await.unwrap();
    let slow = json!({ "path": CREATE, "harm": "slow", "count": 1, "delay_ms": 20_000 });
    platform.control(Method::POST, "faults", &slow).await.unwrap();
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let begun = tokio::time::Instant::now();
    while posted(&platform).await.unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for: {}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.kill9().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let gone =
        "UPDATE accounts.accounts SET state = 'consent_needed', consent_end = 'revoked', state_since = now()
        WHERE tenant_id = $1";
    let tenant = desk.tenant.id.uuid();
    assert_eq!(sqlx::query(gone).bind(tenant).execute(&mut database).await.unwrap().rows_affected(), 1);
    // Lists may take their time: a minute to ask in, and two seconds here.
    let earlier = "UPDATE publishing.posts SET progress = jsonb_set(progress, '{creations,0,asked_at}',
        to_jsonb((progress #>> '{creations,0,asked_at}')::timestamptz - interval '70 seconds')) WHERE tenant_id = $1";
    assert_eq!(sqlx::query(earlier).bind(tenant).execute(&mut database).await.unwrap().rows_affected(), 1);
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let undecided = |post: &Value| post["needsDecision"] == true;
    let post = desk.until(&app, &plan, PATIENCE, undecided).await.unwrap().remove(0);
    assert_eq!(post["status"], "OUTCOME_UNKNOWN");
    assert_eq!(post["hinderedBy"], "the account's owner must consent again");
    let address = format!("{}/metrics", app.operators().unwrap().base());
    let figures = async || platform.http().get(&address).send().await.unwrap().text().await.unwrap();
    let begun = tokio::time::Instant::now();
    while !figures().await.contains("matricula_post_accounts_held{by=\"undecided\"} 1") {
        assert!(begun.elapsed() < PATIENCE, "the figure does not tell");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let mutation = "mutation ($i: ResolvePostInput!) { resolvePost(input: $i) @idempotent(key: \"r\") {
        post { status item } userErrors { code message } } }";
    let is = json!({ "i": { "id": post["id"], "item": "@seen-by-hand" } });
    let said: Answer = app.client.graphql(token, mutation, is).await.unwrap();
    assert_eq!(said.data("resolvePost")["post"]["item"], "@seen-by-hand", "{}", said.body);
    assert_eq!(platform.calls(CREATE).await.unwrap().0, 1, "asked for once");
    let begun = tokio::time::Instant::now();
    while !figures().await.contains("matricula_post_accounts_held{by=\"undecided\"} 0") {
        assert!(begun.elapsed() < PATIENCE, "it is told for ever");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    worker.kill9().await.unwrap();
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_planned_as_long_ahead_as_is_asked() {
    let platform = TestPlatform::start().unwrap();
    let mut settings = platform.posting_settings().to_vec();
    settings.push(("MATRICULA_PUBLISHING_LEAD_S", "3600"));
    let app = TestApp::start_with(&settings).await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let caption = || [(0, "ahead".to_owned())];
    for minutes in [-5, 0, 59] {
        let refused = desk.plan(&app, &caption(), System.now() + TimeDelta::minutes(minutes)).await;
        let why = refused.expect_err("too soon").to_string();
        assert!(why.contains("is planned too soon; plan it for"), "{why}");
    }
    let plan = desk.plan(&app, &caption(), System.now() + TimeDelta::minutes(62)).await.unwrap();
    // What is planned may be changed but for its time, and moved as far ahead as a new one.
    let id = one_post(&desk, &app, &plan).await["id"].clone();
    let mutation =
        "mutation ($i: ChangePostInput!, $k: String!) { changePost(input: $i) @idempotent(key: $k) {
        post { id } userErrors { code message } } }";
    for (input, code) in [
        (json!({ "id": id, "caption": "other" }), ""),
        (json!({ "id": id, "plannedAt": System.now() + TimeDelta::minutes(30) }), "NOT_POSTABLE"),
        (json!({ "id": id, "plannedAt": System.now() + TimeDelta::minutes(90) }), ""),
    ] {
        let variables = json!({ "i": input, "k": System.next_uuid() });
        let answer = app.client.graphql(token, mutation, variables).await.unwrap();
        assert_eq!(answer.refusal("changePost"), code, "{}", answer.body);
    }
    // The fleet is planned from there on.
    let (from, until) = (System.now(), System.now() + TimeDelta::hours(6));
    let query = "query ($i: FleetPlanInput!) { fleetPlan(input: $i) { placements { plannedAt } } }";
    let input = |until| json!({ "i": { "items": [{ "uploadId": desk.video }], "from": from, "until": until, "spacingMinutes": 60 } });
    let told = app.client.graphql(token, query, input(until)).await.unwrap();
    let at = told.data("fleetPlan")["placements"][0]["plannedAt"].as_str().unwrap().to_owned();
    assert!(
        at.parse::<chrono::DateTime<chrono::Utc>>().unwrap() >= from + TimeDelta::minutes(60),
        "{}",
        told.body
    );
    let none = app.client.graphql(token, query, input(System.now() + TimeDelta::minutes(30))).await.unwrap();
    assert!(none.body.to_string().contains("posts are planned so long ahead"), "{}", none.body);
    app.stop().await.unwrap();
    platform.stop().await;
}

/// A day that is used up is not asked for again, nor is a file sent for it in vain.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_for_a_day_that_is_used_up() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &video(0).await.unwrap()).await.unwrap();
    platform.control(Method::PATCH, "switches", &json!({ "publish_per_day": 0 })).await.unwrap();
    // Long enough after for the books, which are written once a second; it is planned before anybody knows.
    let later = System.now() + TimeDelta::seconds(10);
    let second = desk.post(&app, &[(0, "second".to_owned())], later).await.unwrap();
    let first = desk.post(&app, &[(0, "first".to_owned())], System.now()).await.unwrap();
    until_hindered(&desk, &app, &first, "posts_used_up").await;
    let upload = "/api/douyin/v1/video/upload_video/";
    let before = platform.calls(upload).await.unwrap().0;
    until_hindered(&desk, &app, &second, "as many posts today as its platform takes").await;
    assert_eq!(platform.calls(upload).await.unwrap().0, before, "no file is sent");
    let due_at: chrono::DateTime<chrono::Utc> =
        one_post(&desk, &app, &second).await["dueAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(due_at.timestamp() % 86_400, 16 * 3_600, "midnight in Beijing: {due_at}");
    let waiting = one_post(&desk, &app, &second).await;
    assert_eq!(waiting["status"], "WAITING");
    assert!(waiting["allowedActions"].to_string().contains("CHANGE"), "it can be moved: {waiting}");
    app.stop().await.unwrap();
    platform.stop().await;
}
