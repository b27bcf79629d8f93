//! Facts subscribers are told, in the past tense. They carry ids; who listens reads the rest under its own
//! permissions.

use uuid::Uuid;

use crate::kernel::{
    feed::{Fact, News},
    ids::{ApiKeyId, InvitationId, MemberId, SessionId},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
pub type IdentityEvent = News<IdentityFact>;

impl Fact for IdentityFact {
    const CONTEXT: &'static str = "identity";

    fn name(self) -> &'static str {
        match self {
            Self::MemberInvited(_) => "member_invited",
            Self::InvitationRevoked(_) => "invitation_revoked",
            Self::MemberJoined(_) => "member_joined",
            Self::MemberRoleChanged(_) => "member_role_changed",
            Self::MemberSuspended(_) => "member_suspended",
            Self::MemberRestored(_) => "member_restored",
            Self::SessionRevoked(_) => "session_revoked",
            Self::ApiKeyRevoked(_) => "api_key_revoked",
        }
    }

    fn subject(self) -> Uuid {
        match self {
            Self::MemberInvited(invitation) | Self::InvitationRevoked(invitation) => invitation.uuid(),
            Self::MemberJoined(member)
            | Self::MemberRoleChanged(member)
            | Self::MemberSuspended(member)
            | Self::MemberRestored(member) => member.uuid(),
            Self::SessionRevoked(session) => session.uuid(),
            Self::ApiKeyRevoked(key) => key.uuid(),
        }
    }

    fn of(name: &str, subject: Uuid) -> Option<Self> {
        let (invitation, member) = (InvitationId::from_uuid(subject), MemberId::from_uuid(subject));
        Some(match name {
            "member_invited" => Self::MemberInvited(invitation),
            "invitation_revoked" => Self::InvitationRevoked(invitation),
            "member_joined" => Self::MemberJoined(member),
            "member_role_changed" => Self::MemberRoleChanged(member),
            "member_suspended" => Self::MemberSuspended(member),
            "member_restored" => Self::MemberRestored(member),
            "session_revoked" => Self::SessionRevoked(SessionId::from_uuid(subject)),
            "api_key_revoked" => Self::ApiKeyRevoked(ApiKeyId::from_uuid(subject)),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Uuid = Uuid::from_u128(7);

    /// What all releases call a fact, and the fact to look at next: a new one has to find its place here.
    fn told(fact: IdentityFact) -> (&'static str, Option<IdentityFact>) {
        use IdentityFact as Is;
        let (invitation, member) = (InvitationId::from_uuid(SUBJECT), MemberId::from_uuid(SUBJECT));
        match fact {
            Is::MemberInvited(_) => ("member_invited", Some(Is::InvitationRevoked(invitation))),
            Is::InvitationRevoked(_) => ("invitation_revoked", Some(Is::MemberJoined(member))),
            Is::MemberJoined(_) => ("member_joined", Some(Is::MemberRoleChanged(member))),
            Is::MemberRoleChanged(_) => ("member_role_changed", Some(Is::MemberSuspended(member))),
            Is::MemberSuspended(_) => ("member_suspended", Some(Is::MemberRestored(member))),
            Is::MemberRestored(_) => {
                ("member_restored", Some(Is::SessionRevoked(SessionId::from_uuid(SUBJECT))))
            }
            Is::SessionRevoked(_) => {
                ("session_revoked", Some(Is::ApiKeyRevoked(ApiKeyId::from_uuid(SUBJECT))))
            }
            Is::ApiKeyRevoked(_) => ("api_key_revoked", None),
        }
    }

    #[test]
    fn every_fact_is_found_again_by_its_name() {
        let mut next = Some(IdentityFact::MemberInvited(InvitationId::from_uuid(SUBJECT)));
        while let Some(fact) = next {
            let (name, after) = told(fact);
            assert_eq!((fact.name(), fact.subject()), (name, SUBJECT));
            assert_eq!(IdentityFact::of(name, SUBJECT), Some(fact));
            next = after;
        }
        assert_eq!(IdentityFact::of("member_cloned", SUBJECT), None);
    }
}
