//! Answers that are written out, and documents that are kept: both must not show. Whether every door tells what the
//! library alone would tell is the matter of `doors`.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use transport::{DocumentUse, OutputRecord};

use crate::client::{Answer, Toy};

/// What is the same for every answer: data, and of errors path, message and code.
fn essence(body: &Value) -> Value {
    let errors = body["errors"].as_array().into_iter().flatten();
    let errors: Vec<_> = errors
        .map(|error| {
            json!([error["path"], error["message"], error["extensions"]["code"], error["locations"]])
        })
        .collect();
    json!({ "data": body["data"], "errors": errors })
}

/// What was noted of the queries since this was last asked.
pub(crate) fn outputs(toy: &Toy) -> Vec<OutputRecord> {
    std::mem::take(&mut *toy.server.host.outputs.lock().unwrap())
}

#[actix_web::test]
async fn figures_tell_what_was_written_and_what_was_left() {
    let toy = Toy::start();
    let note = |document, written, left| {
        vec![OutputRecord { document: Some(document), written, reused: 0, left, alone: 0 }]
    };
    toy.run("{ posts { nodes { id } } }").await;
    assert_eq!(outputs(&toy), note(DocumentUse::New, 1, 0));
    toy.run("{ posts { nodes { id } } }").await;
    assert_eq!(outputs(&toy), note(DocumentUse::Known, 1, 0));
    toy.run("{ posts { nodes { id } } posts { nodes { title } } }").await;
    assert_eq!(outputs(&toy), note(DocumentUse::New, 0, 2));
    toy.run("{ nope }").await;
    toy.run("{ nope }").await;
    assert!(
        outputs(&toy).iter().all(|output| output.document == Some(DocumentUse::New)),
        "never valid, never kept"
    );
    toy.run("mutation { purge }").await;
    toy.run("mutation { purge }").await;
    assert_eq!(outputs(&toy), [], "queries alone");
}

#[actix_web::test]
async fn a_level_is_asked_once() {
    let toy = Toy::start();
    toy.run("{ posts(first: 3) { nodes { author { id } b: author { rank } } } }").await;
    assert_eq!(toy.server.toy.batches.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn bad_variables_are_refused_alike_whether_the_document_is_kept_or_not() {
    let query = "query($n: Int!, $t: Int = 1) { posts(first: $n) { nodes { secret(times: $t) } } }";
    let filter = "query($i: Int!) { withFilter(filter: { ids: [$i, 2] }) }";
    let told = |answer: &Answer| (answer.status, essence(&answer.body), answer.body.get("data").is_none());
    for (query, good, bad) in [
        (query, json!({ "n": 1 }), json!({ "n": "x" })),
        (query, json!({ "n": 1 }), json!({ "n": 1, "t": null })),
        (query, json!({ "n": 1 }), json!({ "n": 1, "t": [1] })),
        (query, json!({ "n": 1 }), json!({ "n": 1.5 })),
        (query, json!({ "n": 1 }), json!({})),
        (query, json!({ "n": 1 }), json!({ "n": 1, "t": 3_000_000_000_u64 })),
        (filter, json!({ "i": 1 }), json!({ "i": "x" })),
        (
            "query($f: Filter!) { withFilter(filter: $f) }",
            json!({ "f": { "ids": [1] } }),
            json!({ "f": { "ids": ["x"] } }),
        ),
    ] {
        let cold = Toy::start();
        let expected = told(&cold.run_with(query, bad.clone()).await);
        let warm = Toy::start();
        for _ in 0..2 {
            let answer = warm.run_with(query, good.clone()).await;
            assert_eq!(answer.body.get("errors"), None, "{query} {good}");
        }
        let answer = warm.run_with(query, bad.clone()).await;
        assert_eq!(told(&answer), expected, "{query} {bad}");
    }
}

/// What stands beside a variable that is not sent is not validated, so such a document is not kept.
#[actix_web::test]
async fn what_validation_passed_over_is_validated_later() {
    let toy = Toy::start();
    let query = "query($i: Int) { hello withFilter(filter: { ids: [\"x\", $i] }) }";
    toy.run(query).await;
    let answer = toy.run_with(query, json!({ "i": 1 })).await;
    answer.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
}

#[actix_web::test]
async fn a_kept_document_is_no_leave_to_run_it() {
    let toy = Toy::start();
    let introspection = [
        "{ __schema { queryType { name } } }",
        "{ ...F } fragment F on Query { ... { __schema { types { name } } } }",
    ];
    for query in introspection {
        for _ in 0..2 {
            assert_eq!(toy.run(query).await.status, 200);
        }
    }
    assert_eq!(outputs(&toy).last().and_then(|output| output.document), Some(DocumentUse::Known));
    toy.server.host.allows_introspection.store(false, Ordering::SeqCst);
    for query in introspection {
        toy.run(query).await.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
    let dear = "query($n: Int) { posts(first: $n) { nodes { id } } }";
    assert_eq!(toy.run_with(dear, json!({ "n": 1 })).await.status, 200);
    let answer = toy.run_with(dear, json!({ "n": 5_000 })).await;
    assert_eq!(answer.code(), "COST_EXCEEDED");
    toy.server.host.allows_free_documents.store(false, Ordering::SeqCst);
    assert_eq!(toy.run_with(dear, json!({ "n": 1 })).await.code(), "FORBIDDEN");
}

#[actix_web::test]
async fn mutations_are_validated_every_time() {
    let toy = Toy::start();
    let query = "mutation($t: String!) { createPost(input: { title: $t }) { post { id author { id } } } }";
    for n in 0..2 {
        let answer = toy.run_with(query, json!({ "t": "x" })).await;
        assert_eq!(
            answer.body["data"]["createPost"]["post"]["author"]["id"],
            format!("u{n}"),
            "{}",
            answer.text
        );
    }
    toy.run_with(query, json!({ "t": 1 })).await.assert_refused(400, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(toy.server.toy.created.load(Ordering::SeqCst), 2);
}

#[actix_web::test]
async fn written_lists_cost_what_they_turned_out_to_be() {
    let toy = Toy::start();
    for (query, cost) in [
        // A connection is 2 with its pages and edges, an object 1, a rank 7, the count 10.
        ("{ posts(first: 50) { nodes { id } } }", 2 + 3),
        (
            "{ p: posts(first: 2) { edges { node { author { rank } } } totalCount } }",
            2 + 2 + 2 * (1 + 7) + 10,
        ),
        ("{ posts(first: 50) { nodes { author { rank r: rank } } } }", 2 + 3 + 2 * (1 + 7 + 7)),
        ("{ posts(first: 0) { nodes { author { rank } } } }", 2),
        ("{ nodes(ids: [\"1\", \"2\"]) { ... on Post { author { rank } } } }", 2 + 1 + 7),
        (
            "{ posts(first: 9) { ...F } me { rank } } fragment F on PostConnection { nodes { author { id } } }",
            2 + 3 + 2 + 8,
        ),
    ] {
        for _ in 0..2 {
            toy.server.host.points.store(2_000, Ordering::SeqCst);
            let answer = toy.run(query).await;
            assert_eq!(
                answer.body["extensions"]["cost"]["actualQueryCost"], cost,
                "{query}: {}",
                answer.text
            );
            assert_eq!(toy.server.host.points.load(Ordering::SeqCst), 2_000 - cost, "{query}");
        }
    }
}
