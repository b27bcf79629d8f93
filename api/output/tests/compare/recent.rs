//! One value, many readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Error, Object, Request, Schema, SimpleObject,
};
use output::{Ledger, Output, Recent, Shared};
use serde_json::{Value, json};

#[derive(SimpleObject, Output)]
#[graphql(complex)]
#[output(fields)]
struct Event {
    seq: String,
    part: Part,
    #[graphql(skip)]
    written: Arc<AtomicU32>,
}

#[derive(SimpleObject, Output)]
struct Part {
    a: i32,
    b: i32,
}

#[output::fields]
impl Event {
    /// How often it was written.
    fn times(&self) -> u32 {
        self.written.fetch_add(1, Ordering::SeqCst)
    }

    /// Depends on who asks.
    async fn mine(events: &[&Self], ctx: &Context<'_>) -> Result<Vec<String>, Error> {
        let caller = ctx.data_unchecked::<&'static str>();
        Ok(events.iter().map(|event| format!("{caller} {}", event.seq)).collect())
    }
}

struct Query;

#[Object]
impl Query {
    async fn event(&self, ctx: &Context<'_>, tenant: u32, seq: u32) -> Shared<Event> {
        let recent = ctx.data_unchecked::<Recent<(u32, u32), Event>>();
        let event =
            || Event { seq: format!("{tenant}.{seq}"), part: Part { a: 1, b: 2 }, written: Arc::default() };
        recent.share((tenant, seq), event)
    }
}

struct Readers(Schema<Query, EmptyMutation, EmptySubscription>);

impl Readers {
    fn new(most: usize) -> Self {
        let recent = Recent::<(u32, u32), Event>::new(most);
        Self(Schema::build(Query, EmptyMutation, EmptySubscription).data(recent).finish())
    }

    fn read(&self, caller: &'static str, query: &str) -> Value {
        let request = Request::new(query).data(caller).data(Arc::new(Ledger::default()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(self.0.execute(request));
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        let mut text = Vec::new();
        output::write_value(&response.data, &mut text);
        serde_json::from_slice(&text).unwrap()
    }
}

#[test]
fn a_selection_is_written_once_whoever_reads() {
    let readers = Readers::new(4);
    let query = "{ event(tenant: 1, seq: 1) { seq times } }";
    for caller in ["a", "b", "c"] {
        assert_eq!(readers.read(caller, query), json!({ "event": { "seq": "1.1", "times": 0 } }));
    }
    let same = "query Other { x: event(tenant: 1, seq: 1) { ...F } } fragment F on Event { seq times }";
    assert_eq!(readers.read("a", same), json!({ "x": { "seq": "1.1", "times": 0 } }), "spelt otherwise");
    let other = "{ event(tenant: 1, seq: 1) { times seq } }";
    assert_eq!(readers.read("a", other)["event"]["times"], 1, "another order is another text");
}

#[test]
fn selections_are_told_apart() {
    let readers = Readers::new(4);
    for (selection, expected) in [
        ("seq", json!({ "seq": "1.1" })),
        ("a: seq", json!({ "a": "1.1" })),
        ("part { a }", json!({ "part": { "a": 1 } })),
        ("part { b }", json!({ "part": { "b": 2 } })),
        ("part { a: b }", json!({ "part": { "a": 2 } })),
        ("__typename", json!({ "__typename": "Event" })),
        ("seq: __typename", json!({ "seq": "Event" })),
        ("part { a b } seq", json!({ "part": { "a": 1, "b": 2 }, "seq": "1.1" })),
        ("seq @skip(if: true) part { a }", json!({ "part": { "a": 1 } })),
        ("part { a } seq", json!({ "part": { "a": 1 }, "seq": "1.1" })),
    ] {
        for _ in 0..2 {
            let query = format!("{{ event(tenant: 1, seq: 1) {{ {selection} }} }}");
            assert_eq!(readers.read("a", &query), json!({ "event": expected }), "{selection}");
        }
    }
}

#[test]
fn what_depends_on_the_reader_is_never_shared() {
    let readers = Readers::new(4);
    for caller in ["a", "b"] {
        let answer = readers.read(caller, "{ event(tenant: 1, seq: 1) { seq mine } }");
        assert_eq!(answer, json!({ "event": { "seq": "1.1", "mine": format!("{caller} 1.1") } }));
    }
}

#[test]
fn values_are_told_apart_by_tenant_and_forgotten_in_time() {
    let readers = Readers::new(2);
    let read = |tenant: u32, seq: u32| {
        readers.read("a", &format!("{{ event(tenant: {tenant}, seq: {seq}) {{ seq times }} }}"))["event"]
            .clone()
    };
    for _ in 0..2 {
        assert_eq!(read(1, 1), json!({ "seq": "1.1", "times": 0 }));
        assert_eq!(read(2, 1), json!({ "seq": "2.1", "times": 0 }));
    }
    // Only two are kept: what was asked for last is, and what was not is made anew, and so has not been written.
    read(1, 1);
    read(3, 1);
    let again = "{ event(tenant: 1, seq: 1) { times } }";
    assert_eq!(readers.read("a", again)["event"]["times"], 1, "kept");
    let again = "{ event(tenant: 2, seq: 1) { times } }";
    assert_eq!(readers.read("a", again)["event"]["times"], 0, "made anew");
}
