//! What can be read of accounts.

use async_graphql::{Context, ID, Object, SimpleObject};
use domain::{
    accounts::{AccountFilter, model},
    kernel::{
        ids::{AccountId, AppId, GroupId, LinkId},
        page::Key,
    },
};
use output::{Output, Written};

use super::{
    Account, App, Group, Link,
    quotas::{PlatformHealth, PlatformQuota, platform_health, platform_quotas},
    tokens::ConsentDueConnection,
    types::{AccountConnection, AccountState, AppConnection},
};
use crate::graphql::{
    command::app,
    connection::{Cursors, PageArgs, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, parse_global_id},
};

/// A platform this installation speaks to.
#[derive(SimpleObject, Output, Clone)]
pub struct Platform {
    /// What it is called here, as `douyin`.
    key: String,
    /// What it calls itself.
    name: String,
    /// What is asked of owners when nothing else is said, as far as the app has it.
    default_scopes: Vec<String>,
    /// Renewals of a refresh token in one consent.
    renewals_max: u32,
}

/// Days ahead the calendar looks, at most.
const CALENDAR_DAYS_MAX: i32 = 366;

#[derive(Default)]
pub struct AccountsQuery;

#[expect(clippy::too_many_arguments, reason = "a connection's four arguments and its filter")]
#[Object]
impl AccountsQuery {
    /// The platforms this installation speaks to.
    #[graphql(directive = transport::list_size::apply(10))]
    async fn platforms(&self, ctx: &Context<'_>) -> Option<Written<Vec<Platform>>> {
        let of = |facts: &domain::accounts::ports::PlatformFacts| Platform {
            key: facts.key.as_str().to_owned(),
            name: facts.name.to_owned(),
            default_scopes: facts.scopes_wanted.clone(),
            renewals_max: facts.renewals_max,
        };
        Some(Written(app(ctx).accounts.platforms().all().map(of).collect()))
    }

    /// A registration of this tenant on a platform.
    async fn app(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<App>, ApiError>> {
        one_app(ctx, &id).await.map(|app| app.map(Written)).transpose()
    }

    /// Registrations of this tenant on platforms, oldest first.
    async fn apps(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<AppConnection>, ApiError>> {
        Some(apps(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// A linked account.
    async fn account(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Account>, ApiError>> {
        one_account(ctx, &id).await.map(|account| account.map(Written)).transpose()
    }

    /// Linked accounts, oldest first: those the caller reaches. What was given up is left out unless it is asked for.
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those in this group or below.")] group_id: Option<ID>,
        #[graphql(desc = "Only those linked with this app.")] app_id: Option<ID>,
        #[graphql(desc = "Only those with all of these tags.")] tags: Option<Vec<String>>,
        #[graphql(desc = "Only those in this state.")] state: Option<AccountState>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<AccountConnection>, ApiError>> {
        let args = PageArgs { first, after, last, before };
        Some(accounts(ctx, Wanted { group_id, app_id, tags, state }, args).await.map(Written))
    }

    /// Accounts whose owners must consent again within some days, the first first.
    async fn consents_due(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How far to look, in days, 1 to 366.", default = 30)] within_days: i32,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<ConsentDueConnection>, ApiError>> {
        Some(consents(ctx, within_days, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// Groups of the matrices that the caller reaches, parents before what is in them; at most 2,000.
    #[graphql(directive = transport::list_size::apply(100))]
    async fn groups(&self, ctx: &Context<'_>) -> Option<Result<Written<Vec<Group>>, ApiError>> {
        Some(groups(ctx).await.map(Written))
    }

    /// Quotas of a platform as they stand now: those that the accounts of an app share, or those that an account draws on.
    /// One of the two is named. Null when there is no such thing, or it is not the caller's to see.
    #[graphql(directive = transport::list_size::apply(10))]
    async fn platform_quotas(
        &self,
        ctx: &Context<'_>,
        app_id: Option<ID>,
        account_id: Option<ID>,
    ) -> Option<Result<Written<Vec<PlatformQuota>>, ApiError>> {
        platform_quotas(ctx, app_id, account_id).await.map(|quotas| quotas.map(Written)).transpose()
    }

    /// How this tenant's calls to platforms go, as all processes of this installation say: whether they are let through, how
    /// many fail, how long they take and how many wait.
    #[graphql(directive = transport::cost::apply(20))]
    async fn platform_health(&self, ctx: &Context<'_>) -> Option<Result<Written<PlatformHealth>, ApiError>> {
        Some(platform_health(ctx).await.map(Written))
    }

    /// An attempt to link an account.
    async fn link(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Link>, ApiError>> {
        one_link(ctx, &id).await.map(|link| link.map(Written)).transpose()
    }
}

/// What accounts are filtered by, as the field has it.
struct Wanted {
    group_id: Option<ID>,
    app_id: Option<ID>,
    tags: Option<Vec<String>>,
    state: Option<AccountState>,
}

impl Wanted {
    /// The filter, and a text that tells it from others.
    fn read(self) -> Result<(AccountFilter, String), ApiError> {
        let named = |field: &str, kind, id: Option<ID>| match id {
            None => Ok(None),
            Some(id) => match parse_global_id(&id) {
                Some((found, uuid)) if found == kind => Ok(Some(uuid)),
                Some(_) | None => Err(ApiError::bad_input(format!("{field} is not the id of such a thing"))),
            },
        };
        let filter = AccountFilter {
            group: named("groupId", Kind::Group, self.group_id)?.map(GroupId::from_uuid),
            app: named("appId", Kind::App, self.app_id)?.map(AppId::from_uuid),
            tags: model::tags(self.tags.unwrap_or_default())
                .map_err(|problem| ApiError::bad_input(format!("tags {problem}")))?,
            state: self.state.map(AccountState::word),
        };
        let text = format!("{filter:?}");
        Ok((filter, text))
    }
}

pub(super) async fn one_app(ctx: &Context<'_>, id: &ID) -> Result<Option<App>, ApiError> {
    let (actor, mut work) = reading(ctx, "app").await?;
    let Some((Kind::App, uuid)) = parse_global_id(id) else { return Ok(None) };
    let accounts = &app(ctx).accounts;
    let found = accounts.app(&mut *work, &actor, AppId::from_uuid(uuid)).await?;
    Ok(found.map(|found| App::new(found, &actor, accounts)))
}

async fn apps(ctx: &Context<'_>, args: PageArgs) -> Result<AppConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "apps").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "apps", "");
    let request = cursors.request(&args)?;
    let page = app.accounts.apps(&mut *work, &actor, request).await?;
    let key = |found: &model::App| Key { at: found.created_at, id: found.id.uuid() };
    let node = |found| App::new(found, &actor, &app.accounts);
    Ok(AppConnection::new(paged(page, &request, &cursors, key, node)))
}

pub(super) async fn one_account(ctx: &Context<'_>, id: &ID) -> Result<Option<Account>, ApiError> {
    let (actor, mut work) = reading(ctx, "account").await?;
    let Some((Kind::Account, uuid)) = parse_global_id(id) else { return Ok(None) };
    let found = app(ctx).accounts.account(&mut *work, &actor, AccountId::from_uuid(uuid)).await?;
    Ok(found.map(Into::into))
}

async fn accounts(ctx: &Context<'_>, wanted: Wanted, args: PageArgs) -> Result<AccountConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "accounts").await?;
    let app = app(ctx);
    let (filter, text) = wanted.read()?;
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "accounts", text);
    let request = cursors.request(&args)?;
    let page = app.accounts.accounts(&mut *work, &actor, &filter, request).await?;
    let key = |account: &model::Account| Key { at: account.created_at, id: account.id.uuid() };
    Ok(AccountConnection::new(paged(page, &request, &cursors, key, Into::into), filter))
}

async fn consents(ctx: &Context<'_>, days: i32, args: PageArgs) -> Result<ConsentDueConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "consents_due").await?;
    let app = app(ctx);
    let days = u32::try_from(days).ok().filter(|_| (1..=CALENDAR_DAYS_MAX).contains(&days));
    let days = days.ok_or_else(|| ApiError::bad_input("withinDays must be 1 to 366"))?;
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "consents_due", days.to_string());
    let request = cursors.request(&args)?;
    let page = app.accounts.consents(&mut *work, &actor, days, request).await?;
    let key = |due: &domain::accounts::Consent| Key { at: due.ends_at, id: due.account.id.uuid() };
    Ok(ConsentDueConnection::new(paged(page, &request, &cursors, key, |due: domain::accounts::Consent| {
        due.account.into()
    })))
}

async fn groups(ctx: &Context<'_>) -> Result<Vec<Group>, ApiError> {
    let (actor, mut work) = reading(ctx, "groups").await?;
    let found = app(ctx).accounts.groups(&mut *work, &actor).await?;
    Ok(found.into_iter().map(Into::into).collect())
}

pub(super) async fn one_group(ctx: &Context<'_>, id: &ID) -> Result<Option<Group>, ApiError> {
    let (actor, mut work) = reading(ctx, "group").await?;
    let Some((Kind::Group, uuid)) = parse_global_id(id) else { return Ok(None) };
    let found = app(ctx).accounts.group(&mut *work, &actor, GroupId::from_uuid(uuid)).await?;
    Ok(found.map(Into::into))
}

pub(super) async fn one_link(ctx: &Context<'_>, id: &ID) -> Result<Option<Link>, ApiError> {
    let (actor, mut work) = reading(ctx, "link").await?;
    let Some((Kind::Link, uuid)) = parse_global_id(id) else { return Ok(None) };
    let app = app(ctx);
    let found = app.accounts.link(&mut *work, &actor, LinkId::from_uuid(uuid)).await?;
    Ok(found.map(|link| Link::new(link, app.clock.now())))
}
