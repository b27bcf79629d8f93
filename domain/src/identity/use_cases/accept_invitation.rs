//! An invitation is accepted.

use super::{
    super::{
        actions,
        events::IdentityFact,
        model::{Invitation, InvitationState, Member, MemberStatus},
        ports::{Added, IdentityTx},
    },
    Identity,
    authenticate::tenant_works,
    open_tenant::{named, password_field},
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::Permission,
        ids::{InvitationId, MemberId},
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// What an invitation is accepted with.
#[derive(Clone, Debug)]
pub struct AcceptInvitation {
    /// The token that came with it.
    pub token: Secret,
    /// What the new member is called.
    pub name: String,
    /// The new member's password.
    pub password: Secret,
}

impl Identity {
    /// Makes the invited person a member. Signing in is the next step, and theirs.
    ///
    /// # Errors
    /// `Invalid`, `TokenInvalid`, `AlreadyMember`, `Port`.
    pub async fn accept_invitation(
        &self,
        origin: &Origin,
        input: AcceptInvitation,
    ) -> Result<MemberId, IdentityError> {
        let text = input.token.expose_str().unwrap_or_default();
        let token = Token::parse(TokenKind::Invitation, text).ok_or(IdentityError::TokenInvalid)?;
        let name = named("name", &input.name)?;
        password_field("password", &input.password)?;
        let scope = TenantScope::of(token.tenant);
        let joined = self.join(scope, origin, &token, name, &input.password).await;
        let reason = match joined {
            Err(IdentityError::TokenInvalid) => "token_invalid",
            Err(IdentityError::AlreadyMember) => "already_member",
            Ok(_) | Err(_) => return joined,
        };
        self.refused_at_the_door(scope, origin, actions::ACCEPT_INVITATION, reason).await?;
        joined
    }

    async fn join(
        &self,
        scope: TenantScope,
        origin: &Origin,
        token: &Token,
        name: String,
        password: &Secret,
    ) -> Result<MemberId, IdentityError> {
        let ports = &self.0;
        let mut tx = ports.units.begin(scope, origin).await?;
        self.open_invitation_of(&mut *tx, token).await?;
        drop(tx);
        let password_hash = ports.hasher.hash(password).await?;
        let now = ports.clock.now();
        let mut tx = ports.units.begin(scope, origin).await?;
        let mut invitation = self.open_invitation_of(&mut *tx, token).await?;
        inviter_still_may(&mut *tx, &invitation).await?;
        let member = Member {
            id: MemberId::new(&*ports.ids),
            email: invitation.email.clone(),
            name,
            role: invitation.role,
            status: MemberStatus::Active,
            password_hash,
            totp: None,
            created_at: now,
            version: 1,
        };
        if tx.add_member(&member).await? == Added::Taken {
            return Err(IdentityError::AlreadyMember);
        }
        invitation.accepted_at = Some(now);
        tx.update_invitation(&invitation).await?;
        self.announce(&mut *tx, IdentityFact::MemberJoined(member.id));
        tx.record(Record {
            action: actions::ACCEPT_INVITATION,
            outcome: Outcome::Success,
            actor: Some(Party::new("member", member.id.uuid())),
            session: None,
            target: Some(Party::new("invitation", invitation.id.uuid())),
            mfa: None,
            reason: None,
        })
        .await?;
        tx.commit().await?;
        Ok(member.id)
    }

    async fn open_invitation_of(
        &self,
        tx: &mut dyn IdentityTx,
        token: &Token,
    ) -> Result<Invitation, IdentityError> {
        if !tenant_works(tx).await? {
            return Err(IdentityError::TokenInvalid);
        }
        let now = self.0.clock.now();
        let invitation = tx.invitation(InvitationId::from_uuid(token.id)).await?;
        invitation
            .filter(|i| token.matches(&i.secret_hash) && i.state(now) == InvitationState::Open)
            .ok_or(IdentityError::TokenInvalid)
    }
}

/// An invitation is worth what its maker may still give.
async fn inviter_still_may(tx: &mut dyn IdentityTx, invitation: &Invitation) -> Result<(), IdentityError> {
    let Some(id) = invitation.invited_by else { return Ok(()) };
    let inviter = tx.member(id).await?.filter(|inviter| inviter.status == MemberStatus::Active);
    let may = inviter.is_some_and(|inviter| {
        let held = inviter.role.permissions();
        held.contains(&Permission::ManageMembers)
            && invitation.role.permissions().iter().all(|permission| held.contains(permission))
    });
    if may { Ok(()) } else { Err(IdentityError::TokenInvalid) }
}
