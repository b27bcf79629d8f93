//! A member sets a new password, knowing the old.

use super::{
    super::{actions, ports::IdentityTx},
    Identity,
    open_tenant::password_field,
};
use crate::{
    identity::IdentityError,
    kernel::{actor::Actor, outbox::Party, secret::Secret},
};

impl Identity {
    /// Sets a new password and ends the member's other sessions. Reset tokens handed out before stop working: who
    /// holds one could undo the change.
    ///
    /// # Errors
    /// `NeedsMember`, `Invalid`, `PasswordWrong`, `Port`.
    pub async fn change_password(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        current: &Secret,
        new: &Secret,
    ) -> Result<(), IdentityError> {
        let mut member = Self::acting_member(tx, actor).await?;
        password_field("newPassword", new)?;
        if !self.0.hasher.verify(current, Some(&member.password_hash)).await? {
            return Err(IdentityError::PasswordWrong);
        }
        member.password_hash = self.0.hasher.hash(new).await?;
        tx.update_member(&member).await?;
        tx.use_password_resets(member.id, self.0.clock.now()).await?;
        self.end_sessions(tx, member.id, actor.session()).await?;
        Self::done(tx, actions::CHANGE_PASSWORD, Party::new("member", member.id.uuid())).await
    }
}
