//! A password is set with a one-time token.

use super::{
    super::{
        actions,
        model::{MemberStatus, PasswordReset},
        ports::IdentityTx,
    },
    Identity,
    authenticate::tenant_works,
    open_tenant::password_field,
};
use crate::{
    identity::IdentityError,
    kernel::{
        ids::PasswordResetId,
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// What a password is reset with.
#[derive(Clone, Debug)]
pub struct ResetPassword {
    /// The one-time token.
    pub token: Secret,
    /// The new password.
    pub password: Secret,
}

impl Identity {
    /// Sets a new password and ends all sessions of the member. A second factor stays asked for.
    ///
    /// # Errors
    /// `Invalid`, `TokenInvalid`, `Port`.
    pub async fn reset_password(&self, origin: &Origin, input: ResetPassword) -> Result<(), IdentityError> {
        let text = input.token.expose_str().unwrap_or_default();
        let token = Token::parse(TokenKind::PasswordReset, text).ok_or(IdentityError::TokenInvalid)?;
        password_field("password", &input.password)?;
        let scope = TenantScope::of(token.tenant);
        let done = self.reset_with(scope, origin, &token, &input.password).await;
        if matches!(done, Err(IdentityError::TokenInvalid)) {
            self.refused_at_the_door(scope, origin, actions::RESET_PASSWORD, "token_invalid").await?;
        }
        done
    }

    async fn reset_with(
        &self,
        scope: TenantScope,
        origin: &Origin,
        token: &Token,
        password: &Secret,
    ) -> Result<(), IdentityError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let id = self.usable_reset(&mut *tx, token).await?.member;
        drop(tx);
        let password_hash = self.0.hasher.hash(password).await?;
        let mut tx = self.0.units.begin(scope, origin).await?;
        // The member is locked before the reset, as by all that use resets up: two that lock them the other way
        // round would wait for each other.
        let member = tx.lock_member(id).await?.filter(|member| member.status == MemberStatus::Active);
        let mut member = member.ok_or(IdentityError::TokenInvalid)?;
        self.usable_reset(&mut *tx, token).await?;
        member.password_hash = password_hash;
        tx.update_member(&member).await?;
        tx.use_password_resets(member.id, self.0.clock.now()).await?;
        self.end_sessions(&mut *tx, member.id, None).await?;
        let party = Party::new("member", member.id.uuid());
        tx.record(Record {
            action: actions::RESET_PASSWORD,
            outcome: Outcome::Success,
            actor: Some(party.clone()),
            session: None,
            target: Some(party),
            mfa: None,
            reason: None,
        })
        .await?;
        Ok(tx.commit().await?)
    }

    async fn usable_reset(
        &self,
        tx: &mut dyn IdentityTx,
        token: &Token,
    ) -> Result<PasswordReset, IdentityError> {
        if !tenant_works(tx).await? {
            return Err(IdentityError::TokenInvalid);
        }
        let now = self.0.clock.now();
        let reset = tx.password_reset(PasswordResetId::from_uuid(token.id)).await?;
        reset.filter(|r| token.matches(&r.secret_hash) && r.is_usable(now)).ok_or(IdentityError::TokenInvalid)
    }
}
