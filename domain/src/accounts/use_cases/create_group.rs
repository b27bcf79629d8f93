//! Matrices are made and changed, and members are told which part of them is theirs.

use super::{
    super::{
        actions,
        model::{GROUP_LEVELS_MAX, GROUPS_MAX, Group, Matrix},
        ports::AccountsTx,
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        ids::{GroupId, MemberId},
        name::display_name,
        outbox::Party,
    },
};

fn named(name: &str) -> Result<String, AccountsError> {
    display_name(name).map_err(|problem| AccountsError::Invalid { field: "name", problem })
}

const MISPLACED: AccountsError = AccountsError::GroupMisplaced { max: GROUP_LEVELS_MAX };

impl Accounts {
    /// Makes a matrix, or a group in one.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `GroupMisplaced`, `GroupsFull`, `Port`.
    pub async fn create_group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        name: &str,
        parent: Option<GroupId>,
    ) -> Result<GroupId, AccountsError> {
        actor.require(Permission::ManageMatrices)?;
        let name = named(name)?;
        let matrix = Matrix::of(tx.lock_groups().await?);
        if parent.is_some_and(|parent| matrix.get(parent).is_none()) {
            return Err(AccountsError::NotFound { field: "parentId" });
        }
        if u32::try_from(matrix.len()).unwrap_or(u32::MAX) >= GROUPS_MAX {
            return Err(AccountsError::GroupsFull { max: GROUPS_MAX });
        }
        if !matrix.may_stand(None, parent) {
            return Err(MISPLACED);
        }
        let group = Group {
            id: GroupId::new(&*self.0.ids),
            parent,
            name,
            created_at: self.0.clock.now(),
            version: 1,
        };
        tx.add_group(&group).await?;
        Self::done(tx, actions::CREATE_GROUP, Party::new("group", group.id.uuid())).await?;
        Ok(group.id)
    }

    /// Gives a group another name, another place, or both; what is below it comes along.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `GroupMisplaced`, `Port`.
    pub async fn change_group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: GroupId,
        name: Option<&str>,
        parent: Option<Option<GroupId>>,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageMatrices)?;
        let matrix = Matrix::of(tx.lock_groups().await?);
        let mut group = matrix.get(id).cloned().ok_or(AccountsError::NotFound { field: "id" })?;
        if let Some(name) = name {
            group.name = named(name)?;
        }
        if let Some(parent) = parent {
            if parent.is_some_and(|parent| matrix.get(parent).is_none()) {
                return Err(AccountsError::NotFound { field: "parentId" });
            }
            if !matrix.may_stand(Some(id), parent) {
                return Err(MISPLACED);
            }
            group.parent = parent;
        }
        tx.update_group(&group).await?;
        Self::done(tx, actions::CHANGE_GROUP, Party::new("group", id.uuid())).await
    }

    /// Takes an empty group away.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `GroupNotEmpty`, `Port`.
    pub async fn remove_group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: GroupId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageMatrices)?;
        let matrix = Matrix::of(tx.lock_groups().await?);
        matrix.get(id).ok_or(AccountsError::NotFound { field: "id" })?;
        if matrix.below(id).len() > 1 || !tx.remove_group(id).await? {
            return Err(AccountsError::GroupNotEmpty);
        }
        Self::done(tx, actions::REMOVE_GROUP, Party::new("group", id.uuid())).await
    }

    /// Lets a member work in a group and below.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn grant_group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: GroupId,
        member: MemberId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageMatrices)?;
        let matrix = Matrix::of(tx.lock_groups().await?);
        matrix.get(id).ok_or(AccountsError::NotFound { field: "id" })?;
        if !tx.grant_group(id, member, self.0.clock.now()).await? {
            return Err(AccountsError::NotFound { field: "memberId" });
        }
        Self::done(tx, actions::GRANT_GROUP, Party::new("member", member.uuid())).await
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn revoke_group(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: GroupId,
        member: MemberId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageMatrices)?;
        if !tx.revoke_group(id, member).await? {
            return Err(AccountsError::NotFound { field: "id" });
        }
        Self::done(tx, actions::REVOKE_GROUP, Party::new("member", member.uuid())).await
    }
}
