//! A journal in memory, which outlives what crashes beside it.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;

use super::lock;
use crate::{
    accounts::{
        model::{RenewalAsked, Renewed},
        ports::TokenJournal,
    },
    kernel::{fault::PortError, ids::AccountId, scope::TenantScope},
};

/// [`TokenJournal`] in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    kept: Mutex<BTreeMap<AccountId, (TenantScope, RenewalAsked, Renewed)>>,
    full: Mutex<bool>,
    unreadable: Mutex<bool>,
}

impl MemoryJournal {
    /// How many tokens are written down.
    pub fn len(&self) -> usize {
        lock(&self.kept).len()
    }

    /// Lets no more be written down, or again.
    pub fn fill(&self, full: bool) {
        *lock(&self.full) = full;
    }

    /// Lets nothing be read any more, or again.
    pub fn spoil(&self, unreadable: bool) {
        *lock(&self.unreadable) = unreadable;
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[async_trait]
impl TokenJournal for MemoryJournal {
    async fn keep(
        &self,
        scope: &TenantScope,
        account: AccountId,
        asked: &RenewalAsked,
        renewed: &Renewed,
    ) -> Result<(), PortError> {
        lock(&self.kept).insert(account, (*scope, *asked, renewed.clone()));
        Ok(())
    }

    async fn ready(&self, _scope: &TenantScope) -> Result<(), PortError> {
        if *lock(&self.full) { Err(PortError::passing("memory.journal", "no room")) } else { Ok(()) }
    }

    async fn kept(&self) -> Result<Vec<(TenantScope, AccountId)>, PortError> {
        Ok(lock(&self.kept).iter().map(|(account, (scope, ..))| (*scope, *account)).collect())
    }

    async fn read(
        &self,
        scope: &TenantScope,
        account: AccountId,
    ) -> Result<Option<(RenewalAsked, Renewed)>, PortError> {
        if *lock(&self.unreadable) {
            return Err(PortError::lasting("memory.journal", "it can't be opened"));
        }
        let kept = lock(&self.kept).get(&account).filter(|(of, ..)| of == scope).cloned();
        Ok(kept.map(|(_, asked, renewed)| (asked, renewed)))
    }

    async fn forget(&self, _scope: &TenantScope, account: AccountId) -> Result<(), PortError> {
        lock(&self.kept).remove(&account);
        Ok(())
    }
}
