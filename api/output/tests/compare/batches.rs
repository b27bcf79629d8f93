//! How often stores are asked, and what the ledger says of it.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use output::Count;
use serde_json::json;
use tracing::{
    field::{Field, Visit},
    span,
};

use crate::answers::{Way, check, run};

#[test]
fn each_level_is_asked_once_a_field() {
    let query = "{ accounts(first: 6) { nodes {
        plans(first: 3) { totalCount nodes { id owner { id plans(first: 2) { nodes { owner { peer { id } } } } } } } } } }";
    let written = check(query, &json!({}));
    let mut calls = written.calls.clone();
    calls.sort_unstable();
    // One account has no plans: 5 x 3 plans, of which 12 have owners, who have 2 plans each, of which 18 have owners.
    assert_eq!(
        calls,
        [("owner", 15), ("owner", 24), ("peer", 18), ("plans", 6), ("plans", 12), ("totalCount", 6),]
    );
    let stock = run(query, &json!({}), Way::Stock);
    assert!(stock.calls.len() > 60 && stock.calls.iter().all(|(_, parents)| *parents == 1));
}

/// The spans of batched fields, each as what it tells.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.name() == "graphql.batch"
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = String::new();
        span.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line.trim_end().to_owned());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn each_call_is_a_span_that_says_of_what_and_for_how_many() {
    let spans = Spans::default();
    let listening = tracing::subscriber::set_default(spans.clone());
    let query = "{ accounts(first: 3) { nodes { plans(first: 2) { nodes { owner { id } } } } } }";
    run(query, &json!({}), Way::Written);
    drop(listening);
    // One account has no plans.
    assert_eq!(
        *spans.0.lock().unwrap(),
        ["parent_type=Account field=plans parents=3", "parent_type=Plan field=owner parents=4"]
    );
}

#[test]
fn arguments_tell_calls_apart_and_aliases_do_not() {
    let query = "query($n: Int!) { emb(first: 4) {
        a: plans(first: 1) { size } b: plans(first: 1) { nodes { id owner { id } } } c: plans(first: 2) { size }
        d: plans(first: $n) { size } e: plans { size } f: plans(first: $n) { __typename }
    } }";
    let calls = check(query, &json!({ "n": 3 })).calls;
    assert_eq!(
        calls.iter().filter(|call| call.0 == "plans").count(),
        4,
        "1, 2, $n and the default: {calls:?}"
    );
    assert!(calls.iter().all(|(field, parents)| *field == "owner" || *parents == 4));
}

#[test]
fn nothing_is_asked_for_nobody() {
    let written = check("{ accounts(first: 0) { nodes { plans { nodes { owner { id } } } } } }", &json!({}));
    assert_eq!(written.calls, []);
    let skipped = check("{ emb(first: 2) { id plans @skip(if: true) { nodes { id } } } }", &json!({}));
    assert_eq!(skipped.calls, []);
}

fn at<'a>(count: &'a Count, path: &[&str]) -> &'a Count {
    path.iter().fold(count, |count, key| count.get(key).unwrap_or_else(|| panic!("{key} in {count:?}")))
}

#[test]
fn places_are_counted_as_they_stand_in_the_answer() {
    let query = "{ all: accounts(first: 4) { optional { p: plans(first: 2) { totalCount nodes { id } } } }
        shelves { items { n name } } }";
    let count = check(query, &json!({})).ledger.count();
    assert_eq!(count.times, 0);
    assert_eq!(at(&count, &["all"]).times, 1);
    assert_eq!(at(&count, &["all", "optional"]).times, 3, "one is null");
    assert_eq!(at(&count, &["all", "optional", "p"]).times, 3);
    assert_eq!(at(&count, &["all", "optional", "p", "nodes"]).times, 4, "one has none");
    assert_eq!(at(&count, &["all", "optional", "p", "totalCount"]).times, 3);
    assert_eq!(at(&count, &["shelves", "items"]).times, 3, "over all shelves");
    assert_eq!(at(&count, &["shelves", "items", "n"]).times, 3, "it has a weight");
    assert_eq!(at(&count, &["shelves", "items"]).get("name"), None, "it has none");
}

#[test]
fn what_became_null_is_not_counted() {
    let query = "{ embOpt(first: 3) { plans(first: 1) { size } boom(at: 1) } }";
    let count = check(query, &json!({})).ledger.count();
    assert_eq!(at(&count, &["embOpt"]).times, 2);
    assert_eq!(at(&count, &["embOpt", "plans"]).times, 2);
    let gone = check("{ emb(first: 3) { boom(at: 1) } }", &json!({}));
    assert_eq!(gone.ledger.count(), Count::default());
}
