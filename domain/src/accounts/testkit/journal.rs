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
pub struct MemoryJournal(Mutex<BTreeMap<AccountId, (TenantScope, RenewalAsked, Renewed)>>);

impl MemoryJournal {
    /// How many tokens are written down.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
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
        lock(&self.0).insert(account, (*scope, *asked, renewed.clone()));
        Ok(())
    }

    async fn kept(&self) -> Result<Vec<(TenantScope, AccountId)>, PortError> {
        Ok(lock(&self.0).iter().map(|(account, (scope, ..))| (*scope, *account)).collect())
    }

    async fn read(
        &self,
        scope: &TenantScope,
        account: AccountId,
    ) -> Result<Option<(RenewalAsked, Renewed)>, PortError> {
        let kept = lock(&self.0).get(&account).filter(|(of, ..)| of == scope).cloned();
        Ok(kept.map(|(_, asked, renewed)| (asked, renewed)))
    }

    async fn forget(&self, _scope: &TenantScope, account: AccountId) -> Result<(), PortError> {
        lock(&self.0).remove(&account);
        Ok(())
    }
}
