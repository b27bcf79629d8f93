//! The same documents at every door and through async-graphql alone: what is told must be the same, byte for byte once
//! keys are in order, whether a document is new or kept. Differences that are known of any door are shown by the tests
//! of `output`; the one the doors add is shown here.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::rt::System;
use async_graphql::{Executor, Request, Variables};
use async_graphql_parser::parse_query;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use serde_json::{Value, json};
use transport::{Config, DocumentLimits, DocumentUse, Executors, Limits};

use crate::alike::documents::{answered, refused};
use crate::alike::generator::requests;
use crate::alike::schema::builder;
use crate::alike::told::{Told, assert_alike, members, sorted};
use crate::client::Toy;
use crate::output::outputs;
use crate::socket_client::Socket;
use crate::streams::Events;
use crate::toy::server::Server;

/// A way in.
#[derive(Clone, Copy, Debug)]
enum Door {
    Http,
    Socket,
    EventStream,
}

/// A server with an open connection to each of its doors, and the schema behind it.
struct Doors<E> {
    library: E,
    toy: Toy,
    socket: Socket,
    /// Texts sent so far.
    sent: u32,
    /// Values that were written out.
    written: u32,
}

impl<E: Executor> Doors<E> {
    async fn open(executors: Executors<E>, sdl: &str) -> Self {
        // What is refused for its size is the matter of other tests.
        let limits = Limits {
            expanded_selections: u64::MAX,
            depth: u32::MAX,
            aliases: u64::MAX,
            root_fields: usize::MAX,
            cost: u64::MAX,
            errors: usize::MAX,
            ..Limits::default()
        };
        let documents = DocumentLimits { document_bytes: 64 * 1024, ..DocumentLimits::default() };
        let config = Config { limits, documents, ..Config::default() };
        let library = executors.strict().clone();
        let toy = Toy::of(Server::serve(executors, sdl, Arc::default(), config, 0).unwrap());
        toy.server.host.points.store(u64::MAX, Ordering::SeqCst);
        let socket = Socket::ready(&toy).await;
        Self { library, toy, socket, sent: 0, written: 0 }
    }

    /// What the library tells by itself.
    async fn alone(&self, query: &str, variables: Variables) -> Told {
        let response = self.library.execute(Request::new(query).variables(variables)).await;
        Told::of(&response, &serde_json::to_string(&response.data).unwrap())
    }

    /// The text of a door's answer. All of it is read before any of it is judged: after a failure, smaller
    /// documents are tried on the same connection.
    async fn ask(&mut self, door: Door, query: &str, variables: &Value) -> String {
        let payload = json!({ "query": query, "variables": variables });
        match door {
            Door::Http => self.toy.run_with(query, variables.clone()).await.text,
            Door::Socket => {
                self.socket.send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await;
                let text = self.socket.next_text().await;
                let message = members(&text);
                if message["type"] == r#""error""# {
                    format!(r#"{{"errors":{}}}"#, message["payload"])
                } else {
                    assert_eq!(self.socket.next().await["type"], "complete");
                    message["payload"].to_owned()
                }
            }
            Door::EventStream => {
                let mut events = Events::post(&self.toy, &payload).await;
                let text = events.text().await;
                events.assert_complete().await;
                text
            }
        }
    }

    /// Sends a document through every door, first as a new one and then as one that is kept.
    async fn check(&mut self, query: &str, variables: &Value) {
        let alone = self.alone(query, with_defaults(query, variables)).await;
        for door in [Door::Http, Door::Socket, Door::EventStream] {
            // Documents are kept by their text, whichever door they came through: a comment makes this one new.
            self.sent += 1;
            let text = format!("{query} # {}", self.sent);
            let is_null = variables.as_object().unwrap().values().any(Value::is_null);
            let again = match alone.data {
                None => DocumentUse::New,
                // A value that stands in the text is somebody's, and is not kept.
                Some(_) if query.contains('"') => DocumentUse::New,
                Some(_) if is_null => DocumentUse::Rechecked,
                Some(_) => DocumentUse::Known,
            };
            for expected in [DocumentUse::New, again] {
                let answer = self.ask(door, &text, variables).await;
                let noted = outputs(&self.toy);
                let about = format!("{door:?}, {expected:?}: {query} {variables}");
                assert_alike(&about, &alone, &told(&answer));
                let uses: Vec<_> = noted.iter().map(|output| output.document).collect();
                assert_eq!(uses, [Some(expected)], "{about}");
                self.written += noted[0].written;
            }
        }
    }
}

/// The doors of the schema that the tests of `output` compare with.
async fn doors() -> Doors<impl Executor> {
    let executors = transport::executors(builder);
    let sdl = executors.strict().sdl();
    Doors::open(executors, &sdl).await
}

/// What the text of an answer tells, but for what the transport adds: an ID, and the code of what validation refused.
fn told(text: &str) -> Told {
    if let Err(error) = serde_json::from_str::<Value>(text) {
        panic!("{error}: {text}");
    }
    let members = members(text);
    let data = members.get("data").map(|data| sorted(data));
    let errors: Vec<Value> =
        members.get("errors").map_or_else(Vec::new, |errors| serde_json::from_str(errors).unwrap());
    let without = |mut error: Value| {
        let extensions = error["extensions"].as_object_mut().unwrap();
        assert!(extensions.remove("complianceId").is_some(), "{text}");
        if data.is_none() {
            assert_eq!(extensions.remove("code"), Some(json!("GRAPHQL_VALIDATION_FAILED")), "{text}");
        }
        if extensions.is_empty() {
            error.as_object_mut().unwrap().remove("extensions");
        }
        error
    };
    Told { errors: errors.into_iter().map(without).collect(), data }
}

/// Known difference: the library passes over the defaults of variables where it decides on `@skip` and `@include`; the
/// doors do not (specification section 6.1.2, `CoerceVariableValues`). So the library is given them as values.
fn with_defaults(query: &str, variables: &Value) -> Variables {
    let mut variables = Variables::from_json(variables.clone());
    let document = parse_query(query).unwrap();
    for (_, operation) in document.operations.iter() {
        for definition in operation.node.variable_definitions.iter().map(|definition| &definition.node) {
            if let Some(default) = &definition.default_value {
                variables.entry(definition.name.node.clone()).or_insert_with(|| default.node.clone());
            }
        }
    }
    variables
}

/// Documents for the toy, with their variables.
fn documents() -> Vec<(&'static str, Value)> {
    vec![
        (
            "{ posts(first: 3) { edges { cursor node { id title } } nodes { id author { id rank } } totalCount } }",
            json!({}),
        ),
        (
            "{ posts { nodes { author { rank } secret a: secret(times: 2) } pageInfo { hasNextPage } } hello }",
            json!({}),
        ),
        (
            "query($n: Int!) { posts(first: $n) { nodes { ...F } __typename } } fragment F on Post { id ... on Node { id } x: title }",
            json!({ "n": 2 }),
        ),
        (
            "query($n: Int!) { posts(first: $n) { nodes { ...F } __typename } } fragment F on Post { id ... on Node { id } x: title }",
            json!({ "n": 0 }),
        ),
        (
            "query($yes: Boolean!) { posts { nodes { id @skip(if: $yes) title @include(if: $yes) } } }",
            json!({ "yes": true }),
        ),
        (
            "query($yes: Boolean!) { posts { nodes { id @skip(if: $yes) title @include(if: $yes) } } }",
            json!({ "yes": false }),
        ),
        ("query($t: Int = 4) { posts { nodes { secret(times: $t) } } }", json!({})),
        (
            "{ nodes(ids: [\"1\", \"2\"]) { __typename id ... on Post { title author { id } secret } } }",
            json!({}),
        ),
        ("{ posts { nodes { id } } posts { nodes { title } } }", json!({})),
        ("{ posts { nodes { id } nodes { title } } forbidden nonNullFailure }", json!({})),
        ("{ forbidden posts { nodes { secret } } }", json!({})),
    ]
}

#[actix_web::test]
async fn documents_of_the_toy_are_answered_alike() {
    let executors = crate::toy::schema::executors(&Arc::default());
    let sdl = executors.strict().sdl();
    let mut doors = Doors::open(executors, &sdl).await;
    for (query, variables) in documents() {
        doors.check(query, &variables).await;
    }
    assert!(doors.written > 0);
}

#[actix_web::test]
async fn documents_are_answered_alike() {
    let mut doors = doors().await;
    for (query, variables, _) in answered() {
        doors.check(query, &variables).await;
    }
    assert!(doors.written > 0);
    for (query, variables, _) in refused() {
        // The doors have rules of their own, which come first and tell it in other words.
        for door in [Door::Http, Door::Socket] {
            let answer = doors.ask(door, query, &variables).await;
            assert!(!members(&answer).contains_key("data"), "{door:?}: {query} {variables}: {answer}");
        }
    }
}

/// Each of these is sent six times, so there are fewer than where no door lies between.
#[test]
fn any_document_is_answered_alike() {
    let system = System::new();
    let doors = RefCell::new(system.block_on(doors()));
    let config = ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() };
    let found = TestRunner::new(config).run(&requests(), |(query, variables)| {
        system.block_on(doors.borrow_mut().check(&query, &variables));
        Ok(())
    });
    found.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(doors.borrow().written > 0);
}

#[actix_web::test]
async fn defaults_decide_on_selections() {
    let mut doors = doors().await;
    let query = "query($s: Boolean = true) { one { id nickname @include(if: $s) } }";
    let alone = doors.alone(query, Variables::default()).await;
    assert_eq!(alone.data.as_deref(), Some(r#"{"one":{"id":"a3"}}"#));
    for door in [Door::Http, Door::Socket, Door::EventStream] {
        let told = told(&doors.ask(door, query, &json!({})).await);
        assert_eq!(told.data.as_deref(), Some(r#"{"one":{"id":"a3","nickname":"account 3"}}"#), "{door:?}");
    }
}
