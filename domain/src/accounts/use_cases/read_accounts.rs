//! What can be read of apps, accounts, tokens, attempts and matrices.

use std::collections::{HashMap, hash_map::Entry};

use chrono::TimeDelta;

use super::{
    super::{
        model::{Account, App, Capability, Group, Link, Matrix, Reach, TokenTerms, capabilities},
        ports::{AccountQuery, AccountsTx},
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId},
        page::{Page, PageRequest},
    },
};

/// Which accounts are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Only those in this group or below.
    pub group: Option<GroupId>,
    /// Only those of this app.
    pub app: Option<AppId>,
    /// Only those with all of these tags.
    pub tags: Vec<String>,
    /// Only those in this state: `connected`, `consent_needed` or `unlinked`. `None` leaves out what was given up.
    pub state: Option<&'static str>,
}

/// A consent that will be needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The account.
    pub account: Account,
    /// When the last token ends.
    pub ends_at: Timestamp,
}

impl Accounts {
    /// One app.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn app(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AppId,
    ) -> Result<Option<App>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        Ok(tx.app(id).await?)
    }

    /// Apps, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn apps(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<App>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        Ok(tx.apps(page).await?)
    }

    /// One account.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<Option<Account>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let reach = Self::reach(tx, actor).await?;
        Ok(tx.account(id).await?.filter(|account| reach.holds(account.group)))
    }

    async fn query(
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        filter: &AccountFilter,
    ) -> Result<AccountQuery, AccountsError> {
        let reach = Self::reach(tx, actor).await?;
        let groups = match filter.group {
            None => None,
            Some(group) => Some(Matrix::of(tx.groups().await?).below(group).into_iter().collect()),
        };
        Ok(AccountQuery { reach, groups, app: filter.app, tags: filter.tags.clone(), state: filter.state })
    }

    /// Accounts, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn accounts(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        filter: &AccountFilter,
        page: PageRequest,
    ) -> Result<Page<Account>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let query = Self::query(tx, actor, filter).await?;
        Ok(tx.accounts(&query, page).await?)
    }

    /// How many there are, counted up to `most`.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn count_accounts(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        filter: &AccountFilter,
        most: u32,
    ) -> Result<u32, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let query = Self::query(tx, actor, filter).await?;
        Ok(tx.count_accounts(&query, most).await?)
    }

    /// What is known of the tokens of accounts that were read before. Whose are gone are absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn token_terms(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, TokenTerms>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        Ok(tx.token_terms(accounts).await?)
    }

    /// What can be done with accounts that were read before, in their order.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn capabilities_of(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        accounts: &[Account],
    ) -> Result<Vec<Vec<Capability>>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let ids: Vec<_> = accounts.iter().map(|account| account.id).collect();
        let terms = tx.token_terms(&ids).await?;
        let mut apps: HashMap<AppId, Option<App>> = HashMap::new();
        let mut all = Vec::with_capacity(accounts.len());
        for account in accounts {
            if let Entry::Vacant(slot) = apps.entry(account.app) {
                slot.insert(tx.app(account.app).await?);
            }
            let rules =
                self.0.platforms.get(account.platform.as_str()).map(|platform| &platform.facts().rules);
            let found = match (apps.get(&account.app).and_then(Option::as_ref), rules) {
                (Some(app), Some(rules)) => {
                    capabilities(rules, app, account, terms.get(&account.id), self.0.clock.now())
                }
                _ => Vec::new(),
            };
            all.push(found);
        }
        Ok(all)
    }

    /// Accounts whose owners must consent again within `days`, the first first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn consents(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        days: u32,
        page: PageRequest,
    ) -> Result<Page<Consent>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let reach = Self::reach(tx, actor).await?;
        let before = self.0.clock.now() + TimeDelta::days(days.into());
        let found = tx.consents_ending(&reach, before, page).await?;
        let items = found.items.into_iter().map(|(ends_at, account)| Consent { account, ends_at }).collect();
        Ok(Page { items, more: found.more })
    }

    /// One attempt to link: by who began it, or anybody who reaches all accounts.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn link(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: LinkId,
    ) -> Result<Option<Link>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let reach = Self::reach(tx, actor).await?;
        let link = tx.link(id).await?;
        Ok(link.filter(|link| reach == Reach::All || actor.member() == Some(link.member)))
    }

    /// All groups the actor reaches, parents before children.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn groups(&self, tx: &mut dyn AccountsTx, actor: &Actor) -> Result<Vec<Group>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let reach = Self::reach(tx, actor).await?;
        let matrix = Matrix::of(tx.groups().await?);
        let reached = matrix.in_order().into_iter().filter(|group| reach.holds(Some(group.id)));
        Ok(reached.cloned().collect())
    }

    /// One group.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: GroupId,
    ) -> Result<Option<Group>, AccountsError> {
        Ok(self.groups(tx, actor).await?.into_iter().find(|group| group.id == id))
    }

    /// For each of these groups, in order, the members it is granted to.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn grants_of(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        groups: &[GroupId],
    ) -> Result<Vec<Vec<MemberId>>, AccountsError> {
        actor.require(Permission::ReadAccounts)?;
        let mut grants = tx.grants_of(groups).await?;
        Ok(groups.iter().map(|group| grants.remove(group).unwrap_or_default()).collect())
    }
}
