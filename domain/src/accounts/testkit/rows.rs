//! What is kept of one tenant's accounts, and transactions on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::lock;
use crate::{
    accounts::{
        events::AccountEvent,
        model::{Account, App, Group, Link, QuotaUse, Tokens},
        ports::{AccountsTx, AccountsUnit, AccountsUnits, TokenSchedule},
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId, TenantId},
        outbox::{Origin, Outbox, Record},
        scope::TenantScope,
        secret::Secret,
    },
};

/// All of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountRows {
    /// Apps and their secrets.
    pub apps: BTreeMap<AppId, (App, Secret)>,
    /// Accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Their tokens.
    pub tokens: BTreeMap<AccountId, Tokens>,
    /// The newest version there was of each account's tokens, also of those thrown away.
    pub versions: BTreeMap<AccountId, u64>,
    /// Attempts to link.
    pub links: BTreeMap<LinkId, Link>,
    /// Groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// Who was granted which group, when.
    pub grants: BTreeMap<(GroupId, MemberId), Timestamp>,
    /// Members there are to grant to.
    pub members: Vec<MemberId>,
    /// When the pool looks at an account next, and until when it is claimed.
    pub schedule: BTreeMap<AccountId, (Timestamp, Option<Timestamp>)>,
    /// What accounts used of quotas.
    pub quotas: Vec<(AccountId, QuotaUse)>,
    /// Everything recorded, in order.
    pub records: Vec<Record>,
    /// Everything announced, in order.
    pub announced: Vec<AccountEvent>,
    commits: u64,
}

/// Opens transactions on rows in memory. A clone opens them on the same rows.
#[derive(Clone, Debug, Default)]
pub struct MemoryAccounts {
    tenants: Arc<Mutex<BTreeMap<TenantId, AccountRows>>>,
    /// Commits that still succeed, and how many then fail, as when the database is away.
    away: Arc<Mutex<(u32, u32)>>,
}

impl MemoryAccounts {
    /// What is kept of a tenant now.
    pub fn rows(&self, scope: TenantScope) -> AccountRows {
        lock(&self.tenants).get(&scope.tenant()).cloned().unwrap_or_default()
    }

    /// Does to a tenant's rows what no use case does.
    pub fn change(&self, scope: TenantScope, change: impl FnOnce(&mut AccountRows)) {
        let mut tenants = lock(&self.tenants);
        let rows = tenants.entry(scope.tenant()).or_default();
        change(rows);
        rows.commits += 1;
    }

    /// Lets the next `commits` fail.
    pub fn fail_commits(&self, commits: u32) {
        self.fail_commits_after(0, commits);
    }

    /// Lets `first` commits succeed and the next `commits` fail.
    pub fn fail_commits_after(&self, first: u32, commits: u32) {
        *lock(&self.away) = (first, commits);
    }

    fn fails(&self) -> bool {
        let mut away = lock(&self.away);
        if away.0 > 0 {
            away.0 -= 1;
            return false;
        }
        let fails = away.1 > 0;
        away.1 = away.1.saturating_sub(1);
        fails
    }
}

#[async_trait]
impl AccountsUnits for MemoryAccounts {
    async fn begin(&self, scope: TenantScope, _origin: &Origin) -> Result<Box<dyn AccountsUnit>, PortError> {
        let rows = self.rows(scope);
        Ok(Box::new(MemoryUnit { units: self.clone(), scope, began: rows.commits, rows }))
    }
}

/// One open transaction.
pub(super) struct MemoryUnit {
    units: MemoryAccounts,
    scope: TenantScope,
    began: u64,
    pub(super) rows: AccountRows,
}

#[async_trait]
impl Outbox for MemoryUnit {
    async fn record(&mut self, record: Record) -> Result<(), PortError> {
        self.rows.records.push(record);
        Ok(())
    }
}

impl AccountsTx for MemoryUnit {
    fn scope(&self) -> TenantScope {
        self.scope
    }

    fn announce(&mut self, event: AccountEvent) {
        self.rows.announced.push(event);
    }
}

#[async_trait]
impl AccountsUnit for MemoryUnit {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        if self.units.fails() {
            return Err(PortError::passing("memory.commit", "the store is away"));
        }
        let mut tenants = lock(&self.units.tenants);
        let kept = tenants.entry(self.scope.tenant()).or_default();
        if kept.commits != self.began {
            return Err(PortError::stale("memory.commit"));
        }
        *kept = AccountRows { commits: self.began + 1, ..self.rows };
        Ok(())
    }
}

#[async_trait]
impl TokenSchedule for MemoryAccounts {
    async fn claim(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, AccountId)>, PortError> {
        let mut tenants = lock(&self.tenants);
        let mut due = Vec::new();
        for (tenant, rows) in tenants.iter() {
            let free = rows
                .schedule
                .iter()
                .filter(|(_, (at, held))| *at <= now && held.is_none_or(|end| end <= now));
            due.extend(free.map(|(account, (at, _))| (*at, *tenant, *account)));
        }
        due.sort_unstable();
        due.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        for (_, tenant, account) in &due {
            if let Some((_, held)) = tenants.get_mut(tenant).and_then(|rows| rows.schedule.get_mut(account)) {
                *held = Some(now + lease);
            }
        }
        Ok(due.into_iter().map(|(_, tenant, account)| (TenantScope::of(tenant), account)).collect())
    }

    async fn claim_one(
        &self,
        scope: TenantScope,
        account: AccountId,
        now: Timestamp,
        lease: TimeDelta,
    ) -> Result<bool, PortError> {
        let mut tenants = lock(&self.tenants);
        let held = tenants.get_mut(&scope.tenant()).and_then(|rows| rows.schedule.get_mut(&account));
        let Some((_, held)) = held.filter(|(_, held)| held.is_none_or(|end| end <= now)) else {
            return Ok(false);
        };
        *held = Some(now + lease);
        Ok(true)
    }
}
