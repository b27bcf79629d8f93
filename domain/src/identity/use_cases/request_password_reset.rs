//! A one-time token to set a new password is made: for oneself by mail, or by who manages members.

use super::{
    super::{
        actions,
        model::{EmailAddress, MemberStatus, PasswordReset},
        ports::IdentityTx,
    },
    Identity,
    authenticate::tenant_works,
    require_for_role,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission},
        ids::{MemberId, PasswordResetId},
        outbox::{Origin, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// Most tokens sent to one member that work at the same time: a mailbox is not there to be filled by strangers.
const OPEN_MAX: u64 = 5;

impl Identity {
    /// Sends a reset token to the address, if it is a member's. The answer is the same when it is not. Tokens sent
    /// before go on working: who only asks must not be able to take a token away from who holds one.
    ///
    /// # Errors
    /// `Port`.
    pub async fn request_password_reset(
        &self,
        scope: TenantScope,
        origin: &Origin,
        email: &str,
    ) -> Result<(), IdentityError> {
        let Ok(email) = EmailAddress::parse(email) else { return Ok(()) };
        let mut tx = self.0.units.begin(scope, origin).await?;
        let member = tx.member_by_email(&email).await?.filter(|m| m.status == MemberStatus::Active);
        let Some(member) = member else {
            let refused = Record::refused(actions::REQUEST_PASSWORD_RESET, None, "member_unknown");
            return Self::refuse(tx, refused).await;
        };
        let target = Party::new("member", member.id.uuid());
        if !tenant_works(&mut *tx).await? {
            let refused = Record::refused(actions::REQUEST_PASSWORD_RESET, Some(target), "tenant_suspended");
            return Self::refuse(tx, refused).await;
        }
        // One at a time for one member, so that the count holds.
        tx.lock_member(member.id).await?;
        if tx.open_password_resets(member.id, self.0.clock.now()).await? >= OPEN_MAX {
            let refused = Record::refused(actions::REQUEST_PASSWORD_RESET, Some(target), "too_many_open");
            return Self::refuse(tx, refused).await;
        }
        let token = self.new_reset(&mut *tx, member.id).await?;
        tx.record(Record::success(actions::REQUEST_PASSWORD_RESET, target)).await?;
        tx.commit().await?;
        // Sent after the commit: a token that arrives works. One lost on the way can be asked for again.
        Ok(self.0.courier.send_password_reset(&scope, &member.email, &token).await?)
    }

    /// Makes a reset token for a member, shown once to who asked. Older ones stop working.
    ///
    /// # Errors
    /// `Denied`, `MemberNotFound`, `Port`.
    pub async fn start_password_reset(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
    ) -> Result<Secret, IdentityError> {
        actor.require(Permission::ManageMembers)?;
        // Locked: a role given meanwhile either is seen here, or takes the token made here away.
        let member = tx.lock_member(id).await?.ok_or(IdentityError::MemberNotFound)?;
        require_for_role(actor, member.role)?;
        tx.use_password_resets(id, self.0.clock.now()).await?;
        let token = self.new_reset(tx, id).await?;
        Self::done(tx, actions::START_PASSWORD_RESET, Party::new("member", id.uuid())).await?;
        Ok(token)
    }

    async fn new_reset(&self, tx: &mut dyn IdentityTx, member: MemberId) -> Result<Secret, IdentityError> {
        let now = self.0.clock.now();
        let id = PasswordResetId::new(&*self.0.ids);
        let token = Token::generate(tx.scope().tenant(), id.uuid(), &*self.0.entropy);
        tx.add_password_reset(&PasswordReset {
            id,
            member,
            secret_hash: token.hash(),
            created_at: now,
            expires_at: PasswordReset::expiry(now),
            used_at: None,
        })
        .await?;
        Ok(token.text(TokenKind::PasswordReset))
    }
}
