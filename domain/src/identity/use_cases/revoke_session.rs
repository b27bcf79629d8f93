//! A session is ended from outside it.

use super::{
    super::{actions, ports::IdentityTx},
    Identity, require_for_role,
};
use crate::{
    identity::{IdentityError, events::IdentityFact},
    kernel::{actor::Actor, ids::SessionId, outbox::Party},
};

impl Identity {
    /// Ends a session: one's own, or any when managing members.
    ///
    /// # Errors
    /// `Denied`, `NeedsMember`, `SessionNotFound`, `Port`.
    pub async fn revoke_session(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: SessionId,
    ) -> Result<(), IdentityError> {
        if actor.member().is_none() {
            return Err(IdentityError::NeedsMember);
        }
        let session = tx.session(id).await?.ok_or(IdentityError::SessionNotFound)?;
        if actor.member() != Some(session.member) {
            let member = Self::member_of(tx, session.member).await?;
            require_for_role(actor, member.role)?;
        }
        tx.end_session(id, self.0.clock.now()).await?;
        self.announce(tx, IdentityFact::SessionRevoked(id));
        Self::done(tx, actions::REVOKE_SESSION, Party::new("session", id.uuid())).await
    }
}
