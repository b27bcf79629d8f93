//! Identity's stores on the rows of one transaction.

use std::collections::HashMap;

use async_trait::async_trait;

use super::unit::MemoryUnit;
use crate::{
    identity::{
        model::{
            ApiKey, Closing, EmailAddress, Invitation, InvitationState, Member, MemberStatus, PasswordReset,
            RecoveryCode, RefreshToken, Session, Tenant, TenantStatus,
        },
        ports::{
            Added, ApiKeyStore, InvitationStore, IssuedKey, MemberStore, PasswordResetStore, SessionStore,
            Standing, TenantStore,
        },
    },
    kernel::{
        actor::Role,
        clock::Timestamp,
        fault::PortError,
        ids::{ApiKeyId, InvitationId, MemberId, PasswordResetId, RefreshTokenId, SessionId},
        page::{Key, Page, PageRequest},
        testkit::page_of,
    },
};

fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

impl MemoryUnit {
    fn turn(&mut self, status: TenantStatus) {
        if let Some(tenant) = &mut self.rows.tenant {
            tenant.status = status;
        }
    }
}

#[async_trait]
impl TenantStore for MemoryUnit {
    async fn tenant(&mut self) -> Result<Option<Tenant>, PortError> {
        Ok(self.rows.tenant.clone())
    }

    async fn add_tenant(&mut self, tenant: &Tenant) -> Result<(), PortError> {
        self.rows.tenant = Some(tenant.clone());
        Ok(())
    }

    async fn closing(&mut self) -> Result<Option<Closing>, PortError> {
        Ok(self.rows.closing.clone())
    }

    async fn close(&mut self, closing: &Closing) -> Result<(), PortError> {
        self.rows.closing = Some(closing.clone());
        self.turn(TenantStatus::Closed);
        Ok(())
    }

    async fn reopen(&mut self, before: TenantStatus) -> Result<(), PortError> {
        self.rows.closing = None;
        self.turn(before);
        Ok(())
    }
}

#[async_trait]
impl MemberStore for MemoryUnit {
    async fn member(&mut self, id: MemberId) -> Result<Option<Member>, PortError> {
        Ok(self.rows.members.get(&id).cloned())
    }

    async fn lock_member(&mut self, id: MemberId) -> Result<Option<Member>, PortError> {
        self.member(id).await
    }

    async fn member_by_email(&mut self, email: &EmailAddress) -> Result<Option<Member>, PortError> {
        Ok(self.rows.members.values().find(|member| member.email == *email).cloned())
    }

    async fn add_member(&mut self, member: &Member) -> Result<Added, PortError> {
        if self.member_by_email(&member.email).await?.is_some() {
            return Ok(Added::Taken);
        }
        self.rows.members.insert(member.id, member.clone());
        Ok(Added::New)
    }

    async fn update_member(&mut self, member: &Member) -> Result<(), PortError> {
        let kept = self.rows.members.get_mut(&member.id).filter(|kept| kept.version == member.version);
        let kept = kept.ok_or_else(|| PortError::stale("memory.members"))?;
        *kept = Member { version: member.version + 1, ..member.clone() };
        Ok(())
    }

    async fn lock_owners(&mut self) -> Result<u32, PortError> {
        let active = self.rows.members.values().filter(|m| m.status == MemberStatus::Active);
        Ok(count(active.filter(|m| m.role == Role::Owner).count()))
    }

    async fn lock_seats(&mut self, now: Timestamp) -> Result<u32, PortError> {
        let open = self.rows.invitations.values().filter(|i| i.state(now) == InvitationState::Open);
        Ok(count(self.rows.members.len() + open.count()))
    }

    async fn members(&mut self, page: PageRequest) -> Result<Page<Member>, PortError> {
        Ok(page_of(self.rows.members.values().cloned(), page, |m| Key { at: m.created_at, id: m.id.uuid() }))
    }

    async fn count_members(&mut self, most: u32) -> Result<u32, PortError> {
        Ok(count(self.rows.members.len()).min(most))
    }

    async fn put_recovery_codes(
        &mut self,
        member: MemberId,
        codes: &[RecoveryCode],
    ) -> Result<(), PortError> {
        self.rows.recovery_codes.insert(member, codes.to_vec());
        Ok(())
    }

    async fn use_recovery_code(
        &mut self,
        member: MemberId,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let codes = self.rows.recovery_codes.entry(member).or_default();
        let unused = codes.iter_mut().find(|code| code.hash == hash && code.used_at.is_none());
        Ok(unused.map(|code| code.used_at = Some(now)).is_some())
    }
}

#[async_trait]
impl InvitationStore for MemoryUnit {
    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, PortError> {
        Ok(self.rows.invitations.get(&id).cloned())
    }

    async fn add_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError> {
        self.rows.invitations.insert(invitation.id, invitation.clone());
        Ok(())
    }

    async fn update_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError> {
        if let Some(kept) = self.rows.invitations.get_mut(&invitation.id) {
            kept.accepted_at = invitation.accepted_at;
            kept.revoked_at = invitation.revoked_at;
        }
        Ok(())
    }

    async fn open_invitation(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Option<Invitation>, PortError> {
        let mut open = self.rows.invitations.values().filter(|i| i.state(now) == InvitationState::Open);
        Ok(open.find(|invitation| invitation.email == *email).cloned())
    }

    async fn invitations(&mut self, page: PageRequest) -> Result<Page<Invitation>, PortError> {
        Ok(page_of(self.rows.invitations.values().cloned(), page, |i| Key {
            at: i.created_at,
            id: i.id.uuid(),
        }))
    }
}

#[async_trait]
impl SessionStore for MemoryUnit {
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, PortError> {
        Ok(self.rows.sessions.get(&id).cloned())
    }

    async fn standings(
        &mut self,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<HashMap<SessionId, Standing>, PortError> {
        let standing = |id: &SessionId| {
            let session = self.rows.sessions.get(id).filter(|session| session.is_live(now))?;
            let member = self.rows.members.get(&session.member)?;
            let standing = Standing { member: member.id, role: member.role };
            (member.status == MemberStatus::Active).then_some((*id, standing))
        };
        Ok(sessions.iter().filter_map(standing).collect())
    }

    async fn add_session(&mut self, session: &Session) -> Result<(), PortError> {
        self.rows.sessions.insert(session.id, session.clone());
        Ok(())
    }

    async fn touch_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool, PortError> {
        let lasting = self.rows.sessions.get_mut(&id).filter(|session| session.revoked_at.is_none());
        Ok(lasting.map(|session| session.last_seen_at = now).is_some())
    }

    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<(), PortError> {
        if let Some(session) = self.rows.sessions.get_mut(&id) {
            session.revoked_at.get_or_insert(now);
        }
        Ok(())
    }

    async fn sessions_of(
        &mut self,
        members: &[MemberId],
        now: Timestamp,
        page: PageRequest,
    ) -> Result<HashMap<MemberId, Page<Session>>, PortError> {
        let of = |member: &MemberId| {
            let live = self.rows.sessions.values().filter(|s| s.member == *member && s.is_live(now));
            (*member, page_of(live.cloned(), page, |s| Key { at: s.created_at, id: s.id.uuid() }))
        };
        Ok(members.iter().map(of).collect())
    }

    async fn end_sessions(
        &mut self,
        member: MemberId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, PortError> {
        let of_member = self.rows.sessions.values_mut().filter(|s| s.member == member && Some(s.id) != keep);
        let lasting = of_member.filter(|s| s.revoked_at.is_none());
        let ended = lasting.map(|session| {
            session.revoked_at = Some(now);
            session.id
        });
        Ok(ended.collect())
    }

    async fn knows_device(&mut self, member: MemberId, device: &str) -> Result<bool, PortError> {
        let mut sessions = self.rows.sessions.values().filter(|s| s.member == member);
        Ok(sessions.any(|s| s.device.as_deref() == Some(device)))
    }

    async fn refresh_token(&mut self, id: RefreshTokenId) -> Result<Option<RefreshToken>, PortError> {
        Ok(self.rows.refresh_tokens.get(&id).cloned())
    }

    async fn add_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError> {
        self.rows.refresh_tokens.insert(token.id, token.clone());
        Ok(())
    }

    async fn update_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError> {
        if let Some(kept) = self.rows.refresh_tokens.get_mut(&token.id) {
            kept.used_at = token.used_at;
        }
        Ok(())
    }
}

#[async_trait]
impl PasswordResetStore for MemoryUnit {
    async fn password_reset(&mut self, id: PasswordResetId) -> Result<Option<PasswordReset>, PortError> {
        Ok(self.rows.password_resets.get(&id).cloned())
    }

    async fn add_password_reset(&mut self, reset: &PasswordReset) -> Result<(), PortError> {
        self.rows.password_resets.insert(reset.id, reset.clone());
        Ok(())
    }

    async fn open_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<u64, PortError> {
        let open = self.rows.password_resets.values().filter(|r| r.member == member && r.is_usable(now));
        Ok(u64::from(count(open.count())))
    }

    async fn use_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<(), PortError> {
        for reset in self.rows.password_resets.values_mut().filter(|r| r.member == member) {
            reset.used_at.get_or_insert(now);
        }
        Ok(())
    }
}

#[async_trait]
impl ApiKeyStore for MemoryUnit {
    async fn api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, PortError> {
        Ok(self.rows.api_keys.get(&id).cloned())
    }

    async fn issued_keys(
        &mut self,
        keys: &[ApiKeyId],
        now: Timestamp,
    ) -> Result<HashMap<ApiKeyId, IssuedKey>, PortError> {
        let issued = |id: &ApiKeyId| {
            let key = self.rows.api_keys.get(id).filter(|key| key.is_live(now))?;
            let by = self.rows.members.get(&key.issued_by)?;
            let issued = IssuedKey { scopes: key.scopes.clone(), issuer: by.role };
            (by.status == MemberStatus::Active).then_some((*id, issued))
        };
        Ok(keys.iter().filter_map(issued).collect())
    }

    async fn add_api_key(&mut self, key: &ApiKey) -> Result<(), PortError> {
        self.rows.api_keys.insert(key.id, key.clone());
        Ok(())
    }

    async fn touch_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError> {
        if let Some(key) = self.rows.api_keys.get_mut(&id) {
            key.last_used_at = Some(now);
        }
        Ok(())
    }

    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError> {
        if let Some(key) = self.rows.api_keys.get_mut(&id) {
            key.revoked_at.get_or_insert(now);
        }
        Ok(())
    }

    async fn api_keys(&mut self, page: PageRequest) -> Result<Page<ApiKey>, PortError> {
        Ok(page_of(self.rows.api_keys.values().cloned(), page, |k| Key { at: k.created_at, id: k.id.uuid() }))
    }
}
