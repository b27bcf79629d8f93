//! What can be said to a caller of publishing. Every variant is fit to show.

use super::model::PostFault;
use crate::{
    accounts::AccountsError,
    content::ContentError,
    kernel::{actor::Denied, fault::PortError},
};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum PublishingError {
    /// The actor lacks a permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A field of the input is no good.
    #[error("{field} {problem}")]
    Invalid {
        /// The input's field, in camel case.
        field: &'static str,
        /// What is wrong with it, as it follows the name.
        problem: String,
    },
    /// The input names nothing there is in this tenant.
    #[error("{field} names nothing there is")]
    NotFound {
        /// The input's field, in camel case.
        field: &'static str,
    },
    /// Nothing can be posted for an account as things are.
    #[error("{field} {problem}")]
    NotPostable {
        /// The input's field, in camel case.
        field: &'static str,
        /// Why, as it follows the name.
        problem: String,
    },
    /// The post does not stand so.
    #[error(transparent)]
    Fault(#[from] PostFault),
    /// Something outside did not answer.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A field of the input that is no good, and what is wrong with it, as it follows the name.
pub(in crate::publishing) fn invalid(field: &'static str, problem: impl Into<String>) -> PublishingError {
    PublishingError::Invalid { field, problem: problem.into() }
}

impl PublishingError {
    /// The short word an audit event gives as its reason.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Invalid { .. } => "invalid_input",
            Self::NotFound { .. } => "not_found",
            Self::NotPostable { .. } => "not_postable",
            Self::Fault(PostFault::NotNow) => "not_now",
            Self::Fault(PostFault::OutcomeUnknown) => "outcome_unknown",
            Self::Fault(PostFault::Changed) => "changed",
            Self::Fault(PostFault::NoCandidate) => "no_candidate",
            Self::Fault(PostFault::TooSoon) => "too_soon",
            Self::Port(_) => "unavailable",
        }
    }
}

/// What accounts would not say is not known here either.
#[expect(clippy::wildcard_enum_match_arm, reason = "reading an account says no more than these")]
impl From<AccountsError> for PublishingError {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Denied(denied) => Self::Denied(denied),
            AccountsError::Port(fault) => Self::Port(fault),
            _ => Self::NotFound { field: "accountId" },
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "reading a file says no more than these")]
impl From<ContentError> for PublishingError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Denied(denied) => Self::Denied(denied),
            ContentError::Port(fault) => Self::Port(fault),
            _ => Self::NotFound { field: "uploadId" },
        }
    }
}
