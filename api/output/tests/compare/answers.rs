//! Running a document both ways, and comparing the answers.

use std::sync::{Arc, LazyLock};

use async_graphql::{
    EmptyMutation, EmptySubscription, Request, Schema, ServerError, ValidationMode, Variables,
};
use output::Ledger;
use serde_json::Value;

use crate::alike::schema::{Calls, Query, builder};
use crate::alike::told::{Told, assert_alike, members, sorted};

type TestSchema = Schema<Query, EmptyMutation, EmptySubscription>;

static STRICT: LazyLock<TestSchema> = LazyLock::new(|| builder().finish());
static RELAXED: LazyLock<TestSchema> =
    LazyLock::new(|| builder().validation_mode(ValidationMode::Fast).finish());

pub(crate) struct Answer {
    pub(crate) data: Value,
    told: Told,
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
    let text = match way {
        Way::Stock => serde_json::to_string(&response.data).unwrap(),
        Way::Written | Way::Cached => {
            let mut text = Vec::new();
            output::write_value(&response.data, &mut text);
            String::from_utf8(text).unwrap()
        }
    };
    let data = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{query}: {error}: {text}"));
    let told = Told::of(&response, &text);
    let calls = std::mem::take(&mut *calls.0.lock().unwrap());
    Answer { data, told, errors: response.errors, ledger, calls }
}

/// Runs a document all ways; what is returned was written out.
#[track_caller]
pub(crate) fn check(query: &str, variables: &Value) -> Answer {
    let about = format!("{query} {variables}");
    let stock = run(query, variables, Way::Stock);
    let written = run(query, variables, Way::Written);
    assert_alike(&about, &stock.told, &written.told);
    // What strict validation refuses is never cached.
    if stock.told.data.is_some() {
        assert_alike(&about, &stock.told, &run(query, variables, Way::Cached).told);
    }
    written
}

#[test]
fn texts_are_compared_to_the_byte_but_for_the_order_of_keys() {
    let text = r#"{"b":[{"d":1.0,"c":"},\\\"{"},[]],"a":{},"e":"\u00e9"}"#;
    assert_eq!(sorted(text), r#"{"a":{},"b":[{"c":"},\\\"{","d":1.0},[]],"e":"\u00e9"}"#);
    assert!(std::panic::catch_unwind(|| members(r#"{"a":1,"b":2,"a":1}"#)).is_err(), "a key twice");
}
