//! Every known difference from async-graphql, shown as it is today; in each the library departs from the
//! specification. The first two are allowed for in all comparisons: see `told`. One more comes with the doors, and is
//! shown by the transport's tests.

use serde_json::{Value, json};

use crate::answers::{Way, run};

fn both(query: &str) -> [(Value, Value); 2] {
    [Way::Stock, Way::Written].map(|way| {
        let answer = run(query, &json!({}), way);
        (answer.data, answer.errors.iter().map(|error| json!(error.path)).collect())
    })
}

/// The library cuts the path at the list or object it leaves.
#[test]
fn paths_below_lists() {
    let [stock, written] = both("{ emb(first: 3) { id b: boom(at: 1) } }");
    assert_eq!(stock, (Value::Null, json!([["emb", 1]])));
    assert_eq!(written, (Value::Null, json!([["emb", 1, "b"]])));
}

/// The library resolves a repeated field again, and tells again of its failure.
#[test]
fn repeated_failures() {
    let [stock, written] = both("{ one { broken { n } ... on Account { broken { n } } } }");
    assert_eq!(stock.0, written.0);
    assert_eq!(stock.1, json!([["one", "broken"], ["one", "broken"]]));
    assert_eq!(written.1, json!([["one", "broken"]]));
}

/// The library passes over a fragment on a union inside an object (specification section 6.3.2, `CollectFields`: it
/// applies when the object is a member).
#[test]
fn fragments_on_unions_inside_objects() {
    let query = "{ items(first:1){ id ...U } } fragment U on Uni { __typename ... on Item { n } }";
    let [stock, written] = both(query);
    assert_eq!(stock.0, json!({ "items": [{ "id": "0" }] }));
    assert_eq!(written.0, json!({ "items": [{ "id": "0", "__typename": "Item", "n": 0 }] }));
}

/// An argument that passes validation and is then refused (here it fits no 32 bits): the library nulls the object
/// around the field although the field may be null (section 6.4.4 has the nearest nullable position), and the error has
/// the path of what is around that.
#[test]
fn refused_arguments() {
    let [stock, written] = both("{ one { id soft(at: 3000000000) { n } } }");
    assert_eq!(stock.0, json!({ "one": null }));
    assert_eq!(written, (json!({ "one": { "id": "a3", "soft": null } }), json!([["one", "soft"]])));
}

/// The same key twice over a list of lists: the library merges objects and lists of objects and keeps the first of
/// anything else (section 6.4.3, `MergeSelectionSets`).
#[test]
fn repeated_lists_of_lists() {
    let [stock, written] = both("{ accounts(first: 2) { grid { id } grid { nickname } } }");
    assert_eq!(stock.0, json!({ "accounts": { "grid": [[], [{ "id": "a0" }]] } }));
    assert_eq!(written.0, json!({ "accounts": { "grid": [[], [{ "id": "a0", "nickname": "account 0" }]] } }));
}

/// The same key twice, and what is selected the second time fails: the library keeps what came first, as if nothing
/// had failed.
#[test]
fn repeated_objects_of_which_one_fails() {
    let [stock, written] =
        both("{ embOpt(first: 1) { peer { id } owner: soft(at: 5) { id } owner: soft(at: 5) { n } } }");
    assert_eq!(stock.0, written.0);
    let [stock, written] = both("{ accounts(first: 1) { optional { id } optional { boom(at: 0) } } }");
    assert_eq!(stock.0, json!({ "accounts": { "optional": [{ "id": "a0" }] } }));
    assert_eq!(written.0, json!({ "accounts": { "optional": [null] } }));
    assert_eq!(stock.1, written.1);
}
