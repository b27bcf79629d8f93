//! From a plan to what is on the platform. The rehearsed platform's ledger says what was really done.

use std::{collections::HashSet, time::Duration};

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use chrono::{TimeDelta, Utc};
use domain::kernel::{actor::Role, clock::Clock as _, ids::IdSource as _};
use harness::{
    app::TestApp,
    platform::TestPlatform,
    posting::{Desk, is_there, posted, video},
};
use infra::system::System;
use reqwest::Method;
use serde_json::{Value, json};

const CREATE: &str = "/api/douyin/v1/video/create_video/";
const PATIENCE: Duration = Duration::from_mins(2);

fn captions<const N: usize>(texts: [&str; N]) -> Vec<(usize, String)> {
    texts.iter().enumerate().map(|(account, text)| (account, (*text).to_owned())).collect()
}

fn kinds(post: &Value) -> Vec<&str> {
    post["timeline"].as_array().unwrap().iter().map(|note| note["kind"].as_str().unwrap()).collect()
}

async fn fault(platform: &TestPlatform, path: &str, harm: &str, more: Value) {
    let mut draft = more;
    (draft["path"], draft["harm"]) = (path.into(), harm.into());
    platform.control(Method::POST, "faults", &draft).await.unwrap();
}

/// The code of the first refusal of a mutation on one thing.
async fn refusal(app: &TestApp, token: &str, field: &str, input: Value) -> String {
    let type_name = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    let mutation = format!(
        "mutation ($i: {type_name}!) {{ {field}(input: $i) @idempotent(key: \"{}\") {{ userErrors {{ code message }} }} }}",
        System.next_uuid()
    );
    let answer = app.client.graphql(token, &mutation, json!({ "i": input })).await.unwrap();
    answer.refusal(field).to_owned()
}

/// Each text was posted, once.
async fn each_once(platform: &TestPlatform, count: usize) {
    let all = posted(platform).await.unwrap();
    let different: HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (count, count), "posts, and different ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_planned_agreed_to_posted_and_followed() {
    let platform = TestPlatform::start().unwrap();
    platform.control(Method::PATCH, "switches", &json!({ "review_delay_s": 5 })).await.unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 3, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;

    let items: Vec<_> = ["杭州", "上海", "北京"]
        .iter()
        .zip(&desk.accounts)
        .map(|(city, account)| {
            json!({
                "accountId": account, "plannedAt": System.now(),
                "variables": [{ "name": "city", "value": city }],
            })
        })
        .collect();
    let mutation = "mutation ($input: CreatePlanInput!) { createPlan(input: $input) @idempotent(key: \"p\") {
        plan { id name approvalDigest } userErrors { message } } }";
    let input = json!({
        "name": "Opening", "uploadId": desk.video, "caption": "We open in {{city}} #opening", "items": items,
    });
    let planned = app.client.graphql(token, mutation, json!({ "input": input })).await.unwrap();
    let plan = planned.data("createPlan")["plan"].clone();
    let id = plan["id"].as_str().unwrap_or_else(|| panic!("{}", planned.body));
    let posts = desk.posts(&app, id).await.unwrap();
    assert!(posts.iter().all(|post| post["status"] == "AWAITING_APPROVAL"));
    let captions: HashSet<_> = posts.iter().map(|post| post["caption"].as_str().unwrap()).collect();
    assert!(captions.contains("We open in 上海 #opening"), "{captions:?}");

    // What was agreed to is what is posted: a change after the look is not.
    let first = posts[0]["id"].as_str().unwrap();
    assert_eq!(refusal(&app, token, "changePost", json!({ "id": first, "caption": "We move" })).await, "");
    let stale = json!({ "id": id, "digest": plan["approvalDigest"] });
    assert_eq!(refusal(&app, token, "approvePlan", stale).await, "POST_CHANGED");
    let stale = json!({ "id": first, "digest": posts[0]["digest"] });
    assert_eq!(refusal(&app, token, "approvePost", stale).await, "POST_CHANGED");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(posted(&platform).await.unwrap(), Vec::<String>::new(), "nobody has agreed");
    // One is given up; the others are agreed to.
    let last = posts[2]["id"].as_str().unwrap();
    assert_eq!(refusal(&app, token, "cancelPost", json!({ "id": last })).await, "");
    assert_eq!(refusal(&app, token, "cancelPost", json!({ "id": last })).await, "POST_NOT_NOW");
    let operator = app.member(&desk.tenant, Role::Operator).await.unwrap();
    let look = "query ($id: ID!) { plan(id: $id) { approvalDigest } }";
    let digest = app.client.graphql(token, look, json!({ "id": id })).await.unwrap();
    let agreed = json!({ "id": id, "digest": digest.data("plan")["approvalDigest"] });
    let refused = "mutation ($i: ApprovePlanInput!) { approvePlan(input: $i) { userErrors { code } } }";
    let refused = app.client.graphql(&operator.token, refused, json!({ "i": agreed })).await.unwrap();
    assert_eq!(refused.code(), "FORBIDDEN", "who plans does not agree: {}", refused.body);
    assert_eq!(refusal(&app, token, "approvePlan", agreed).await, "");

    let there = |post: &Value| is_there(post) || post["status"] == "CANCELLED";
    desk.until(&app, id, PATIENCE, there).await.unwrap();
    each_once(&platform, 2).await;
    let counted =
        format!("matricula_post_lateness_tenant_seconds_count{{tenant=\"{}\"}}", desk.tenant.id.uuid());
    assert_eq!(app.figure(&counted).await.unwrap(), 2, "how late each was, by its tenant");
    // The platform looks at it for five seconds, and we after thirty.
    let live = |post: &Value| post["status"] == "LIVE" || post["status"] == "CANCELLED";
    let posts = desk.until(&app, id, PATIENCE, live).await.unwrap();
    let moved = posts.iter().find(|post| post["id"] == first).unwrap();
    assert_eq!(moved["caption"], "We move");
    assert_eq!(
        kinds(moved),
        ["PLANNED", "CHANGED", "APPROVED", "BEGUN", "UPLOADED", "ASKED", "CREATED", "LIVE"],
        "{moved}"
    );
    assert_eq!(moved["allowedActions"], json!([]));
    // Each line of the timeline leads to its events in the log.
    app.settle().await.unwrap();
    let created = &moved["timeline"].as_array().unwrap()[6]["complianceId"];
    let trail = "query ($id: ID!) { auditTrail(complianceId: $id) { events { type outcome } } }";
    let trail = app.client.graphql(token, trail, json!({ "id": created })).await.unwrap();
    let events = trail.data("auditTrail")["events"].as_array().unwrap().len();
    assert_eq!(events, 4, "begun, uploaded, asked, created: {}", trail.body);
    each_once(&platform, 2).await;
    // Hours go by on the platform: people look at it.
    for _ in 0..5 {
        platform.control(Method::POST, "clock", &json!({ "advance_s": 3_600 })).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    figures_move(&platform, &app, token, &first_live(&posts)).await;
    app.stop().await.unwrap();
    platform.stop().await;
}

fn first_live(posts: &[Value]) -> String {
    posts.iter().find(|post| post["status"] == "LIVE").unwrap()["id"].as_str().unwrap().to_owned()
}

/// The post's figures are told, are those of all together with the others', and each says when it was read.
async fn figures_move(platform: &TestPlatform, app: &TestApp, token: &str, post: &str) {
    let query = "query ($id: ID!) {
        post(id: $id) { figures { readAt plays likes comments shares toldAt { plays likes } } figureHistory { readAt plays } }
        figures { posts readAt plays toldAt { plays likes comments shares } } lateness { accepted p50Ms p99Ms overdue } }";
    let moved = |answer: &harness::client::Answer| {
        let history = answer.data("post")["figureHistory"].as_array().map_or(0, Vec::len);
        history >= 2 && answer.data("figures")["posts"] == "2"
    };
    let told = app.client.graphql_until(token, query, json!({ "id": post }), moved).await.unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let (one, all) = (&told.data("post")["figures"], told.data("figures"));
    assert!(number(&one["plays"]) <= number(&all["plays"]), "{}", told.body);
    assert!(one["readAt"].is_string() && all["readAt"].is_string());
    assert_eq!((&one["toldAt"]["plays"], &one["toldAt"]["likes"]), (&one["readAt"], &one["readAt"]));
    assert!(
        ["plays", "likes", "comments", "shares"].iter().all(|name| all["toldAt"][name].is_string()),
        "{all}"
    );
    let history = told.data("post")["figureHistory"].as_array().unwrap();
    let plays: Vec<_> = history.iter().map(|reading| number(&reading["plays"])).collect();
    assert!(plays.is_sorted_by(|newer, older| newer >= older), "figures only grow here: {plays:?}");
    assert_eq!(
        (&told.data("lateness")["accepted"], &told.data("lateness")["overdue"]),
        (&json!("2"), &json!("0"))
    );
    assert!(number(&told.data("lateness")["p99Ms"]) < 60_000, "{}", told.body);

    // Of one post, of its account, of its plan, and of all; and of nobody else's.
    let of = "query ($id: ID!) { post(id: $id) { accountId planId } }";
    let of = app.client.graphql(token, of, json!({ "id": post })).await.unwrap();
    let stranger = app.tenant().await.unwrap();
    let [account, plan] = ["accountId", "planId"].map(|name| of.data("post")[name].clone());
    for (whose, asked, posts) in [
        (token, format!("(postId: \"{post}\")"), "1"),
        (token, format!("(accountId: {account})"), "1"),
        (token, format!("(planId: {plan})"), "2"),
        (token, String::new(), "2"),
        (stranger.owner.token.as_str(), String::new(), "0"),
        (stranger.owner.token.as_str(), format!("(planId: {plan})"), "0"),
    ] {
        let mut socket = app.client.socket(whose).await.unwrap();
        socket.subscribe("some", &format!("subscription {{ figures{asked} {{ posts }} }}")).await.unwrap();
        let told = socket.receive("next").await.unwrap();
        let nobodys = told["payload"]["data"]["figures"]["posts"] == json!(posts);
        assert!(nobodys || (posts == "0" && told["payload"]["errors"].is_array()), "{asked}: {told}");
    }

    // Who was away is told once they have moved, and at once what it missed.
    let now = app.client.graphql(token, "{ figures { seq } }", json!({})).await.unwrap();
    let seq = now.data("figures")["seq"].as_str().unwrap().to_owned();
    let mut socket = app.client.socket(token).await.unwrap();
    let since = |seq: &str| format!("subscription {{ figures(sinceSeq: \"{seq}\") {{ seq plays }} }}");
    // What one who follows is told is written out, and sent to another as it is, unless it moved meanwhile.
    let sent =
        async |way: &str| app.figure(&format!("matricula_output_total{{way=\"{way}\"}}")).await.unwrap();
    let mut shared = Vec::new();
    while shared.last() != Some(&1) && shared.len() < 20 {
        let mut socket = app.client.socket(token).await.unwrap();
        let before = (sent("written").await, sent("reused").await);
        socket.subscribe("same", "subscription { figures { likes posts } }").await.unwrap();
        socket.receive("next").await.unwrap();
        shared.push(sent("reused").await - before.1);
        assert_eq!(sent("written").await - before.0, 1 - shared.last().unwrap(), "one way or the other");
    }
    assert!(shared.len() > 1 && shared.last() == Some(&1), "{shared:?}");
    socket.subscribe("missed", &since(&"0".repeat(16))).await.unwrap();
    let missed = socket.receive("next").await.unwrap();
    assert_eq!(missed["id"], "missed");
    assert!(missed["payload"]["data"]["figures"]["seq"].is_string(), "{missed}");
    let mut socket = app.client.socket(token).await.unwrap();
    socket.subscribe("seen", &since(&seq)).await.unwrap();
    platform.control(Method::POST, "clock", &json!({ "advance_s": 7_200 })).await.unwrap();
    let moved = socket.receive("next").await.unwrap();
    assert_ne!(moved["payload"]["data"]["figures"]["seq"], json!(seq), "{moved}");
    let mut socket = app.client.socket(token).await.unwrap();
    socket.subscribe("bad", &since("soon")).await.unwrap();
    let refused = socket.receive("next").await.unwrap();
    assert!(refused.to_string().contains("sinceSeq must be"), "{refused}");

    // The same as a file.
    let bearer = format!("Bearer {token}");
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = platform.http().get(format!("{}{path}", app.client.base()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let signed_in = [("authorization", bearer.as_str())];
    let (status, file) = get("/exports/posts.csv", &signed_in).await;
    let lines: Vec<_> = file.lines().collect();
    assert_eq!((status, lines.len()), (200, 4), "{file}");
    assert!(
        lines[0].starts_with("\"id\",\"reference\",\"plan_id\",\"account_id\"")
            && file.contains("\"We move\""),
        "{file}"
    );
    assert!(lines[1..].iter().any(|line| line.contains("\"live\"")), "{file}");
    for (path, headers, expected) in [
        ("/exports/posts.csv", &[][..], 401),
        ("/exports/posts.csv?planId=x", &signed_in[..], 400),
        ("/exports/posts.csv?other=x", &signed_in[..], 400),
    ] {
        assert_eq!(get(path, headers).await.0, expected, "{path}");
    }
}

/// What the platform tells of is looked at soon, and once a minute at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_the_platform_tells_of_is_looked_at_soon() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let plan = desk.plan(&app, &captions(["live"]), System.now()).await.unwrap();
    let query = "query ($plan: ID!) { posts(planId: $plan) { nodes { dueAt } } accounts(first: 1) { nodes { openId } } }";
    let look = async || app.client.graphql(token, query, json!({ "plan": plan })).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    // As if it had been there for an hour.
    let there = "UPDATE publishing.posts SET status = 'live', item = '@it', accepted_at = now() - interval '1 hour',
        due_at = now() + interval '1 hour',
        progress = jsonb_build_object('not_before', now() + interval '1 hour', 'was_seen', true) WHERE tenant_id = $1";
    let tenant = desk.tenant.id.uuid();
    sqlx::query(there).bind(tenant).execute(&mut database).await.unwrap();
    let open_id = look().await.data("accounts")["nodes"][0]["openId"].as_str().unwrap().to_owned();
    let tell = async |item: &str| {
        let content = json!({ "action_type": 1, "item_id": item }).to_string();
        let body = json!({
            "event": "new_video_digg", "client_key": desk.registered.client_key,
            "from_user_id": "somebody", "to_user_id": open_id, "content": content,
        });
        let body = body.to_string();
        let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        digest.update(desk.registered.client_secret.as_bytes());
        digest.update(body.as_bytes());
        let digits: Vec<_> = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = digits.concat();
        let request =
            platform.http().post(&desk.registered.webhook_url).header("x-douyin-signature", signature);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    let due = async || -> chrono::DateTime<Utc> {
        look().await.data("posts")["nodes"][0]["dueAt"].as_str().unwrap().parse().unwrap()
    };
    tell("@another").await;
    assert!(due().await > System.now() + TimeDelta::minutes(50), "that is no post of ours");
    tell("@it").await;
    assert!(due().await <= System.now(), "it is looked at now");
    let read = "INSERT INTO publishing.newest_figures (tenant_id, post_id, read_at, plays)
        SELECT tenant_id, id, now(), 1 FROM publishing.posts WHERE tenant_id = $1";
    sqlx::query(read).bind(tenant).execute(&mut database).await.unwrap();
    sqlx::query(there).bind(tenant).execute(&mut database).await.unwrap();
    tell("@it").await;
    let soon = due().await - System.now();
    assert!(soon > TimeDelta::seconds(30) && soon <= TimeDelta::seconds(60), "{soon}: it was read just now");
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_posted_is_refused_when_it_is_planned() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let noise = harness::posting::send(&app.client, token, &[7; 5_000]).await.unwrap();
    let stranger = Desk::open(&platform, &app, 1, &[7; 10]).await.unwrap().accounts.remove(0);
    let input = |change: &dyn Fn(&mut Value)| {
        let mut input = json!({
            "name": "n", "uploadId": desk.video, "caption": "c",
            "items": [{ "accountId": desk.accounts[0], "plannedAt": System.now() }],
        });
        change(&mut input);
        input
    };
    let cases: [(Value, &str); 13] = [
        (input(&|i| i["name"] = " ".into()), "INVALID"),
        (input(&|i| i["items"] = json!([])), "INVALID"),
        (input(&|i| i["caption"] = "{{city}}".into()), "INVALID"),
        (input(&|i| i["items"][0]["plannedAt"] = json!(System.now() + TimeDelta::days(400))), "INVALID"),
        (input(&|i| i["items"][0]["plannedAt"] = json!(System.now() + TimeDelta::days(200))), "NOT_POSTABLE"),
        (input(&|i| i["caption"] = "长".repeat(1_001).into()), "NOT_POSTABLE"),
        (input(&|i| i["uploadId"] = noise.clone().into()), "NOT_POSTABLE"),
        (input(&|i| i["uploadId"] = desk.accounts[0].clone().into()), "INVALID"),
        (input(&|i| i["items"][0]["accountId"] = stranger.clone().into()), "NOT_FOUND"),
        (input(&|i| i["coverAtMs"] = json!(-1)), "INVALID"),
        (input(&|i| i["coverAtMs"] = json!(60_000)), "NOT_POSTABLE"),
        (input(&|i| i["items"] = json!([i["items"][0], i["items"][0]])), "INVALID"),
        (input(&|i| i["name"] = "a\u{0}b".into()), "INVALID"),
    ];
    for (input, expected) in cases {
        assert_eq!(refusal(&app, token, "createPlan", input.clone()).await, expected, "{input}");
    }
    // A day has so many posts of one account, whatever they are.
    let day = System.now() + TimeDelta::days(2);
    for number in 0..75 {
        desk.plan(&app, &[(1, format!("post {number}"))], day).await.unwrap();
    }
    let one_more = |days| {
        let at = day + TimeDelta::days(days);
        input(&|i| i["items"] = json!([{ "accountId": desk.accounts[1], "plannedAt": at }]))
    };
    assert_eq!(refusal(&app, token, "createPlan", one_more(0)).await, "NOT_POSTABLE", "the day is full");
    assert_eq!(refusal(&app, token, "createPlan", one_more(1)).await, "", "the next is not");
    // What the platform, the app or the owner does not allow is said with its reason.
    let mut database = app.superuser_connection().await.unwrap();
    let tenant = desk.tenant.id.uuid();
    for (change, back, says) in [
        (
            "UPDATE accounts.apps SET state = 'switched_off' WHERE tenant_id = $1",
            "UPDATE accounts.apps SET state = 'active' WHERE tenant_id = $1",
            "whose app the platform has switched off",
        ),
        (
            "UPDATE accounts.apps SET scopes_off = ARRAY['video.create.bind'] WHERE tenant_id = $1",
            "UPDATE accounts.apps SET scopes_off = '{}' WHERE tenant_id = $1",
            "needs the scope video.create.bind, which the platform has switched off",
        ),
        (
            "UPDATE accounts.apps SET scopes = array_remove(scopes, 'video.create.bind') WHERE tenant_id = $1",
            "UPDATE accounts.apps SET scopes = scopes || ARRAY['video.create.bind'] WHERE tenant_id = $1",
            "needs the scope video.create.bind, which the app does not have",
        ),
        (
            "UPDATE accounts.tokens SET scopes = array_remove(scopes, 'video.create.bind') WHERE tenant_id = $1",
            "UPDATE accounts.tokens SET scopes = scopes || ARRAY['video.create.bind'] WHERE tenant_id = $1",
            "needs the scope video.create.bind, which the account's owner did not grant; link it again",
        ),
    ] {
        sqlx::query(change).bind(tenant).execute(&mut database).await.unwrap();
        let mutation = "mutation ($i: CreatePlanInput!) { createPlan(input: $i) @idempotent(key: \"why\") {
            userErrors { code message field } } }";
        let refused = app.client.graphql(token, mutation, json!({ "i": input(&|_| {}) })).await.unwrap();
        let error = &refused.data("createPlan")["userErrors"][0];
        assert_eq!(error["code"], "NOT_POSTABLE", "{}", refused.body);
        assert!(error["message"].as_str().unwrap().contains(says), "{says}: {}", refused.body);
        sqlx::query(back).bind(tenant).execute(&mut database).await.unwrap();
    }
    let pause = json!({ "id": desk.accounts[0] });
    assert_eq!(refusal(&app, token, "pauseAccount", pause.clone()).await, "");
    assert_eq!(refusal(&app, token, "createPlan", input(&|_| {})).await, "NOT_POSTABLE", "paused");
    assert_eq!(refusal(&app, token, "resumeAccount", pause).await, "");
    // An operator works in the groups that were given, and sees no others' posts.
    let operator = app.member(&desk.tenant, Role::Operator).await.unwrap();
    let plan = desk.plan(&app, &captions(["one"]), System.now()).await.unwrap();
    let post = desk.posts(&app, &plan).await.unwrap().remove(0);
    assert_eq!(refusal(&app, &operator.token, "createPlan", input(&|_| {})).await, "NOT_FOUND");
    assert_eq!(refusal(&app, &operator.token, "cancelPost", json!({ "id": post["id"] })).await, "NOT_FOUND");
    let list = "{ posts(first: 10) { nodes { id } } }";
    let seen = app.client.graphql(&operator.token, list, json!({})).await.unwrap();
    assert_eq!(seen.data("posts")["nodes"], json!([]), "{}", seen.body);
    let seen = app.client.graphql(token, list, json!({})).await.unwrap();
    assert_eq!(seen.data("posts")["nodes"].as_array().unwrap().len(), 10);
    assert_eq!(posted(&platform).await.unwrap(), Vec::<String>::new());
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_read_and_never_asked_for_again() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 6, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let texts = ["reset", "busy", "truncated", "502", "not done", "risk"];
    for (harm, more) in [
        ("reset", json!({ "count": 1 })),
        ("busy", json!({ "count": 1, "after_commit": true })),
        ("truncated", json!({ "count": 1 })),
        ("html502", json!({ "count": 1 })),
        ("reset", json!({ "count": 1, "after_commit": false })),
        ("risk", json!({ "count": 1 })),
    ] {
        fault(&platform, CREATE, harm, more).await;
    }
    let plan = desk.post(&app, &captions(texts), System.now()).await.unwrap();
    // Three were done and are found at once; of the others nobody knows for a minute.
    let settled = |post: &Value| is_there(post) || post["status"] == "OUTCOME_UNKNOWN";
    desk.until(&app, &plan, PATIENCE, settled).await.unwrap();
    let done = async || desk.posts(&app, &plan).await.unwrap().iter().filter(|post| is_there(post)).count();
    let begun = tokio::time::Instant::now();
    while done().await < 3 {
        assert!(begun.elapsed() < PATIENCE, "what was done is not found");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let posts = desk.posts(&app, &plan).await.unwrap();
    let unknown: Vec<_> = posts.iter().filter(|post| post["status"] == "OUTCOME_UNKNOWN").collect();
    assert_eq!((unknown.len(), platform.calls(CREATE).await.unwrap().0), (3, 6), "asked for once each");
    for post in unknown {
        assert_eq!(post["allowedActions"], json!(["RESOLVE"]));
        for (field, expected) in
            [("retryPost", "POST_OUTCOME_UNKNOWN"), ("cancelPost", "POST_OUTCOME_UNKNOWN")]
        {
            assert_eq!(refusal(&app, token, field, json!({ "id": post["id"] })).await, expected);
        }
        let too_soon = json!({ "id": post["id"], "postAgain": true });
        assert_eq!(refusal(&app, token, "resolvePost", too_soon).await, "TOO_SOON");
        let none = json!({ "id": post["id"], "item": "@none" });
        assert_eq!(refusal(&app, token, "resolvePost", none).await, "CANDIDATE_UNKNOWN");
    }
    let posts = desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    each_once(&platform, 6).await;
    assert_eq!(platform.calls(CREATE).await.unwrap().0, 9, "what was not done is asked for again");
    let said = |kind: &str| posts.iter().filter(|post| kinds(post).contains(&kind)).count();
    assert_eq!((said("ANSWER_LOST"), said("FOUND"), said("ABSENT")), (6, 3, 3), "{posts:#?}");
    assert!(posts.iter().all(|post| post["duplicates"] == json!([])));
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_while_asking_leaves_nothing_twice_and_nothing_undone() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 3, &video(0).await.unwrap()).await.unwrap();
    let plan = desk.post(&app, &captions(["a", "b", "c"]), System.now()).await.unwrap();
    // The platform does what it is asked, and takes long to say so.
    fault(&platform, CREATE, "slow", json!({ "count": 3, "delay_ms": 4_000 })).await;
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let begun = tokio::time::Instant::now();
    while posted(&platform).await.unwrap().len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for: {}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.kill9().await.unwrap();
    let posts = desk.posts(&app, &plan).await.unwrap();
    assert!(posts.iter().all(|post| post["status"] == "CREATING"), "{posts:#?}");
    let second = app.process(&["work", "--queue", "posts"]).unwrap();
    let posts = desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    assert!(posts.iter().all(|post| kinds(post).contains(&"FOUND")), "{posts:#?}");
    each_once(&platform, 3).await;
    second.kill9().await.unwrap();
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_parts_and_on_where_it_was_left() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let file = video(70_000_000).await.unwrap();
    let desk = Desk::open(&platform, &app, 1, &file).await.unwrap();
    let plan = desk.post(&app, &captions(["large"]), System.now()).await.unwrap();
    let part = "/api/douyin/v1/video/upload_video_part/";
    // One part does not get through for a while; the others do meanwhile.
    fault(&platform, part, "slow", json!({ "count": 1, "skip": 1, "delay_ms": 60_000 })).await;
    let worker = app.process(&["work", "--queue", "posts"]).unwrap();
    let begun = tokio::time::Instant::now();
    let mut database = app.superuser_connection().await.unwrap();
    let there =
        "SELECT coalesce(max(jsonb_array_length(progress #> '{parts,there}')), 0) FROM publishing.posts";
    while sqlx::query_scalar::<_, i32>(there).fetch_one(&mut database).await.unwrap() < 3 {
        assert!(begun.elapsed() < PATIENCE, "parts wait for one another: {}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(platform.calls(part).await.unwrap().0, 4);
    worker.kill9().await.unwrap();
    platform.control(Method::DELETE, "faults", &json!({})).await.unwrap();
    let second = app.process(&["work", "--queue", "posts"]).unwrap();
    desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    // Four parts, of which one was sent to who was killed.
    assert_eq!(platform.calls(part).await.unwrap().0, 5);
    let begun = "/api/douyin/v1/video/init_video_part_upload/";
    assert_eq!(platform.calls(begun).await.unwrap().0, 1, "begun once");
    each_once(&platform, 1).await;
    second.kill9().await.unwrap();
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_waits_for_its_account_and_its_quota() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    // Planned and agreed to before the account is paused.
    let soon = System.now() + TimeDelta::seconds(3);
    let plan = desk.post(&app, &captions(["paused", "quota"]), soon).await.unwrap();
    let late = desk.plan(&app, &captions(["late"]), soon).await.unwrap();
    assert_eq!(refusal(&app, token, "pauseAccount", json!({ "id": desk.accounts[0] })).await, "");
    platform.control(Method::PATCH, "switches", &json!({ "publish_per_day": 0 })).await.unwrap();
    let hindered = |post: &Value| !post["hinderedBy"].is_null();
    let posts = desk.until(&app, &plan, PATIENCE, hindered).await.unwrap();
    let by = |text: &str| posts.iter().find(|post| post["caption"] == text).unwrap().clone();
    assert_eq!(by("paused")["hinderedBy"], "the account is paused");
    assert_eq!(by("quota")["hinderedBy"], "posts_used_up (code 2114007)");
    assert!(kinds(&by("paused")).contains(&"HELD") && kinds(&by("quota")).contains(&"HINDERED"));
    assert_eq!(posted(&platform).await.unwrap(), Vec::<String>::new());
    // Nobody is asked again before Beijing's next day, when the quota opens.
    let due_at = by("quota")["dueAt"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap();
    let day = due_at + TimeDelta::hours(8) - TimeDelta::minutes(1);
    assert!(due_at > System.now() && due_at <= System.now() + TimeDelta::hours(25), "{due_at}");
    assert_eq!(day.time(), chrono::NaiveTime::MIN, "{due_at}");
    // That nobody agreed in time, or the platform takes nothing for long, is told of each and counted of all.
    let mut database = app.superuser_connection().await.unwrap();
    let sql =
        "UPDATE publishing.posts SET promised_at = now() - interval '20 minutes' WHERE caption = 'quota'";
    sqlx::query(sql).execute(&mut database).await.unwrap();
    let query = "query ($id: ID!) { posts(planId: $id) { nodes { caption overdue } } }";
    for (plan, caption, waits) in [(&late, "late", "FOR_APPROVAL"), (&plan, "quota", "FOR_PLATFORM")] {
        let is_told = |answer: &harness::client::Answer| {
            let nodes = answer.data("posts")["nodes"].as_array().unwrap();
            nodes.iter().any(|post| post["caption"] == caption && post["overdue"] == waits)
        };
        app.client.graphql_until(token, query, json!({ "id": plan }), is_told).await.unwrap();
        let counted = format!("matricula_posts_overdue{{waits=\"{}\"}}", waits.to_lowercase());
        let begun = tokio::time::Instant::now();
        while app.figure(&counted).await.unwrap() == 0 {
            assert!(begun.elapsed() < PATIENCE, "{counted}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let cancelled = desk.posts(&app, &late).await.unwrap().remove(0);
    assert_eq!(refusal(&app, token, "cancelPost", json!({ "id": cancelled["id"] })).await, "");
    let left = "SELECT waits FROM publishing.post_watch WHERE tenant = $1 ORDER BY waits";
    let left: Vec<String> =
        sqlx::query_scalar(left).bind(desk.tenant.id.uuid()).fetch_all(&mut database).await.unwrap();
    assert_eq!(left, ["for_platform", "for_platform"], "what was given up waits for nothing");
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_planned_as_early_as_can_be_and_what_has_no_place_is_told() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 4, &video(0).await.unwrap()).await.unwrap();
    let token = &desk.tenant.owner.token;
    let noise = harness::posting::send(&app.client, token, &[7; 5_000]).await.unwrap();
    let from = System.now() + TimeDelta::hours(1);
    let until = from + TimeDelta::hours(2);
    // One account has a post a quarter of an hour in.
    let there = from + TimeDelta::minutes(15);
    desk.plan(&app, &[(1, "taken".to_owned())], there).await.unwrap();
    let query = "query ($i: FleetPlanInput!) { fleetPlan(input: $i) {
        placements { uploadId accountId plannedAt } unplaced { uploadId count reason }
        capacities { accountId places reason } endsAt } }";
    let ask = async |items: Value, more: Value| {
        let mut input = json!({ "items": items, "from": from, "until": until, "spacingMinutes": 60 });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        app.client.graphql(token, query, json!({ "i": input })).await.unwrap()
    };
    let times = |answer: &harness::client::Answer| -> Vec<(String, chrono::DateTime<Utc>)> {
        let placements = answer.data("fleetPlan")["placements"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        placements.iter().map(|p| (text(&p["accountId"]), text(&p["plannedAt"]).parse().unwrap())).collect()
    };
    let all = ask(json!([{ "uploadId": desk.video, "count": 5 }]), json!({})).await;
    let placed = times(&all);
    let close = |at: chrono::DateTime<Utc>, wanted: chrono::DateTime<Utc>| {
        (at - wanted).abs() < TimeDelta::milliseconds(1)
    };
    assert_eq!(placed.len(), 4, "{}", all.body);
    assert!(placed[..3].iter().all(|(_, at)| close(*at, from)), "{}", all.body);
    assert_eq!(placed[3].0, desk.accounts[1]);
    assert!(close(placed[3].1, there + TimeDelta::hours(1)), "an hour after the one that is there");
    let unplaced = &all.data("fleetPlan")["unplaced"];
    assert_eq!(
        (&unplaced[0]["count"], &unplaced[0]["reason"]),
        (&json!(1), &json!("only 4 of the accounts may take it, once each"))
    );
    assert_eq!(
        times(&ask(json!([{ "uploadId": desk.video, "count": 5 }]), json!({})).await),
        placed,
        "the same again"
    );

    // What is planned from it is planned, and the next question sees it.
    for (account, at) in &placed {
        let place = desk.accounts.iter().position(|id| id == account).unwrap();
        desk.plan(&app, &[(place, "placed".to_owned())], *at).await.unwrap();
    }
    let next = times(&ask(json!([{ "uploadId": desk.video, "count": 4 }]), json!({})).await);
    assert!(next.iter().all(|(_, at)| *at >= from + TimeDelta::minutes(59)), "{next:?}");

    let mixed = json!([{ "uploadId": noise }, { "uploadId": desk.video }]);
    let mixed = ask(mixed, json!({ "accountIds": [desk.accounts[0]] })).await;
    let reason = mixed.data("fleetPlan")["unplaced"][0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("a file that douyin will refuse"), "{}", mixed.body);
    assert_eq!(refusal(&app, token, "pauseAccount", json!({ "id": desk.accounts[0] })).await, "");
    let paused = ask(json!([{ "uploadId": desk.video }]), json!({ "accountIds": [desk.accounts[0]] })).await;
    let room = &paused.data("fleetPlan")["capacities"][0];
    assert_eq!(room["places"], 0);
    assert!(room["reason"].as_str().unwrap().contains("paused"), "{}", paused.body);
    for (items, more) in [
        (json!([]), json!({})),
        (json!([{ "uploadId": desk.video, "count": 0 }]), json!({})),
        (json!([{ "uploadId": desk.video, "count": 501 }]), json!({})),
        (json!([{ "uploadId": desk.video }, { "uploadId": desk.video }]), json!({})),
        (json!([{ "uploadId": desk.video }]), json!({ "until": from })),
        (json!([{ "uploadId": desk.video }]), json!({ "spacingMinutes": 0 })),
    ] {
        let answer = ask(items, more).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{}", answer.body);
    }
    let stranger = app.tenant().await.unwrap();
    let input = json!({ "items": [{ "uploadId": desk.video }], "accountIds": desk.accounts, "from": from, "until": until });
    let foreign = app.client.graphql(&stranger.owner.token, query, json!({ "i": input })).await.unwrap();
    assert_eq!(foreign.code(), "BAD_USER_INPUT", "{}", foreign.body);
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_the_database_does_not_take_is_written_down_when_it_does() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 2, &video(0).await.unwrap()).await.unwrap();
    let mut database = app.superuser_connection().await.unwrap();
    for sql in [
        "CREATE TABLE public.away (since timestamptz)",
        "INSERT INTO public.away VALUES (now())",
        "CREATE FUNCTION public.be_away() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN
             IF EXISTS (SELECT FROM public.away) THEN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END IF;
             RETURN NEW;
         END $$",
        "CREATE TRIGGER be_away BEFORE UPDATE ON publishing.posts FOR EACH ROW
         WHEN (NEW.status = 'under_review') EXECUTE FUNCTION public.be_away()",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    }
    let plan = desk.post(&app, &captions(["one", "two"]), System.now()).await.unwrap();
    let begun = tokio::time::Instant::now();
    while posted(&platform).await.unwrap().len() < 2 {
        assert!(begun.elapsed() < PATIENCE, "nothing is asked for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let posts = desk.posts(&app, &plan).await.unwrap();
    assert!(posts.iter().all(|post| post["status"] == "CREATING"), "{posts:#?}");
    sqlx::query("DELETE FROM public.away").execute(&mut database).await.unwrap();
    let posts = desk.until(&app, &plan, PATIENCE, is_there).await.unwrap();
    for post in &posts {
        assert_eq!(kinds(post), ["PLANNED", "APPROVED", "BEGUN", "UPLOADED", "ASKED", "CREATED"], "{post}");
    }
    each_once(&platform, 2).await;
    app.stop().await.unwrap();
    platform.stop().await;
}
