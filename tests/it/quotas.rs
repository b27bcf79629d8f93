//! What was used of platforms' quotas, and how calls to platforms go: kept, told to whoever may know, and true.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::kernel::{
    clock::Clock as _,
    ids::{AccountId, AppId},
    scope::TenantScope,
};
use harness::{
    app::{TestApp, TestStack, TestTenant},
    client::Answer,
    platform::TestPlatform,
    posting::{Desk, is_there, posted, video},
};
use infra::{
    outbound::{Call, CallCounter as _, Judgement, Line, Method, TryEnd},
    postgres::{Db, PgQuotaLedger, PoolSettings},
    system::System,
};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_mins(2);

const OF_ACCOUNT: &str = "query ($id: ID!) { platformQuotas(accountId: $id) {
    quota endpoints owner appId accountId period limit used unsure remaining beginsAt resetsAt exhaustedUntil source } }";

const HEALTH: &str = "{ platformHealth { state isDegraded processes asOf endpoints {
    platform appId endpoint state openUntil processes processesNotClosed calls failedPermille p99AtMostMs waiting asOf } } }";

fn quota(answer: &Answer, name: &str) -> Value {
    let all = answer.data("platformQuotas").as_array().unwrap();
    all.iter().find(|quota| quota["quota"] == name).unwrap_or_else(|| panic!("{}", answer.body)).clone()
}

fn one(account: usize, text: &str) -> [(usize, String); 1] {
    [(account, text.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_is_kept_and_what_the_platform_says_is_believed() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let of = |account: usize| json!({ "id": desk.accounts[account] });

    let before = app.client.graphql(token, OF_ACCOUNT, of(0)).await.unwrap();
    let posts = quota(&before, "posts");
    assert_eq!((&posts["used"], &posts["limit"], &posts["remaining"]), (&json!(0), &json!(75), &json!(75)));
    assert_eq!((&posts["owner"], &posts["accountId"]), (&json!("ACCOUNT"), &json!(desk.accounts[0])));
    let calls = quota(&before, "calls_video_create");
    assert_eq!(
        (&calls["owner"], &calls["limit"], &calls["remaining"]),
        (&json!("APP"), &Value::Null, &Value::Null)
    );
    assert_eq!(quota(&before, "calls_per_second")["used"], Value::Null, "not kept is not zero");

    let plan = desk.post(&app, &one(0, "first"), System.now()).await.unwrap();
    desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    let counted = |answer: &Answer| quota(answer, "posts")["used"] == 1;
    let told = app.client.graphql_until(token, OF_ACCOUNT, of(0), counted).await.unwrap();
    // A file whole, and a creation: two calls that all accounts of the app share.
    let calls = quota(&told, "calls_video_create");
    assert_eq!((&calls["used"], &calls["unsure"]), (&json!(2), &json!(0)), "{}", told.body);
    assert_eq!(calls["appId"], desk.registered.id.as_str());
    let other = app.client.graphql(token, OF_ACCOUNT, of(1)).await.unwrap();
    assert_eq!(
        (quota(&other, "posts")["used"].clone(), quota(&other, "calls_video_create")["used"].clone()),
        (json!(0), json!(2))
    );
    let resets_at: DateTime<Utc> = quota(&told, "posts")["resetsAt"].as_str().unwrap().parse().unwrap();
    assert!(
        resets_at > System.now() && resets_at.timestamp() % 86_400 == 16 * 3_600,
        "midnight in Beijing: {resets_at}"
    );

    // Who starts anew knows it too.
    let (replica, client) = app.replica().await.unwrap();
    let again = client.graphql(token, OF_ACCOUNT, of(0)).await.unwrap();
    assert_eq!(
        (quota(&again, "posts")["used"].clone(), quota(&again, "posts")["remaining"].clone()),
        (json!(1), json!(74))
    );
    replica.stop().await;

    // The platform says that there may be no more, whatever was counted here: the owner posts by hand too.
    platform.control(reqwest::Method::PATCH, "switches", &json!({ "publish_per_day": 1 })).await.unwrap();
    let second = desk.post(&app, &one(0, "second"), System.now()).await.unwrap();
    let hindered = |post: &Value| post["hinderedBy"] == "posts_used_up (code 2114007)";
    desk.until(&app, &second, PATIENCE, hindered).await.unwrap();
    let used_up = |answer: &Answer| !quota(answer, "posts")["exhaustedUntil"].is_null();
    let told = app.client.graphql_until(token, OF_ACCOUNT, of(0), used_up).await.unwrap();
    let posts = quota(&told, "posts");
    assert_eq!((&posts["used"], &posts["remaining"]), (&json!(1), &json!(0)), "a refusal is no post");
    assert_eq!(posts["exhaustedUntil"], posts["resetsAt"]);
    assert_eq!(posted(&platform).await.unwrap().len(), 1);
    // So nothing more is planned for that day on that account; on the next, and on others, it is.
    let refused = desk.plan(&app, &one(0, "third"), System.now()).await.unwrap_err().to_string();
    // As many as the day takes, and the one that waits.
    assert!(refused.contains("has 76 posts on that day"), "{refused}");
    desk.plan(&app, &one(0, "third"), resets_at + TimeDelta::hours(1)).await.unwrap();
    desk.plan(&app, &one(1, "third"), System.now()).await.unwrap();

    seen_by_nobody_else(&app, &desk).await;
    figures_tell(&app).await;
    app.stop().await.unwrap();
    platform.stop().await;
}

async fn seen_by_nobody_else(app: &TestApp, desk: &Desk) {
    let of_app = "query ($id: ID!) { platformQuotas(appId: $id) { quota owner accountId used } }";
    let token = &desk.tenant.owner.token;
    let told = app.client.graphql(token, of_app, json!({ "id": desk.registered.id })).await.unwrap();
    let shared = told.data("platformQuotas").as_array().unwrap();
    assert!(shared.len() == 4 && shared.iter().all(|quota| quota["owner"] == "APP"), "{}", told.body);
    let listed = "{ accounts { nodes { id quotas { quota used } } } }";
    let listed = app.client.graphql(token, listed, json!({})).await.unwrap();
    let used: Vec<_> = listed.data("accounts")["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["quotas"][0]["used"].clone())
        .collect();
    assert_eq!(used, [1, 0], "each account's own, asked for at once: {}", listed.body);
    let stranger = app.tenant().await.unwrap();
    for (query, id) in [(OF_ACCOUNT, &desk.accounts[0]), (of_app, &desk.registered.id)] {
        let told = app.client.graphql(&stranger.owner.token, query, json!({ "id": id })).await.unwrap();
        assert_eq!(told.data("platformQuotas"), &Value::Null, "{}", told.body);
        assert!(told.body["errors"].is_null(), "as absent as what never was: {}", told.body);
    }
    let health = app.client.graphql(&stranger.owner.token, HEALTH, json!({})).await.unwrap();
    assert_eq!(health.data("platformHealth")["endpoints"], json!([]), "{}", health.body);
    for query in ["{ platformQuotas { quota } }", "{ platformQuotas(appId: \"x\") { quota } }"] {
        let told = app.client.graphql(token, query, json!({})).await.unwrap();
        assert_eq!(told.code(), "BAD_USER_INPUT", "{}", told.body);
    }
}

async fn figures_tell(app: &TestApp) {
    let operators = app.operators().unwrap();
    let wanted = [
        "matricula_quota_used{platform=\"douyin\",quota=\"posts\"} 1\n",
        "matricula_quota_limit{platform=\"douyin\",quota=\"posts\"} 75\n",
        "matricula_quota_remaining_ratio{platform=\"douyin\",quota=\"posts\"} 0",
        "matricula_outbound_breakers{platform=\"douyin\",endpoint=\"create_video\",state=\"open\"} 0\n",
    ];
    let mut text = String::new();
    for _ in 0..50 {
        text = reqwest::get(format!("{}/metrics", operators.base())).await.unwrap().text().await.unwrap();
        if wanted.iter().all(|figure| text.contains(figure)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("not all of {wanted:?} in {text}");
}

/// A ledger as a process has one.
fn ledger(app: &TestApp) -> PgQuotaLedger {
    let db = Db::connect(app.app_url(), PoolSettings::default()).unwrap();
    PgQuotaLedger::new(db, infra::platforms::quota_rules(), Arc::new(System))
}

/// A tenant with an account in the store, and calls in its name.
struct Caller {
    tenant: TestTenant,
    app: AppId,
    account: AccountId,
}

fn uuid(global: &str) -> Uuid {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(global).unwrap()).unwrap();
    text.split_once(':').unwrap().1.parse().unwrap()
}

impl Caller {
    async fn new(app: &TestApp) -> Self {
        let tenant = app.tenant().await.unwrap();
        let register =
            "mutation { registerApp(input: { platform: \"douyin\", name: \"Q\", clientKey: \"awquota\",
            clientSecret: \"s\", scopes: [\"user_info\"] }) @idempotent(key: \"q\") { app { id } } }";
        let registered = app.client.graphql(&tenant.owner.token, register, json!({})).await.unwrap();
        let registered = registered.data("registerApp")["app"]["id"].as_str().unwrap().to_owned();
        let account = app.account(&tenant, &registered, "owner").await.unwrap();
        Self {
            tenant,
            app: AppId::from_uuid(uuid(&registered)),
            account: AccountId::from_uuid(uuid(&account)),
        }
    }

    fn scope(&self) -> TenantScope {
        TenantScope::of(self.tenant.id)
    }

    fn call(&self) -> Call {
        Call {
            scope: self.scope(),
            line: Line { platform: "douyin", app: self.app, endpoint: "create_video" },
            account: Some(self.account),
            method: Method::Post,
            url: Url::parse("http://127.0.0.1:1").unwrap(),
            headers: Vec::new(),
            body: None,
            repeatable: false,
            patience: None,
            judge: |_| Judgement::Unclear,
        }
    }

    /// Calls answered, done and unsure of a quota, all periods together.
    async fn kept(&self, app: &TestApp, name: &str) -> (u64, u64, u64) {
        let read = async || {
            let units = &app.service.parts.app.units;
            let mut work = units.begin(self.scope(), &app.origin("quotas")).await?;
            work.quota_uses_of_accounts(&[self.account], DateTime::UNIX_EPOCH).await
        };
        // Connections of before the database was away end one by one.
        let mut uses = read().await;
        for _ in 0..20 {
            if uses.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            uses = read().await;
        }
        let uses = uses.unwrap().get(&self.account).cloned().unwrap_or_default();
        let of_this = uses.iter().filter(|used| used.quota == name).map(|used| used.tally);
        of_this
            .fold((0, 0, 0), |sum, tally| (sum.0 + tally.answered, sum.1 + tally.done, sum.2 + tally.unsure))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_count_beside_each_other_lose_nothing() {
    const EACH: u64 = 500;
    let app = TestApp::start().await.unwrap();
    let caller = Arc::new(Caller::new(&app).await);
    let ledgers = [Arc::new(ledger(&app)), Arc::new(ledger(&app))];
    let mut tasks = Vec::new();
    for ledger in &ledgers {
        for task in 0..4 {
            let (ledger, caller) = (Arc::clone(ledger), Arc::clone(&caller));
            tasks.push(tokio::spawn(async move {
                for number in 0..EACH {
                    let end = match (number + task) % 5 {
                        0 => TryEnd::Unsure,
                        1 => TryEnd::Answered(Judgement::Unclear),
                        _ => TryEnd::Answered(Judgement::Done),
                    };
                    ledger.count(&caller.call(), end);
                    if number % 50 == 0 {
                        ledger.write().await.unwrap();
                    }
                }
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    for ledger in &ledgers {
        ledger.write().await.unwrap();
    }
    let all = 2 * 4 * EACH;
    assert_eq!(caller.kept(&app, "posts").await, (all * 4 / 5, all * 3 / 5, all / 5));
    assert_eq!(caller.kept(&app, "calls_video_create").await, (all * 4 / 5, all * 3 / 5, all / 5));
    // Each shows what all of them used.
    ledgers[0].count(&caller.call(), TryEnd::Answered(Judgement::Done));
    ledgers[0].write().await.unwrap();
    let figure = ledgers[0].figures().into_iter().find(|figure| figure.quota == "posts").unwrap();
    assert_eq!((figure.used, figure.limit), (all * 3 / 5 + 1, Some(75)));
    // What is counted for what is not there any more is in nobody's way.
    let gone = Call { account: Some(AccountId::from_uuid(Uuid::nil())), ..caller.call() };
    ledgers[1].count(&gone, TryEnd::Answered(Judgement::Done));
    ledgers[1].count(&caller.call(), TryEnd::Unsure);
    ledgers[1].write().await.unwrap();
    assert_eq!(caller.kept(&app, "posts").await.2, all / 5 + 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_are_away_lose_no_count_and_tell_no_good_news() {
    let mut stack = Box::pin(TestStack::start()).await.unwrap();
    let caller = Caller::new(&stack.app).await;
    let ledger = ledger(&stack.app);
    let token = caller.tenant.owner.token.clone();
    ledger.count(&caller.call(), TryEnd::Answered(Judgement::Done));
    ledger.write().await.unwrap();
    stack.stores.postgres_mut().unwrap().kill9().await;
    ledger.count(&caller.call(), TryEnd::Answered(Judgement::Done));
    assert!(ledger.write().await.is_err(), "there is nobody to write to");
    ledger.count(&caller.call(), TryEnd::Unsure);
    Box::pin(stack.stores.postgres_mut().unwrap().restart()).await.unwrap();
    let mut tries = 0;
    while ledger.write().await.is_err() {
        tries += 1;
        assert!(tries < 100, "it is there again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(caller.kept(&stack.app, "posts").await, (2, 2, 1), "each once, whatever was away");

    let quiet = |answer: &Answer| answer.data("platformHealth")["state"] == "UNKNOWN";
    let told = stack.app.client.graphql_until(&token, HEALTH, json!({}), quiet).await.unwrap();
    assert_eq!(told.data("platformHealth")["isDegraded"], false, "nobody called anything: {}", told.body);
    stack.stores.redis_mut().unwrap().kill9().await;
    let degraded = |answer: &Answer| answer.data("platformHealth")["isDegraded"] == true;
    let told = stack.app.client.graphql_until(&token, HEALTH, json!({}), degraded).await.unwrap();
    let health = told.data("platformHealth");
    assert_eq!(
        (&health["state"], &health["endpoints"], &health["asOf"]),
        (&json!("UNKNOWN"), &json!([]), &Value::Null)
    );
    Box::pin(stack.stores.redis_mut().unwrap().restart()).await.unwrap();
    stack.app.client.graphql_until(&token, HEALTH, json!({}), |answer| !degraded(answer)).await.unwrap();
    Box::pin(stack.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_serves_knows_how_the_calls_of_other_processes_go() {
    const ACCOUNTS: usize = 12;
    const UPLOAD: &str = "/api/douyin/v1/video/upload_video/";
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, ACCOUNTS, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let fault = json!({ "path": UPLOAD, "harm": "html502", "count": 1_000_000 });
    platform.control(reqwest::Method::POST, "faults", &fault).await.unwrap();
    let items: Vec<_> = (0..ACCOUNTS).map(|account| (account, format!("post {account}"))).collect();
    let plan = desk.post(&app, &items, System.now()).await.unwrap();
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();

    let line = |answer: &Answer, endpoint: &str| {
        let lines = answer.data("platformHealth")["endpoints"].as_array().cloned().unwrap_or_default();
        lines.into_iter().find(|line| line["endpoint"] == endpoint)
    };
    let opened = |answer: &Answer| line(answer, "upload_video").is_some_and(|line| line["state"] == "OPEN");
    let told = app.client.graphql_until(token, HEALTH, json!({}), opened).await.unwrap();
    assert_eq!(told.data("platformHealth")["state"], "OPEN", "{}", told.body);
    let upload = line(&told, "upload_video").unwrap();
    assert_eq!(upload["appId"], desk.registered.id.as_str());
    assert!(upload["openUntil"].is_string() && upload["failedPermille"].as_u64().unwrap() > 500, "{upload}");
    assert_eq!((&upload["processes"], &upload["processesNotClosed"]), (&json!(1), &json!(1)), "{upload}");
    assert!(upload["calls"].as_u64().unwrap() >= 10 && upload["p99AtMostMs"].is_u64(), "{upload}");

    platform.control(reqwest::Method::DELETE, "faults", &json!({})).await.unwrap();
    desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    let closed = |answer: &Answer| {
        line(answer, "upload_video").is_none_or(|line| line["state"] == "CLOSED")
            && !answer.data("platformHealth").is_null()
    };
    app.client.graphql_until(token, HEALTH, json!({}), closed).await.unwrap();
    assert_eq!(posted(&platform).await.unwrap().len(), ACCOUNTS);
    // A process that has ended says nothing: what it said is not good for ever.
    worker.kill9().await.unwrap();
    let mut calling = 1;
    for _ in 0..200 {
        let told = app.client.graphql(token, HEALTH, json!({})).await.unwrap();
        calling = line(&told, "upload_video").map_or(0, |line| line["processes"].as_u64().unwrap());
        if calling == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(calling, 0, "what a process said that is not there any more");
    app.stop().await.unwrap();
    platform.stop().await;
}
