//! A schema with lists, five levels and more of batched fields, and every way to fail.

use std::sync::{Arc, Mutex};

use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Enum, Error, ErrorExtensions as _, ID, Interface, Object,
    Schema, SchemaBuilder, SimpleObject, TypeDirective, Union,
};
use chrono::{DateTime, Utc};
use output::{Output, Written};
use uuid::Uuid;

/// Calls of batched functions: the field, and how many parents.
#[derive(Default)]
pub(crate) struct Calls(pub(crate) Mutex<Vec<(&'static str, usize)>>);

fn called(ctx: &Context<'_>, field: &'static str, parents: usize) {
    ctx.data_unchecked::<Arc<Calls>>().0.lock().unwrap().push((field, parents));
}

#[TypeDirective(location = "FieldDefinition")]
pub(crate) fn weight(points: i32) {}

#[derive(Enum, Output, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    #[graphql(name = "ON_HOLD")]
    Suspended,
}

#[derive(SimpleObject, Output, Clone)]
pub(crate) struct Item {
    id: ID,
    name: String,
    #[graphql(directive = weight::apply(3))]
    n: i32,
    ratio: f64,
    note: Option<String>,
    tags: Vec<String>,
}

pub(crate) fn item(n: i32) -> Item {
    Item {
        id: n.into(),
        name: format!("item \"{n}\" \\ é\n"),
        n,
        ratio: f64::from(n) / 3.0,
        note: (n % 2 == 0).then(|| "even".to_owned()),
        tags: (0..n % 3).map(|tag| format!("t{tag}")).collect(),
    }
}

#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub(crate) struct Plan {
    #[graphql(skip)]
    number: i32,
    id: ID,
    key: Uuid,
    title: String,
    status: Status,
    due_at: DateTime<Utc>,
}

fn plan(number: i32) -> Plan {
    Plan {
        number,
        id: format!("p{number}").into(),
        key: Uuid::from_u128(u128::from(number.unsigned_abs())),
        title: format!("plan {number}"),
        status: if number % 3 == 0 { Status::Suspended } else { Status::Active },
        due_at: DateTime::from_timestamp(1_800_000_000 + i64::from(number), 0).unwrap(),
    }
}

#[output::fields]
impl Plan {
    /// One in four has none.
    async fn owner(plans: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<Account>>, Error> {
        called(ctx, "owner", plans.len());
        Ok(plans.iter().map(|plan| (plan.number % 4 != 3).then(|| account(plan.number / 10))).collect())
    }
}

#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub(crate) struct PlanConnection {
    #[graphql(skip)]
    all: Vec<Plan>,
    size: u32,
}

#[output::fields]
impl PlanConnection {
    /// The plans.
    fn nodes(&self) -> Vec<&Plan> {
        self.all.iter().collect()
    }

    /// With a weight, and nullable.
    #[graphql(directive = weight::apply(10))]
    async fn total_count(connections: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<u32>>, Error> {
        called(ctx, "totalCount", connections.len());
        Ok(connections.iter().map(|connection| (connection.size != 1).then_some(connection.size)).collect())
    }
}

#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub(crate) struct Account {
    #[graphql(skip)]
    number: i32,
    pub(crate) id: ID,
    nickname: String,
    status: Status,
    first_item: Item,
    /// Async-graphql's alone.
    #[graphql(guard = "Open")]
    guarded: Option<i32>,
    /// Async-graphql's alone, and nobody's.
    #[graphql(guard = "Closed")]
    closed: Option<i32>,
}

/// A guard that lets pass.
struct Open;

impl async_graphql::Guard for Open {
    async fn check(&self, _: &Context<'_>) -> async_graphql::Result<()> {
        Ok(())
    }
}

/// A guard that lets nobody pass.
struct Closed;

impl async_graphql::Guard for Closed {
    async fn check(&self, _: &Context<'_>) -> async_graphql::Result<()> {
        Err(failed("closed".to_owned()))
    }
}

pub(crate) fn account(number: i32) -> Account {
    Account {
        number,
        id: format!("a{number}").into(),
        nickname: format!("account {number}"),
        status: Status::Active,
        first_item: item(number),
        guarded: Some(number),
        closed: Some(number),
    }
}

fn failed(message: String) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", "FORBIDDEN"))
}

#[output::fields]
impl Account {
    /// The first of its plans; one account has none.
    async fn plans(
        accounts: &[&Self],
        ctx: &Context<'_>,
        #[graphql(default = 2)] first: i32,
    ) -> Result<Vec<PlanConnection>, Error> {
        called(ctx, "plans", accounts.len());
        let of = |account: &&Self| {
            let size = if account.number == 2 { 0 } else { first.clamp(0, 5) };
            PlanConnection {
                all: (0..size).map(|n| plan(account.number * 10 + n)).collect(),
                size: size.unsigned_abs(),
            }
        };
        Ok(accounts.iter().map(of).collect())
    }

    /// Another account, or none.
    async fn peer(accounts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<Account>>, Error> {
        called(ctx, "peer", accounts.len());
        Ok(accounts.iter().map(|one| (one.number > 0).then(|| account(one.number - 1))).collect())
    }

    /// Fails at one account, where null is not allowed.
    async fn boom(accounts: &[&Self], ctx: &Context<'_>, at: i32) -> Result<Vec<Result<i32, Error>>, Error> {
        called(ctx, "boom", accounts.len());
        let of = |account: &&Self| {
            if account.number == at { Err(failed(format!("boom {at}"))) } else { Ok(account.number) }
        };
        Ok(accounts.iter().map(of).collect())
    }

    /// Fails at one account, where null is allowed; null at the one before.
    async fn soft(
        accounts: &[&Self],
        ctx: &Context<'_>,
        at: i32,
    ) -> Result<Vec<Option<Result<Item, Error>>>, Error> {
        called(ctx, "soft", accounts.len());
        let of = |account: &&Self| match account.number {
            number if number == at => Some(Err(failed(format!("soft {at}")))),
            number if number == at - 1 => None,
            number => Some(Ok(item(number))),
        };
        Ok(accounts.iter().map(of).collect())
    }

    /// A list whose items fail where they must not be null.
    async fn hard_items(
        accounts: &[&Self],
        ctx: &Context<'_>,
        at: i32,
    ) -> Result<Vec<Option<Vec<Result<Item, Error>>>>, Error> {
        called(ctx, "hardItems", accounts.len());
        let of = |account: &&Self| {
            let item = |n: i32| if n == at { Err(failed(format!("item {at}"))) } else { Ok(item(n)) };
            Some((0..=account.number).map(item).collect())
        };
        Ok(accounts.iter().map(of).collect())
    }

    /// The call fails.
    async fn broken(accounts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Option<Item>>, Error> {
        called(ctx, "broken", accounts.len());
        Err(failed("broken".to_owned()))
    }

    /// The call fails, where null is not allowed.
    async fn broken_hard(accounts: &[&Self], ctx: &Context<'_>) -> Result<Vec<Item>, Error> {
        called(ctx, "brokenHard", accounts.len());
        Err(failed("broken hard".to_owned()))
    }
}

#[derive(SimpleObject, Output)]
pub(crate) struct AccountConnection {
    nodes: Vec<Account>,
    optional: Vec<Option<Account>>,
    grid: Vec<Vec<Account>>,
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID"))]
pub(crate) enum NodeI {
    Item(Item),
    Account(Account),
}

#[derive(Union)]
pub(crate) enum Uni {
    Item(Item),
    Account(Account),
}

/// Written lists below an object that is not.
#[derive(SimpleObject)]
pub(crate) struct Shelf {
    label: String,
    items: Written<Vec<Item>>,
}

pub(crate) struct Query;

#[Object(name = "Query")]
impl Query {
    async fn items(&self, first: i32) -> Written<Vec<Item>> {
        Written((0..first.clamp(0, 100)).map(item).collect())
    }

    async fn accounts(&self, first: i32) -> Option<Result<Written<AccountConnection>, Error>> {
        let count = first.clamp(0, 100);
        let optional = (0..count).map(|n| (n != 1).then(|| account(n))).collect();
        let grid = (0..count.min(3)).map(|row| (0..row).map(account).collect()).collect();
        Some(Ok(Written(AccountConnection { nodes: (0..count).map(account).collect(), optional, grid })))
    }

    async fn emb(&self, first: i32) -> Written<Vec<Account>> {
        Written((0..first.clamp(0, 100)).map(account).collect())
    }

    async fn emb_opt(&self, first: Option<i32>) -> Written<Vec<Option<Account>>> {
        Written((0..first.unwrap_or(1).clamp(0, 100)).map(|n| Some(account(n))).collect())
    }

    async fn one(&self) -> Option<Written<Account>> {
        Some(Written(account(3)))
    }

    async fn node(&self, i: i32) -> NodeI {
        if i == 0 { NodeI::Item(item(0)) } else { NodeI::Account(account(i)) }
    }

    async fn unis(&self) -> Vec<Uni> {
        vec![Uni::Item(item(1)), Uni::Account(account(1)), Uni::Account(account(2))]
    }

    async fn shelves(&self) -> Vec<Shelf> {
        let shelf = |n| Shelf { label: format!("s{n}"), items: Written((0..n).map(item).collect()) };
        (0..3).map(shelf).collect()
    }
}

/// The schema. Calls are noted in a request's own data, where it brings any.
pub(crate) fn builder() -> SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query, EmptyMutation, EmptySubscription).data(Arc::<Calls>::default())
}
