//! What an answer tells a client, and when two answers tell the same.

use std::collections::BTreeMap;

use async_graphql::Response;
use serde_json::Value;

/// What an answer tells.
#[derive(Debug)]
pub(crate) struct Told {
    /// The text of the data with the keys of each object in order; `None` when the document was refused.
    pub(crate) data: Option<String>,
    pub(crate) errors: Vec<Value>,
}

impl Told {
    /// What a response tells whose data was written as `data`.
    pub(crate) fn of(response: &Response, data: &str) -> Self {
        let errors: Vec<_> =
            response.errors.iter().map(|error| serde_json::to_value(error).unwrap()).collect();
        // Errors before execution have no path, and no data comes with them.
        let is_refused = !errors.is_empty() && errors.iter().all(|error| error.get("path").is_none());
        Self { data: (!is_refused).then(|| sorted(data)), errors }
    }
}

/// What stands between the outer brackets of a text, split where no other bracket is open.
fn parts(text: &str) -> Vec<&str> {
    let inner = &text[1..text.len() - 1];
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for (index, byte) in inner.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inner[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    if !inner.is_empty() {
        parts.push(&inner[start..]);
    }
    parts
}

/// The members of an object, each as it is written. A key that is written twice, which a map would hide, is a failure.
pub(crate) fn members(text: &str) -> BTreeMap<&str, &str> {
    let mut members = BTreeMap::new();
    for part in parts(text) {
        // GraphQL's names have no quotes in them.
        let (key, value) = part[1..].split_once("\":").unwrap_or_else(|| panic!("{part} in {text}"));
        assert!(members.insert(key, value).is_none(), "{key} twice in {text}");
    }
    members
}

/// The same JSON with the keys of each object in order. All else stays as it is written, to the byte.
pub(crate) fn sorted(text: &str) -> String {
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: Vec<_> = members(text)
                .into_iter()
                .map(|(key, value)| format!("\"{key}\":{}", sorted(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Some(b'[') => {
            let items: Vec<_> = parts(text).into_iter().map(sorted).collect();
            format!("[{}]", items.join(","))
        }
        _ => text.to_owned(),
    }
}

/// Known difference: async-graphql overwrites the path of an error on its way out with that of each list and object
/// it leaves, so that only the beginning is left; written out it is whole.
fn is_same(stock: &Value, written: &Value) -> bool {
    let path = |error: &Value| error["path"].as_array().cloned().unwrap_or_default();
    ["message", "locations", "extensions"].iter().all(|part| stock[*part] == written[*part])
        && path(written).starts_with(&path(stock))
}

/// Known difference: async-graphql resolves a field as often as the document gives its key, and tells of a failure as
/// often; written out it is resolved once (specification section 6.3.2, `CollectFields`).
fn told_once(errors: &[Value]) -> Vec<&Value> {
    let mut once: Vec<&Value> = Vec::new();
    for error in errors {
        let is_told = |told: &&Value| {
            error.get("path").is_some()
                && ["path", "message", "extensions"].iter().all(|part| told[*part] == error[*part])
        };
        if !once.iter().any(is_told) {
            once.push(error);
        }
    }
    once
}

/// Whether a path leads to where the data is null: the field that failed, or what was nulled around it. Of a path with a
/// wrong index or key the end is something else, or not there.
fn leads_to_null(data: &Value, path: &[Value]) -> bool {
    let mut value = data;
    for step in path {
        if value.is_null() {
            return true;
        }
        let next = match step {
            Value::String(key) => value.get(key),
            Value::Number(index) => index.as_u64().and_then(|index| value.get(usize::try_from(index).ok()?)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let Some(next) = next else { return false };
        value = next;
    }
    value.is_null()
}

/// Fails unless both answers tell the same, but for the differences known of any document.
#[track_caller]
pub(crate) fn assert_alike(about: &str, stock: &Told, written: &Told) {
    assert_eq!(stock.data, written.data, "{about}: {:?} {:?}", stock.errors, written.errors);
    if let Some(data) = &written.data {
        let data: Value = serde_json::from_str(data).unwrap();
        for error in &written.errors {
            let path = error["path"].as_array().cloned().unwrap_or_default();
            assert!(leads_to_null(&data, &path), "{about}: {error} is not where the data is null: {data}");
        }
    }
    let mut left = told_once(&written.errors);
    for error in told_once(&stock.errors) {
        let whole = left.iter().position(|written| *written == error);
        let found = whole.or_else(|| left.iter().position(|written| is_same(error, written)));
        let Some(found) = found else { panic!("{about}: {error} is not among {:?}", written.errors) };
        left.remove(found);
    }
    assert!(left.is_empty(), "{about}: {left:?} is not among {:?}", stock.errors);
}
