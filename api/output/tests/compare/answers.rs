//! Running a document both ways, and comparing the answers.

use std::sync::{Arc, LazyLock};

use async_graphql::{Request, ServerError, ValidationMode, Variables};
use output::Ledger;
use serde_json::Value;

use crate::schema::{Calls, TestSchema, schema};

static STRICT: LazyLock<TestSchema> = LazyLock::new(|| schema(ValidationMode::Strict));
static RELAXED: LazyLock<TestSchema> = LazyLock::new(|| schema(ValidationMode::Fast));

pub(crate) struct Answer {
    pub(crate) data: Value,
    pub(crate) errors: Vec<ServerError>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) calls: Vec<(&'static str, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By async-graphql alone.
    Stock,
    /// Written out.
    Written,
    /// Written out, without strict validation.
    Cached,
}

pub(crate) fn run(query: &str, variables: &Value, way: Way) -> Answer {
    let (ledger, calls) = (Arc::new(Ledger::default()), Arc::new(Calls::default()));
    let variables = Variables::from_json(variables.clone());
    let mut request = Request::new(query).variables(variables).data(Arc::clone(&calls));
    if way != Way::Stock {
        request = request.data(Arc::clone(&ledger));
    }
    let schema = if way == Way::Cached { &RELAXED } else { &STRICT };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let response = runtime.block_on(schema.execute(request));
    let mut text = Vec::new();
    output::write_value(&response.data, &mut text);
    let data = serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{query}: {error}: {}", String::from_utf8_lossy(&text)));
    let calls = std::mem::take(&mut *calls.0.lock().unwrap());
    Answer { data, errors: response.errors, ledger, calls }
}

/// Known difference: async-graphql overwrites the path of an error on its way out with that of each list and object
/// it leaves, so that only the beginning is left; written out it is whole.
fn is_same(stock: &ServerError, written: &ServerError) -> bool {
    stock.message == written.message
        && stock.locations == written.locations
        && stock.extensions == written.extensions
        && written.path.starts_with(&stock.path)
}

/// Known difference: async-graphql resolves a field as often as the document gives its key, and tells of a failure as
/// often; written out it is resolved once (specification section 6.3.2, `CollectFields`).
fn told_once(errors: &[ServerError]) -> Vec<&ServerError> {
    let mut once: Vec<&ServerError> = Vec::new();
    for error in errors {
        let is_same = |told: &&ServerError| {
            !error.path.is_empty()
                && told.path == error.path
                && told.message == error.message
                && told.extensions == error.extensions
        };
        if !once.iter().any(is_same) {
            once.push(error);
        }
    }
    once
}

#[track_caller]
pub(crate) fn assert_same(query: &str, variables: &Value, stock: &Answer, written: &Answer) {
    assert_eq!(stock.data, written.data, "{query} {variables} {:?} {:?}", stock.errors, written.errors);
    let mut left = told_once(&written.errors);
    for error in told_once(&stock.errors) {
        let whole = left.iter().position(|written| **written == *error);
        let found = whole.or_else(|| left.iter().position(|written| is_same(error, written)));
        let Some(found) = found else {
            panic!("{query} {variables}: {error:?} is not among {:?}", written.errors)
        };
        left.remove(found);
    }
    assert!(left.is_empty(), "{query} {variables}: {left:?} is not among {:?}", stock.errors);
}

/// Runs a document all ways; what is returned was written out.
#[track_caller]
pub(crate) fn check(query: &str, variables: &Value) -> Answer {
    let stock = run(query, variables, Way::Stock);
    let written = run(query, variables, Way::Written);
    assert_same(query, variables, &stock, &written);
    // What strict validation refuses is never cached.
    if stock.errors.iter().all(|error| !error.path.is_empty()) {
        assert_same(query, variables, &stock, &run(query, variables, Way::Cached));
    }
    written
}
