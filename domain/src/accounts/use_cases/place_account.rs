//! An account is put into another group, or gets other tags.

use super::{
    super::{actions, events::AccountFact, model::tags, ports::AccountsTx},
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        ids::{AccountId, GroupId},
        outbox::Party,
    },
};

impl Accounts {
    /// Puts an account into a group; `None` takes it out of the matrices, which only who reaches all accounts can do:
    /// whoever works in groups would lose sight of it.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn place_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
        group: Option<GroupId>,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let mut account = Self::account_reached(tx, actor, id).await?;
        let reach = Self::reach(tx, actor).await?;
        match group {
            Some(group) => drop(Self::group_reached(tx, &reach, group).await?),
            None if reach.holds(None) => {}
            None => {
                return Err(AccountsError::Invalid {
                    field: "groupId",
                    problem: "must name a group you work in",
                });
            }
        }
        account.group = group;
        tx.update_account(&account).await?;
        self.announce(tx, AccountFact::AccountArranged(id));
        Self::done(tx, actions::PLACE_ACCOUNT, Party::new("account", id.uuid())).await
    }

    /// Gives an account these tags instead of those it has.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`, `Port`.
    pub async fn tag_account(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AccountId,
        list: Vec<String>,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageAccounts)?;
        let mut account = Self::account_reached(tx, actor, id).await?;
        account.tags = tags(list).map_err(|problem| AccountsError::Invalid { field: "tags", problem })?;
        tx.update_account(&account).await?;
        self.announce(tx, AccountFact::AccountArranged(id));
        Self::done(tx, actions::TAG_ACCOUNT, Party::new("account", id.uuid())).await
    }
}
