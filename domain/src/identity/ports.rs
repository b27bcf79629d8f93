//! What identity needs from outside, in its own words. The stores are parts of one tenant transaction
//! ([`IdentityTx`]): a use case that is given one can change only that tenant, and nothing it does is seen
//! until the door that opened the transaction commits.

use std::{collections::HashMap, net::IpAddr};

use async_trait::async_trait;

use super::{
    events::IdentityEvent,
    model::{
        ApiKey, Closing, EmailAddress, Invitation, Member, PasswordReset, RecoveryCode, RefreshToken,
        Session, Slug, Tenant, TenantStatus,
    },
};
use crate::kernel::{
    actor::{Permission, Role},
    clock::Timestamp,
    fault::PortError,
    ids::{ApiKeyId, InvitationId, MemberId, PasswordResetId, RefreshTokenId, SessionId, TenantId},
    outbox::{Geo, Origin, Outbox},
    page::{Page, PageRequest},
    scope::TenantScope,
    secret::Secret,
};

/// Finds a tenant before its scope is known.
#[async_trait]
pub trait TenantDirectory: Send + Sync {
    /// The tenant of that public name; `None` when there is none, or its end has begun.
    async fn find(&self, slug: &Slug) -> Result<Option<TenantId>, PortError>;

    /// The tenant that has that public name or had it.
    async fn find_ever(&self, slug: &Slug) -> Result<Option<TenantId>, PortError>;

    /// Takes the name for `tenant`; `false` when another has it. Taken names are never given back: old
    /// addresses must not lead to strangers.
    async fn claim(&self, slug: &Slug, tenant: TenantId) -> Result<bool, PortError>;
}

/// The tenant itself.
#[async_trait]
pub trait TenantStore: Send {
    /// The tenant of this transaction; `None` when its opening was never committed, or it has ended.
    async fn tenant(&mut self) -> Result<Option<Tenant>, PortError>;
    /// Stores a new tenant.
    async fn add_tenant(&mut self, tenant: &Tenant) -> Result<(), PortError>;
    /// That it is closed, locked until the transaction ends; `None` when it is not.
    async fn closing(&mut self) -> Result<Option<Closing>, PortError>;
    /// Closes it; nobody else has.
    async fn close(&mut self, closing: &Closing) -> Result<(), PortError>;
    /// Takes it back, as `before`; its end has not begun. Its accounts are paused: what was due meanwhile would go out at once.
    async fn reopen(&mut self, before: TenantStatus) -> Result<(), PortError>;
}

/// Whether a row was added, or one like it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It was.
    New,
    /// One with the same natural key is there already.
    Taken,
}

/// Members.
#[async_trait]
pub trait MemberStore: Send {
    /// `None` when this tenant has no such member, whoever else may have it.
    async fn member(&mut self, id: MemberId) -> Result<Option<Member>, PortError>;
    /// A member, locked until the transaction ends: nobody changes their password, role or status meanwhile.
    async fn lock_member(&mut self, id: MemberId) -> Result<Option<Member>, PortError>;
    /// The member who signs in with that address.
    async fn member_by_email(&mut self, email: &EmailAddress) -> Result<Option<Member>, PortError>;
    /// Stores a new member; `Taken` when the address is a member's.
    async fn add_member(&mut self, member: &Member) -> Result<Added, PortError>;
    /// Stores changes and counts the version on; a stale error when it is not the version stored.
    async fn update_member(&mut self, member: &Member) -> Result<(), PortError>;
    /// Active owners now, locked until the transaction ends, so that two can't both step down.
    async fn lock_owners(&mut self) -> Result<u32, PortError>;
    /// Members and open invitations now, locked as [`Self::lock_owners`] does.
    async fn lock_seats(&mut self, now: Timestamp) -> Result<u32, PortError>;
    /// Oldest first.
    async fn members(&mut self, page: PageRequest) -> Result<Page<Member>, PortError>;
    /// How many there are, counted up to `most`.
    async fn count_members(&mut self, most: u32) -> Result<u32, PortError>;
    /// Replaces all recovery codes of a member.
    async fn put_recovery_codes(&mut self, member: MemberId, codes: &[RecoveryCode])
    -> Result<(), PortError>;
    /// Marks an unused code used; `false` when there is none like it.
    async fn use_recovery_code(
        &mut self,
        member: MemberId,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, PortError>;
}

/// Invitations.
#[async_trait]
pub trait InvitationStore: Send {
    /// `None` when this tenant has no such invitation. Locked until the transaction ends.
    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, PortError>;
    /// Stores a new invitation.
    async fn add_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError>;
    /// Stores `accepted_at` and `revoked_at`.
    async fn update_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError>;
    /// The open invitation of that address, if any.
    async fn open_invitation(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Option<Invitation>, PortError>;
    /// Newest last.
    async fn invitations(&mut self, page: PageRequest) -> Result<Page<Invitation>, PortError>;
}

/// Who acts in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub member: MemberId,
    /// Their role now.
    pub role: Role,
}

/// Sessions and refresh tokens.
#[async_trait]
pub trait SessionStore: Send {
    /// `None` when this tenant has no such session.
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, PortError>;
    /// Who acts in these sessions, of those that are not over and whose members may sign in.
    async fn standings(
        &mut self,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<HashMap<SessionId, Standing>, PortError>;
    /// Stores a new session.
    async fn add_session(&mut self, session: &Session) -> Result<(), PortError>;
    /// Stores that the session was seen `now`; `false` when it has been ended, whatever was read before.
    async fn touch_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool, PortError>;
    /// Ends the session, unless it has been already.
    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<(), PortError>;
    /// For each of these members the same part of their sessions that are not over, newest last. Who has none may be
    /// absent.
    async fn sessions_of(
        &mut self,
        members: &[MemberId],
        now: Timestamp,
        page: PageRequest,
    ) -> Result<HashMap<MemberId, Page<Session>>, PortError>;
    /// Ends all live sessions of a member but `keep`, and names them.
    async fn end_sessions(
        &mut self,
        member: MemberId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, PortError>;
    /// Whether a member signed in from that device before.
    async fn knows_device(&mut self, member: MemberId, device: &str) -> Result<bool, PortError>;
    /// A refresh token, locked until the transaction ends.
    async fn refresh_token(&mut self, id: RefreshTokenId) -> Result<Option<RefreshToken>, PortError>;
    /// Stores a new refresh token.
    async fn add_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError>;
    /// Stores `used_at`.
    async fn update_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError>;
}

/// Password resets.
#[async_trait]
pub trait PasswordResetStore: Send {
    /// `None` when this tenant has no such reset. Locked until the transaction ends.
    async fn password_reset(&mut self, id: PasswordResetId) -> Result<Option<PasswordReset>, PortError>;
    /// Stores a new reset.
    async fn add_password_reset(&mut self, reset: &PasswordReset) -> Result<(), PortError>;
    /// How many resets of a member can be used now.
    async fn open_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<u64, PortError>;
    /// Uses up the unused resets of a member, all of them.
    async fn use_password_resets(&mut self, member: MemberId, now: Timestamp) -> Result<(), PortError>;
}

/// An API key that is good, and who issued it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedKey {
    /// What it was issued for.
    pub scopes: Vec<Permission>,
    /// The role its issuer has now.
    pub issuer: Role,
}

/// API keys.
#[async_trait]
pub trait ApiKeyStore: Send {
    /// `None` when this tenant has no such key.
    async fn api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, PortError>;
    /// Those of these keys that are good `now` and whose issuers may sign in.
    async fn issued_keys(
        &mut self,
        keys: &[ApiKeyId],
        now: Timestamp,
    ) -> Result<HashMap<ApiKeyId, IssuedKey>, PortError>;
    /// Stores a new key.
    async fn add_api_key(&mut self, key: &ApiKey) -> Result<(), PortError>;
    /// Stores that the key was used `now`.
    async fn touch_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError>;
    /// Takes the key back, unless it has been already.
    async fn revoke_api_key(&mut self, id: ApiKeyId, now: Timestamp) -> Result<(), PortError>;
    /// Oldest first.
    async fn api_keys(&mut self, page: PageRequest) -> Result<Page<ApiKey>, PortError>;
}

/// All of identity's stores in one transaction of one tenant.
pub trait IdentityTx:
    TenantStore + MemberStore + InvitationStore + SessionStore + PasswordResetStore + ApiKeyStore + Outbox
{
    /// The tenant the transaction is confined to.
    fn scope(&self) -> TenantScope;
    /// Told to subscribers once the transaction is committed, and never when it is not.
    fn announce(&mut self, event: IdentityEvent);
}

/// Opens identity's own transactions, for the doors that come before a command: sign-in and its kin must not
/// hold one while they hash a password.
#[async_trait]
pub trait IdentityUnits: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn IdentityUnit>, PortError>;
}

/// One open transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait IdentityUnit: IdentityTx {
    /// Makes it all durable, then announces.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// Hashes passwords with Argon2id (RFC 9106).
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A new hash in PHC string form, with its own salt.
    async fn hash(&self, password: &Secret) -> Result<String, PortError>;
    /// Whether the password is the hash's. `None` stands for nobody's hash: takes as long, and is never right.
    async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, PortError>;
}

/// Time-based one-time passwords (RFC 6238).
pub trait OneTimeCodes: Send + Sync {
    /// The time step at which `code` is right: now, or one step around it. `None` when it is wrong.
    fn matching_step(&self, seed: &Secret, code: &str, now: Timestamp) -> Option<i64>;
    /// The `otpauth://` address to show as a QR code.
    fn provisioning_uri(&self, seed: &Secret, issuer: &str, account: &str) -> String;
}

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// The tenant acted in.
    pub tenant: TenantId,
    /// The member.
    pub member: MemberId,
    /// The session.
    pub session: SessionId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is no good.
    pub expires_at: Timestamp,
}

/// Makes and checks access tokens: JWTs with an asymmetric signature.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// Signs with the newest key.
    async fn issue(&self, claims: &AccessClaims) -> Result<String, PortError>;
    /// `None` for anything but a token of ours that is good now: unknown key or algorithm, wrong signature,
    /// expired, made in the future, living longer than allowed, malformed.
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<AccessClaims>, PortError>;
    /// The public keys (RFC 7517), as JSON.
    async fn jwks(&self) -> Result<String, PortError>;
    /// Adds a key that signs from now on; the older ones go on verifying until their tokens have expired.
    async fn rotate(&self, now: Timestamp) -> Result<String, PortError>;
}

/// Tells where an address is.
pub trait Geography: Send + Sync {
    /// Country and region; `None` for an address not in the database, or without one.
    fn locate(&self, address: IpAddr) -> Option<Geo>;
}

/// Carries one-time tokens to people.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Sends a password-reset token to the member's address.
    async fn send_password_reset(
        &self,
        scope: &TenantScope,
        to: &EmailAddress,
        token: &Secret,
    ) -> Result<(), PortError>;
}
