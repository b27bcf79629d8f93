//! What can be said to a caller of accounts. Every variant is fit to show.

use crate::kernel::{actor::Denied, fault::PortError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
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
    /// The input names nothing that the actor can reach in this tenant.
    #[error("{field} names nothing there is")]
    NotFound {
        /// The input's field, in camel case.
        field: &'static str,
    },
    /// No adapter is there for that platform.
    #[error("this installation knows no platform {platform:?}; it knows {known}")]
    PlatformUnknown {
        /// What was asked for.
        platform: String,
        /// Those there are, with commas.
        known: String,
    },
    /// The tenant has these credentials already.
    #[error("an app with this client key is there already")]
    AppTaken,
    /// Accounts were linked with it.
    #[error("the app has {count} linked accounts; unlink them first")]
    AppInUse {
        /// How many.
        count: u32,
    },
    /// The app was not granted what is to be asked for.
    #[error("the app does not have the scopes {missing}; apply for them at the platform, or ask for fewer")]
    ScopesMissing {
        /// Those missing, with commas.
        missing: String,
    },
    /// The platform switched the app off.
    #[error("the platform has switched this app off")]
    AppSwitchedOff,
    /// The state that came back is none that was given out, was used, or is too old.
    #[error("this link was finished, is too old, or was never begun here; begin again")]
    LinkClosed,
    /// The account is not one of a living consent.
    #[error("the account's owner must consent again first")]
    ConsentNeeded,
    /// The account is paused.
    #[error("the account is paused")]
    Paused,
    /// A group would be below itself, or too deep.
    #[error("a group can't be put below itself, nor deeper than {max} levels")]
    GroupMisplaced {
        /// Most levels of a matrix.
        max: u32,
    },
    /// The tenant has as many groups as it may.
    #[error("a tenant has at most {max} groups")]
    GroupsFull {
        /// How many.
        max: u32,
    },
    /// Something is in the group still.
    #[error("the group still holds groups or accounts; move them first")]
    GroupNotEmpty,
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl AccountsError {
    /// The short word an audit event gives as its reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NeedsMember => "needs_member",
            Self::Invalid { .. } => "invalid_input",
            Self::NotFound { .. } => "not_found",
            Self::PlatformUnknown { .. } => "platform_unknown",
            Self::AppTaken => "app_taken",
            Self::AppInUse { .. } => "app_in_use",
            Self::ScopesMissing { .. } => "scopes_missing",
            Self::AppSwitchedOff => "app_switched_off",
            Self::LinkClosed => "link_closed",
            Self::ConsentNeeded => "consent_needed",
            Self::Paused => "paused",
            Self::GroupMisplaced { .. } => "group_misplaced",
            Self::GroupsFull { .. } => "groups_full",
            Self::GroupNotEmpty => "group_not_empty",
            Self::Port(_) => "unavailable",
        }
    }
}
