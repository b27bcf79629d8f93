//! A schema with one field for each way an answer can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::{
    Context, Enum, Error, ErrorExtensions, ID, InputObject, Interface, Object, Schema, SimpleObject,
    Subscription,
};
use futures_util::stream::{self, Stream, StreamExt};
use output::{Output, Written};
use tokio::sync::watch;
use transport::{Executors, cost, idempotency_key, list_size, mark_replay};

/// State behind the schema.
pub(crate) struct Toy {
    /// How often `createPost` had an effect.
    pub(crate) created: AtomicU64,
    /// What `watched` streams.
    pub(crate) watched: watch::Sender<i32>,
    /// Subscriptions of `watched` that are alive.
    pub(crate) watchers: Arc<AtomicU64>,
    /// Values that `flood` has made.
    pub(crate) flooded: Arc<AtomicU64>,
    /// Calls of a batched field.
    pub(crate) batches: AtomicU64,
}

impl Default for Toy {
    fn default() -> Self {
        let (watched, _) = watch::channel(0);
        Self {
            created: AtomicU64::default(),
            watched,
            watchers: Arc::default(),
            flooded: Arc::default(),
            batches: AtomicU64::default(),
        }
    }
}

#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub(crate) struct Post {
    id: ID,
    title: String,
}

#[output::fields]
impl Post {
    /// Who wrote it; the third has nobody.
    async fn author(posts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<User>>, Error> {
        ctx.data_unchecked::<Arc<Toy>>().batches.fetch_add(1, Ordering::SeqCst);
        let user = |post: &&Self| User { id: format!("u{}", post.id.0).into(), rank: 1 };
        Ok(posts.iter().map(|post| (post.id.0 != "2").then(|| user(post))).collect())
    }

    /// Of the second it is not told.
    async fn secret(
        posts: &[&Self],
        _: &Context<'_>,
        #[graphql(default = 1)] times: i32,
    ) -> Result<Vec<Option<Result<i32, Error>>>, Error> {
        let of = |post: &&Self| {
            Some(if post.id.0 == "1" { Err(coded("FORBIDDEN", "not yours")) } else { Ok(times) })
        };
        Ok(posts.iter().map(of).collect())
    }
}

#[derive(SimpleObject, Output, Clone)]
pub(crate) struct User {
    id: ID,
    #[graphql(directive = cost::apply(7))]
    rank: i32,
}

#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "&ID"))]
pub(crate) enum Node {
    Post(Post),
    User(User),
}

#[derive(SimpleObject, Output)]
pub(crate) struct PageInfo {
    has_next_page: bool,
}

#[derive(SimpleObject, Output)]
pub(crate) struct PostEdge {
    cursor: String,
    node: Post,
}

#[derive(SimpleObject, Output)]
pub(crate) struct PostConnection {
    edges: Vec<PostEdge>,
    nodes: Vec<Post>,
    page_info: PageInfo,
    #[graphql(directive = cost::apply(10))]
    total_count: Option<i32>,
}

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    Public,
    Private,
}

#[derive(InputObject)]
pub(crate) struct Filter {
    ids: Vec<i32>,
}

#[derive(InputObject)]
pub(crate) struct PostInput {
    title: String,
    #[graphql(default_with = "Visibility::Public")]
    visibility: Visibility,
}

#[derive(SimpleObject)]
pub(crate) struct CreatePostPayload {
    post: Post,
    key: Option<String>,
    arguments_hash: Option<String>,
    is_public: bool,
    compliance_id: Option<String>,
}

pub(crate) fn coded(code: &str, message: &str) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

pub(crate) struct Query;

#[Object(name = "Query")]
impl Query {
    async fn hello(&self) -> &'static str {
        "world"
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn with_filter(&self, filter: Filter) -> i64 {
        filter.ids.len().try_into().unwrap_or(0)
    }

    async fn sum(&self, numbers: Vec<i32>) -> i64 {
        numbers.into_iter().map(i64::from).sum()
    }

    async fn me(&self) -> User {
        User { id: "u1".into(), rank: 1 }
    }

    #[graphql(directive = list_size::apply(5))]
    async fn nodes(&self, ids: Vec<ID>) -> Vec<Option<Node>> {
        ids.into_iter().map(|id| Some(Node::Post(Post { id, title: "a".into() }))).collect()
    }

    /// Three posts, however many are asked for.
    async fn posts(&self, #[graphql(default = 20)] first: i32) -> Option<Written<PostConnection>> {
        let post = |n: i32| Post { id: n.to_string().into(), title: format!("post {n}") };
        let count = first.clamp(0, 3);
        Some(Written(PostConnection {
            edges: (0..count).map(|n| PostEdge { cursor: n.to_string(), node: post(n) }).collect(),
            nodes: (0..count).map(post).collect(),
            page_info: PageInfo { has_next_page: false },
            total_count: Some(3),
        }))
    }

    /// Fails without a code: masked.
    async fn secret_failure(&self) -> Option<Result<i32, Error>> {
        Some(Err(Error::new("password is hunter2")))
    }

    async fn forbidden(&self) -> Option<Result<i32, Error>> {
        Some(Err(coded("FORBIDDEN", "not yours")))
    }

    async fn non_null_failure(&self) -> Result<i32, Error> {
        Err(coded("UNAVAILABLE", "the platform is away"))
    }

    async fn many_failures(&self) -> Vec<Option<Result<i32, Error>>> {
        (0..100).map(|_| Some(Err(coded("FORBIDDEN", "not yours")))).collect()
    }

    async fn panics(&self) -> i32 {
        assert!(std::hint::black_box(false), "deliberate");
        1
    }

    /// Never ends by itself.
    async fn stuck(&self) -> i32 {
        std::future::pending().await
    }

    async fn with_cookie(&self, ctx: &Context<'_>) -> bool {
        ctx.append_http_header("set-cookie", "a=1");
        ctx.append_http_header("set-cookie", "b=2");
        true
    }
}

pub(crate) struct Mutation;

#[Object(name = "Mutation")]
impl Mutation {
    async fn create_post(
        &self,
        ctx: &Context<'_>,
        input: PostInput,
        #[graphql(default = false)] replay: bool,
    ) -> Result<CreatePostPayload, Error> {
        let key = idempotency_key(ctx)?;
        if replay {
            mark_replay(ctx);
        }
        let number = ctx.data_unchecked::<Arc<Toy>>().created.fetch_add(1, Ordering::SeqCst);
        let hash = key.as_ref().map(|key| format!("{:02x?}", key.arguments_hash));
        Ok(CreatePostPayload {
            post: Post { id: number.to_string().into(), title: input.title },
            key: key.map(|key| key.key),
            arguments_hash: hash,
            is_public: input.visibility == Visibility::Public,
            compliance_id: transport::answer_id(ctx).map(|id| id.to_string()),
        })
    }

    #[graphql(directive = cost::apply(30))]
    async fn purge(&self) -> bool {
        true
    }
}

/// Counts itself among the living.
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct Feed;

#[Subscription(name = "Subscription")]
impl Feed {
    async fn count(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(1..=to)
    }

    /// The watched value, now and whenever it changes.
    async fn watched(&self, ctx: &Context<'_>) -> impl Stream<Item = i32> {
        let toy = ctx.data_unchecked::<Arc<Toy>>();
        let alive = Alive::new(&toy.watchers);
        stream::unfold((toy.watched.subscribe(), alive, true), |(mut values, alive, is_first)| async move {
            if !is_first {
                values.changed().await.ok()?;
            }
            let value = *values.borrow_and_update();
            Some((value, (values, alive, false)))
        })
    }

    /// Large values without end, as fast as they are taken.
    async fn flood(&self, ctx: &Context<'_>) -> impl Stream<Item = String> {
        let made = Arc::clone(&ctx.data_unchecked::<Arc<Toy>>().flooded);
        stream::repeat_with(move || {
            made.fetch_add(1, Ordering::SeqCst);
            "x".repeat(10_000)
        })
    }

    async fn refused(&self) -> Result<stream::Empty<i32>, Error> {
        Err(coded("FORBIDDEN", "not yours"))
    }

    async fn panics(&self) -> impl Stream<Item = i32> {
        stream::iter(1..3).map(|n| {
            assert!(n < 2, "deliberate");
            n
        })
    }
}

pub(crate) type ToySchema = Schema<Query, Mutation, Feed>;

/// The schema over `toy`.
pub(crate) fn executors(toy: &Arc<Toy>) -> Executors<ToySchema> {
    transport::executors(|| Schema::build(Query, Mutation, Feed).data(Arc::clone(toy)))
}
