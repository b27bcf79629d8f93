//! Facts subscribers are told, in the past tense. They carry ids; who listens reads the rest under its own
//! permissions.

use crate::kernel::{
    clock::Timestamp,
    ids::{ApiKeyId, InvitationId, MemberId, SessionId},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityFact {
    /// Somebody was invited.
    MemberInvited(InvitationId),
    /// An invitation was taken back.
    InvitationRevoked(InvitationId),
    /// Somebody accepted an invitation.
    MemberJoined(MemberId),
    /// A member has another role.
    MemberRoleChanged(MemberId),
    /// A member can't sign in any more.
    MemberSuspended(MemberId),
    /// A member can sign in again.
    MemberRestored(MemberId),
    /// A session was ended before its time.
    SessionRevoked(SessionId),
    /// An API key was taken back.
    ApiKeyRevoked(ApiKeyId),
}

/// A fact and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityEvent {
    /// What.
    pub fact: IdentityFact,
    /// When.
    pub at: Timestamp,
}
