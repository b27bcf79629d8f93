//! Accounts on platforms, linked to a tenant: the credentials they were linked with, the tokens that let us act, and
//! the matrices they are arranged in.
//!
//! Vocabulary: an *app* is a tenant's registration as a developer on a platform, with a client key and a secret of its
//! own; a *link* is one attempt to have an account's owner consent; an *account* is what came of it; its *tokens* are
//! the access token, which does the work and lives for days, and the refresh token, which gets the next one until the
//! *consent* ends; a *matrix* is a named tree of *groups* that hold accounts.
//!
//! Invariants:
//! - A token is never overwritten by an older or an empty one: every change counts a version on, and compares.
//! - A renewal, which makes the old refresh token die at once, is written down before it is asked for. What was asked
//!   and never answered is found out before anything else is asked.
//! - A fault that may pass never disconnects an account; one that will not does so once, with a reason.
//! - Nobody sees or touches an account outside the groups they were granted, unless their role reaches all of them.
//! - Secrets, tokens and names of people are kept sealed; an account is found again by a keyed hash.
//!
//! Absent on purpose: app credentials shared by tenants (one tenant's violation would be another's ban), and anything
//! that acts as a person would: platforms are spoken to through their official APIs alone.

pub mod actions;
mod error;
pub mod events;
pub mod model;
pub mod ports;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod use_cases;

pub use error::AccountsError;
pub use use_cases::{Accounts, AccountsPorts};
pub use use_cases::{
    begin_link::{BeginLink, BegunLink},
    finish_link::{FinishedLink, ReturnedLink},
    lease_token::TokenLease,
    postable::Postable,
    read_accounts::{AccountFilter, Consent},
    read_quotas::PostsUsed,
    refresh_tokens::PoolTurn,
    register_app::{AppChange, AppDraft},
    revoke_consent::{NewsEnd, VerifiedNews},
};
