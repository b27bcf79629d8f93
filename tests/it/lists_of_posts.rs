//! Posts below accounts and below plans are those of the list by itself, whoever asks.

use chrono::TimeDelta;
use domain::kernel::{actor::Role, clock::Clock as _};
use harness::{
    app::TestApp,
    platform::TestPlatform,
    posting::{Desk, video},
};
use infra::system::System;
use serde_json::{Value, json};

const PAGE: &str =
    "nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";

async fn read(app: &TestApp, token: &str, query: &str, variables: Value) -> Value {
    app.client.graphql(token, query, variables).await.unwrap().body
}

/// A page of the posts of all accounts or plans.
async fn below(app: &TestApp, token: &str, parents: &str, page: &Value) -> Value {
    let query = format!(
        "query ($first: Int, $after: String, $last: Int, $before: String) {{ {parents}(first: 4) {{ nodes {{ id
            posts(first: $first, after: $after, last: $last, before: $before) {{ {PAGE} }} }} }} }}"
    );
    read(app, token, &query, page.clone()).await
}

/// The same page of the list of one of them, asked for by itself.
async fn alone(app: &TestApp, token: &str, parents: &str, id: &Value, page: &Value) -> Value {
    let argument = if parents == "accounts" { "accountId" } else { "planId" };
    let query = format!(
        "query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {{
            posts({argument}: $id, first: $first, after: $after, last: $last, before: $before) {{ {PAGE} }} }}"
    );
    let mut variables = page.clone();
    variables["id"] = id.clone();
    read(app, token, &query, variables).await["data"]["posts"].clone()
}

fn parents<'a>(body: &'a Value, field: &str) -> &'a Vec<Value> {
    body["data"][field]["nodes"].as_array().unwrap_or_else(|| panic!("{body}"))
}

/// How many posts each has.
fn counts(body: &Value, field: &str) -> Vec<usize> {
    let posts = |parent: &Value| parent["posts"]["nodes"].as_array().map_or(0, Vec::len);
    parents(body, field).iter().map(posts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_of_a_level_are_those_of_each_account_and_plan() {
    let platform = TestPlatform::start().unwrap();
    let app = platform.posting_app().await.unwrap();
    let desk = Desk::open(&platform, &app, 3, &video(0).await.unwrap()).await.unwrap();
    let owner = &desk.tenant.owner.token;
    let at = |hours| System.now() + TimeDelta::hours(hours);
    let both = [(0, "a".to_owned()), (1, "b".to_owned())];
    for hours in [30, 10, 20] {
        desk.plan(&app, &both, at(hours)).await.unwrap();
    }
    desk.plan(&app, &both[..1], at(5)).await.unwrap();

    for (field, all) in [("accounts", vec![4, 3, 0]), ("plans", vec![2, 2, 2, 1])] {
        let whole = below(&app, owner, field, &json!({})).await;
        assert_eq!(counts(&whole, field), all, "{whole}");
        for page in [json!({}), json!({ "first": 1 }), json!({ "last": 2 }), json!({ "first": 40 })] {
            let answer = below(&app, owner, field, &page).await;
            for parent in parents(&answer, field) {
                let one = alone(&app, owner, field, &parent["id"], &page).await;
                assert_eq!(parent["posts"], one, "{field} {page}");
            }
        }
        // A cursor is of one list, wherever it is read: it goes on in that one, and is refused for the others.
        let first = below(&app, owner, field, &json!({ "first": 1 })).await;
        let next =
            json!({ "first": 1, "after": parents(&first, field)[0]["posts"]["pageInfo"]["endCursor"] });
        let answer = below(&app, owner, field, &next).await;
        let going_on = &parents(&answer, field)[0];
        assert_eq!(going_on["posts"], alone(&app, owner, field, &going_on["id"], &next).await);
        assert_eq!(going_on["posts"]["pageInfo"]["hasPreviousPage"], true);
        let refused = answer["errors"].as_array().unwrap();
        assert_eq!(refused.len(), all.len() - 1, "{answer}");
        assert_eq!(refused[0]["path"], json!([field, "nodes", 1, "posts"]));
        assert_eq!(refused[0]["extensions"]["code"], "BAD_USER_INPUT");
    }

    // Who reaches one account sees its posts alone, below plans too.
    let operator = app.member(&desk.tenant, Role::Operator).await.unwrap();
    let group =
        "mutation { createGroup(input: { name: \"Team\" }) @idempotent(key: \"g\") { group { id } } }";
    let group = read(&app, owner, group, json!({})).await["data"]["createGroup"]["group"]["id"].clone();
    let arrange = "mutation ($account: ID!, $group: ID!, $member: ID!) {
        placeAccount(input: { id: $account, groupId: $group }) { account { id } }
        grantGroup(input: { id: $group, memberId: $member }) { group { grantedTo } } }";
    let variables = json!({ "account": desk.accounts[1], "group": group, "member": operator.id });
    let arranged = read(&app, owner, arrange, variables).await;
    assert_eq!(arranged["data"]["grantGroup"]["group"]["grantedTo"], json!([operator.id]), "{arranged}");
    let reached = below(&app, &operator.token, "accounts", &json!({})).await;
    assert_eq!(counts(&reached, "accounts"), [3]);
    let reached = below(&app, &operator.token, "plans", &json!({})).await;
    assert_eq!(counts(&reached, "plans"), [1, 1, 1, 0], "{reached}");
    for plan in parents(&reached, "plans") {
        let one = alone(&app, &operator.token, "plans", &plan["id"], &json!({})).await;
        assert_eq!(plan["posts"], one);
    }

    // Another tenant has none of it, and an account that is known by its id shows it nothing.
    let stranger = app.tenant().await.unwrap();
    for field in ["accounts", "plans"] {
        let answer = below(&app, &stranger.owner.token, field, &json!({})).await;
        assert_eq!(answer["data"][field]["nodes"], json!([]), "{answer}");
    }
    app.stop().await.unwrap();
    platform.stop().await;
}
