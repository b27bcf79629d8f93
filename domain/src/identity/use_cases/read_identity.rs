//! What can be read of tenants, members, invitations, sessions and keys.

use std::collections::HashMap;

use super::{
    super::{
        model::{ApiKey, Invitation, Member, Session, Tenant},
        ports::IdentityTx,
    },
    Identity,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Denied, Permission},
        ids::{ApiKeyId, InvitationId, MemberId, SessionId},
        page::{Page, PageRequest},
    },
};

impl Identity {
    /// The actor's tenant.
    ///
    /// # Errors
    /// `Port`.
    pub async fn tenant(&self, tx: &mut dyn IdentityTx) -> Result<Option<Tenant>, IdentityError> {
        Ok(tx.tenant().await?)
    }

    /// One member: oneself, or any with permission.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn member(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: MemberId,
    ) -> Result<Option<Member>, IdentityError> {
        if actor.member() != Some(id) {
            actor.require(Permission::ReadMembers)?;
        }
        Ok(tx.member(id).await?)
    }

    /// Members, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn members(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Member>, IdentityError> {
        actor.require(Permission::ReadMembers)?;
        Ok(tx.members(page).await?)
    }

    /// How many members there are, counted up to `most`.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn count_members(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        most: u32,
    ) -> Result<u32, IdentityError> {
        actor.require(Permission::ReadMembers)?;
        Ok(tx.count_members(most).await?)
    }

    /// One invitation.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn invitation(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: InvitationId,
    ) -> Result<Option<Invitation>, IdentityError> {
        actor.require(Permission::ReadMembers)?;
        Ok(tx.invitation(id).await?)
    }

    /// Invitations, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn invitations(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Invitation>, IdentityError> {
        actor.require(Permission::ReadMembers)?;
        Ok(tx.invitations(page).await?)
    }

    /// One session: one's own, or any when managing members.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn session(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: SessionId,
    ) -> Result<Option<Session>, IdentityError> {
        let session = tx.session(id).await?;
        if let Some(session) = &session
            && actor.member() != Some(session.member)
        {
            actor.require(Permission::ManageMembers)?;
        }
        Ok(session)
    }

    /// For each of these members, in order, the same part of their sessions that are not over: one's own, or anybody's
    /// when managing members.
    ///
    /// # Errors
    /// `Port`; and for a member whose sessions are not the actor's to see, `Denied`.
    pub async fn sessions_of(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        members: &[MemberId],
        page: PageRequest,
    ) -> Result<Vec<Result<Page<Session>, Denied>>, IdentityError> {
        let may = |member: &MemberId| match actor.member() {
            Some(own) if own == *member => Ok(()),
            Some(_) | None => actor.require(Permission::ManageMembers),
        };
        let allowed: Vec<_> = members.iter().copied().filter(|member| may(member).is_ok()).collect();
        let pages = match allowed.as_slice() {
            [] => HashMap::new(),
            allowed => tx.sessions_of(allowed, self.0.clock.now(), page).await?,
        };
        let none = || Page { items: Vec::new(), more: false };
        let of = |member: &MemberId| may(member).map(|()| pages.get(member).cloned().unwrap_or_else(none));
        Ok(members.iter().map(of).collect())
    }

    /// One API key.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn api_key(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: ApiKeyId,
    ) -> Result<Option<ApiKey>, IdentityError> {
        actor.require(Permission::ManageApiKeys)?;
        Ok(tx.api_key(id).await?)
    }

    /// API keys, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn api_keys(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, IdentityError> {
        actor.require(Permission::ManageApiKeys)?;
        Ok(tx.api_keys(page).await?)
    }
}
