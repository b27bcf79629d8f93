//! Tenants, their members, and how members and machines prove who they are.
//!
//! Vocabulary: a *tenant* is a customer of this installation; a *member* is a person's place in one tenant,
//! with a password and a role of its own (a person in two tenants is two members, so nothing about the one
//! can be learnt in the other); a *session* is one sign-in of a member; an *API key* is a machine's.
//!
//! Invariants:
//! - A tenant always has at least one active owner.
//! - An e-mail address is unique within its tenant and known only within it.
//! - A refresh token works once. The second use of one ends its session.
//! - Secrets are shown once and kept only as hashes (or sealed, where they must be used again).
//!
//! Absent on purpose: accounts that span tenants, security questions, lockout by account (an attacker could
//! lock others out; attempts are limited by rate instead).

pub mod actions;
pub mod error;
pub mod events;
pub mod model;
pub mod ports;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod use_cases;

pub use error::IdentityError;
pub use use_cases::{Identity, IdentityPorts};
pub use use_cases::{
    accept_invitation::AcceptInvitation,
    authenticate::{Credential, SignedIn},
    close_tenant::Standing as TenantStanding,
    enrol_totp::TotpEnrolment,
    invite_member::Invited,
    issue_api_key::{ApiKeyDraft, IssuedApiKey},
    open_tenant::{OpenTenant, OpenedTenant},
    reset_password::ResetPassword,
    sign_in::{SecondFactor, SignIn, SignInOutcome, TokenPair},
};
