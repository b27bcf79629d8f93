//! What accounts need from outside, in their own words. The stores are parts of one tenant transaction
//! ([`AccountsTx`]); platforms are asked outside of any.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{
    events::AccountEvent,
    model::{
        AbilityRule, Account, App, AppCredentials, Group, Link, ProcessReport, Profile, QuotaRule, QuotaUse,
        Reach, Refreshed, RenewalAsked, Renewed, TokenTerms, Tokens,
    },
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{AccountId, AppId, GroupId, LinkId, MemberId},
    outbox::{Origin, Outbox},
    page::{Page, PageRequest},
    platform::PlatformKey,
    scope::TenantScope,
    secret::Secret,
};

pub use crate::kernel::platform::{PlatformError, Refusal, RefusalKind};

/// Credentials of apps.
#[async_trait]
pub trait AppStore: Send {
    /// `None` when this tenant has no such app.
    async fn app(&mut self, id: AppId) -> Result<Option<App>, PortError>;
    /// What it proves itself with.
    async fn app_credentials(&mut self, id: AppId) -> Result<Option<AppCredentials>, PortError>;
    /// Stores a new app with its secret; `false` when the tenant has one of this platform and client key.
    async fn add_app(&mut self, app: &App, secret: &Secret) -> Result<bool, PortError>;
    /// Stores changes, and the secret when one is given; counts the version on, and is stale when it is another.
    async fn update_app(&mut self, app: &App, secret: Option<&Secret>) -> Result<(), PortError>;
    /// Throws an app away, with the attempts made with it.
    async fn remove_app(&mut self, id: AppId) -> Result<(), PortError>;
    /// Accounts linked with it that were not given up.
    async fn accounts_of_app(&mut self, id: AppId) -> Result<u32, PortError>;
    /// Oldest first.
    async fn apps(&mut self, page: PageRequest) -> Result<Page<App>, PortError>;
}

/// What accounts are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountQuery {
    /// Only those somebody reaches.
    pub reach: Reach,
    /// Only those in these groups; `None` for all.
    pub groups: Option<Vec<GroupId>>,
    /// Only those of this app.
    pub app: Option<AppId>,
    /// Only those with all of these tags.
    pub tags: Vec<String>,
    /// Only those in this state: `connected`, `consent_needed` or `unlinked`. `None` leaves out what was given up.
    pub state: Option<&'static str>,
}

/// Linked accounts.
#[async_trait]
pub trait AccountStore: Send {
    /// `None` when this tenant has no such account.
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, PortError>;
    /// Those of these accounts that this tenant has, in any order.
    async fn accounts_by_id(&mut self, ids: &[AccountId]) -> Result<Vec<Account>, PortError>;
    /// The same, locked until the transaction ends.
    async fn lock_account(&mut self, id: AccountId) -> Result<Option<Account>, PortError>;
    /// The account that the platform calls so to this app, locked until the transaction ends.
    async fn lock_account_by_open_id(
        &mut self,
        app: AppId,
        open_id: &str,
    ) -> Result<Option<Account>, PortError>;
    /// Stores a new account; a stale error when one of the same app and open id was added meanwhile.
    async fn add_account(&mut self, account: &Account) -> Result<(), PortError>;
    /// Stores changes and counts the version on; stale when it is another than the one stored.
    async fn update_account(&mut self, account: &Account) -> Result<(), PortError>;
    /// Oldest first.
    async fn accounts(&mut self, query: &AccountQuery, page: PageRequest)
    -> Result<Page<Account>, PortError>;
    /// How many there are, counted up to `most`.
    async fn count_accounts(&mut self, query: &AccountQuery, most: u32) -> Result<u32, PortError>;
}

/// Tokens, and when something is to be done about them.
#[async_trait]
pub trait TokenStore: Send {
    /// The tokens of an account; `None` when it has none.
    async fn tokens(&mut self, account: AccountId) -> Result<Option<Tokens>, PortError>;
    /// What is known of the tokens of these accounts. Whose are gone are absent.
    async fn token_terms(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, TokenTerms>, PortError>;
    /// Stores tokens of a new consent, whatever was there before.
    async fn put_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError>;
    /// Stores newer tokens and counts the version on; stale when it is another than the one stored.
    async fn update_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError>;
    /// Throws them away.
    async fn remove_tokens(&mut self, account: AccountId) -> Result<(), PortError>;
    /// Has the pool look at an account at `due_at` if it would have later, whoever has claimed it: for those who have not.
    async fn hurry_tokens(&mut self, account: AccountId, due_at: Timestamp) -> Result<(), PortError>;
    /// Says when the pool looks at an account next, and gives back the claim on it: for who has claimed it, or threw its
    /// tokens away. `None` for never again.
    async fn schedule_tokens(
        &mut self,
        account: AccountId,
        due_at: Option<Timestamp>,
    ) -> Result<(), PortError>;
    /// Accounts that are reached and whose consent ends before `before`, the first to end first. The key of the page is
    /// the end of the consent and the account.
    async fn consents_ending(
        &mut self,
        reach: &Reach,
        before: Timestamp,
        page: PageRequest,
    ) -> Result<Page<(Timestamp, Account)>, PortError>;
}

/// Attempts to link.
#[async_trait]
pub trait LinkStore: Send {
    /// `None` when this tenant has no such attempt.
    async fn link(&mut self, id: LinkId) -> Result<Option<Link>, PortError>;
    /// The same, locked until the transaction ends.
    async fn lock_link(&mut self, id: LinkId) -> Result<Option<Link>, PortError>;
    /// Stores a new attempt.
    async fn add_link(&mut self, link: &Link) -> Result<(), PortError>;
    /// Stores when the owner came back, how it ended and its trace.
    async fn update_link(&mut self, link: &Link) -> Result<(), PortError>;
}

/// Matrices, and who works in which part of them.
#[async_trait]
pub trait GroupStore: Send {
    /// All groups of the tenant.
    async fn groups(&mut self) -> Result<Vec<Group>, PortError>;
    /// The same, and nobody else adds, moves or removes one until the transaction ends.
    async fn lock_groups(&mut self) -> Result<Vec<Group>, PortError>;
    /// Stores a new group.
    async fn add_group(&mut self, group: &Group) -> Result<(), PortError>;
    /// Stores name and parent, and counts the version on; stale when it is another than the one stored.
    async fn update_group(&mut self, group: &Group) -> Result<(), PortError>;
    /// Takes a group away, with the grants on it; `false` when accounts are in it that were not given up.
    async fn remove_group(&mut self, id: GroupId) -> Result<bool, PortError>;
    /// The groups a member was granted.
    async fn granted_groups(&mut self, member: MemberId) -> Result<Vec<GroupId>, PortError>;
    /// For each of these groups, the members it is granted to, oldest grant first.
    async fn grants_of(&mut self, groups: &[GroupId]) -> Result<HashMap<GroupId, Vec<MemberId>>, PortError>;
    /// Grants; `false` when this tenant has no such member. Granting twice changes nothing.
    async fn grant_group(
        &mut self,
        group: GroupId,
        member: MemberId,
        now: Timestamp,
    ) -> Result<bool, PortError>;
    /// Takes a grant back; `false` when there is none.
    async fn revoke_group(&mut self, group: GroupId, member: MemberId) -> Result<bool, PortError>;
}

/// What was used of platforms' quotas. It is kept by whoever makes the calls, which tells it all the time; here it is read.
#[async_trait]
pub trait QuotaStore: Send {
    /// What the accounts of each of these apps used together, in periods that began since then. Who used nothing is absent.
    async fn quota_uses_of_apps(
        &mut self,
        apps: &[AppId],
        since: Timestamp,
    ) -> Result<HashMap<AppId, Vec<QuotaUse>>, PortError>;
    /// What each of these accounts used, in periods that began since then. Who used nothing is absent.
    async fn quota_uses_of_accounts(
        &mut self,
        accounts: &[AccountId],
        since: Timestamp,
    ) -> Result<HashMap<AccountId, Vec<QuotaUse>>, PortError>;
}

/// All stores of accounts in one transaction of one tenant.
pub trait AccountsTx:
    AppStore + AccountStore + TokenStore + LinkStore + GroupStore + QuotaStore + Outbox
{
    /// The tenant the transaction is confined to.
    fn scope(&self) -> TenantScope;
    /// Told to subscribers once the transaction is committed, and never when it is not.
    fn announce(&mut self, event: AccountEvent);
}

/// Opens transactions for what no command does: the platform's answers, and the pool's own work. None is open while a
/// platform is asked.
#[async_trait]
pub trait AccountsUnits: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn AccountsUnit>, PortError>;
}

/// One open transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait AccountsUnit: AccountsTx {
    /// Makes it all durable, then announces.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// Accounts of all tenants whose tokens something is to be done about.
#[async_trait]
pub trait TokenSchedule: Send + Sync {
    /// Claims up to `most` that are due, the most overdue first; nobody else gets them for `lease`.
    async fn claim(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, AccountId)>, PortError>;

    /// Claims one account alone, due or not; `false` when somebody else has it.
    async fn claim_one(
        &self,
        scope: TenantScope,
        account: AccountId,
        now: Timestamp,
        lease: TimeDelta,
    ) -> Result<bool, PortError>;
}

/// Renewed refresh tokens on their way into the store: the platform gives one once and kills the old at once, so it is
/// written down here, sealed, the moment it arrives. What a crash leaves here is taken in at the next start.
#[async_trait]
pub trait TokenJournal: Send + Sync {
    /// Writes a token down, and what it was asked for with.
    async fn keep(
        &self,
        scope: &TenantScope,
        account: AccountId,
        asked: &RenewalAsked,
        renewed: &Renewed,
    ) -> Result<(), PortError>;

    /// Whether a token could be written down now.
    async fn ready(&self, scope: &TenantScope) -> Result<(), PortError>;

    /// What is written down.
    async fn kept(&self) -> Result<Vec<(TenantScope, AccountId)>, PortError>;

    /// The token of one account, and what it was asked for with.
    async fn read(
        &self,
        scope: &TenantScope,
        account: AccountId,
    ) -> Result<Option<(RenewalAsked, Renewed)>, PortError>;

    /// It is in the store, or of no use any more.
    async fn forget(&self, scope: &TenantScope, account: AccountId) -> Result<(), PortError>;
}

/// What a platform gave for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The access token, never empty.
    pub access: Secret,
    /// Its life, in seconds.
    pub access_life_s: i64,
    /// The refresh token.
    pub refresh: Option<Secret>,
    /// Its life, in seconds.
    pub refresh_life_s: i64,
    /// What the platform calls the owner to this app, never empty.
    pub open_id: String,
    /// What the owner granted, sorted.
    pub scopes: Vec<String>,
}

/// What an owner is asked for.
#[derive(Clone, Debug)]
pub struct ConsentAsk<'a> {
    /// The app that asks.
    pub client_key: &'a str,
    /// What is asked for.
    pub scopes: &'a [String],
    /// Where the owner is sent back to.
    pub redirect_uri: &'a str,
    /// What must come back unchanged.
    pub state: &'a str,
    /// The code challenge (RFC 7636, method S256), where the platform takes one.
    pub challenge: Option<&'a str>,
}

/// What is the same for all accounts of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformFacts {
    /// What it is called here.
    pub key: PlatformKey,
    /// What it calls itself.
    pub name: &'static str,
    /// Renewals of a refresh token in one consent.
    pub renewals_max: u32,
    /// The scope of the app that renewing takes.
    pub renewal_scope: Option<&'static str>,
    /// Whether it takes a code challenge (RFC 7636).
    pub takes_challenge: bool,
    /// What is asked for when nothing else is said; of these, what the app has.
    pub scopes_wanted: Vec<String>,
    /// What must always be asked for.
    pub scopes_needed: Vec<String>,
    /// What its abilities take.
    pub rules: Vec<AbilityRule>,
    /// How much may be asked of it.
    pub quotas: Vec<QuotaRule>,
}

/// News a platform sends, once it is sure to be from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformNews {
    /// It wants to see that somebody listens: answer with this body, as JSON.
    Challenge(String),
    /// An owner took the consent back.
    ConsentRevoked {
        /// What the platform calls the owner to this app.
        open_id: String,
    },
    /// Somebody did something to a post: its figures have moved.
    PostStirred {
        /// What the platform calls the post's owner to this app.
        open_id: String,
        /// The platform's name for the post.
        item: String,
    },
    /// Something else.
    Other,
}

/// Where the processes that call platforms say how that goes.
#[async_trait]
pub trait HealthBoard: Send + Sync {
    /// What they said last of the calls of one tenant's apps, each that has said something in the last moments.
    async fn reports(&self, scope: &TenantScope) -> Result<Vec<ProcessReport>, PortError>;
}

/// Lets an app act for the owners of accounts, on one platform.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// What is the same for all accounts.
    fn facts(&self) -> &PlatformFacts;

    /// The page on which the owner is asked.
    fn consent_url(&self, ask: &ConsentAsk<'_>) -> String;

    /// Tokens for the code that came back. A code works once.
    async fn exchange(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        code: &Secret,
        verifier: Option<&Secret>,
    ) -> Result<Granted, PlatformError>;

    /// An access token for a refresh token. Asking twice does no harm.
    async fn refresh(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Refreshed, PlatformError>;

    /// A refresh token for a refresh token, which dies at once. It must not be asked twice.
    async fn renew(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        refresh: &Secret,
    ) -> Result<Renewed, PlatformError>;

    /// Who the owner is.
    async fn profile(
        &self,
        scope: &TenantScope,
        app: &AppCredentials,
        access: &Secret,
        open_id: &str,
    ) -> Result<Profile, PlatformError>;

    /// News in a request's body, when `signature` says that it is from the platform; `None` when it does not.
    fn news(&self, app: &AppCredentials, signature: &str, body: &[u8]) -> Option<PlatformNews>;

    /// The header the signature is in.
    fn signature_header(&self) -> &'static str;
}

/// The platforms there are.
#[derive(Clone, Default)]
pub struct Platforms(Vec<Arc<dyn Authorizer>>);

impl Platforms {
    /// Takes them.
    pub const fn new(all: Vec<Arc<dyn Authorizer>>) -> Self {
        Self(all)
    }

    /// The one of that name.
    pub fn get(&self, key: &str) -> Option<&Arc<dyn Authorizer>> {
        self.0.iter().find(|platform| platform.facts().key.as_str() == key)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &PlatformFacts> {
        self.0.iter().map(|platform| platform.facts())
    }
}
