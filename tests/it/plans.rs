//! How much is planned at once: slots of timetables, whole plans changed, files of posts taken in, fleets planned.

use chrono::{DateTime, TimeDelta, Utc};
use domain::kernel::{clock::Clock as _, ids::IdSource as _};
use harness::{
    app::TestApp,
    client::Answer,
    platform::TestPlatform,
    posting::{Desk, send, video},
};
use infra::system::System;
use serde_json::{Value, json};

/// Runs a mutation that takes one input, and gives the whole of its answer's payload.
async fn mutate(app: &TestApp, token: &str, field: &str, input: Value, fields: &str) -> Value {
    let type_name = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    let key = System.next_uuid();
    let mutation = format!(
        "mutation ($i: {type_name}!) {{ {field}(input: $i) @idempotent(key: \"{key}\") {{ {fields} userErrors {{ code message }} }} }}"
    );
    let answer = app.client.graphql(token, &mutation, json!({ "i": input })).await.unwrap();
    assert!(answer.body.get("errors").is_none(), "{field}: {}", answer.body);
    answer.data(field).clone()
}

fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or("")
}

fn message(payload: &Value) -> &str {
    payload["userErrors"][0]["message"].as_str().unwrap_or("")
}

fn at(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// The posts of a plan by account and time.
async fn posts(app: &TestApp, token: &str, plan: &Value) -> Vec<Value> {
    let query = "query ($plan: ID!) { posts(planId: $plan, first: 100) { nodes {
        id accountId uploadId plannedAt occurrence reference caption status visibility
        warnings { kind others otherId } } } }";
    let answer = app.client.graphql(token, query, json!({ "plan": plan })).await.unwrap();
    let mut posts =
        answer.data("posts")["nodes"].as_array().unwrap_or_else(|| panic!("{}", answer.body)).clone();
    posts.sort_by_key(|post| (post["accountId"].to_string(), post["plannedAt"].to_string()));
    posts
}

fn kinds(post: &Value) -> Vec<&str> {
    post["warnings"].as_array().unwrap().iter().map(|warning| warning["kind"].as_str().unwrap()).collect()
}

/// A tenant with accounts on a platform, where nothing is posted by itself.
async fn desk(accounts: usize) -> (TestPlatform, TestApp, Desk) {
    let platform = TestPlatform::start().unwrap();
    let app = platform.unposting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, accounts, &video(0).await.unwrap()).await.unwrap();
    (platform, app, desk)
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_recur_at_the_free_slots_of_a_timetable_and_are_changed_together_or_one_by_one() {
    let (platform, app, desk) = desk(2).await;
    let token = &desk.tenant.owner.token;
    for (input, field) in [
        (json!({ "name": "n", "zone": "Asia/Nowhere", "rules": ["0 9 * * *"] }), "zone"),
        (json!({ "name": "n", "zone": "UTC", "rules": ["61 9 * * *"] }), "rules"),
        (json!({ "name": "n", "zone": "UTC", "rules": [] }), "rules"),
        (json!({ "name": "", "zone": "UTC", "rules": ["0 9 * * *"] }), "name"),
    ] {
        let refused = mutate(&app, token, "createTimetable", input.clone(), "").await;
        assert_eq!(code(&refused), "INVALID", "{input}");
        assert!(message(&refused).starts_with(field), "{refused}");
    }
    let input = json!({ "name": "Evenings", "zone": "Asia/Shanghai", "rules": ["15 30 18 * * *"] });
    let slots = "timetable { id name zone rules nextSlots { at local } }";
    let made = mutate(&app, token, "createTimetable", input, slots).await["timetable"].clone();
    let next: Vec<_> = made["nextSlots"].as_array().unwrap().clone();
    assert_eq!(next.len(), 20);
    assert!(next[0]["local"].as_str().unwrap().ends_with("T18:30:15+08:00"), "{}", next[0]);
    assert_eq!(at(&next[1]["at"]) - at(&next[0]["at"]), TimeDelta::days(1));

    // A post at the second slot of one account is not moved by what recurs.
    desk.plan(&app, &[(0, "there".to_owned())], at(&next[1]["at"])).await.unwrap();
    let variables = |city: &str| json!([{ "name": "city", "value": city }]);
    let input = json!({
        "name": "Series", "uploadId": desk.video, "caption": "Good evening, {{city}}",
        "items": [
            { "accountId": desk.accounts[0], "variables": variables("杭州") },
            { "accountId": desk.accounts[1], "variables": variables("上海") },
        ],
        "slots": { "timetableId": made["id"], "occurrences": 3 },
    });
    let plan = mutate(&app, token, "createPlan", input.clone(), "plan { id }").await["plan"]["id"].clone();
    let of = |posts: &[Value], account: usize| -> Vec<DateTime<Utc>> {
        let own = posts.iter().filter(|post| post["accountId"] == desk.accounts[account]);
        own.map(|post| at(&post["plannedAt"])).collect()
    };
    let slot = |number: usize| at(&next[number]["at"]);
    let first = posts(&app, token, &plan).await;
    assert_eq!(of(&first, 0), [slot(0), slot(2), slot(3)], "the one between is taken");
    assert_eq!(of(&first, 1), [slot(0), slot(1), slot(2)]);
    let occurrences: Vec<_> = first.iter().map(|post| post["occurrence"].as_u64().unwrap()).collect();
    assert_eq!(occurrences, [1, 2, 3, 1, 2, 3]);
    // The next that queue up come behind them, and an end in time is one.
    let mut queued = input.clone();
    queued["slots"] = json!({ "timetableId": made["id"] });
    let queued = mutate(&app, token, "createPlan", queued, "plan { id }").await["plan"]["id"].clone();
    let queued = posts(&app, token, &queued).await;
    assert_eq!((of(&queued, 0), of(&queued, 1)), (vec![slot(4)], vec![slot(3)]));
    let mut ended = input.clone();
    ended["slots"] = json!({ "timetableId": made["id"], "until": slot(6) });
    let ended = mutate(&app, token, "createPlan", ended, "plan { id }").await["plan"]["id"].clone();
    let ended = posts(&app, token, &ended).await;
    assert_eq!((of(&ended, 0), of(&ended, 1)), (vec![slot(5)], vec![slot(4), slot(5)]));

    // All of a plan: each keeps what was put in for its account, and nobody has agreed to the change.
    let agree = "plan { approvalDigest }";
    let look = app.client.graphql(
        token,
        "query ($id: ID!) { plan(id: $id) { approvalDigest } }",
        json!({ "id": plan }),
    );
    let digest = look.await.unwrap().data("plan")["approvalDigest"].clone();
    mutate(&app, token, "approvePlan", json!({ "id": plan, "digest": digest }), agree).await;
    assert!(posts(&app, token, &plan).await.iter().all(|post| post["status"] == "WAITING"));
    let change =
        json!({ "id": plan, "caption": "{{city}}: tonight", "visibility": "FRIENDS", "shiftMinutes": 5 });
    assert_eq!(code(&mutate(&app, token, "changePlan", change, "").await), "");
    let moved = posts(&app, token, &plan).await;
    assert!(
        moved.iter().all(|post| post["status"] == "AWAITING_APPROVAL" && post["visibility"] == "FRIENDS")
    );
    let captions: Vec<_> = moved.iter().map(|post| post["caption"].as_str().unwrap()).collect();
    assert!(captions[..3].iter().all(|caption| *caption == captions[0]), "{captions:?}");
    assert!(captions.contains(&"杭州: tonight") && captions.contains(&"上海: tonight"), "{captions:?}");
    assert_eq!(of(&moved, 1)[0], slot(0) + TimeDelta::minutes(5));
    // One of them.
    let one = json!({ "id": moved[0]["id"], "caption": "only this" });
    assert_eq!(code(&mutate(&app, token, "changePost", one, "").await), "");
    // Other times for all of them, which are not in each other's way.
    let rules = json!({ "id": made["id"], "rules": ["0 8 * * *"] });
    let changed = mutate(&app, token, "changeTimetable", rules, slots).await["timetable"].clone();
    let mornings = changed["nextSlots"].as_array().unwrap();
    let again = json!({ "id": plan, "slots": { "timetableId": made["id"] } });
    assert_eq!(code(&mutate(&app, token, "changePlan", again.clone(), "").await), "");
    assert_eq!(
        code(&mutate(&app, token, "changePlan", again, "").await),
        "",
        "what is there already is no clash"
    );
    let times = of(&posts(&app, token, &plan).await, 0);
    assert_eq!(times, [at(&mornings[0]["at"]), at(&mornings[1]["at"]), at(&mornings[2]["at"])]);

    refused_changes(&app, token, &plan, &made["id"]).await;
    refused_slots(&app, token, &input).await;
    let gone = mutate(&app, token, "removeTimetable", json!({ "id": made["id"] }), "removedId").await;
    assert_eq!(gone["removedId"], made["id"]);
    assert_eq!(code(&mutate(&app, token, "createPlan", input, "").await), "NOT_FOUND");
    assert_eq!(posts(&app, token, &plan).await.len(), 6, "what was planned stays");
    app.stop().await.unwrap();
    platform.stop().await;
}

/// A change that can't be made of all is made of none.
async fn refused_changes(app: &TestApp, token: &str, plan: &Value, timetable: &Value) {
    for (change, expected) in [
        (json!({ "id": plan }), "INVALID"),
        (json!({ "id": plan, "shiftMinutes": 0 }), "INVALID"),
        (json!({ "id": plan, "shiftMinutes": 527_040 }), "INVALID"),
        (json!({ "id": plan, "shiftMinutes": 5, "slots": { "timetableId": timetable } }), "INVALID"),
        (json!({ "id": plan, "slots": { "timetableId": timetable, "occurrences": 2 } }), "INVALID"),
        (
            json!({ "id": plan, "slots": { "timetableId": timetable, "until": System.now() + TimeDelta::days(2) } }),
            "NOT_POSTABLE",
        ),
        (json!({ "id": plan, "caption": "{{town}}" }), "NOT_POSTABLE"),
        (json!({ "id": plan, "slots": { "timetableId": plan } }), "INVALID"),
    ] {
        assert_eq!(code(&mutate(app, token, "changePlan", change.clone(), "").await), expected, "{change}");
    }
}

/// A plan whose slots can't be is refused, whole.
async fn refused_slots(app: &TestApp, token: &str, good: &Value) {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut input = good.clone();
        change(&mut input);
        input
    };
    for (input, expected) in [
        (with(&|i| i["items"][0]["plannedAt"] = json!(System.now())), "INVALID"),
        (with(&|i| i["slots"] = Value::Null), "INVALID"),
        (with(&|i| i["slots"]["occurrences"] = json!(0)), "INVALID"),
        (with(&|i| i["slots"]["occurrences"] = json!(501)), "INVALID"),
        (with(&|i| i["slots"]["occurrences"] = json!(400)), "INVALID"),
        (with(&|i| i["slots"]["until"] = json!(System.now() - TimeDelta::days(1))), "NOT_POSTABLE"),
        (with(&|i| i["slots"]["from"] = json!(System.now() + TimeDelta::days(200))), "NOT_POSTABLE"),
    ] {
        assert_eq!(code(&mutate(app, token, "createPlan", input.clone(), "").await), expected, "{input}");
    }
}

/// The rows of an answer, as (reference, outcome).
fn outcomes(payload: &Value) -> Vec<(&str, &str)> {
    let rows = payload["rows"].as_array().unwrap_or_else(|| panic!("{payload}"));
    rows.iter()
        .map(|row| (row["reference"].as_str().unwrap_or(""), row["outcome"].as_str().unwrap_or("")))
        .collect()
}

const ROWS: &str = "rows { line reference outcome postId problem changes { field before after } warnings { kind others otherId } }";

async fn preview(app: &TestApp, token: &str, input: Value) -> Answer {
    let query = format!(
        "query ($i: ImportPostsInput!) {{ importPreview(input: $i) {{ created changed unchanged refused {ROWS} }} }}"
    );
    app.client.graphql(token, &query, json!({ "i": input })).await.unwrap()
}

fn file_of(text: &str) -> Value {
    json!({ "format": "CSV", "text": text, "zone": "Asia/Shanghai" })
}

/// What there is no column for stays; and of one row that comes twice at once there is one post, as there is one post in one
/// slot.
async fn retimed_and_raced(app: &TestApp, desk: &Desk, plan: &Value, day: &str) {
    let token = &desk.tenant.owner.token;
    let bare = format!(
        "reference,upload_id,account_id,planned_at\na,{},{},{day} 15:00\n",
        desk.video, desk.accounts[0]
    );
    let moved = mutate(app, token, "importPosts", file_of(&bare), ROWS).await;
    assert_eq!(outcomes(&moved), [("a", "CHANGED")], "{moved}");
    let planned = posts(app, token, plan).await;
    let moved = planned.iter().find(|post| post["reference"] == "a").unwrap();
    assert_eq!(
        (&moved["caption"], at(&moved["plannedAt"]).format("%H").to_string()),
        (&json!("Hello, \"you\""), "07".to_owned())
    );

    let new = format!(
        "reference,upload_id,account_id,planned_at\nraced,{},{},{day} 16:00\n",
        desk.video, desk.accounts[0]
    );
    let take = || mutate(app, token, "importPosts", file_of(&new), ROWS);
    let (one, other) = tokio::join!(take(), take());
    let mut ends: Vec<_> = [&one, &other].iter().flat_map(|payload| outcomes(payload)).collect();
    ends.sort_unstable();
    assert_eq!(ends, [("raced", "CREATED"), ("raced", "UNCHANGED")]);

    let hourly = json!({ "name": "Hourly", "zone": "UTC", "rules": ["0 * * * *"] });
    let made =
        mutate(app, token, "createTimetable", hourly, "timetable { id }").await["timetable"]["id"].clone();
    let input = json!({
        "name": "Queue", "uploadId": desk.video, "items": [{ "accountId": desk.accounts[1] }],
        "slots": { "timetableId": made, "occurrences": 2 },
    });
    let queue = || mutate(app, token, "createPlan", input.clone(), "plan { id }");
    let (one, other) = tokio::join!(queue(), queue());
    let mut times = Vec::new();
    for payload in [one, other] {
        times.extend(
            posts(app, token, &payload["plan"]["id"]).await.iter().map(|post| at(&post["plannedAt"])),
        );
    }
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 4, "{times:?}");
}

/// One bad row keeps all of them out, unless it is to be passed over.
async fn bad_rows(app: &TestApp, desk: &Desk, planned: &[Value], day: &str) {
    let token = &desk.tenant.owner.token;
    let fields = format!("{ROWS} plans {{ id name }}");
    let gone = mutate(app, token, "cancelPost", json!({ "id": planned[0]["id"] }), "").await;
    assert_eq!(code(&gone), "");
    let cancelled = planned[0]["reference"].as_str().unwrap();
    let bad = format!(
        "reference,plan,upload_id,account_id,planned_at,caption\n\
         d,Week 3,{video},{first},{day} 12:00,ok\n\
         d,Week 3,{video},{first},{day} 12:00,twice\n\
         e,Week 3,{video},{first},yesterday,no time\n\
         f,Week 3,{first},{video},{day} 12:00,turned round\n\
         c,Week 2,{video},{second},{day}T10:00:00+08:00,other account\n\
         {cancelled},Week 1,{video},{owner},{day} 13:00,was given up\n\
         g,Week 3,{video},{first},{day} 12:00,{long}\n",
        video = desk.video,
        first = desk.accounts[0],
        second = desk.accounts[1],
        owner = planned[0]["accountId"].as_str().unwrap(),
        long = "长".repeat(1_001),
    );
    let seen = preview(app, token, file_of(&bad)).await;
    let seen = seen.data("importPreview");
    let problems: Vec<_> =
        seen["rows"].as_array().unwrap().iter().map(|row| row["problem"].as_str().unwrap_or("")).collect();
    for (row, part) in [
        (0, ""),
        (1, "line 2"),
        (2, "planned_at"),
        (3, "no such id"),
        (4, "another account"),
        (5, "cancelled"),
        (6, "characters"),
    ] {
        assert!(problems[row].contains(part), "{row}: {problems:?}");
    }
    assert_eq!(seen["refused"], 6);
    let refused = mutate(app, token, "importPosts", file_of(&bad), &fields).await;
    assert_eq!(code(&refused), "NOT_POSTABLE");
    assert!(message(&refused).contains("line 3"), "{refused}");
    let mut skipping = file_of(&bad);
    skipping["skipRefused"] = true.into();
    let came = mutate(app, token, "importPosts", skipping, &fields).await;
    assert_eq!(outcomes(&came).iter().filter(|(_, outcome)| *outcome == "CREATED").count(), 1, "{came}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_posts_comes_in_once_however_often_it_is_sent() {
    let (platform, app, desk) = desk(2).await;
    let token = &desk.tenant.owner.token;
    let day = (System.now() + TimeDelta::days(3)).format("%Y-%m-%d");
    let csv = format!(
        "reference,plan,upload_id,account_id,planned_at,caption\n\
         a,Week 1,{video},{first},{day} 09:00,\"Hello, \"\"you\"\"\"\n\
         b,Week 1,{video},{second},{day} 09:30,Hello\n\
         c,Week 2,{video},{first},{day}T10:00:00+08:00,Later\n",
        video = desk.video,
        first = desk.accounts[0],
        second = desk.accounts[1],
    );
    let seen = preview(&app, token, file_of(&csv)).await;
    assert_eq!(outcomes(seen.data("importPreview")), [("a", "CREATED"), ("b", "CREATED"), ("c", "CREATED")]);
    let list = "{ posts(first: 50) { nodes { id } } plans(first: 50) { nodes { name } } }";
    let nothing = app.client.graphql(token, list, json!({})).await.unwrap();
    assert_eq!(nothing.data("posts")["nodes"], json!([]), "asking plans nothing");

    let fields = format!("{ROWS} plans {{ id name }}");
    let came = mutate(&app, token, "importPosts", file_of(&csv), &fields).await;
    assert_eq!(came["plans"].as_array().unwrap().len(), 2, "{came}");
    let week = came["plans"].as_array().unwrap().iter().find(|plan| plan["name"] == "Week 1").unwrap();
    let planned = posts(&app, token, &week["id"]).await;
    let mut captions: Vec<_> = planned.iter().map(|post| post["caption"].as_str().unwrap()).collect();
    captions.sort_unstable();
    assert_eq!(captions, ["Hello", "Hello, \"you\""]);
    let nine: DateTime<Utc> = format!("{day}T09:00:00+08:00").parse().unwrap();
    assert!(planned.iter().any(|post| at(&post["plannedAt"]) == nine && post["reference"] == "a"));

    // The same again changes nothing; what is different is shown, then done.
    let again = mutate(&app, token, "importPosts", file_of(&csv), &fields).await;
    assert!(outcomes(&again).iter().all(|(_, outcome)| *outcome == "UNCHANGED"), "{again}");
    assert_eq!(again["plans"], json!([]));
    let other = csv.replace("Later", "Much later").replace("09:30", "21:30");
    let seen = preview(&app, token, file_of(&other)).await;
    let seen = seen.data("importPreview");
    assert_eq!((&seen["changed"], &seen["unchanged"]), (&json!(2), &json!(1)));
    assert_eq!(
        seen["rows"][2]["changes"],
        json!([{ "field": "caption", "before": "Later", "after": "Much later" }])
    );
    let changed = mutate(&app, token, "importPosts", file_of(&other), &fields).await;
    assert_eq!(outcomes(&changed), [("a", "UNCHANGED"), ("b", "CHANGED"), ("c", "CHANGED")]);
    let seen = app.client.graphql(token, list, json!({})).await.unwrap();
    assert_eq!(seen.data("posts")["nodes"].as_array().unwrap().len(), 3);

    // What is taken away and brought back is as it was, in either form.
    for (format, path) in [("CSV", "/exports/posts.csv"), ("JSONL", "/exports/posts.jsonl")] {
        let bearer = format!("Bearer {token}");
        let got =
            platform.http().get(format!("{}{path}", app.client.base())).header("authorization", &bearer);
        let file = got.send().await.unwrap().text().await.unwrap();
        let back = json!({ "format": format, "text": file });
        let seen = preview(&app, token, back).await;
        assert_eq!(seen.data("importPreview")["unchanged"], 3, "{} of {file}", seen.body);
    }

    retimed_and_raced(&app, &desk, &week["id"], &day.to_string()).await;
    bad_rows(&app, &desk, &planned, &day.to_string()).await;

    // What is no file says so, and another tenant's things are none.
    for text in ["", "reference,colour\na,b\n", "reference,plan\n"] {
        assert_eq!(code(&mutate(&app, token, "importPosts", file_of(text), "").await), "INVALID", "{text:?}");
    }
    let stranger = app.tenant().await.unwrap();
    let foreign = preview(&app, &stranger.owner.token, file_of(&csv)).await;
    assert_eq!(foreign.data("importPreview")["refused"], 3, "{}", foreign.body);
    app.stop().await.unwrap();
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_planned_in_one_step_or_not_at_all() {
    let (platform, app, desk) = desk(3).await;
    let token = &desk.tenant.owner.token;
    let other = send(&app.client, token, &video(1_000).await.unwrap()).await.unwrap();
    let from = System.now() + TimeDelta::hours(1);
    let input = |count: u32| {
        json!({
            "name": "Launch", "caption": "Look",
            "fleet": {
                "items": [
                    { "uploadId": desk.video, "count": count },
                    { "uploadId": other, "count": 2, "caption": "Another" },
                ],
                "from": from, "until": from + TimeDelta::hours(5),
            },
        })
    };
    let fields = "plans { id uploadId } unplaced { count reason }";
    let refused = mutate(&app, token, "createFleet", input(4), fields).await;
    assert_eq!(code(&refused), "NOT_POSTABLE", "{refused}");
    assert!(message(&refused).contains("only 3 of the accounts"), "{refused}");
    let list = app.client.graphql(token, "{ plans(first: 5) { nodes { id } } }", json!({})).await.unwrap();
    assert_eq!(list.data("plans")["nodes"], json!([]), "nothing is half done");
    let mut partial = input(4);
    partial["allowPartial"] = true.into();
    let made = mutate(&app, token, "createFleet", partial, fields).await;
    let plans = made["plans"].as_array().unwrap_or_else(|| panic!("{made}"));
    assert_eq!((plans.len(), &made["unplaced"][0]["count"]), (2, &json!(1)));
    let (first, second) =
        (posts(&app, token, &plans[0]["id"]).await, posts(&app, token, &plans[1]["id"]).await);
    assert_eq!((first.len(), second.len()), (3, 2));
    assert!(first.iter().all(|post| post["caption"] == "Look"));
    assert!(second.iter().all(|post| post["caption"] == "Another" && post["uploadId"] == other));

    // The same text on three accounts, and nothing of one account near another.
    assert_eq!(kinds(&first[0]), ["SAME_TEXT"], "{}", first[0]);
    assert_eq!(first[0]["warnings"][0]["others"], 2);
    let there = at(&first[0]["plannedAt"]);
    let account = desk.accounts.iter().position(|id| first[0]["accountId"] == *id).unwrap();
    let close = desk
        .plan(&app, &[(account, "Quite another".to_owned())], there + TimeDelta::minutes(29))
        .await
        .unwrap();
    let close = posts(&app, token, &close.into()).await;
    assert_eq!(kinds(&close[0]), ["CLOSE", "SAME_FILE"], "{}", close[0]);
    assert!(
        close[0]["warnings"].as_array().unwrap().iter().all(|warning| warning["otherId"] == first[0]["id"]),
        "{}",
        close[0]
    );
    assert_eq!(code(&mutate(&app, token, "cancelPost", json!({ "id": first[0]["id"] }), "").await), "");
    let close = posts(&app, token, &plan_of(&app, token, &close[0]).await).await;
    assert_eq!(kinds(&close[0]), Vec::<&str>::new(), "what was given up is in nobody's way");
    foreseen(&app, &desk, &close[0]).await;
    app.stop().await.unwrap();
    platform.stop().await;
}

async fn plan_of(app: &TestApp, token: &str, post: &Value) -> Value {
    let query = "query ($id: ID!) { post(id: $id) { planId } }";
    let answer = app.client.graphql(token, query, json!({ "id": post["id"] })).await.unwrap();
    answer.data("post")["planId"].clone()
}

/// What would speak against posts is said before they are made: beside what is there, and beside one another.
async fn foreseen(app: &TestApp, desk: &Desk, there: &Value) {
    let token = &desk.tenant.owner.token;
    let (account, planned_at) = (&there["accountId"], at(&there["plannedAt"]));
    let other = desk.accounts.iter().find(|id| *account != **id).unwrap();
    let time = |minutes: i64| (planned_at + TimeDelta::minutes(minutes)).to_rfc3339();
    let file = format!(
        "reference,upload_id,account_id,planned_at,caption\n\
         near,{video},{account},{near},Once more\n\
         one,{video},{other},{far},Once more\n\
         own,{video},{account},{at},Moved\n",
        video = desk.video,
        account = account.as_str().unwrap(),
        near = time(-10),
        far = time(24 * 60),
        at = time(-60),
    );
    let seen = preview(app, token, file_of(&file)).await;
    let rows = &seen.data("importPreview")["rows"];
    assert_eq!(kinds(&rows[0]), ["CLOSE", "SAME_FILE", "SAME_TEXT"], "{rows}");
    let others = |row: &Value, at: usize| {
        (row["warnings"][at]["others"].clone(), row["warnings"][at]["otherId"].clone())
    };
    assert_eq!(others(&rows[0], 0), (json!(1), there["id"].clone()), "{rows}");
    assert_eq!(
        others(&rows[0], 1),
        (json!(2), there["id"].clone()),
        "the one there, and another row: {rows}"
    );
    assert_eq!(others(&rows[0], 2), (json!(1), Value::Null), "a row of the file: {rows}");
    assert_eq!(kinds(&rows[2]), ["SAME_FILE"], "{rows}");
    // A row of the post that is there, by its id, moves it, and is no second one.
    let file = format!(
        "reference,upload_id,account_id,planned_at,caption\n{},{},{},{},Moved\n",
        there["id"].as_str().unwrap(),
        desk.video,
        account.as_str().unwrap(),
        time(-5),
    );
    let seen = preview(app, token, file_of(&file)).await;
    let rows = &seen.data("importPreview")["rows"];
    assert_eq!((&rows[0]["outcome"], kinds(&rows[0])), (&json!("CHANGED"), vec![]), "{rows}");

    let draft = json!({
        "items": [{ "uploadId": desk.video, "count": 1 }], "accountIds": [account],
        "from": time(-25), "until": time(-5), "spacingMinutes": 1,
    });
    let query = "query ($i: FleetPlanInput!) { fleetPlan(input: $i) { placements { warnings { kind others otherId } } } }";
    let answer = app.client.graphql(token, query, json!({ "i": draft })).await.unwrap();
    let placement = &answer.data("fleetPlan")["placements"][0];
    assert_eq!(kinds(placement), ["CLOSE", "SAME_FILE"], "{}", answer.body);
    assert_eq!(others(placement, 0), (json!(1), there["id"].clone()));
}
