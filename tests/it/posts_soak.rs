//! Posts that are due at once, by workers that are killed, on a database that is restarted and a platform that fails and
//! lies: each is there once.
//!
//! `MATRICULA_TEST_POSTS` says how many; the test prints what it took.

use std::{collections::HashSet, io::Write as _, time::Duration};

use chrono::TimeDelta;
use domain::kernel::clock::Clock as _;
use harness::{
    app::{TestApp, TestStack},
    platform::TestPlatform,
    posting::{Desk, video},
    process::Process,
};
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};
use server::serve::{Duties, Queue};

/// Posts in an ordinary test run.
const POSTS: usize = 48;

/// Longest all of them may take.
const PATIENCE: Duration = Duration::from_mins(25);

#[expect(clippy::disallowed_methods, reason = "how large a rehearsal is, is said by who runs it")]
fn posts() -> usize {
    std::env::var("MATRICULA_TEST_POSTS").ok().and_then(|text| text.parse().ok()).unwrap_or(POSTS)
}

/// How many posts are not there yet; `None` while the database is away.
async fn missing(app: &TestApp) -> Option<i64> {
    let mut database = app.superuser_connection().await.ok()?;
    let sql = "SELECT count(*) FROM publishing.posts WHERE status NOT IN ('under_review', 'live')";
    sqlx::query_scalar(sql).fetch_one(&mut database).await.ok()
}

/// Lets a tenth and a half of calls fail, a few be cut after they were heard, and a few say "busy" when they were done.
async fn arm(platform: &TestPlatform) {
    let create = "/api/douyin/v1/video/create_video/";
    for draft in [
        json!({ "path": create, "harm": "busy", "permille": 20, "after_commit": true }),
        json!({ "path": create, "harm": "reset", "permille": 30 }),
        json!({ "path": "/api/douyin/v1/video/*", "harm": "busy", "permille": 50 }),
        json!({ "path": "/api/douyin/v1/video/*", "harm": "html502", "permille": 50 }),
        json!({ "path": "/api/douyin/v1/video/*", "harm": "rate", "permille": 50 }),
    ] {
        platform.control(Method::POST, "faults", &draft).await.unwrap();
    }
}

/// Kills a worker every five seconds, starts another in its place, and restarts the database once, until all is there.
async fn harass(stack: &mut TestStack, workers: &mut Vec<Process>, count: usize) -> usize {
    let begun = tokio::time::Instant::now();
    let (mut kills, mut restarted) = (0, false);
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if missing(&stack.app).await == Some(0) {
            return kills;
        }
        assert!(begun.elapsed() < PATIENCE, "{:?} of {count} posts are not there", missing(&stack.app).await);
        let worker = workers.remove(0);
        worker.kill9().await.unwrap();
        kills += 1;
        workers.push(stack.app.process(&["work", "--queue", "posts"]).unwrap());
        if !restarted && begun.elapsed() > Duration::from_secs(30) {
            stack.stores.postgres_mut().unwrap().kill9().await;
            Box::pin(stack.stores.postgres_mut().unwrap().restart()).await.unwrap();
            restarted = true;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_post_is_there_once() {
    let count = posts();
    let platform = TestPlatform::start().unwrap();
    let switches = json!({ "call_quota": {}, "calls_per_s": 10_000, "review_delay_s": 3_600 });
    platform.control(Method::PATCH, "switches", &switches).await.unwrap();
    let duties = Duties::all_but(Queue::Posts);
    let mut stack = Box::pin(TestStack::start_for(&platform.posting_settings(), &duties)).await.unwrap();
    // Of one account one waits for another, a minute each time nobody knows what became of one.
    let (tenants, each) = if count < 1_000 { (2, 3) } else { (4, 10) };
    let accounts = count.div_ceil(each * tenants);
    let file = video(0).await.unwrap();
    let planned_at = System.now();
    for _ in 0..tenants {
        let app = &stack.app;
        let desk = Box::pin(Desk::open(&platform, app, accounts, &file)).await.unwrap();
        // A plan has one post for each account.
        let items: Vec<_> =
            (0..count / tenants).map(|n| (n % accounts, format!("post number {n}"))).collect();
        for some in items.chunks(accounts) {
            desk.post(app, some, planned_at).await.unwrap();
        }
    }
    let count = count / tenants * tenants;
    // All are due at the same instant: when workers come.
    let due_at = System.now();
    let mut database = stack.app.superuser_connection().await.unwrap();
    // When they are planned for is agreed to, and stays as it is.
    let sql = "UPDATE publishing.posts SET promised_at = $1, due_at = $1";
    sqlx::query(sql).bind(due_at).execute(&mut database).await.unwrap();
    drop(database);
    arm(&platform).await;
    let begun = tokio::time::Instant::now();
    let mut workers: Vec<_> =
        (0..3).map(|_| stack.app.process(&["work", "--queue", "posts"]).unwrap()).collect();
    let kills = Box::pin(harass(&mut stack, &mut workers, count)).await;
    let took = begun.elapsed();

    // The ledger says what was really done: each once, and what is shown is what is there.
    let told = platform.control(Method::GET, "ledger?kind=post", &Value::Null).await.unwrap();
    let effects = told["effects"].as_array().unwrap();
    let different: HashSet<_> =
        effects.iter().map(|effect| effect["content_fingerprint"].to_string()).collect();
    assert_eq!((effects.len(), different.len()), (count, count), "posts, and different ones");
    let there: HashSet<_> =
        effects.iter().map(|effect| effect["made"]["item_id"].as_str().unwrap()).collect();
    let mut database = stack.app.superuser_connection().await.unwrap();
    let shown: Vec<String> =
        sqlx::query_scalar("SELECT item FROM publishing.posts").fetch_all(&mut database).await.unwrap();
    assert!(shown.iter().all(|item| there.contains(item.as_str())), "a post is shown that is not there");
    assert_eq!(shown.len(), count);
    // And each is shown as the one that it is: with its own text, and no other's.
    let told = platform.control(Method::GET, "posts", &Value::Null).await.unwrap();
    let there: HashSet<(String, String)> = told["posts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|post| {
            let text = post["text"].as_str().unwrap().to_owned();
            let ids = post["item_ids"].as_object().unwrap().values();
            ids.map(move |id| (id.as_str().unwrap().to_owned(), text.clone())).collect::<Vec<_>>()
        })
        .collect();
    let shown: Vec<(String, String)> =
        sqlx::query_as("SELECT item, caption FROM publishing.posts").fetch_all(&mut database).await.unwrap();
    let wrong: Vec<_> = shown.iter().filter(|post| !there.contains(*post)).take(5).collect();
    assert!(wrong.is_empty(), "shown with another's text: {wrong:?}");
    let late: Vec<f64> = sqlx::query_scalar(
        "SELECT percentile_cont(array[0.5, 0.99, 1]) WITHIN GROUP
             (ORDER BY extract(epoch FROM accepted_at - promised_at)::float8) FROM publishing.posts",
    )
    .fetch_one(&mut database)
    .await
    .unwrap();
    let said: Vec<(String, i64)> =
        sqlx::query_as("SELECT kind, count(*) FROM publishing.post_notes GROUP BY kind ORDER BY kind")
            .fetch_all(&mut database)
            .await
            .unwrap();
    let accepted = System.now() - due_at;
    assert!(accepted > TimeDelta::zero());
    writeln!(
        std::io::stderr(),
        "{count} posts on {} accounts of {tenants} tenants, 3 workers, {kills} killed, Postgres restarted: each there \
         once after {took:.0?}; late by {:.1} s (median), {:.1} s (p99), {:.1} s (most); {said:?}",
        accounts * tenants,
        late[0],
        late[1],
        late[2]
    )
    .unwrap();
    for worker in workers {
        worker.kill9().await.unwrap();
    }
    Box::pin(stack.stop()).await.unwrap();
    platform.stop().await;
}
