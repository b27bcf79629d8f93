use serde_json::{Value, json};

use super::*;
use crate::leaf::LeafReader;

const LEAF: &[u8] = br#"{"actor":{"id":"m1","kind":"member"},"compliance_id":"c","event_id":"e","geo":{"country":"CN","db_version":3},"occurred_at":"2026-07-01T00:00:00.000000Z","outcome":"denied","recorded_at":"2026-07-01T00:00:00.000001Z","stream":"iam","tenant_id":"t","type":"sign_in","v":1}"#;

fn asks(query: &Value) -> bool {
    let query = Query::try_from(query).expect("a query");
    let mut reader = LeafReader::default();
    Filter::new(&query).expect("a filter").asks_for(&reader.read(LEAF).expect("a leaf"))
}

#[test]
fn parts_hold_or_do_not() {
    for (query, expected) in [
        (json!({"and": []}), true),
        (json!({"or": []}), false),
        (json!({"types": ["sign_in", "sign_out"]}), true),
        (json!({"types": ["sign"]}), false),
        (json!({"outcomes": ["denied"]}), true),
        (json!({"actor": {"id": "m1"}}), true),
        (json!({"actor": {"id": "m1", "kind": "api_key"}}), false),
        (json!({"target": {"kind": "member"}}), false),
        (json!({"not": {"target": {"kind": "member"}}}), true),
        (json!({"period": {"since": "2026-07-01T00:00:00.000000Z"}}), true),
        (json!({"period": {"until": "2026-07-01T00:00:00.000000Z"}}), false),
        (
            json!({"period": {"since": "2026-06-30T16:00:00.000000Z", "until": "2026-09-30T16:00:00.000000Z"}}),
            true,
        ),
        (json!({"field": {"path": ["geo", "country"], "is": "CN"}}), true),
        (json!({"field": {"path": ["geo", "country"], "is": "DE"}}), false),
        (json!({"field": {"path": ["geo", "db_version"], "is": 3}}), true),
        (json!({"field": {"path": ["geo", "db_version"], "is": "3"}}), false),
        (json!({"field": {"path": ["country"], "is": "CN"}}), false),
        (json!({"field": {"path": ["geo", "db_version"], "is": true}}), false),
        (
            json!({"and": [{"types": ["sign_in"]}, {"or": [{"outcomes": ["success"]}, {"not": {"types": ["x"]}}]}]}),
            true,
        ),
    ] {
        assert_eq!(asks(&query), expected, "{query}");
    }
}

#[test]
fn queries_have_one_form_and_bounds() {
    let deep = (0..DEPTH_MAX).fold(json!({"and": []}), |inner, _| json!({"not": inner}));
    let wide: Vec<_> = (0..NODES_MAX).map(|_| json!({"and": []})).collect();
    for bad in [
        deep,
        json!({"and": wide}),
        json!({"types": []}),
        json!({"types": ["b", "a"]}),
        json!({"types": ["a", "a"]}),
        json!({"types": [""]}),
        json!({"types": ["x".repeat(WORD_MAX_BYTES + 1)]}),
        json!({"actor": {}}),
        json!({"actor": {"id": null}}),
        json!({"actor": {"id": "a", "name": "b"}}),
        json!({"period": {}}),
        json!({"period": {"since": "2026-07-01T00:00:00+08:00"}}),
        json!({"period": {"since": "2026-07-01T00:00:00.000000Z", "until": "2026-07-01T00:00:00.000000Z"}}),
        json!({"field": {"path": [], "is": 1}}),
        json!({"field": {"path": ["a", "b", "c", "d", "e"], "is": 1}}),
        json!({"field": {"path": ["a"], "is": [1]}}),
        json!({"field": {"path": ["a"], "is": null}}),
        json!({"field": {"path": ["a"], "is": 1.5}}),
        json!({"sometimes": []}),
        json!({"and": [], "or": []}),
        json!([]),
    ] {
        assert!(Query::try_from(&bad).is_err(), "{bad}");
    }
}

#[test]
fn kinds_are_queries_of_their_form() {
    let since = Time::parse(b"2026-06-30T16:00:00.000000Z").ok();
    let period = Period { since, until: None };
    for kind in [
        Kind::PasswordResets,
        Kind::SignIns,
        Kind::RoleChanges,
        Kind::KeyChanges,
        Kind::DataAccess { member: "m1".to_owned() },
        Kind::PublishHistory,
        Kind::Exports,
    ] {
        let query = kind.query(period);
        assert_eq!(Query::try_from(&query.to_json()), Ok(query.clone()), "{kind:?}");
        assert_eq!(query.period(), Some(period), "{kind:?}");
    }
}

#[test]
fn types_are_those_of_every_leaf_that_is_asked_for() {
    let types = |words: &[&str]| Query::Types(words.iter().map(|word| (*word).to_owned()).collect());
    let outcome = Query::Outcomes(vec!["success".to_owned()]);
    let set = |words: &[&'static str]| Some(words.iter().copied().collect::<std::collections::BTreeSet<_>>());
    for (query, expected) in [
        (Query::everything(), None),
        (outcome.clone(), None),
        (types(&["a", "b"]), set(&["a", "b"])),
        (Query::And(vec![outcome.clone(), types(&["a", "b"])]), set(&["a", "b"])),
        (Query::And(vec![types(&["b", "c"]), types(&["a", "b"])]), set(&["b"])),
        (Query::Or(vec![types(&["b"]), types(&["a"])]), set(&["a", "b"])),
        (Query::Or(vec![types(&["b"]), outcome]), None),
        (Query::Or(Vec::new()), set(&[])),
        (Query::Not(Box::new(types(&["a"]))), None),
    ] {
        assert_eq!(query.types(), expected, "{query:?}");
    }
}
