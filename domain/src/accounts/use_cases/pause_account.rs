//! Nothing is done with an account for a while, or its tokens are refreshed at once.

use super::{
    super::{actions, events::AccountFact, model::AccountState, ports::AccountsTx},
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        ids::AccountId,
        outbox::Party,
    },
};

impl Accounts {
    /// Halts an account. Its tokens are kept fresh.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn pause_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let mut account = Self::account_reached(tx, actor, id).await?;
        if account.pause(actor.member(), self.0.clock.now()) {
            tx.update_account(&account).await?;
            self.announce(tx, AccountFact::AccountPaused(id));
        }
        Self::done(tx, actions::PAUSE_ACCOUNT, Party::new("account", id.uuid())).await
    }

    /// Lets work on it go on.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn resume_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let mut account = Self::account_reached(tx, actor, id).await?;
        if account.resume() {
            tx.update_account(&account).await?;
            self.announce(tx, AccountFact::AccountResumed(id));
        }
        Self::done(tx, actions::RESUME_ACCOUNT, Party::new("account", id.uuid())).await
    }

    /// Has its tokens looked at now: what is due is done at once, however long the pause after the last failure was to be.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `ConsentNeeded`, `Port`.
    pub async fn refresh_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let account = Self::account_reached(tx, actor, id).await?;
        if account.state != AccountState::Connected {
            return Err(AccountsError::ConsentNeeded);
        }
        tx.hurry_tokens(id, self.0.clock.now()).await?;
        Self::done(tx, actions::REFRESH_ACCOUNT, Party::new("account", id.uuid())).await
    }
}
