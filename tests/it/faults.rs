//! Postgres or Redis goes away under load, and comes back. No hang, no wrong answer, service returns by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::{
    app::{TestApp, TestStack},
    client::{Answer, Client},
};
use serde_json::json;

const QUERY: &str = "{ viewer { member { id name } tenant { slug } } }";

/// Longest an answer may take while a store is away.
const PROMPT: Duration = Duration::from_secs(12);

/// Keeps asking until told to stop, and gives every answer.
fn load(client: &Client, token: &str, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<Vec<Answer>>> {
    (0..8)
        .map(|_| {
            let (client, token, stop) = (client.clone(), token.to_owned(), Arc::clone(stop));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = client.graphql(&token, QUERY, json!({}));
                    answers.push(tokio::time::timeout(PROMPT, asked).await.expect("no hang").unwrap());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                answers
            })
        })
        .collect()
}

/// Every answer is whole and right, or says UNAVAILABLE; all have an ID.
fn judge(answers: &[Answer], slug: &str) -> (usize, usize) {
    let (mut right, mut unavailable) = (0, 0);
    for answer in answers {
        assert!(uuid::Uuid::parse_str(answer.compliance_id()).is_ok(), "{:?}", answer.headers);
        let viewer = answer.data("viewer");
        if viewer["tenant"]["slug"] == slug && viewer["member"]["name"] == "Owner" {
            right += 1;
        } else {
            assert_eq!(answer.code(), "UNAVAILABLE", "{} {}", answer.status, answer.body);
            unavailable += 1;
        }
    }
    (right, unavailable)
}

async fn until_ready(operators: &Client, wanted: u16, status: &str) {
    for _ in 0..200 {
        let ready = operators.send(reqwest::Method::GET, "/readyz", &[], None).await.unwrap();
        if ready.status == wanted && ready.body["status"] == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/readyz did not turn {wanted} {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed_under_load() {
    let mut stack = Box::pin(TestStack::start()).await.unwrap();
    let app: &TestApp = &stack.app;
    let tenant = app.tenant().await.unwrap();
    let (operators, client, token) =
        (app.operators().unwrap(), app.client.clone(), tenant.owner.token.clone());
    until_ready(&operators, 200, "ready").await;
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = load(&client, &token, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.stores.postgres_mut().unwrap().kill9().await;
    until_ready(&operators, 503, "unavailable").await;
    assert_eq!(operators.send(reqwest::Method::GET, "/livez", &[], None).await.unwrap().status, 200);
    Box::pin(stack.stores.postgres_mut().unwrap().restart()).await.unwrap();
    until_ready(&operators, 200, "ready").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.unwrap());
    }
    let (right, unavailable) = judge(&answers, &tenant.slug);
    assert!(right > 0 && unavailable > 0, "{right} right, {unavailable} unavailable");
    let after = client.graphql(&token, QUERY, json!({})).await.unwrap();
    assert_eq!(after.data("viewer")["tenant"]["slug"], tenant.slug, "{}", after.body);
    Box::pin(stack.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_under_load() {
    let mut stack = Box::pin(TestStack::start()).await.unwrap();
    let tenant = stack.app.tenant().await.unwrap();
    let (operators, client) = (stack.app.operators().unwrap(), stack.app.client.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = load(&client, &tenant.owner.token, &stop);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.stores.redis_mut().unwrap().kill9().await;
    until_ready(&operators, 200, "degraded").await;
    let mutation = "mutation { inviteMember(input: { email: \"r@example.com\", role: ADMIN }) @idempotent(key: \"r\") { token } }";
    let invited = client.graphql(&tenant.owner.token, mutation, json!({})).await.unwrap();
    assert!(
        invited.data("inviteMember")["token"].is_string(),
        "work goes on without Redis: {}",
        invited.body
    );
    let figures = operators.send(reqwest::Method::GET, "/metrics", &[], None).await.unwrap();
    assert_eq!(figures.status, 200);
    Box::pin(stack.stores.redis_mut().unwrap().restart()).await.unwrap();
    until_ready(&operators, 200, "ready").await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.unwrap());
    }
    let (right, unavailable) = judge(&answers, &tenant.slug);
    assert!(right > 0, "{right} right, {unavailable} unavailable");
    Box::pin(stack.stop()).await.unwrap();
}
