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
