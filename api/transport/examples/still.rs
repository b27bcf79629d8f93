//! Answers from memory, for measuring what an answer costs when nothing is asked of a store: a flat list of a hundred rows
//! and a page of twenty accounts with five posts each; and a subscription, told of what is POSTed to /publish.
//!
//! `still graphql PORT WORKERS` is the transport over a schema of all. `still rows PORT WORKERS` and `still page PORT
//! WORKERS` answer anything with the one or the other, serialised by hand-written code of the ordinary kind: what the same
//! answer costs without GraphQL.

#![expect(clippy::unused_async, reason = "batched fields are asynchronous, whatever they do")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::middleware::Condition;
use actix_web::{App, HttpResponse, HttpServer, web};
use async_graphql::{
    Context, EmptyMutation, Enum, Error, ID, Object, Schema, SimpleObject, Subscription as FollowedBy,
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{Stream, stream};
use output::{Output, Recent, Shared, Written};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tokio::sync::broadcast;
use transport::{
    Admission, AnswerIds, AnswerLog, AnswerRecord, Ask, Config, Credentials, DrainHandle, Engine, Host,
    Limits, OperationInfo, OperationRecord, Refusal, StreamPermit,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longest wait for the answer to one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One of a hundred.
#[derive(SimpleObject, Output, Serialize)]
struct Row {
    id: ID,
    title: String,
    views: i32,
}

#[derive(Enum, Output, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum PostStatus {
    Waiting,
    Live,
}

#[derive(SimpleObject, Output, Serialize)]
#[serde(rename_all = "camelCase")]
struct Post {
    id: ID,
    caption: String,
    status: PostStatus,
    #[serde(serialize_with = "as_text")]
    planned_at: DateTime<Utc>,
}

#[derive(SimpleObject, Output, Serialize)]
struct PostConnection {
    nodes: Vec<&'static Post>,
}

#[derive(Enum, Output, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum AccountState {
    Connected,
}

#[derive(SimpleObject, Output, Serialize)]
#[graphql(complex)]
#[output(fields)]
struct Account {
    id: ID,
    nickname: String,
    state: AccountState,
    #[graphql(skip)]
    #[serde(rename = "posts", serialize_with = "as_nodes")]
    held: &'static [Post],
}

#[output::fields]
impl Account {
    /// The first of its posts.
    async fn posts(accounts: &[&Self], _: &Context<'_>, first: i32) -> Result<Vec<PostConnection>, Error> {
        let first = usize::try_from(first).unwrap_or_default();
        let of = |account: &&Self| PostConnection { nodes: account.held.iter().take(first).collect() };
        Ok(accounts.iter().map(of).collect())
    }
}

#[derive(SimpleObject, Output)]
struct AccountConnection {
    nodes: Vec<&'static Account>,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| (0..100).map(row).collect());
static ACCOUNTS: LazyLock<Vec<Account>> = LazyLock::new(|| (0..20).map(account).collect());

fn id(number: i32) -> ID {
    format!("00000000-0000-4000-8000-{number:012}").into()
}

/// So many seconds after the year began.
fn at(seconds: i32) -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default() + TimeDelta::seconds(seconds.into())
}

fn row(number: i32) -> Row {
    Row { id: id(number), title: format!("The title of row {number}"), views: number * 37 }
}

fn account(number: i32) -> Account {
    let post = |n: i32| Post {
        id: id(number * 5 + n),
        caption: "A caption as long as captions are, with a #word or two".to_owned(),
        status: if n == 0 { PostStatus::Live } else { PostStatus::Waiting },
        planned_at: at(n * 3_600 + number),
    };
    Account {
        id: id(number),
        nickname: format!("Account {number}"),
        state: AccountState::Connected,
        held: (0..5).map(post).collect::<Vec<_>>().leak(),
    }
}

struct Query;

#[Object]
impl Query {
    /// All rows.
    async fn rows(&self) -> Written<Vec<&'static Row>> {
        Written(ROWS.iter().collect())
    }

    /// The first of the accounts.
    async fn accounts(&self, first: i32) -> Option<Written<AccountConnection>> {
        let first = usize::try_from(first).unwrap_or_default();
        Some(Written(AccountConnection { nodes: ACCOUNTS.iter().take(first).collect() }))
    }
}

/// Something that happened to a post, as the product tells it.
#[derive(SimpleObject, Output, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostEventNotice {
    seq: String,
    #[serde(deserialize_with = "of_text")]
    at: DateTime<Utc>,
    post_id: Option<ID>,
    plan_id: Option<ID>,
}

/// As many as a slow listener may be behind.
const BEHIND_MAX: usize = 64;

static NOTICES: LazyLock<broadcast::Sender<PostEventNotice>> =
    LazyLock::new(|| broadcast::Sender::new(BEHIND_MAX));
static RECENT: LazyLock<Recent<String, PostEventNotice>> = LazyLock::new(|| Recent::new(BEHIND_MAX));

struct Subscription;

#[FollowedBy]
impl Subscription {
    /// What is told, from now on.
    async fn post_events(&self) -> impl Stream<Item = Shared<PostEventNotice>> + use<> {
        stream::unfold(NOTICES.subscribe(), |mut notices| async move {
            let notice = notices.recv().await.ok()?;
            Some((RECENT.share(notice.seq.clone(), || notice), notices))
        })
    }
}

async fn publish(notice: web::Json<PostEventNotice>) -> HttpResponse {
    // Nobody may be listening.
    let _ = NOTICES.send(notice.into_inner());
    HttpResponse::Ok().finish()
}

/// Lets everybody in, and takes nothing down.
struct Open;

#[async_trait]
impl Host for Open {
    type Caller = ();

    fn next_id(&self) -> Uuid {
        next_id()
    }

    async fn authenticate(&self, _: &Credentials) -> Result<Option<()>, Refusal> {
        Ok(None)
    }

    async fn admit(&self, _: Option<&()>, _: &Ask<'_>) -> Result<Admission, Refusal> {
        Ok(Admission::default())
    }

    async fn settle(&self, _: Option<&()>, _: u64, _: u64) {}

    fn prepare(
        &self,
        request: async_graphql::Request,
        _: Option<&()>,
        _: &Arc<OperationInfo>,
    ) -> async_graphql::Request {
        request
    }

    async fn record(&self, _: OperationRecord<()>) {}

    fn can_record(&self) -> bool {
        true
    }

    async fn ended(&self, (): &()) {
        std::future::pending::<()>().await;
    }

    fn reserve_stream(&self, _: Option<&()>) -> Result<StreamPermit, Refusal> {
        Ok(Box::new(()))
    }

    fn allow_introspection(&self, _: Option<&()>) -> bool {
        false
    }

    fn allow_free_documents(&self, _: Option<&()>) -> bool {
        true
    }

    fn allow_large_body(&self, _: Option<&()>) -> bool {
        false
    }

    fn trusted_document(&self, _: &str) -> Option<Arc<str>> {
        None
    }

    fn allow_origin(&self, _: &str) -> bool {
        false
    }
}

#[async_trait]
impl AnswerLog for Open {
    fn next_id(&self) -> Uuid {
        next_id()
    }

    fn allow_origin(&self, _: &str) -> bool {
        false
    }

    async fn record(&self, _: AnswerRecord) {}
}

#[expect(clippy::disallowed_methods, reason = "nothing here is asked for its IDs again")]
fn next_id() -> Uuid {
    Uuid::now_v7()
}

// The body is read, as of any request: what is left of it would end the connection.
async fn rows(_: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().json(json_of("rows", &*ROWS))
}

async fn page(_: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().json(json_of("accounts", &Nodes { nodes: ACCOUNTS.as_slice() }))
}

#[derive(Serialize)]
struct Nodes<T> {
    nodes: T,
}

#[derive(Serialize)]
struct Data<T> {
    data: T,
}

/// An answer as GraphQL has it, with one field.
fn json_of<'a, T>(field: &'static str, value: &'a T) -> Data<BTreeMap<&'static str, &'a T>> {
    Data { data: BTreeMap::from([(field, value)]) }
}

fn as_nodes<S: Serializer>(held: &&'static [Post], serializer: S) -> Result<S::Ok, S::Error> {
    Nodes { nodes: *held }.serialize(serializer)
}

/// As chrono's own serialiser does.
fn as_text<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:?}"))
}

fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, port, workers] = arguments.as_slice() else {
        return Err("still graphql|rows|page PORT WORKERS".into());
    };
    let what = what.clone();
    let (_handle, drain) = DrainHandle::new();
    let executors = transport::executors(|| Schema::build(Query, EmptyMutation, Subscription));
    let sdl = executors.strict().sdl();
    let limits = Limits { cost: 1_000_000, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    let engine = Engine::new(executors, &sdl, Arc::new(Open), config, drain)?;
    let server = HttpServer::new(move || {
        App::new()
            .configure(|app| match what.as_str() {
                "rows" => drop(app.route("/graphql", web::post().to(rows))),
                "page" => drop(app.route("/graphql", web::post().to(page))),
                _ => engine.mount(app.route("/publish", web::post().to(publish))),
            })
            .wrap(Condition::new(what == "graphql", AnswerIds::new(Arc::new(Open), ANSWER_WITHIN)))
    });
    Ok(server.workers(workers.parse()?).bind(("127.0.0.1", port.parse()?))?.run().await?)
}
