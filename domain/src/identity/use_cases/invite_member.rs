//! Somebody is invited, or not any more.

use super::{
    super::{
        actions,
        events::IdentityFact,
        model::{EmailAddress, Invitation, InvitationState},
        ports::IdentityTx,
    },
    Identity, require_for_role,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission, Principal, Role},
        ids::{InvitationId, MemberId},
        outbox::Party,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// An invitation and the token that accepts it, shown once.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The invitation.
    pub invitation: InvitationId,
    /// What the invited person accepts with.
    pub token: Secret,
}

impl Identity {
    /// Invites somebody. The token is theirs: give it to them by a way you trust.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `AlreadyMember`, `MembersFull`, `ApiKeyNotFound` (that of the actor), `Port`.
    pub async fn invite_member(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        email: &str,
        role: Role,
    ) -> Result<Invited, IdentityError> {
        require_for_role(actor, role)?;
        let now = self.0.clock.now();
        let email = super::open_tenant::email_field("email", email)?;
        let seats = tx.lock_seats(now).await?;
        self.must_be_new(tx, &email).await?;
        let max = tx.tenant().await?.map_or(0, |tenant| tenant.members_max);
        if seats >= max {
            return Err(IdentityError::MembersFull { max });
        }
        let invited_by = Self::answerable_for(tx, actor).await?;
        let id = InvitationId::new(&*self.0.ids);
        let token = Token::generate(tx.scope().tenant(), id.uuid(), &*self.0.entropy);
        tx.add_invitation(&Invitation {
            id,
            email,
            role,
            invited_by,
            secret_hash: token.hash(),
            created_at: now,
            expires_at: Invitation::expiry(now),
            accepted_at: None,
            revoked_at: None,
        })
        .await?;
        self.announce(tx, IdentityFact::MemberInvited(id));
        Self::done(tx, actions::INVITE_MEMBER, Party::new("invitation", id.uuid())).await?;
        Ok(Invited { invitation: id, token: token.text(TokenKind::Invitation) })
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// `Denied`, `InvitationNotFound`, `InvitationClosed`, `Port`.
    pub async fn revoke_invitation(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: InvitationId,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManageMembers)?;
        let now = self.0.clock.now();
        let mut invitation = tx.invitation(id).await?.ok_or(IdentityError::InvitationNotFound)?;
        require_for_role(actor, invitation.role)?;
        if invitation.state(now) != InvitationState::Open {
            return Err(IdentityError::InvitationClosed);
        }
        invitation.revoked_at = Some(now);
        tx.update_invitation(&invitation).await?;
        self.announce(tx, IdentityFact::InvitationRevoked(id));
        Self::done(tx, actions::REVOKE_INVITATION, Party::new("invitation", id.uuid())).await
    }

    /// The member an invitation stands and falls with: who makes it, or who issued the key it is made with.
    async fn answerable_for(
        tx: &mut dyn IdentityTx,
        actor: &Actor,
    ) -> Result<Option<MemberId>, IdentityError> {
        match &actor.principal {
            Principal::Member { member, .. } => Ok(Some(*member)),
            Principal::ApiKey { key, .. } => {
                let key = tx.api_key(*key).await?.ok_or(IdentityError::ApiKeyNotFound)?;
                Ok(Some(key.issued_by))
            }
            Principal::System => Ok(None),
        }
    }

    async fn must_be_new(&self, tx: &mut dyn IdentityTx, email: &EmailAddress) -> Result<(), IdentityError> {
        let taken = tx.member_by_email(email).await?.is_some()
            || tx.open_invitation(email, self.0.clock.now()).await?.is_some();
        if taken { Err(IdentityError::AlreadyMember) } else { Ok(()) }
    }
}
