//! One file per verb. A verb that is a command is lent its transaction and begins by asking whether the
//! actor may; the doors that come before sign-in open their own.

pub(super) mod accept_invitation;
pub(super) mod authenticate;
mod change_member_role;
mod change_password;
pub(super) mod close_tenant;
pub(super) mod enrol_totp;
pub(super) mod invite_member;
pub(super) mod issue_api_key;
pub(super) mod open_tenant;
mod read_identity;
mod refresh_session;
mod request_password_reset;
pub(super) mod reset_password;
mod revoke_session;
pub(super) mod sign_in;
mod sign_out;
mod suspend_member;

use std::sync::Arc;

use super::{
    IdentityError,
    events::{IdentityEvent, IdentityFact},
    model::Member,
    ports::{
        AccessTokens, Courier, IdentityTx, IdentityUnit, IdentityUnits, OneTimeCodes, PasswordHasher,
        TenantDirectory,
    },
};
use crate::kernel::{
    action::Action,
    actor::Role,
    actor::{Actor, Permission},
    clock::Clock,
    ids::{Entropy, IdSource, MemberId, SessionId},
    outbox::{Origin, Party, Record},
    scope::TenantScope,
};

/// What identity is built from.
pub struct IdentityPorts {
    /// Its own transactions.
    pub units: Arc<dyn IdentityUnits>,
    /// Public names of tenants.
    pub directory: Arc<dyn TenantDirectory>,
    /// Password hashing.
    pub hasher: Arc<dyn PasswordHasher>,
    /// One-time codes.
    pub codes: Arc<dyn OneTimeCodes>,
    /// Access tokens.
    pub tokens: Arc<dyn AccessTokens>,
    /// Delivery of one-time tokens.
    pub courier: Arc<dyn Courier>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Tenants, members and how they prove who they are.
pub struct Identity(IdentityPorts);

impl Identity {
    /// Takes its ports.
    pub const fn new(ports: IdentityPorts) -> Self {
        Self(ports)
    }

    /// The public keys that access tokens are verified with (RFC 7517), as JSON.
    ///
    /// # Errors
    /// `Port`.
    pub async fn jwks(&self) -> Result<String, IdentityError> {
        Ok(self.0.tokens.jwks().await?)
    }

    /// Signs access tokens with a new key from now on, and names it.
    ///
    /// # Errors
    /// `Port`.
    pub async fn rotate_signing_key(&self) -> Result<String, IdentityError> {
        Ok(self.0.tokens.rotate(self.0.clock.now()).await?)
    }

    fn announce(&self, tx: &mut dyn IdentityTx, fact: IdentityFact) {
        tx.announce(IdentityEvent { fact, at: self.0.clock.now() });
    }

    /// Records a command as done, to `target`.
    async fn done(tx: &mut dyn IdentityTx, action: Action, target: Party) -> Result<(), IdentityError> {
        Ok(tx.record(Record::success(action, target)).await?)
    }

    /// Records what was refused to somebody who is not signed in.
    async fn refused_at_the_door(
        &self,
        scope: TenantScope,
        origin: &Origin,
        action: Action,
        reason: &'static str,
    ) -> Result<(), IdentityError> {
        let tx = self.0.units.begin(scope, origin).await?;
        Self::refuse(tx, Record::refused(action, None, reason)).await
    }

    /// Records a refusal and ends with it. A tenant that somebody made up or that never opened has no log.
    async fn refuse(mut tx: Box<dyn IdentityUnit>, refused: Record) -> Result<(), IdentityError> {
        if tx.tenant().await?.is_none() {
            return Ok(());
        }
        tx.record(refused).await?;
        Ok(tx.commit().await?)
    }

    /// Ends a member's sessions but `keep`, and says so.
    async fn end_sessions(
        &self,
        tx: &mut dyn IdentityTx,
        member: MemberId,
        keep: Option<SessionId>,
    ) -> Result<(), IdentityError> {
        for session in tx.end_sessions(member, keep, self.0.clock.now()).await? {
            self.announce(tx, IdentityFact::SessionRevoked(session));
        }
        Ok(())
    }

    async fn member_of(tx: &mut dyn IdentityTx, id: MemberId) -> Result<Member, IdentityError> {
        tx.member(id).await?.ok_or(IdentityError::MemberNotFound)
    }

    /// The member acting, for what only members do, to themselves.
    async fn acting_member(tx: &mut dyn IdentityTx, actor: &Actor) -> Result<Member, IdentityError> {
        let id = actor.member().ok_or(IdentityError::NeedsMember)?;
        Self::member_of(tx, id).await
    }
}

/// Nobody makes, changes or resets a member with rights they do not hold themselves: what they were given could
/// be used through that member.
fn require_for_role(actor: &Actor, role: Role) -> Result<(), IdentityError> {
    actor.require(Permission::ManageMembers)?;
    for permission in role.permissions() {
        actor.require(*permission)?;
    }
    Ok(())
}
