//! What can be said to a caller of identity. Every variant is fit to show.

use crate::kernel::{actor::Denied, fault::PortError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The actor lacks a permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Only a member in a session may do this; a key or the system may not.
    #[error("needs a signed-in member")]
    NeedsMember,
    /// A field of the input is no good.
    #[error("{field} {problem}")]
    Invalid {
        /// The input's field, in camel case.
        field: &'static str,
        /// What is wrong with it, as it follows the name.
        problem: &'static str,
    },
    /// This tenant has no such member.
    #[error("there is no such member")]
    MemberNotFound,
    /// This tenant has no such invitation.
    #[error("there is no such invitation")]
    InvitationNotFound,
    /// This tenant has no such session.
    #[error("there is no such session")]
    SessionNotFound,
    /// This tenant has no such API key.
    #[error("there is no such API key")]
    ApiKeyNotFound,
    /// The address is a member's or has an open invitation.
    #[error("this address is a member already or has an open invitation")]
    AlreadyMember,
    /// Another tenant has the public name.
    #[error("this slug is taken")]
    SlugTaken,
    /// The tenant has as many members as its plan allows.
    #[error("the plan allows {max} members, invitations included")]
    MembersFull {
        /// How many.
        max: u32,
    },
    /// No owner would be left.
    #[error("a tenant keeps at least one active owner")]
    LastOwner,
    /// The invitation was accepted, taken back or has expired.
    #[error("the invitation is not open any more")]
    InvitationClosed,
    /// A one-time token is wrong, used or expired.
    #[error("the token is not valid (any more)")]
    TokenInvalid,
    /// The password given does not match.
    #[error("the current password is wrong")]
    PasswordWrong,
    /// The one-time code given does not match.
    #[error("the code is wrong or was used already")]
    CodeWrong,
    /// A second factor is set up already.
    #[error("a second factor is set up already")]
    TotpActive,
    /// No second factor has been begun.
    #[error("no second factor is set up")]
    TotpAbsent,
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl IdentityError {
    /// The short word an audit event gives as its reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NeedsMember => "needs_member",
            Self::Invalid { .. } => "invalid_input",
            Self::MemberNotFound
            | Self::InvitationNotFound
            | Self::SessionNotFound
            | Self::ApiKeyNotFound => "not_found",
            Self::AlreadyMember => "already_member",
            Self::SlugTaken => "slug_taken",
            Self::MembersFull { .. } => "members_full",
            Self::LastOwner => "last_owner",
            Self::InvitationClosed => "invitation_closed",
            Self::TokenInvalid => "token_invalid",
            Self::PasswordWrong => "password_wrong",
            Self::CodeWrong => "code_wrong",
            Self::TotpActive => "totp_active",
            Self::TotpAbsent => "totp_absent",
            Self::Port(_) => "unavailable",
        }
    }
}
