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
    // Every answer that was given before, meanwhile or after has its event once, and the logs are whole.
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for answer in answers.iter().filter(|answer| answer.code().is_empty()) {
        let events: i64 =
            sqlx::query_scalar("SELECT count(*) FROM compliance.audit_leaves WHERE compliance_id = $1::uuid")
                .bind(answer.compliance_id())
                .fetch_one(&mut database)
                .await
                .unwrap();
        assert_eq!(events, 1, "{}", answer.compliance_id());
    }
    app.check_logs().await.unwrap();
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

/// Sends a request whole and is gone before the answer.
async fn send_and_leave(client: &Client, token: &str, body: &str) {
    use tokio::io::AsyncWriteExt as _;
    let host = client.base().trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // Not an orderly end: what is still on its way to this side is refused.
    stream.set_zero_linger().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_leave_nothing_half_done() {
    const ASKED: usize = 24;
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let cut = (0..ASKED).map(|number| {
        let query = format!(
            "mutation {{ inviteMember(input: {{ email: \"cut-{number}@example.com\", role: ANALYST }})
             @idempotent(key: \"cut-{number}\") {{ token }} }}"
        );
        let (client, token) = (app.client.clone(), tenant.owner.token.clone());
        async move { send_and_leave(&client, &token, &json!({ "query": query }).to_string()).await }
    });
    futures_util::future::join_all(cut).await;
    // Whatever was begun goes on to its end: asked again under their keys, all are there once.
    for number in 0..ASKED {
        let query = format!(
            "mutation {{ inviteMember(input: {{ email: \"cut-{number}@example.com\", role: ANALYST }})
             @idempotent(key: \"cut-{number}\") {{ invitation {{ id }} userErrors {{ code }} }} }}"
        );
        app.client
            .graphql_until(&tenant.owner.token, &query, json!({}), |answer| {
                answer.data("inviteMember")["invitation"]["id"].is_string()
            })
            .await
            .unwrap();
    }
    app.settle().await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    let counts: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM identity.invitations WHERE tenant_id = $1),
                (SELECT count(*) FROM compliance.audit_leaves
                 WHERE tenant_id = $1 AND type = 'invite_member' AND outcome = 'success'
                   AND convert_from(leaf, 'UTF8') NOT LIKE '%\"replayed\"%'),
                (SELECT count(*) FROM compliance.audit_leaves AS e
                 WHERE tenant_id = $1 AND type = 'invite_member' AND NOT EXISTS (
                     SELECT FROM compliance.audit_leaves AS a WHERE a.tenant_id = e.tenant_id
                       AND a.compliance_id = e.compliance_id AND a.stream = 'access'))",
    )
    .bind(tenant.id.uuid())
    .fetch_one(&mut database)
    .await
    .unwrap();
    let asked = i64::try_from(ASKED).unwrap();
    assert_eq!(counts, (asked, asked, 0), "invitations, their events, events without an access event");
    app.stop().await.unwrap();
}
