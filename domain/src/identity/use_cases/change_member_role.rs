//! A member gets another role.

use super::{
    super::{actions, events::IdentityFact, ports::IdentityTx},
    Identity, require_for_role,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission, Role},
        ids::MemberId,
        outbox::Party,
    },
};

impl Identity {
    /// Gives a member another role. Works at once, in sessions that are open too. Reset tokens handed out before stop
    /// working: who was shown one may have been trusted with the old role and not with the new.
    ///
    /// # Errors
    /// `Denied`, `MemberNotFound`, `LastOwner`, `Port`.
    pub async fn change_member_role(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
        role: Role,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManageMembers)?;
        let owners = tx.lock_owners().await?;
        let mut member = Self::member_of(tx, id).await?;
        require_for_role(actor, role)?;
        require_for_role(actor, member.role)?;
        member.change_role(role, owners)?;
        tx.update_member(&member).await?;
        tx.use_password_resets(id, self.0.clock.now()).await?;
        self.announce(tx, IdentityFact::MemberRoleChanged(id));
        Self::done(tx, actions::CHANGE_MEMBER_ROLE, Party::new("member", id.uuid())).await
    }
}
