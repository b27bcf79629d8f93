//! Lists below lists: asked for once a level, and for each parent as if it had been asked for alone.

use domain::kernel::actor::Role;
use harness::app::{TestApp, TestTenant};
use serde_json::{Value, json};

const ALL: &str =
    "query ($first: Int, $after: String, $last: Int, $before: String) { members(first: 8) { nodes { id
    sessions(first: $first, after: $after, last: $last, before: $before) {
        nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } } }";

async fn read(app: &TestApp, token: &str, query: &str, variables: Value) -> Value {
    app.client.graphql(token, query, variables).await.unwrap().body
}

fn member<'a>(body: &'a Value, id: &str) -> &'a Value {
    let nodes = body["data"]["members"]["nodes"].as_array().unwrap_or_else(|| panic!("{body}"));
    nodes.iter().find(|node| node["id"] == id).unwrap_or_else(|| panic!("{id} in {body}"))
}

/// An owner with three sessions, an admin with two and an analyst with one.
async fn crowd(app: &TestApp) -> (TestTenant, [(String, String, usize); 3]) {
    let tenant = app.tenant().await.unwrap();
    let admin = app.member(&tenant, Role::Admin).await.unwrap();
    let analyst = app.member(&tenant, Role::Analyst).await.unwrap();
    for email in [&tenant.owner.email, &tenant.owner.email, &admin.email] {
        app.sign_in(&tenant.slug, email).await.unwrap();
    }
    let owner = (tenant.owner.id.clone(), tenant.owner.token.clone(), 3);
    (tenant, [owner, (admin.id, admin.token, 2), (analyst.id, analyst.token, 1)])
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_level_are_those_of_each_member() {
    let app = TestApp::start().await.unwrap();
    let (tenant, crowd) = crowd(&app).await;
    let alone =
        "query ($id: ID!, $first: Int, $last: Int) { member(id: $id) { sessions(first: $first, last: $last) {
        nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor startCursor } } } }";
    for page in [json!({}), json!({ "first": 1 }), json!({ "last": 2 }), json!({ "first": 100 })] {
        let all = read(&app, &tenant.owner.token, ALL, page.clone()).await;
        assert_eq!(all.get("errors"), None, "{all}");
        for (id, _, count) in &crowd {
            let mut variables = page.clone();
            variables["id"] = json!(id);
            let one = read(&app, &tenant.owner.token, alone, variables).await;
            let together = &member(&all, id)["sessions"];
            assert_eq!(together, &one["data"]["member"]["sessions"], "{page}");
            let limit = page["first"].as_u64().or(page["last"].as_u64()).unwrap_or(20);
            let shown = together["nodes"].as_array().map_or(0, Vec::len);
            assert_eq!(shown, (*count).min(usize::try_from(limit).unwrap()), "{page}: {together}");
        }
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_sessions_are_walked_both_ways_inside_a_level() {
    let app = TestApp::start().await.unwrap();
    let (tenant, crowd) = crowd(&app).await;
    let (owner, token) = (&crowd[0].0, &tenant.owner.token);
    let whole = read(&app, token, ALL, json!({})).await;
    let whole = &member(&whole, owner)["sessions"]["nodes"];
    for (size, cursor, place, more) in
        [("first", "after", "endCursor", "hasNextPage"), ("last", "before", "startCursor", "hasPreviousPage")]
    {
        let mut walked: Vec<Value> = Vec::new();
        let mut variables = json!({ size: 1 });
        loop {
            let answer = read(&app, token, ALL, variables.clone()).await;
            let page = &member(&answer, owner)["sessions"];
            walked.extend(page["nodes"].as_array().unwrap().iter().cloned());
            if page["pageInfo"][more] == false {
                break;
            }
            variables = json!({ size: 1, cursor: page["pageInfo"][place] });
        }
        if size == "last" {
            walked.reverse();
        }
        assert_eq!(&json!(walked), whole, "{size}");
        // The last cursor was the owner's: to the others' lists it says nothing.
        let answer = read(&app, token, ALL, variables).await;
        for (index, node) in answer["data"]["members"]["nodes"].as_array().unwrap().iter().enumerate() {
            let path = json!(["members", "nodes", index, "sessions"]);
            let errors = answer["errors"].as_array().unwrap();
            let error = errors.iter().find(|error| error["path"] == path);
            let code = error.map_or(&Value::Null, |error| &error["extensions"]["code"]);
            if node["id"] == **owner {
                assert_eq!((code, node["sessions"].is_object()), (&Value::Null, true), "{answer}");
            } else {
                assert_eq!((code, &node["sessions"]), (&json!("BAD_USER_INPUT"), &Value::Null), "{answer}");
            }
        }
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_manage_members_sees_own_sessions_among_others() {
    let app = TestApp::start().await.unwrap();
    let (tenant, crowd) = crowd(&app).await;
    let (analyst, token, _) = &crowd[2];
    // Who may read members is not asked here, only whose sessions are shown.
    let operator = app.member(&tenant, Role::Operator).await.unwrap();
    for (id, token) in [(analyst, token), (&operator.id, &operator.token)] {
        let answer = read(&app, token, ALL, json!({})).await;
        let Some(nodes) = answer["data"]["members"]["nodes"].as_array() else {
            assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer}");
            continue;
        };
        let errors = answer["errors"].as_array().unwrap();
        assert_eq!(errors.len(), nodes.len() - 1, "{answer}");
        assert!(errors.iter().all(|error| error["extensions"]["code"] == "FORBIDDEN"), "{answer}");
        for (index, node) in nodes.iter().enumerate() {
            let path = json!(["members", "nodes", index, "sessions"]);
            let is_told = errors.iter().any(|error| error["path"] == path);
            assert_eq!(node["id"] != *id, is_told && node["sessions"].is_null(), "{answer}");
        }
        assert_eq!(member(&answer, id)["sessions"]["nodes"].as_array().map(Vec::len), Some(1));
    }
    let signed_out = read(&app, "", ALL, json!({})).await;
    assert_eq!(signed_out["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{signed_out}");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_written_out_and_their_documents_kept() {
    const KNOWN: &str = "matricula_documents_total{document=\"known\"}";
    const WRITTEN: &str = "matricula_output_total{way=\"written\"}";
    const LEFT: &str = "matricula_output_total{way=\"left\"}";
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let token = &tenant.owner.token;
    let before = (app.figure(KNOWN).await.unwrap(), app.figure(WRITTEN).await.unwrap());
    for _ in 0..3 {
        read(&app, token, ALL, json!({ "first": 2 })).await;
    }
    let lists = "{ members { totalCount nodes { role createdAt } } invitations { edges { node { id state } } }
        apiKeys { nodes { scopes } } auditEvents { nodes { actor { kind } } } viewer { member { sessions { nodes { id } } } } }";
    let answer = read(&app, token, lists, json!({})).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!(answer["data"]["members"]["totalCount"], 1);
    assert_eq!(app.figure(KNOWN).await.unwrap() - before.0, 2, "the first was new");
    assert_eq!(app.figure(WRITTEN).await.unwrap() - before.1, 3 + 5);
    let others = "{ accounts(first: 2) { nodes { id posts(first: 2) { nodes { id } } } } apps(first: 2) { nodes { id } } consentsDue(first: 2) { nodes { id } } uploads(first: 2) { nodes { id } }
        posts(first: 2) { nodes { id timeline { kind } receipts { digest } figures { plays } figureHistory { plays } } }
        plans(first: 2) { nodes { id approvalDigest posts { nodes { id } } } } timetables(first: 2) { nodes { id } } groups { id grantedTo } platforms { key } }";
    let answer = read(&app, token, others, json!({})).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!(app.figure(WRITTEN).await.unwrap() - before.1, 3 + 5 + 9);
    assert_eq!(app.figure(LEFT).await.unwrap(), 0);
    app.stop().await.unwrap();
}

/// However many objects a list has, what is asked of each is asked once for all, and in few transactions.
#[tokio::test(flavor = "multi_thread")]
async fn many_groups_are_asked_once_and_many_nodes_take_turns() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let token = &tenant.owner.token;
    let mut database = app.superuser_connection().await.unwrap();
    let sql = "INSERT INTO accounts.groups (tenant_id, id, name, created_at, version)
        SELECT $1, md5(n::text)::uuid, 'group ' || n, now(), 1 FROM generate_series(1, 2000) AS n";
    sqlx::query(sql).bind(tenant.id.uuid()).execute(&mut database).await.unwrap();
    let begun = async |name: &str| -> i64 {
        let sql =
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        let mut database = app.superuser_connection().await.unwrap();
        // Counts are told once a second.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        sqlx::query_scalar(sql)
            .fetch_one(&mut database)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let before = begun("before").await;
    let answer = read(&app, token, "{ groups { id grantedTo } }", json!({})).await;
    assert_eq!(answer["data"]["groups"].as_array().map(Vec::len), Some(2_000), "{answer}");
    let took = begun("after").await - before;
    assert!(took < 200, "{took} transactions for one list");
    // Nodes of an interface are asked one by one, but not with a connection each.
    let ids: Vec<_> =
        answer["data"]["groups"].as_array().unwrap()[..50].iter().map(|group| group["id"].clone()).collect();
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Group { grantedTo } } }";
    let answer = read(&app, token, nodes, json!({ "ids": ids })).await;
    assert_eq!(answer.get("errors"), None, "{answer}");
    assert_eq!(answer["data"]["nodes"].as_array().map(Vec::len), Some(50));
    assert_eq!(app.figure("matricula_output_total{way=\"alone\"}").await.unwrap(), 50);
    app.stop().await.unwrap();
}
