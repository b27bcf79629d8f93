//! A member is kept from signing in, or let in again.

use super::{
    super::{actions, events::IdentityFact, ports::IdentityTx},
    Identity, require_for_role,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission},
        ids::MemberId,
        outbox::Party,
    },
};

impl Identity {
    /// Keeps a member from signing in, ends its sessions and makes its reset tokens useless.
    ///
    /// # Errors
    /// `Denied`, `MemberNotFound`, `LastOwner`, `Port`.
    pub async fn suspend_member(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManageMembers)?;
        let owners = tx.lock_owners().await?;
        let mut member = Self::member_of(tx, id).await?;
        require_for_role(actor, member.role)?;
        member.suspend(owners)?;
        tx.update_member(&member).await?;
        tx.use_password_resets(id, self.0.clock.now()).await?;
        self.end_sessions(tx, id, None).await?;
        self.announce(tx, IdentityFact::MemberSuspended(id));
        Self::done(tx, actions::SUSPEND_MEMBER, Party::new("member", id.uuid())).await
    }

    /// Ends whatever may still be done in a member's name, because what tells who it is is about to be taken away.
    ///
    /// # Errors
    /// `Denied`, `MemberNotFound`, `LastOwner`, `Invalid`: nobody does it to themselves, as somebody has to answer for it;
    /// `Port`.
    pub async fn part_with_member(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManagePrivacy)?;
        let owners = tx.lock_owners().await?;
        let mut member = tx.lock_member(id).await?.ok_or(IdentityError::MemberNotFound)?;
        if actor.member() == Some(id) {
            return Err(IdentityError::Invalid {
                field: "id",
                problem: "is you: somebody else has to do it",
            });
        }
        require_for_role(actor, member.role)?;
        member.suspend(owners)?;
        self.end_sessions(tx, id, None).await?;
        self.announce(tx, IdentityFact::MemberSuspended(id));
        Ok(())
    }

    /// Lets a member sign in again.
    ///
    /// # Errors
    /// `Denied`, `MemberNotFound`, `Port`.
    pub async fn restore_member(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManageMembers)?;
        let mut member = Self::member_of(tx, id).await?;
        require_for_role(actor, member.role)?;
        member.restore();
        tx.update_member(&member).await?;
        self.announce(tx, IdentityFact::MemberRestored(id));
        Self::done(tx, actions::RESTORE_MEMBER, Party::new("member", id.uuid())).await
    }
}
