//! One file per verb. A verb that is a command is lent its transaction and begins by asking whether the actor may; what
//! the platform answers, and the pool's own work, open their own. No transaction is open while a platform is asked.

pub(super) mod begin_link;
mod create_group;
pub(super) mod finish_link;
pub(super) mod lease_token;
mod pause_account;
mod place_account;
pub(super) mod postable;
pub(super) mod read_accounts;
pub(super) mod read_quotas;
pub(super) mod refresh_tokens;
pub(super) mod register_app;
pub(super) mod revoke_consent;
mod settle_tokens;
mod unlink_account;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    AccountsError,
    events::{AccountEvent, AccountFact},
    model::{Account, App, Group, Matrix, Reach},
    ports::{AccountsTx, AccountsUnits, Authorizer, HealthBoard, Platforms, TokenJournal, TokenSchedule},
};
use crate::{
    identity::{Identity, IdentityError},
    kernel::{
        action::Action,
        actor::{Actor, Principal, Role},
        clock::Clock,
        ids::{AccountId, AppId, Entropy, GroupId, IdSource, TenantId},
        outbox::{Party, Record},
    },
};

/// What accounts are built from.
pub struct AccountsPorts {
    /// Its own transactions.
    pub units: Arc<dyn AccountsUnits>,
    /// Which tokens are due, across tenants.
    pub schedule: Arc<dyn TokenSchedule>,
    /// Renewed tokens on their way into the store.
    pub journal: Arc<dyn TokenJournal>,
    /// The platforms there are.
    pub platforms: Platforms,
    /// How calls to them go.
    pub health: Arc<dyn HealthBoard>,
    /// Who acts in a session.
    pub identity: Arc<Identity>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What the address that owners are sent back to begins with, as `https://matricula.example.com`.
    pub public_url: String,
}

/// Linked accounts, their tokens and their matrices; and whether no renewal is to be begun any more.
pub struct Accounts(AccountsPorts, AtomicBool);

impl Accounts {
    /// Takes its ports.
    pub const fn new(ports: AccountsPorts) -> Self {
        Self(ports, AtomicBool::new(false))
    }

    /// The platforms there are.
    pub const fn platforms(&self) -> &Platforms {
        &self.0.platforms
    }

    fn announce(&self, tx: &mut dyn AccountsTx, fact: AccountFact) {
        tx.announce(AccountEvent { fact, at: self.0.clock.now() });
    }

    /// Where a platform sends owners back to.
    pub fn redirect_uri(&self, platform: &str) -> String {
        format!("{}/link/{platform}/callback", self.0.public_url.trim_end_matches('/'))
    }

    /// Where a platform sends its news for an app.
    pub fn webhook_url(&self, platform: &str, tenant: TenantId, app: AppId) -> String {
        let (tenant, app) = (tenant.uuid().simple(), app.uuid().simple());
        format!("{}/webhooks/{platform}/{tenant}/{app}", self.0.public_url.trim_end_matches('/'))
    }

    /// Whether the actor reaches every account of its tenant, whatever groups there are.
    pub const fn reaches_all(actor: &Actor) -> bool {
        !matches!(actor.principal, Principal::Member { role: Role::Operator | Role::Analyst, .. })
    }

    fn platform(&self, key: &str) -> Result<&Arc<dyn Authorizer>, AccountsError> {
        self.0.platforms.get(key).ok_or_else(|| {
            let known: Vec<_> = self.0.platforms.all().map(|facts| facts.key.as_str()).collect();
            AccountsError::PlatformUnknown { platform: key.to_owned(), known: known.join(", ") }
        })
    }

    /// Records a command as done, to `target`.
    async fn done(tx: &mut dyn AccountsTx, action: Action, target: Party) -> Result<(), AccountsError> {
        Ok(tx.record(Record::success(action, target)).await?)
    }

    async fn app_of(tx: &mut dyn AccountsTx, id: AppId) -> Result<App, AccountsError> {
        tx.app(id).await?.ok_or(AccountsError::NotFound { field: "appId" })
    }

    /// The account a command names, locked, if the actor reaches it.
    async fn account_reached(
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<Account, AccountsError> {
        let reach = Self::reach(tx, actor).await?;
        let account = tx.lock_account(id).await?.filter(|account| reach.holds(account.group));
        account.ok_or(AccountsError::NotFound { field: "id" })
    }

    /// Which accounts the actor reaches: who runs the tenant or audits it, all; who works on them, those in the groups
    /// they were granted, and below.
    async fn reach(tx: &mut dyn AccountsTx, actor: &Actor) -> Result<Reach, AccountsError> {
        let Some(member) = actor.member().filter(|_| !Self::reaches_all(actor)) else {
            return Ok(Reach::All);
        };
        let granted = tx.granted_groups(member).await?;
        if granted.is_empty() {
            return Ok(Reach::Groups(BTreeSet::new()));
        }
        let matrix = Matrix::of(tx.groups().await?);
        Ok(Reach::Groups(granted.into_iter().flat_map(|group| matrix.below(group)).collect()))
    }

    /// The group an input names, if there is one and the actor reaches it.
    async fn group_reached(
        tx: &mut dyn AccountsTx,
        reach: &Reach,
        id: GroupId,
    ) -> Result<Group, AccountsError> {
        let groups = tx.groups().await?;
        let found = groups.into_iter().find(|group| group.id == id && reach.holds(Some(id)));
        found.ok_or(AccountsError::NotFound { field: "groupId" })
    }
}

/// What identity could not answer is not answered here either.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else identity says, the attempt can't be finished"
)]
fn not_answered(error: IdentityError) -> AccountsError {
    match error {
        IdentityError::Port(fault) => AccountsError::Port(fault),
        _ => AccountsError::LinkClosed,
    }
}
