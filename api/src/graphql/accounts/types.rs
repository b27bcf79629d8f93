//! Types of accounts, converted by hand: the schema is a promise of its own.

use async_graphql::{Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    accounts::{AccountFilter, Accounts, model},
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, GroupId},
    },
};
use output::Output;

use super::{
    quotas::PlatformQuota,
    tokens::{Capability, TokenState},
};
use crate::graphql::{
    command::app,
    connection::{COUNT_MAX, PageArgs, connection, connection_fields},
    error::ApiError,
    publishing::{PostConnection, posts_of_accounts},
    reading::reading,
    scalars::{Kind, global_id},
};

/// Whether an app may be used.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::AppState")]
pub enum AppState {
    /// It may.
    Active,
    /// The platform has banned it or taken it offline.
    SwitchedOff,
}

/// A tenant's registration as a developer on a platform. Its secret is never shown again.
#[derive(SimpleObject, Output, Clone)]
pub struct App {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// The platform, as `douyin`.
    platform: String,
    /// What the tenant calls it.
    name: String,
    /// What the platform calls it.
    client_key: String,
    /// What the platform granted it.
    scopes: Vec<String>,
    /// Those of them that the platform has since switched off.
    scopes_off: Vec<String>,
    /// Whether it may be used.
    state: AppState,
    /// The address to register at the platform for owners who come back.
    redirect_uri: String,
    /// The address to register at the platform for its news; null to who may not change apps.
    webhook_url: Option<String>,
    /// When it was registered.
    created_at: DateTime<Utc>,
}

impl App {
    pub(in crate::graphql) fn new(app: model::App, actor: &Actor, accounts: &Accounts) -> Self {
        let platform = app.platform.as_str();
        Self {
            id: global_id(Kind::App, app.id.uuid()),
            redirect_uri: accounts.redirect_uri(platform),
            webhook_url: actor
                .may(Permission::ManageApps)
                .then(|| accounts.webhook_url(platform, actor.tenant, app.id)),
            platform: platform.to_owned(),
            name: app.name,
            client_key: app.client_key,
            scopes: app.scopes,
            scopes_off: app.scopes_off,
            state: app.state.into(),
            created_at: app.created_at,
        }
    }
}

connection!(AppConnection, AppEdge, App, "apps");
connection_fields!(AppConnection, App);

/// Whether we can act for an account.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// We can.
    Connected,
    /// Its owner must consent again.
    ConsentNeeded,
    /// The tenant gave it up.
    Unlinked,
}

impl AccountState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ConsentNeeded => "consent_needed",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Why a consent came to its end.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::ConsentEnd")]
pub enum ConsentEnd {
    /// The owner took it back.
    Revoked,
    /// The refresh token ran out.
    Expired,
    /// The platform does not take the tokens any more, and says no more than that.
    Refused,
    /// The owner's account is banned or deregistered.
    OwnerGone,
}

/// An account on a platform, linked to this tenant through one of its apps.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Account {
    #[graphql(skip)]
    model: model::Account,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// The platform, as `douyin`.
    platform: String,
    /// The app it was linked with.
    app_id: ID,
    /// What the platform calls it to this app.
    open_id: String,
    /// Its display name; empty while it was not read.
    nickname: String,
    /// Address of its picture.
    avatar_url: Option<String>,
    /// The kind of account, in the platform's own word.
    kind: Option<String>,
    /// The group it is in.
    group_id: Option<ID>,
    /// Words to find it by.
    tags: Vec<String>,
    /// Whether we can act for it.
    state: AccountState,
    /// Why its owner must consent again.
    consent_end: Option<ConsentEnd>,
    /// Since when it is not connected.
    state_since: Option<DateTime<Utc>>,
    /// Since when it is paused.
    paused_at: Option<DateTime<Utc>>,
    /// When it was first linked.
    created_at: DateTime<Utc>,
}

impl From<model::Account> for Account {
    fn from(account: model::Account) -> Self {
        let (state, consent_end, state_since) = match account.state {
            model::AccountState::Connected => (AccountState::Connected, None, None),
            model::AccountState::ConsentNeeded { end, since } => {
                (AccountState::ConsentNeeded, Some(end.into()), Some(since))
            }
            model::AccountState::Unlinked { since } => (AccountState::Unlinked, None, Some(since)),
        };
        Self {
            id: global_id(Kind::Account, account.id.uuid()),
            platform: account.platform.as_str().to_owned(),
            app_id: global_id(Kind::App, account.app.uuid()),
            open_id: account.open_id.clone(),
            nickname: account.profile.nickname.clone(),
            avatar_url: account.profile.avatar.clone(),
            kind: account.profile.kind.clone(),
            group_id: account.group.map(|group| global_id(Kind::Group, group.uuid())),
            tags: account.tags.clone(),
            state,
            consent_end,
            state_since,
            paused_at: account.paused.map(|pause| pause.since),
            created_at: account.created_at,
            model: account,
        }
    }
}

#[output::fields]
impl Account {
    /// How its tokens are; null when there are none.
    async fn tokens(
        accounts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<TokenState, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "tokens").await?;
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.model.id).collect();
        let app = app(ctx);
        let now = app.clock.now();
        let mut terms = app.accounts.token_terms(&mut *work, &actor, &ids).await?;
        Ok(ids.iter().map(|id| terms.remove(id).map(|terms| Ok(TokenState::new(*id, &terms, now)))).collect())
    }

    /// What can be done with it, by whom, and what is in the way.
    #[graphql(directive = transport::cost::apply(5))]
    async fn capabilities(
        accounts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<Capability>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "capabilities").await?;
        let models: Vec<_> = accounts.iter().map(|account| account.model.clone()).collect();
        let all = app(ctx).accounts.capabilities_of(&mut *work, &actor, &models).await?;
        Ok(all.into_iter().map(|found| Some(Ok(found.into_iter().map(Into::into).collect()))).collect())
    }

    /// The quotas of its platform that it draws on, as they stand now: its own, and those it shares.
    #[graphql(directive = transport::cost::apply(10))]
    async fn quotas(
        accounts: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<PlatformQuota>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "platform_quotas").await?;
        let models: Vec<_> = accounts.iter().map(|account| account.model.clone()).collect();
        let all = app(ctx).accounts.quotas_of(&mut *work, &actor, &models).await?;
        Ok(all.into_iter().map(|found| Some(Ok(found.into_iter().map(Into::into).collect()))).collect())
    }

    /// Its posts, by the time they are planned for.
    async fn posts(
        accounts: &[&Self],
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Vec<Option<Result<PostConnection, ApiError>>>, ApiError> {
        let ids: Vec<_> = accounts.iter().map(|account| account.model.id).collect();
        posts_of_accounts(ctx, &ids, &PageArgs { first, after, last, before }).await
    }
}

connection!(AccountConnection, AccountEdge, Account, "accounts", filter: AccountFilter);

#[output::fields]
impl AccountConnection {
    /// The rows.
    fn nodes(&self) -> Vec<&Account> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// How many there are in all under the same filter; 10,001 means more.
    #[graphql(directive = transport::cost::apply(10))]
    async fn total_count(
        connections: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<u32, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "accounts").await?;
        let mut counts = Vec::with_capacity(connections.len());
        for connection in connections {
            let filter = &connection.filter;
            let count = app(ctx).accounts.count_accounts(&mut *work, &actor, filter, COUNT_MAX).await;
            counts.push(Some(count.map_err(Into::into)));
        }
        Ok(counts)
    }
}

/// A group of a matrix; one without a parent is a matrix.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Group {
    #[graphql(skip)]
    key: GroupId,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What it is called.
    name: String,
    /// What it is part of; null for a matrix.
    parent_id: Option<ID>,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<model::Group> for Group {
    fn from(group: model::Group) -> Self {
        Self {
            key: group.id,
            id: global_id(Kind::Group, group.id.uuid()),
            name: group.name,
            parent_id: group.parent.map(|parent| global_id(Kind::Group, parent.uuid())),
            created_at: group.created_at,
        }
    }
}

#[output::fields]
impl Group {
    /// Ids of the members who were given this group to work in, with all below it.
    async fn granted_to(
        groups: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Vec<ID>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "grants").await?;
        let keys: Vec<_> = groups.iter().map(|group| group.key).collect();
        let grants = app(ctx).accounts.grants_of(&mut *work, &actor, &keys).await?;
        let ids = |members: Vec<domain::kernel::ids::MemberId>| {
            members.into_iter().map(|member| global_id(Kind::Member, member.uuid())).collect()
        };
        Ok(grants.into_iter().map(|members| Some(Ok(ids(members)))).collect())
    }
}

/// What was done in an attempt to link.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::LinkStep")]
pub enum LinkStep {
    /// A member asked for the consent page.
    Begun,
    /// The owner came back from the platform.
    Returned,
    /// The platform gave tokens for the code.
    CodeExchanged,
    /// The platform told who the owner is.
    ProfileRead,
    /// The account is linked.
    Linked,
    /// It ended without.
    Failed,
}

/// A step of an attempt.
#[derive(SimpleObject, Output, Clone)]
pub struct LinkTraceEntry {
    /// When.
    at: DateTime<Utc>,
    /// What.
    step: LinkStep,
    /// A word about it, or the platform's code.
    detail: Option<String>,
}

/// Where an attempt to link stands.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The owner has not come back yet.
    Open,
    /// The owner came back, and the platform is being asked.
    Returned,
    /// The account is linked.
    Linked,
    /// It ended without an account.
    Failed,
    /// The owner did not come back in time.
    Expired,
}

/// One attempt to have an account's owner consent.
#[derive(SimpleObject, Output, Clone)]
pub struct Link {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// The platform, as `douyin`.
    platform: String,
    /// The app that asks.
    app_id: ID,
    /// What is asked for.
    scopes: Vec<String>,
    /// Where it stands.
    state: LinkState,
    /// The account it ended with.
    account_id: Option<ID>,
    /// When it was begun.
    created_at: DateTime<Utc>,
    /// From when on it can't be finished.
    expires_at: DateTime<Utc>,
    /// What was done, oldest first.
    trace: Vec<LinkTraceEntry>,
}

impl Link {
    pub(in crate::graphql) fn new(link: model::Link, now: Timestamp) -> Self {
        let expires_at = link.expires_at();
        let (state, account) = match &link.outcome {
            model::LinkOutcome::Linked(account) => (LinkState::Linked, Some(*account)),
            model::LinkOutcome::Failed => (LinkState::Failed, None),
            model::LinkOutcome::Open if now >= expires_at => (LinkState::Expired, None),
            model::LinkOutcome::Open if link.returned_at.is_some() => (LinkState::Returned, None),
            model::LinkOutcome::Open => (LinkState::Open, None),
        };
        let entry = |entry: model::TraceEntry| LinkTraceEntry {
            at: entry.at,
            step: entry.step.into(),
            detail: entry.detail,
        };
        Self {
            id: global_id(Kind::Link, link.id.uuid()),
            platform: link.platform.as_str().to_owned(),
            app_id: global_id(Kind::App, link.app.uuid()),
            scopes: link.scopes,
            state,
            account_id: account.map(|account| global_id(Kind::Account, account.uuid())),
            created_at: link.created_at,
            expires_at,
            trace: link.trace.into_iter().map(entry).collect(),
        }
    }
}
