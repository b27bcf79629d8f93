//! Documents nobody thought of, both ways.

use proptest::prelude::*;
use serde_json::Value;

use crate::alike::generator::{document, requests, variables};
use crate::answers::check;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_is_answered_alike((query, variables) in requests()) {
        check(&query, &variables);
    }
}

/// Objects in one another.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The generator would be worth little if what it makes were mostly refused, left, flat, or without a failure.
#[test]
fn generated_documents_are_of_all_kinds() {
    let (mut valid, mut written, mut deep, mut failing) = (0, 0, 0, 0);
    for seed in 0..400_u32 {
        // A small generator of its own: the figures must not change from run to run.
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_be_bytes()[0]
            })
            .collect();
        let answer = check(&document(&bytes), &variables(2));
        let is_valid = answer.errors.iter().all(|error| !error.path.is_empty());
        valid += u32::from(is_valid);
        written += u32::from(answer.ledger.written() > 0);
        deep += u32::from(depth(&answer.data) > 5);
        failing += u32::from(is_valid && !answer.errors.is_empty());
    }
    assert!(valid >= 300 && written >= 200, "{valid} valid, {written} written out, of 400");
    assert!(deep >= 10 && failing >= 20, "{deep} deep, {failing} failing, of 400");
}
