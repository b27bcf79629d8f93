//! Keys as resolvers see them.

use serde_json::{Value, json};

use crate::client::{Answer, Toy, send};

const FIELDS: &str = "{ key argumentsHash isPublic complianceId }";

async fn create(toy: &Toy, query: &str, variables: Value, header: Option<&str>) -> Answer {
    let mut request = toy.post(json!({ "query": query, "variables": variables }).to_string());
    if let Some(key) = header {
        request = request.header("idempotency-key", key);
    }
    send(request).await
}

#[actix_web::test]
async fn keys_come_from_the_directive_or_the_header() {
    let toy = Toy::start();
    let plain = format!("mutation {{ createPost(input: {{ title: \"a\" }}) {FIELDS} }}");
    let directive = format!(
        "mutation($k: String!) {{ createPost(input: {{ title: \"a\" }}) @idempotent(key: $k) {FIELDS} }}"
    );
    let key = |answer: &Answer| answer.body["data"]["createPost"]["key"].clone();
    assert_eq!(key(&create(&toy, &plain, json!({}), None).await), Value::Null);
    assert_eq!(key(&create(&toy, &plain, json!({}), Some("k1")).await), "k1");
    assert_eq!(key(&create(&toy, &directive, json!({ "k": "k2" }), None).await), "k2");
    assert_eq!(key(&create(&toy, &directive, json!({ "k": "k2" }), Some("k2")).await), "k2");
    for (query, variables, header) in [
        (&directive, json!({ "k": "k2" }), Some("k3")),
        (&directive, json!({ "k": "" }), None),
        (&directive, json!({ "k": "x".repeat(256) }), None),
        (&directive, json!({ "k": "a b" }), None),
        (&plain, json!({}), Some("a b")),
    ] {
        let answer = create(&toy, query, variables.clone(), header).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{variables} {header:?}: {}", answer.text);
    }
}

#[actix_web::test]
async fn the_header_needs_exactly_one_mutation_field() {
    let toy = Toy::start();
    let two = "mutation { purge b: purge }";
    create(&toy, two, json!({}), Some("k")).await.assert_refused(400, "BAD_USER_INPUT");
    assert_eq!(create(&toy, two, json!({}), None).await.status, 200);
    let merged = "mutation { purge ...F } fragment F on Mutation { purge }";
    assert_eq!(create(&toy, merged, json!({}), Some("k")).await.status, 200);
    assert_eq!(create(&toy, "{ hello }", json!({}), Some("k")).await.status, 200);
}

#[actix_web::test]
async fn the_hash_is_of_values_not_of_spelling() {
    let toy = Toy::start();
    let hash = async |query: &str, variables: Value| {
        let query = query.replace("FIELDS", FIELDS);
        let answer = create(&toy, &query, variables, Some("k")).await;
        answer.body["data"]["createPost"]["argumentsHash"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", answer.text))
            .to_owned()
    };
    let literal = hash(r#"mutation { createPost(input: { title: "a" }) FIELDS }"#, json!({})).await;
    let spelled =
        r#"mutation { createPost(replay: false, input: { visibility: PUBLIC, title: "a" }) FIELDS }"#;
    assert_eq!(hash(spelled, json!({})).await, literal);
    let variable = "mutation($i: PostInput!) { x: createPost(input: $i) FIELDS }".replace("x: ", "");
    assert_eq!(hash(&variable, json!({ "i": { "title": "a", "visibility": "PUBLIC" } })).await, literal);
    assert_ne!(hash(&variable, json!({ "i": { "title": "b" } })).await, literal);
    assert_ne!(hash(&variable, json!({ "i": { "title": "a", "visibility": "PRIVATE" } })).await, literal);
}

#[actix_web::test]
async fn replays_are_flagged_and_resolvers_know_the_answers_id() {
    let toy = Toy::start();
    let query = |replay: bool| {
        format!("mutation {{ createPost(input: {{ title: \"a\" }}, replay: {replay}) {FIELDS} }}")
    };
    let first = toy.run(&query(false)).await;
    assert_eq!(first.body["extensions"].get("idempotentReplay"), None);
    assert_eq!(first.body["data"]["createPost"]["complianceId"], first.id());
    let again = toy.run(&query(true)).await;
    assert_eq!(again.body["extensions"]["idempotentReplay"], true);
}

#[test]
fn the_schema_file_shows_directives_and_weights() {
    let sdl = crate::toy::schema::executors(&std::sync::Arc::default()).strict().sdl();
    for line in [
        "directive @idempotent(key: String!) on FIELD",
        "directive @cost(weight: Int!) on FIELD_DEFINITION",
        "directive @listSize(assumedSize: Int!) on FIELD_DEFINITION",
        "purge: Boolean! @cost(weight: 30)",
        "@listSize(assumedSize: 5)",
    ] {
        assert!(sdl.contains(line), "{line}: {sdl}");
    }
}

#[actix_web::test]
async fn queries_have_no_use_for_the_directive() {
    let toy = Toy::start();
    for query in [
        "{ hello @idempotent(key: \"k\") }",
        "{ posts { nodes { id @idempotent(key: \"k\") } } }",
        "{ posts { ...F } } fragment F on PostConnection { ... @idempotent(key: \"k\") { totalCount } }",
    ] {
        toy.run(query).await.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
}
