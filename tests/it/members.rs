//! Members and invitations, lists, and commands that must not be done twice.

use domain::kernel::actor::Role;
use harness::app::{PASSWORD, TestApp};
use serde_json::{Value, json};

const INVITE: &str = "mutation ($input: InviteMemberInput!, $key: String!) {
    inviteMember(input: $input) @idempotent(key: $key) {
        invitation { id email role state } token complianceId
        userErrors { __typename message code field ... on PlanLimitReached { limit } }
    }
}";

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_joins_once() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let input = json!({ "input": { "email": "Lin@Example.com", "role": "ANALYST" }, "key": "1" });
    let invited = app.client.graphql(&tenant.owner.token, INVITE, input).await.unwrap();
    let payload = invited.data("inviteMember");
    assert_eq!(payload["invitation"]["email"], "lin@example.com", "{}", invited.body);
    assert_eq!(payload["invitation"]["state"], "OPEN");
    assert_eq!(payload["complianceId"], invited.compliance_id());
    let body = json!({ "token": payload["token"], "name": "Lin", "password": PASSWORD });
    assert_eq!(app.client.post("/auth/invitations/accept", &body).await.unwrap().status, 201);
    assert_eq!(app.client.post("/auth/invitations/accept", &body).await.unwrap().status, 400, "once");
    let again = json!({ "input": { "email": "lin@example.com", "role": "ANALYST" }, "key": "2" });
    let again = app.client.graphql(&tenant.owner.token, INVITE, again).await.unwrap();
    assert_eq!(again.refusal("inviteMember"), "ALREADY_MEMBER");
    for (email, code) in [("not an address", "INVALID"), ("", "INVALID"), ("a@b", "INVALID")] {
        let input = json!({ "input": { "email": email, "role": "ANALYST" }, "key": "3" });
        let refused = app.client.graphql(&tenant.owner.token, INVITE, input).await.unwrap();
        assert_eq!(refused.refusal("inviteMember"), code, "{email}");
        assert_eq!(refused.data("inviteMember")["userErrors"][0]["field"], json!(["input", "email"]));
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_is_answered_and_not_repeated() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let token = &tenant.owner.token;
    let send = |email: &str, key: &str| {
        let variables = json!({ "input": { "email": email, "role": "ADMIN" }, "key": key });
        let client = app.client.clone();
        async move { client.graphql(token, INVITE, variables).await.unwrap() }
    };
    let first = send("one@example.com", "same").await;
    let second = send("one@example.com", "same").await;
    assert_eq!(first.data("inviteMember")["token"], second.data("inviteMember")["token"], "{}", second.body);
    assert_eq!(second.body["extensions"]["idempotentReplay"], true);
    assert_ne!(first.compliance_id(), second.compliance_id());
    let other = send("two@example.com", "same").await;
    assert_eq!((other.status, other.code()), (200, "IDEMPOTENCY_KEY_REUSED"), "{}", other.body);

    let bare = "mutation { inviteMember(input: { email: \"x@example.com\", role: ADMIN }) { token } }";
    let without = app.client.graphql(token, bare, json!({})).await.unwrap();
    assert_eq!(without.code(), "BAD_USER_INPUT", "{}", without.body);
    let header = [("idempotency-key", "by-header")];
    let with = app.client.graphql_with(token, bare, json!({}), &header).await.unwrap();
    assert!(with.data("inviteMember")["token"].is_string(), "{}", with.body);

    let storm = (0..8).map(|_| send("storm@example.com", "storm"));
    let answers = futures_util::future::join_all(storm).await;
    let tokens: std::collections::HashSet<String> = answers
        .iter()
        .filter_map(|answer| answer.data("inviteMember")["token"].as_str().map(ToOwned::to_owned))
        .collect();
    assert_eq!(tokens.len(), 1, "all who were answered were given the same");
    assert!(answers.iter().all(|answer| {
        answer.data("inviteMember")["token"].is_string() || answer.code() == "IDEMPOTENCY_IN_PROGRESS"
    }));
    let mut database = app.superuser_connection().await.unwrap();
    let invitations: i64 =
        sqlx::query_scalar("SELECT count(*) FROM identity.invitations WHERE tenant_id = $1")
            .bind(tenant.id.uuid())
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!(invitations, 3, "one, by header, storm");
    let colleague = app.member(&tenant, Role::Owner).await.unwrap();
    let theirs = json!({ "input": { "email": "theirs@example.com", "role": "ADMIN" }, "key": "same" });
    let theirs = app.client.graphql(&colleague.token, INVITE, theirs).await.unwrap();
    assert!(
        theirs.data("inviteMember")["token"].is_string(),
        "keys of two callers never meet: {}",
        theirs.body
    );
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_keeps_an_owner_even_when_two_step_down_at_once() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let change = "mutation ($id: ID!) { changeMemberRole(input: { id: $id, role: ADMIN }) {
        member { role } userErrors { code } } }";
    let alone =
        app.client.graphql(&tenant.owner.token, change, json!({ "id": tenant.owner.id })).await.unwrap();
    assert_eq!(alone.refusal("changeMemberRole"), "LAST_OWNER", "{}", alone.body);
    let suspend = "mutation ($id: ID!) { suspendMember(input: { id: $id }) { userErrors { code } } }";
    let alone =
        app.client.graphql(&tenant.owner.token, suspend, json!({ "id": tenant.owner.id })).await.unwrap();
    assert_eq!(alone.refusal("suspendMember"), "LAST_OWNER");

    let second = app.member(&tenant, Role::Owner).await.unwrap();
    let (one, two) = tokio::join!(
        app.client.graphql(&tenant.owner.token, change, json!({ "id": tenant.owner.id })),
        app.client.graphql(&second.token, change, json!({ "id": second.id })),
    );
    let done = [one.unwrap(), two.unwrap()]
        .iter()
        .filter(|answer| answer.data("changeMemberRole")["member"]["role"] == "ADMIN")
        .count();
    assert_eq!(done, 1, "one may step down, not both");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_works_at_once_and_admins_do_not_touch_owners() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let admin = app.member(&tenant, Role::Admin).await.unwrap();
    let suspend = "mutation ($id: ID!) { suspendMember(input: { id: $id }) { userErrors { code } } }";
    let touched = app.client.graphql(&admin.token, suspend, json!({ "id": tenant.owner.id })).await.unwrap();
    assert_eq!(touched.code(), "FORBIDDEN", "{}", touched.body);
    let change = "mutation ($id: ID!, $role: Role!) { changeMemberRole(input: { id: $id, role: $role }) {
        member { role } userErrors { code } } }";
    let up =
        app.client.graphql(&admin.token, change, json!({ "id": admin.id, "role": "OWNER" })).await.unwrap();
    assert_eq!(up.code(), "FORBIDDEN", "nobody makes themselves owner");
    let down = json!({ "id": admin.id, "role": "ANALYST" });
    let changed = app.client.graphql(&tenant.owner.token, change, down).await.unwrap();
    assert_eq!(changed.data("changeMemberRole")["member"]["role"], "ANALYST", "{}", changed.body);
    let after =
        app.client.graphql(&admin.token, "{ auditEvents { nodes { id } } }", json!({})).await.unwrap();
    assert_eq!(after.code(), "FORBIDDEN", "the role held now counts, not the one signed in with");
    let suspended =
        app.client.graphql(&tenant.owner.token, suspend, json!({ "id": admin.id })).await.unwrap();
    assert_eq!(suspended.data("suspendMember")["userErrors"], json!([]));
    let over = app.client.graphql(&admin.token, "{ viewer { permissions } }", json!({})).await.unwrap();
    assert_eq!(over.code(), "UNAUTHENTICATED");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_walked_both_ways_without_loss_or_repetition() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    for number in 0..7 {
        let input = json!({ "input": { "email": format!("m{number}@example.com"), "role": "ANALYST" }, "key": format!("k{number}") });
        app.client.graphql(&tenant.owner.token, INVITE, input).await.unwrap();
    }
    let page = |arguments: String| {
        let query = format!(
            "{{ invitations({arguments}) {{ edges {{ cursor node {{ email }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        let (client, token) = (app.client.clone(), tenant.owner.token.clone());
        async move { client.graphql(&token, &query, json!({})).await.unwrap() }
    };
    let emails = |list: &Value| -> Vec<String> {
        list["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| edge["node"]["email"].as_str().unwrap().to_owned())
            .collect()
    };
    let wanted: Vec<_> = (0..7).map(|number| format!("m{number}@example.com")).collect();
    let (mut forward, mut after) = (Vec::new(), String::new());
    loop {
        let answer = page(format!("first: 3{after}")).await;
        let list = answer.data("invitations");
        forward.extend(emails(list));
        if list["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", list["pageInfo"]["endCursor"]);
    }
    assert_eq!(forward, wanted);
    let (mut backward, mut before) = (Vec::new(), String::new());
    loop {
        let answer = page(format!("last: 3{before}")).await;
        let list = answer.data("invitations");
        backward.splice(0..0, emails(list));
        if list["pageInfo"]["hasPreviousPage"] == false {
            break;
        }
        before = format!(", before: {}", list["pageInfo"]["startCursor"]);
    }
    assert_eq!(backward, wanted);

    let first = page("first: 1".to_owned()).await;
    let cursor = first.data("invitations")["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    let stolen = format!("{{ members(first: 1, after: {cursor:?}) {{ nodes {{ id }} }} }}");
    let refused = app.client.graphql(&tenant.owner.token, &stolen, json!({})).await.unwrap();
    assert_eq!(refused.code(), "BAD_USER_INPUT", "a cursor is of its list only: {}", refused.body);
    for bad in
        ["first: 0", "first: 101", "first: -1", "last: 0", "first: 1, last: 1", "first: 1, after: \"x\""]
    {
        assert_eq!(page(bad.to_owned()).await.code(), "BAD_USER_INPUT", "{bad}");
    }
    app.stop().await.unwrap();
}
