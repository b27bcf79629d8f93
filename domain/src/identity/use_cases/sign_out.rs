//! A member ends its own sessions.

use super::{
    super::{actions, ports::IdentityTx},
    Identity,
};
use crate::{
    identity::{IdentityError, events::IdentityFact},
    kernel::{actor::Actor, outbox::Party},
};

impl Identity {
    /// Ends the session acted in.
    ///
    /// # Errors
    /// `NeedsMember`, `SessionNotFound`, `Port`.
    pub async fn sign_out(&self, tx: &mut dyn IdentityTx, actor: &Actor) -> Result<(), IdentityError> {
        let id = actor.session().ok_or(IdentityError::NeedsMember)?;
        tx.session(id).await?.ok_or(IdentityError::SessionNotFound)?;
        tx.end_session(id, self.0.clock.now()).await?;
        self.announce(tx, IdentityFact::SessionRevoked(id));
        Self::done(tx, actions::SIGN_OUT, Party::new("session", id.uuid())).await
    }

    /// Ends all sessions of the member acting, this one too.
    ///
    /// # Errors
    /// `NeedsMember`, `Port`.
    pub async fn sign_out_everywhere(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
    ) -> Result<(), IdentityError> {
        let member = actor.member().ok_or(IdentityError::NeedsMember)?;
        self.end_sessions(tx, member, None).await?;
        Self::done(tx, actions::SIGN_OUT_EVERYWHERE, Party::new("member", member.uuid())).await
    }
}
