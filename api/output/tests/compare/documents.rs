//! Documents by hand, both ways.

use serde_json::json;

use crate::alike::documents::{answered, refused};
use crate::alike::schema::builder;
use crate::answers::{Way, check, run};

#[test]
fn documents_are_answered_alike() {
    for (query, variables, is_left) in answered().chain(refused()) {
        let answer = check(query, &variables);
        assert_eq!(answer.ledger.left() > 0, is_left, "{query}");
    }
}

#[test]
fn paths_of_errors_carry_every_index() {
    let query = "{ accounts(first:3){ optional { plans { nodes { id } } peer { boom(at: 1) peer { soft(at:0) { n } } } } } }";
    let answer = check(query, &json!({}));
    let paths: Vec<_> = answer.errors.iter().map(|error| json!(error.path)).collect();
    assert_eq!(
        paths,
        [json!(["accounts", "optional", 2, "peer", "boom"])],
        "what comes after a failure inside a null is not told: {:?}",
        answer.errors
    );
    let query = "{ accounts(first:4){ optional { plans { nodes { owner { soft(at:3) { n } } } } } } }";
    let answer = check(query, &json!({}));
    let paths: Vec<_> = answer.errors.iter().map(|error| json!(error.path)).collect();
    assert_eq!(paths, [json!(["accounts", "optional", 3, "plans", "nodes", 0, "owner", "soft"])]);
}

#[test]
fn nothing_is_written_without_leave() {
    let answer = run("{ items(first: 2) { id } }", &json!({}), Way::Stock);
    assert_eq!((answer.ledger.written(), answer.ledger.left()), (0, 0));
    let answer = run("{ items(first: 2) { id } }", &json!({}), Way::Written);
    assert_eq!((answer.ledger.written(), answer.ledger.left()), (1, 0));
}

#[test]
fn the_schema_is_the_librarys_own() {
    let sdl = builder().finish().sdl();
    for line in [
        "plans(first: Int! = 2): PlanConnection!",
        "peer: Account\n",
        "boom(at: Int!): Int!",
        "soft(at: Int!): Item\n",
        "hardItems(at: Int!): [Item!]\n",
        "totalCount: Int @weight(points: 10)",
        "nodes: [Plan!]!",
        "accounts(first: Int!): AccountConnection\n",
        "embOpt(first: Int): [Account]!",
    ] {
        assert!(sdl.contains(line), "{line}: {sdl}");
    }
}
