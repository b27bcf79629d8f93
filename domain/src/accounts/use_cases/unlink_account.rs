//! An account is given up.

use super::{
    super::{actions, events::AccountFact, ports::AccountsTx},
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
    /// Gives an account up and throws its tokens away. The row stays, so that what was done with it can still be told;
    /// linking it again brings it back.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn unlink_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        self.give_up(tx, actor, id).await?;
        Self::done(tx, actions::UNLINK_ACCOUNT, Party::new("account", id.uuid())).await
    }

    /// Gives an account up because what tells whose it is is about to be taken away.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn part_with_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManagePrivacy)?;
        self.give_up(tx, actor, id).await
    }

    async fn give_up(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
    ) -> Result<(), AccountsError> {
        let mut account = Self::account_reached(tx, actor, id).await?;
        if account.unlink(self.0.clock.now()) {
            tx.update_account(&account).await?;
            tx.remove_tokens(id).await?;
            tx.schedule_tokens(id, None).await?;
            self.announce(tx, AccountFact::AccountUnlinked(id));
        }
        Ok(())
    }
}
