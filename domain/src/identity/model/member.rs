//! Members and invitations.

use chrono::TimeDelta;

use super::{EmailAddress, Totp};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::Role,
        clock::Timestamp,
        ids::{InvitationId, MemberId},
    },
};

/// How long an invitation can be accepted, in days.
pub(super) const INVITATION_DAYS: i64 = 7;

/// Whether a member may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberStatus {
    /// They may.
    Active,
    /// They may not; sessions and resets are refused.
    Suspended,
}

impl MemberStatus {
    /// The text form, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The status of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|s| s.as_str() == text)
    }
}

/// A person's place in one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Their id, random: it names nobody outside this tenant.
    pub id: MemberId,
    /// How they sign in.
    pub email: EmailAddress,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may sign in.
    pub status: MemberStatus,
    /// Argon2id hash in PHC string form.
    pub password_hash: String,
    /// Their second factor, once begun.
    pub totp: Option<Totp>,
    /// When they joined.
    pub created_at: Timestamp,
    /// Counts changes; a store refuses to overwrite a version it was not read from.
    pub version: u32,
}

impl Member {
    /// Gives another role.
    ///
    /// # Errors
    /// `LastOwner` when no owner would be left; `owners` counts the active ones now.
    pub fn change_role(&mut self, role: Role, owners: u32) -> Result<(), IdentityError> {
        if role != Role::Owner {
            self.keep_an_owner(owners)?;
        }
        self.role = role;
        Ok(())
    }

    /// Stops them from signing in.
    ///
    /// # Errors
    /// `LastOwner` when no owner would be left; `owners` counts the active ones now.
    pub fn suspend(&mut self, owners: u32) -> Result<(), IdentityError> {
        self.keep_an_owner(owners)?;
        self.status = MemberStatus::Suspended;
        Ok(())
    }

    /// Lets them sign in again.
    pub const fn restore(&mut self) {
        self.status = MemberStatus::Active;
    }

    /// Whether a second factor is asked of them.
    pub fn has_second_factor(&self) -> bool {
        self.totp.as_ref().is_some_and(|totp| totp.confirmed_at.is_some())
    }

    fn keep_an_owner(&self, owners: u32) -> Result<(), IdentityError> {
        let is_one = self.role == Role::Owner && self.status == MemberStatus::Active;
        if is_one && owners <= 1 { Err(IdentityError::LastOwner) } else { Ok(()) }
    }
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvitationState {
    /// It can be accepted.
    Open,
    /// It was.
    Accepted,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

/// An offer to join a tenant with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Who is invited.
    pub email: EmailAddress,
    /// The role offered.
    pub role: Role,
    /// Who invited, or issued the key that did; nobody when the installation itself did.
    pub invited_by: Option<MemberId>,
    /// SHA-256 of the token's secret part.
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it can't be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl Invitation {
    /// When one made `now` expires.
    pub fn expiry(now: Timestamp) -> Timestamp {
        now + TimeDelta::days(INVITATION_DAYS)
    }

    /// What has become of it by `now`.
    pub fn state(&self, now: Timestamp) -> InvitationState {
        if self.accepted_at.is_some() {
            InvitationState::Accepted
        } else if self.revoked_at.is_some() {
            InvitationState::Revoked
        } else if now >= self.expires_at {
            InvitationState::Expired
        } else {
            InvitationState::Open
        }
    }
}
