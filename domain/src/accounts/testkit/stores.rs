//! Accounts' stores on the rows of one transaction.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::rows::MemoryUnit;
use crate::{
    accounts::{
        model::{
            Account, AccountState, App, AppCredentials, Group, Link, QuotaUse, Reach, TokenTerms, Tokens,
        },
        ports::{AccountQuery, AccountStore, AppStore, GroupStore, LinkStore, QuotaStore, TokenStore},
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId},
        page::{Key, Page, PageRequest},
        secret::Secret,
        testkit::page_of,
    },
};

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

const fn word(state: AccountState) -> &'static str {
    match state {
        AccountState::Connected => "connected",
        AccountState::ConsentNeeded { .. } => "consent_needed",
        AccountState::Unlinked { .. } => "unlinked",
    }
}

#[async_trait]
impl AppStore for MemoryUnit {
    async fn app(&mut self, id: AppId) -> Result<Option<App>, PortError> {
        Ok(self.rows.apps.get(&id).map(|(app, _)| app.clone()))
    }

    async fn app_credentials(&mut self, id: AppId) -> Result<Option<AppCredentials>, PortError> {
        Ok(self.rows.apps.get(&id).map(|(app, secret)| AppCredentials {
            app: id,
            client_key: app.client_key.clone(),
            client_secret: secret.clone(),
        }))
    }

    async fn add_app(&mut self, app: &App, secret: &Secret) -> Result<bool, PortError> {
        let same =
            |(kept, _): &(App, Secret)| kept.platform == app.platform && kept.client_key == app.client_key;
        if self.rows.apps.values().any(same) {
            return Ok(false);
        }
        self.rows.apps.insert(app.id, (app.clone(), secret.clone()));
        Ok(true)
    }

    async fn update_app(&mut self, app: &App, secret: Option<&Secret>) -> Result<(), PortError> {
        let kept = self.rows.apps.get_mut(&app.id).filter(|(kept, _)| kept.version == app.version);
        let kept = kept.ok_or_else(|| PortError::stale("memory.apps"))?;
        kept.0 = App { version: app.version + 1, ..app.clone() };
        if let Some(secret) = secret {
            kept.1 = secret.clone();
        }
        Ok(())
    }

    async fn remove_app(&mut self, id: AppId) -> Result<(), PortError> {
        self.rows.apps.remove(&id);
        self.rows.links.retain(|_, link| link.app != id);
        self.rows.accounts.retain(|_, account| account.app != id);
        Ok(())
    }

    async fn accounts_of_app(&mut self, id: AppId) -> Result<u32, PortError> {
        let living = |account: &&Account| account.app == id && word(account.state) != "unlinked";
        Ok(count(self.rows.accounts.values().filter(living).count()))
    }

    async fn apps(&mut self, page: PageRequest) -> Result<Page<App>, PortError> {
        let apps = self.rows.apps.values().map(|(app, _)| app.clone());
        Ok(page_of(apps, page, |app| Key { at: app.created_at, id: app.id.uuid() }))
    }
}

impl MemoryUnit {
    fn wanted(&self, query: &AccountQuery) -> Vec<Account> {
        let wanted = |account: &&Account| {
            query.reach.holds(account.group)
                && query
                    .groups
                    .as_ref()
                    .is_none_or(|groups| account.group.is_some_and(|own| groups.contains(&own)))
                && query.app.is_none_or(|app| account.app == app)
                && query.tags.iter().all(|tag| account.tags.contains(tag))
                && query.state.map_or(word(account.state) != "unlinked", |state| word(account.state) == state)
        };
        self.rows.accounts.values().filter(wanted).cloned().collect()
    }
}

#[async_trait]
impl AccountStore for MemoryUnit {
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, PortError> {
        Ok(self.rows.accounts.get(&id).cloned())
    }

    async fn accounts_by_id(&mut self, ids: &[AccountId]) -> Result<Vec<Account>, PortError> {
        let ids: BTreeSet<_> = ids.iter().collect();
        Ok(ids.into_iter().filter_map(|id| self.rows.accounts.get(id).cloned()).collect())
    }

    async fn lock_account(&mut self, id: AccountId) -> Result<Option<Account>, PortError> {
        self.account(id).await
    }

    async fn lock_account_by_open_id(
        &mut self,
        app: AppId,
        open_id: &str,
    ) -> Result<Option<Account>, PortError> {
        let mut accounts = self.rows.accounts.values();
        Ok(accounts.find(|account| account.app == app && account.open_id == open_id).cloned())
    }

    async fn add_account(&mut self, account: &Account) -> Result<(), PortError> {
        if self.lock_account_by_open_id(account.app, &account.open_id).await?.is_some() {
            return Err(PortError::stale("memory.accounts"));
        }
        self.rows.accounts.insert(account.id, account.clone());
        Ok(())
    }

    async fn update_account(&mut self, account: &Account) -> Result<(), PortError> {
        let kept = self.rows.accounts.get_mut(&account.id).filter(|kept| kept.version == account.version);
        let kept = kept.ok_or_else(|| PortError::stale("memory.accounts"))?;
        *kept = Account { version: account.version + 1, ..account.clone() };
        Ok(())
    }

    async fn accounts(
        &mut self,
        query: &AccountQuery,
        page: PageRequest,
    ) -> Result<Page<Account>, PortError> {
        let found = self.wanted(query).into_iter();
        Ok(page_of(found, page, |account| Key { at: account.created_at, id: account.id.uuid() }))
    }

    async fn count_accounts(&mut self, query: &AccountQuery, most: u32) -> Result<u32, PortError> {
        Ok(count(self.wanted(query).len()).min(most))
    }
}

#[async_trait]
impl TokenStore for MemoryUnit {
    async fn tokens(&mut self, account: AccountId) -> Result<Option<Tokens>, PortError> {
        Ok(self.rows.tokens.get(&account).cloned())
    }

    async fn token_terms(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, TokenTerms>, PortError> {
        let of = |id: &AccountId| self.rows.tokens.get(id).map(|tokens| (*id, tokens.terms.clone()));
        Ok(accounts.iter().filter_map(of).collect())
    }

    async fn put_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError> {
        let version = self.rows.versions.entry(tokens.account).or_default();
        *version += 1;
        let mut tokens = tokens.clone();
        tokens.terms.version = *version;
        self.rows.tokens.insert(tokens.account, tokens);
        Ok(())
    }

    async fn update_tokens(&mut self, tokens: &Tokens) -> Result<(), PortError> {
        let kept = self.rows.tokens.get_mut(&tokens.account);
        let kept = kept.filter(|kept| kept.terms.version == tokens.terms.version);
        let kept = kept.ok_or_else(|| PortError::stale("memory.tokens"))?;
        *kept = tokens.clone();
        kept.terms.version += 1;
        self.rows.versions.insert(tokens.account, kept.terms.version);
        Ok(())
    }

    async fn remove_tokens(&mut self, account: AccountId) -> Result<(), PortError> {
        self.rows.tokens.remove(&account);
        Ok(())
    }

    async fn hurry_tokens(&mut self, account: AccountId, due_at: Timestamp) -> Result<(), PortError> {
        let (due, _) = self.rows.schedule.entry(account).or_insert((due_at, None));
        *due = (*due).min(due_at);
        Ok(())
    }

    async fn schedule_tokens(
        &mut self,
        account: AccountId,
        due_at: Option<Timestamp>,
    ) -> Result<(), PortError> {
        match due_at {
            Some(due_at) => drop(self.rows.schedule.insert(account, (due_at, None))),
            None => drop(self.rows.schedule.remove(&account)),
        }
        Ok(())
    }

    async fn consents_ending(
        &mut self,
        reach: &Reach,
        before: Timestamp,
        page: PageRequest,
    ) -> Result<Page<(Timestamp, Account)>, PortError> {
        let ending = self.rows.tokens.values().filter_map(|tokens| {
            let end = tokens.terms.consent_ends_at();
            let account = self.rows.accounts.get(&tokens.account)?;
            (end < before && reach.holds(account.group)).then(|| (end, account.clone()))
        });
        Ok(page_of(ending, page, |(end, account)| Key { at: *end, id: account.id.uuid() }))
    }
}

#[async_trait]
impl LinkStore for MemoryUnit {
    async fn link(&mut self, id: LinkId) -> Result<Option<Link>, PortError> {
        Ok(self.rows.links.get(&id).cloned())
    }

    async fn lock_link(&mut self, id: LinkId) -> Result<Option<Link>, PortError> {
        self.link(id).await
    }

    async fn add_link(&mut self, link: &Link) -> Result<(), PortError> {
        self.rows.links.insert(link.id, link.clone());
        Ok(())
    }

    async fn update_link(&mut self, link: &Link) -> Result<(), PortError> {
        self.rows.links.insert(link.id, link.clone());
        Ok(())
    }
}

#[async_trait]
impl GroupStore for MemoryUnit {
    async fn groups(&mut self) -> Result<Vec<Group>, PortError> {
        Ok(self.rows.groups.values().cloned().collect())
    }

    async fn lock_groups(&mut self) -> Result<Vec<Group>, PortError> {
        self.groups().await
    }

    async fn add_group(&mut self, group: &Group) -> Result<(), PortError> {
        self.rows.groups.insert(group.id, group.clone());
        Ok(())
    }

    async fn update_group(&mut self, group: &Group) -> Result<(), PortError> {
        let kept = self.rows.groups.get_mut(&group.id).filter(|kept| kept.version == group.version);
        let kept = kept.ok_or_else(|| PortError::stale("memory.groups"))?;
        *kept = Group { version: group.version + 1, ..group.clone() };
        Ok(())
    }

    async fn remove_group(&mut self, id: GroupId) -> Result<bool, PortError> {
        let (given_up, living): (Vec<_>, Vec<_>) = self
            .rows
            .accounts
            .values_mut()
            .filter(|account| account.group == Some(id))
            .partition(|account| word(account.state) == "unlinked");
        if !living.is_empty() {
            return Ok(false);
        }
        for account in given_up {
            account.group = None;
        }
        self.rows.groups.remove(&id);
        self.rows.grants.retain(|(group, _), _| *group != id);
        Ok(true)
    }

    async fn granted_groups(&mut self, member: MemberId) -> Result<Vec<GroupId>, PortError> {
        Ok(self
            .rows
            .grants
            .keys()
            .filter(|(_, granted)| *granted == member)
            .map(|(group, _)| *group)
            .collect())
    }

    async fn grants_of(&mut self, groups: &[GroupId]) -> Result<HashMap<GroupId, Vec<MemberId>>, PortError> {
        let of = |group: &GroupId| {
            let mut granted: Vec<_> = self.rows.grants.iter().filter(|((of, _), _)| of == group).collect();
            granted.sort_by_key(|(_, at)| **at);
            (*group, granted.into_iter().map(|((_, member), _)| *member).collect())
        };
        Ok(groups.iter().map(of).collect())
    }

    async fn grant_group(
        &mut self,
        group: GroupId,
        member: MemberId,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        if !self.rows.members.contains(&member) {
            return Ok(false);
        }
        self.rows.grants.entry((group, member)).or_insert(now);
        Ok(true)
    }

    async fn revoke_group(&mut self, group: GroupId, member: MemberId) -> Result<bool, PortError> {
        Ok(self.rows.grants.remove(&(group, member)).is_some())
    }
}

#[async_trait]
impl QuotaStore for MemoryUnit {
    async fn quota_uses_of_apps(
        &mut self,
        apps: &[AppId],
        since: Timestamp,
    ) -> Result<HashMap<AppId, Vec<QuotaUse>>, PortError> {
        let mut found: HashMap<AppId, Vec<QuotaUse>> = HashMap::new();
        for (account, used) in self.rows.quotas.iter().filter(|(_, used)| used.begins_at >= since) {
            if let Some(account) =
                self.rows.accounts.get(account).filter(|account| apps.contains(&account.app))
            {
                found.entry(account.app).or_default().push(used.clone());
            }
        }
        Ok(found)
    }

    async fn quota_uses_of_accounts(
        &mut self,
        accounts: &[AccountId],
        since: Timestamp,
    ) -> Result<HashMap<AccountId, Vec<QuotaUse>>, PortError> {
        let mut found: HashMap<AccountId, Vec<QuotaUse>> = HashMap::new();
        for (account, used) in self.rows.quotas.iter().filter(|(_, used)| used.begins_at >= since) {
            if accounts.contains(account) {
                found.entry(*account).or_default().push(used.clone());
            }
        }
        Ok(found)
    }
}
