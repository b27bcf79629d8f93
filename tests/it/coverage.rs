//! Ratchets: what holds of every mutation there is, read from the schema itself. A mutation that arrives without
//! authorisation, isolation or an audit event fails here. There are no exceptions; keep it so.

use std::collections::BTreeMap;

use domain::{
    accounts, compliance, content, identity,
    kernel::{
        action::{Action, Idempotency},
        actor::Role,
        outbox::Stream,
    },
    publishing,
};
use harness::app::{PASSWORD, TestApp, TestTenant};
use serde_json::{Value, json};

/// What the doors before a session do; everything else is a mutation.
const DOORS: [&str; 8] = [
    "open_tenant",
    "close_tenant",
    "reopen_tenant",
    "sign_in",
    "refresh_session",
    "request_password_reset",
    "reset_password",
    "accept_invitation",
];

/// All that callers can have done, of every context.
fn actions() -> impl Iterator<Item = &'static Action> {
    let ours = identity::actions::ALL.iter().chain(accounts::actions::ALL).chain(content::actions::ALL);
    ours.chain(publishing::actions::ALL).chain(compliance::actions::ALL)
}

/// The names of a root type's fields and whether each takes an input, from the schema's text.
fn fields_of(root: &str) -> BTreeMap<String, bool> {
    let schema = include_str!("../../schema.graphql");
    let body = schema.split(&format!("\ntype {root} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    // What stands between two triple quotes is text.
    let bare: String = body.split("\"\"\"").step_by(2).collect();
    bare.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('"'))
        .map(|line| {
            let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
            (name, line.contains("input:"))
        })
        .collect()
}

/// A good input for every mutation that takes one, naming things of `tenant`. A mutation without one here fails.
async fn inputs(app: &TestApp, tenant: &TestTenant) -> BTreeMap<&'static str, Value> {
    let member = app.member(tenant, Role::Operator).await.unwrap();
    let seed = "mutation { inviteMember(input: { email: \"seed@example.com\", role: ADMIN }) @idempotent(key: \"s\") { invitation { id } }
        issueApiKey(input: { name: \"seed\", scopes: [READ_AUDIT] }) @idempotent(key: \"s\") { apiKey { id } }
        createTimetable(input: { name: \"seed\", zone: \"UTC\", rules: [\"0 9 * * *\"] }) @idempotent(key: \"s\") { timetable { id } }
        beginUpload(input: { name: \"seed.mp4\", sizeBytes: \"5\" }) { upload { id } } }";
    let seeded = app.client.graphql(&tenant.owner.token, seed, json!({})).await.unwrap();
    let session =
        app.client.graphql(&member.token, "{ viewer { session { id } } }", json!({})).await.unwrap();
    let id = |value: &Value| json!({ "id": value.as_str().unwrap_or_else(|| panic!("{}", seeded.body)) });
    let things = linked_things(app, tenant).await;
    let (platform_app, account, group) = (&things[0], &things[1], &things[2]);
    let [plan, post] = app.post(tenant, account.as_str().unwrap()).await.unwrap();
    let upload = &seeded.data("beginUpload")["upload"]["id"];
    let timetable = &seeded.data("createTimetable")["timetable"]["id"];
    let digest = "0".repeat(64);
    let hold = "mutation ($id: ID!) { placeHold(input: { id: $id, matter: \"seed\" }) { hold { id } } }";
    let of_owner = json!({ "id": tenant.owner.id });
    let placed = app.client.graphql(&tenant.owner.token, hold, of_owner).await.unwrap();
    let hold = placed.data("placeHold")["hold"]["id"].clone();
    let (record, sha256) = app.record(tenant).await.unwrap();
    BTreeMap::from([
        (
            "registerApp",
            json!({ "platform": "douyin", "name": "n", "clientKey": "awnew", "clientSecret": "s", "scopes": ["user_info"] }),
        ),
        ("changeApp", json!({ "id": platform_app, "name": "Another" })),
        ("removeApp", json!({ "id": platform_app })),
        ("beginLink", json!({ "appId": platform_app, "groupId": group })),
        ("pauseAccount", json!({ "id": account })),
        ("resumeAccount", json!({ "id": account })),
        ("unlinkAccount", json!({ "id": account })),
        ("refreshAccount", json!({ "id": account })),
        ("placeAccount", json!({ "id": account, "groupId": group })),
        ("tagAccount", json!({ "id": account, "tags": ["food"] })),
        ("createGroup", json!({ "name": "n", "parentId": group })),
        ("changeGroup", json!({ "id": group, "name": "Another" })),
        ("removeGroup", json!({ "id": group })),
        ("grantGroup", json!({ "id": group, "memberId": member.id })),
        ("revokeGroup", json!({ "id": group, "memberId": member.id })),
        ("beginUpload", json!({ "name": "a.mp4", "mediaType": "video/mp4", "sizeBytes": "5" })),
        ("cancelUpload", id(&seeded.data("beginUpload")["upload"]["id"])),
        ("transcodeUpload", json!({ "id": upload, "platform": "douyin" })),
        (
            "createPlan",
            json!({
                "name": "n", "uploadId": upload,
                "items": [{ "accountId": account, "plannedAt": "2026-01-01T00:00:00Z" }],
            }),
        ),
        ("changePlan", json!({ "id": plan, "caption": "another" })),
        (
            "createFleet",
            json!({
                "name": "n",
                "fleet": {
                    "items": [{ "uploadId": upload }], "accountIds": [account],
                    "from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z",
                },
            }),
        ),
        (
            "importPosts",
            json!({ "format": "JSONL", "text": format!("{{\"reference\": \"r\", \"upload_id\": {upload}}}") }),
        ),
        ("createTimetable", json!({ "name": "n", "zone": "UTC", "rules": ["0 9 * * *"] })),
        ("changeTimetable", json!({ "id": timetable, "name": "Another" })),
        ("removeTimetable", json!({ "id": timetable })),
        ("approvePlan", json!({ "id": plan, "digest": digest })),
        ("cancelPlan", json!({ "id": plan })),
        (
            "requestReport",
            json!({ "kind": "SIGN_INS", "since": "2026-07-01", "until": "2026-10-01", "zone": "Asia/Shanghai" }),
        ),
        ("eraseSubject", json!({ "id": member.id, "basis": "OBJECTED" })),
        ("placeHold", json!({ "id": account, "matter": "2026-17" })),
        ("releaseHold", json!({ "id": hold })),
        ("reviewRecord", json!({ "id": record, "sha256": sha256 })),
        ("cancelReport", json!({ "id": app.report(tenant).await.unwrap() })),
        ("approvePost", json!({ "id": post, "digest": digest })),
        ("changePost", json!({ "id": post, "caption": "another" })),
        ("cancelPost", json!({ "id": post })),
        ("retryPost", json!({ "id": post })),
        ("resolvePost", json!({ "id": post, "giveUp": true })),
        ("inviteMember", json!({ "email": "new@example.com", "role": "ANALYST" })),
        ("revokeInvitation", id(&seeded.data("inviteMember")["invitation"]["id"])),
        ("changeMemberRole", json!({ "id": member.id, "role": "ANALYST" })),
        ("suspendMember", json!({ "id": member.id })),
        ("restoreMember", json!({ "id": member.id })),
        ("startPasswordReset", json!({ "id": member.id })),
        ("changePassword", json!({ "currentPassword": PASSWORD, "newPassword": "another long password" })),
        ("revokeSession", id(&session.data("viewer")["session"]["id"])),
        ("confirmTotp", json!({ "code": "000000" })),
        ("disableTotp", json!({ "code": "000000" })),
        ("issueApiKey", json!({ "name": "n", "scopes": ["READ_MEMBERS"] })),
        ("revokeApiKey", id(&seeded.data("issueApiKey")["apiKey"]["id"])),
    ])
}

/// The ids of an app, an account linked with it, and a group, of `tenant`. The account is put there as the platform's
/// answer would be.
async fn linked_things(app: &TestApp, tenant: &TestTenant) -> [Value; 3] {
    let seed = "mutation {
        registerApp(input: { platform: \"douyin\", name: \"Seed\", clientKey: \"awseed\", clientSecret: \"s\", scopes: [\"user_info\"] })
            @idempotent(key: \"s\") { app { id } }
        createGroup(input: { name: \"Seed\" }) @idempotent(key: \"s\") { group { id } } }";
    let seeded = app.client.graphql(&tenant.owner.token, seed, json!({})).await.unwrap();
    let group = seeded.data("createGroup")["group"]["id"].clone();
    let platform_app = seeded.data("registerApp")["app"]["id"].clone();
    let account = app.account(tenant, platform_app.as_str().unwrap(), "owner").await.unwrap();
    [platform_app, account.into(), group]
}

fn document(field: &str, input: Option<&Value>) -> (String, Value) {
    let type_name = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    let rest = "userErrors { code } complianceId";
    match input {
        Some(input) => (
            format!(
                "mutation ($i: {type_name}!, $k: String!) {{ {field}(input: $i) @idempotent(key: $k) {{ {rest} }} }}"
            ),
            json!({ "i": input, "k": format!("coverage-{field}") }),
        ),
        None => (
            format!("mutation ($k: String!) {{ {field} @idempotent(key: $k) {{ {rest} }} }}"),
            json!({ "k": format!("coverage-{field}") }),
        ),
    }
}

fn action_of(field: &str) -> &'static Action {
    actions().find(|action| action.field_name() == field).unwrap_or_else(|| {
        panic!("the mutation {field} has no action of its name in an actions.rs of domain/src")
    })
}

#[test]
fn every_action_has_a_door_and_every_mutation_an_action() {
    let mutations = fields_of("Mutation");
    for field in mutations.keys() {
        action_of(field);
    }
    for action in actions() {
        let mut without = accounts::actions::WITHOUT_MUTATION
            .iter()
            .chain(content::actions::WITHOUT_MUTATION)
            .chain(publishing::actions::WITHOUT_MUTATION)
            .chain(compliance::actions::WITHOUT_MUTATION);
        let doored = DOORS.contains(&action.name) || without.any(|other| other.name == action.name);
        assert!(
            doored != mutations.contains_key(&action.field_name()),
            "{} must be either a mutation, a door before sign-in, or what a platform or the pool does",
            action.name
        );
    }
}

/// What somebody must answer for is marked with the regime that asks for it.
#[test]
fn all_that_can_be_done_is_marked_with_the_regimes_it_matters_to() {
    for action in actions().chain(compliance::actions::OF_OPERATORS) {
        let words = action.scope_words();
        assert!(words.is_sorted() && words.iter().any(|word| word == "mlps"), "{}: {words:?}", action.name);
        // Both regimes of personal data, or neither.
        let about_persons = ["gdpr", "pipl"].map(|word| words.iter().any(|known| known == word));
        assert!(about_persons == [true; 2] || about_persons == [false; 2], "{}: {words:?}", action.name);
        // Who signs in and who may do what are persons.
        assert!(action.stream != Stream::Iam || about_persons[0], "{} is about persons", action.name);
    }
}

/// What operators do, on the machine itself: the verbs of `matricula`, and what its workers do for the platform.
#[test]
fn what_operators_do_has_names_of_its_own() {
    let operators: Vec<_> = compliance::actions::OF_OPERATORS.iter().map(|action| action.name).collect();
    assert_eq!(
        operators,
        [
            "rotate_keys",
            "rewrap_keys",
            "retire_keys",
            "rotate_log_key",
            "sign_platform_log",
            "resume_platform_log",
            "witness_platform_log"
        ],
        "the keys' are tested in tests/it/keys.rs, the last three in tests/it/platform_log.rs and tests/it/witnesses.rs"
    );
    let mutations = fields_of("Mutation");
    for action in compliance::actions::OF_OPERATORS {
        assert!(!mutations.contains_key(&action.field_name()), "{} is no mutation", action.name);
        assert!(!actions().any(|other| other.name == action.name), "{} is taken", action.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_is_refused_signed_out_and_without_permission() {
    let app = TestApp::start().await.unwrap();
    let tenant = app.tenant().await.unwrap();
    let inputs = inputs(&app, &tenant).await;
    // The weakest there is: a key that may read members, and nothing else.
    let issue = "mutation { issueApiKey(input: { name: \"weak\", scopes: [READ_MEMBERS] }) @idempotent(key: \"w\") { key } }";
    let issued = app.client.graphql(&tenant.owner.token, issue, json!({})).await.unwrap();
    let weak = issued.data("issueApiKey")["key"].as_str().unwrap().to_owned();
    let analyst = app.member(&tenant, Role::Analyst).await.unwrap();
    for (field, takes_input) in fields_of("Mutation") {
        let input = takes_input.then(|| &inputs[field.as_str()]);
        let (query, variables) = document(&field, input);
        let out = app.client.graphql("", &query, variables.clone()).await.unwrap();
        assert_eq!(out.code(), "UNAUTHENTICATED", "{field}, signed out: {}", out.body);
        let keyed = app.client.graphql(&weak, &query, variables.clone()).await.unwrap();
        assert_eq!(keyed.code(), "FORBIDDEN", "{field}, with a weak key: {}", keyed.body);
        if action_of(&field).permission.is_some() {
            let weak_member = app.client.graphql(&analyst.token, &query, variables).await.unwrap();
            assert_eq!(weak_member.code(), "FORBIDDEN", "{field}, as analyst: {}", weak_member.body);
        }
        app.settle().await.unwrap();
        must_be_in_the_log(&app, &tenant, &field, keyed.compliance_id(), "REFUSED").await;
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_mutation_touches_another_tenant() {
    let app = TestApp::start().await.unwrap();
    let (aurora, borealis) = (app.tenant().await.unwrap(), app.tenant().await.unwrap());
    let inputs = inputs(&app, &aurora).await;
    let before = footprint(&app, &aurora).await;
    for (field, takes_input) in fields_of("Mutation") {
        let Some(input) = takes_input.then(|| &inputs[field.as_str()]) else { continue };
        let names = input.as_object().unwrap().keys().any(|name| name == "id" || name.ends_with("Id"));
        if !names {
            continue;
        }
        let (query, variables) = document(&field, Some(input));
        let answer = app.client.graphql(&borealis.owner.token, &query, variables).await.unwrap();
        assert_eq!(answer.refusal(&field), "NOT_FOUND", "{field}: {}", answer.body);
        app.settle().await.unwrap();
        must_be_in_the_log(&app, &borealis, &field, answer.compliance_id(), "REFUSED").await;
    }
    assert_eq!(footprint(&app, &aurora).await, before, "nothing of the other tenant's changed");
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_leaves_its_audit_event() {
    let app = TestApp::start().await.unwrap();
    for (field, takes_input) in fields_of("Mutation") {
        // A tenant each: some of them end the session they are sent in.
        let tenant = app.tenant().await.unwrap();
        let inputs = inputs(&app, &tenant).await;
        let (query, variables) = document(&field, takes_input.then(|| &inputs[field.as_str()]));
        let answer = app.client.graphql(&tenant.owner.token, &query, variables).await.unwrap();
        assert_eq!(answer.status, 200, "{field}: {}", answer.body);
        assert!(answer.body.get("errors").is_none(), "{field}: {}", answer.body);
        let outcome = if answer.refusal(&field).is_empty() { "SUCCESS" } else { "REFUSED" };
        app.settle().await.unwrap();
        must_be_in_the_log(&app, &tenant, &field, answer.compliance_id(), outcome).await;
    }
    app.stop().await.unwrap();
}

#[test]
fn what_shows_a_secret_or_invites_demands_an_idempotency_key() {
    for field in [
        "inviteMember",
        "startPasswordReset",
        "enrolTotp",
        "confirmTotp",
        "issueApiKey",
        "registerApp",
        "beginLink",
        "createGroup",
        "createPlan",
        "createFleet",
        "importPosts",
        "createTimetable",
    ] {
        assert_eq!(action_of(field).idempotency, Idempotency::Required, "{field}");
    }
}

/// The event of a command and the access event of its answer are both under the answer's ID.
async fn must_be_in_the_log(app: &TestApp, tenant: &TestTenant, field: &str, id: &str, outcome: &str) {
    let mut database = app.superuser_connection().await.unwrap();
    let action = action_of(field);
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT stream, type, outcome FROM compliance.audit_leaves WHERE tenant_id = $1 AND compliance_id = $2::uuid",
    )
    .bind(tenant.id.uuid())
    .bind(id)
    .fetch_all(&mut database)
    .await
    .unwrap();
    let wanted = (action.stream.as_str().to_owned(), action.name.to_owned(), outcome.to_lowercase());
    assert!(found.contains(&wanted), "{field} left {found:?}, not {wanted:?}");
    assert!(found.iter().any(|(stream, ..)| stream == "access"), "{field} left no access event: {found:?}");
}

/// Everything a tenant has, as one value, but for its log.
async fn footprint(app: &TestApp, tenant: &TestTenant) -> Vec<(String, String)> {
    let mut database = app.superuser_connection().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relkind = 'r' AND n.nspname IN ('identity', 'accounts', 'content', 'publishing') ORDER BY 1",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut all = Vec::new();
    for table in tables {
        let sql = format!(
            "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} AS t WHERE tenant_id = $1"
        );
        let digest: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(tenant.id.uuid())
            .fetch_one(&mut database)
            .await
            .unwrap();
        all.push((table, digest));
    }
    all
}
