//! What triggers note of a change, made into what an event can tell.

use aws_lc_rs::digest::{SHA256, digest};
use domain::{
    compliance::log::{
        jcs::{DEPTH_MAX, canonical},
        merkle::Hash,
    },
    kernel::fault::PortError,
};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json, value::RawValue};
use uuid::Uuid;

use super::lasting;

/// A row's value that is longer is told by its digest.
const VALUE_MAX_BYTES: usize = 256 * 1024;

/// A value is not deeper than this: it stands inside of others in the event that tells of it.
const VALUE_DEPTH_MAX: usize = DEPTH_MAX - 5;

/// The largest whole number that every reader of JSON takes for itself.
const WHOLE_MAX: i64 = (1 << 53) - 1;

/// As the trigger notes it.
#[derive(Deserialize)]
struct Noted {
    table: String,
    op: String,
    key: Map<String, Value>,
    subject: Option<Uuid>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
}

/// One change of one row.
pub(super) struct Change {
    pub(super) table: String,
    pub(super) subject: Option<Uuid>,
    /// What says which row it is.
    pub(super) ids: Vec<Uuid>,
    pub(super) diff: Value,
    pub(super) before: Option<Value>,
    pub(super) bytes: usize,
}

impl Change {
    /// Leaves no more than that there was a change: of somebody who was erased.
    pub(super) fn forget(&mut self) {
        if let Some(diff) = self.diff.as_object_mut() {
            diff.remove("after");
        }
        self.before = None;
        self.bytes = 0;
    }
}

/// The value with a canonical form: numbers that not everybody reads alike become texts.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let is_whole = number.as_i64().is_some_and(|whole| (-WHOLE_MAX..=WHOLE_MAX).contains(&whole));
            if is_whole { Value::Number(number) } else { text_of(&number) }
        }
        Value::Array(values) => Value::Array(values.into_iter().map(plain).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

fn text_of(number: &Number) -> Value {
    Value::String(number.to_string())
}

/// How many containers deep a value is.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value, or the digest of one that is too long; with its length in JSON. Of one that has no canonical form, since it is too
/// deep or a number in it too large, the digest is that of its text: nothing that is written keeps what is written after it
/// from being told.
fn bounded(text: &RawValue) -> Result<(Value, usize), PortError> {
    let value =
        serde_json::from_str(text.get()).ok().map(plain).filter(|value| depth(value) <= VALUE_DEPTH_MAX);
    let bytes = match value.as_ref().and_then(|value| canonical(value).ok()) {
        Some(bytes) => bytes,
        None => text.get().as_bytes().to_vec(),
    };
    match value {
        Some(value) if bytes.len() <= VALUE_MAX_BYTES => Ok((value, bytes.len())),
        Some(_) | None => {
            let sha256 = Hash::from_slice(digest(&SHA256, &bytes).as_ref()).map_err(lasting)?.to_hex();
            Ok((json!({ "bytes": bytes.len(), "sha256": sha256 }), 0))
        }
    }
}

/// Reads what triggers noted, a line for each change.
pub(super) fn read(notes: &str) -> Result<Vec<Change>, PortError> {
    let read = |line: &str| {
        let change: Noted = serde_json::from_str(line).map_err(lasting)?;
        let ids = change.key.values().filter_map(|id| Uuid::try_parse(id.as_str()?).ok()).collect();
        let (after, long) = change.after.as_deref().map(bounded).transpose()?.unwrap_or_default();
        let (before, longer) = change.before.as_deref().map(bounded).transpose()?.unzip();
        let row = json!({ "table": change.table, "op": change.op, "key": plain(Value::Object(change.key)) });
        let with = |name: &str, value: Value| {
            let mut row = row.clone();
            row[name] = value;
            row
        };
        Ok(Change {
            subject: change.subject,
            ids,
            diff: if after.is_null() { row.clone() } else { with("after", after) },
            before: before.map(|before| with("before", before)),
            table: change.table,
            bytes: long + longer.unwrap_or_default(),
        })
    };
    notes.lines().map(read).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn noted(table: &str, subject: Option<u128>, after: &Value) -> String {
        let id = Uuid::from_u128(7);
        let subject = subject.map(Uuid::from_u128);
        json!({ "tenant": id, "table": table, "op": "insert", "key": { "id": id }, "subject": subject, "before": null,
            "after": after })
        .to_string()
    }

    #[test]
    fn numbers_that_not_everybody_reads_alike_become_texts() {
        let found =
            read(&noted("a.b", None, &json!({ "n": 1.5, "m": 9_007_199_254_740_993_i64, "k": 3 }))).unwrap();
        assert_eq!(found[0].diff["after"], json!({ "n": "1.5", "m": "9007199254740993", "k": 3 }));
        assert!(read("{").is_err());
    }

    #[test]
    fn a_value_that_has_no_canonical_form_is_told_by_its_digest() {
        let line = noted("a.b", None, &json!({ "v": "here" }));
        for (deep, number) in [(27, "1"), (40, "1"), (400, "1"), (1, "1e400"), (1, &"9".repeat(400))] {
            let value = format!("{}{number}{}", "[".repeat(deep), "]".repeat(deep));
            let found = read(&line.replace("\"here\"", &value)).unwrap();
            let after = found[0].diff["after"].as_object().unwrap();
            assert_eq!(after.keys().map(String::as_str).collect::<Vec<_>>(), ["bytes", "sha256"], "{value}");
        }
        let shallow = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        let found = read(&line.replace("\"here\"", &shallow)).unwrap();
        assert!(found[0].diff["after"]["v"].is_array());
    }

    #[test]
    fn a_value_that_is_too_long_is_told_by_its_digest() {
        let found = read(&noted("a.b", None, &json!({ "v": "x".repeat(VALUE_MAX_BYTES) }))).unwrap();
        let after = found[0].diff["after"].as_object().unwrap();
        assert_eq!(after.keys().map(String::as_str).collect::<Vec<_>>(), ["bytes", "sha256"]);
    }
}
