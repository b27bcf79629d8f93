//! The board of tokens, the calendar of consents, and what can be done with an account.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    accounts::model,
    kernel::{clock::Timestamp, ids::AccountId},
};
use output::Output;

use super::types::Account;
use crate::graphql::connection::{connection, connection_fields};

/// How long before its end an owner is best asked, in days.
const ASK_AHEAD_DAYS: i64 = 14;

/// How an account's tokens are.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Health")]
pub enum TokenHealth {
    /// Good, with time to spare.
    Good,
    /// To be refreshed any moment.
    Due,
    /// The last tries failed; the access token still works.
    Failing,
    /// The access token still works, and there is no way to get another.
    Ending,
    /// The access token is dead.
    Dead,
}

/// What is known of an account's tokens. The tokens themselves are never shown.
#[derive(SimpleObject, Output, Clone)]
pub struct TokenState {
    /// How they are.
    health: TokenHealth,
    /// What the owner granted.
    scopes: Vec<String>,
    /// When the owner consented.
    consented_at: DateTime<Utc>,
    /// When the access token ends.
    access_expires_at: DateTime<Utc>,
    /// Seconds the access token still works.
    access_remaining_s: i32,
    /// When the refresh token ends; null when there is none.
    refresh_expires_at: Option<DateTime<Utc>>,
    /// Renewals of the refresh token left in this consent.
    renewals_left: u32,
    /// When the owner must have consented again, if all goes well until then.
    consent_ends_at: DateTime<Utc>,
    /// From when on the owner is best asked for it.
    ask_from: DateTime<Utc>,
    /// When a token was last got.
    refreshed_at: DateTime<Utc>,
    /// Why the last try brought none; null when it did.
    last_error: Option<String>,
    /// Failures in a row.
    failures: u32,
}

impl TokenState {
    pub(super) fn new(account: AccountId, terms: &model::TokenTerms, now: Timestamp) -> Self {
        let left = (terms.access_expires_at - now).num_seconds().max(0);
        Self {
            health: terms.health(account, now).into(),
            consent_ends_at: terms.consent_ends_at(),
            ask_from: terms.consent_ends_at() - TimeDelta::days(ASK_AHEAD_DAYS),
            renewals_left: terms.renewals_left(),
            scopes: terms.scopes.clone(),
            consented_at: terms.consented_at,
            access_expires_at: terms.access_expires_at,
            access_remaining_s: i32::try_from(left).unwrap_or(i32::MAX),
            refresh_expires_at: terms.refresh_expires_at,
            refreshed_at: terms.refreshed_at,
            last_error: terms.last_error.clone(),
            failures: terms.failures,
        }
    }
}

connection!(ConsentDueConnection, ConsentDueEdge, Account, "accounts whose consent ends");
connection_fields!(ConsentDueConnection, Account);

/// Something a platform may let us do for an account.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Ability")]
pub enum Ability {
    /// Put a video online.
    PublishVideo,
    /// Put a set of pictures online.
    PublishImages,
    /// List its posts and read their figures.
    ReadPosts,
    /// Read and answer comments.
    Comments,
    /// Read daily statistics.
    Statistics,
}

/// Who does it.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Way")]
pub enum CapabilityWay {
    /// Our servers.
    Server,
    /// The owner, with a signed link or code of ours.
    HandOff,
    /// Nobody.
    None,
}

/// Why our servers can't.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapabilityObstacle {
    /// The platform has no such thing.
    Unsupported,
    /// The account is paused.
    Paused,
    /// The owner must consent again.
    ConsentNeeded,
    /// The tenant gave the account up.
    Unlinked,
    /// The platform switched the app off.
    AppSwitchedOff,
    /// The platform switched the scope off.
    ScopeSwitchedOff,
    /// The platform has not granted the app the scope.
    AppLacksScope,
    /// The owner has not granted the scope: link again.
    OwnerDidNotGrant,
}

/// What can be done with an account.
#[derive(SimpleObject, Output, Clone)]
pub struct Capability {
    /// What.
    ability: Ability,
    /// Who does it.
    way: CapabilityWay,
    /// Why our servers don't; null when they do.
    obstacle: Option<CapabilityObstacle>,
    /// The scope the obstacle is about.
    scope: Option<String>,
}

impl From<model::Capability> for Capability {
    fn from(found: model::Capability) -> Self {
        use CapabilityObstacle as Is;
        use model::Obstacle as O;
        let (obstacle, scope) = match found.obstacle {
            O::None => (None, None),
            O::Unsupported => (Some(Is::Unsupported), None),
            O::Paused => (Some(Is::Paused), None),
            O::ConsentNeeded => (Some(Is::ConsentNeeded), None),
            O::Unlinked => (Some(Is::Unlinked), None),
            O::AppSwitchedOff => (Some(Is::AppSwitchedOff), None),
            O::ScopeSwitchedOff(scope) => (Some(Is::ScopeSwitchedOff), Some(scope)),
            O::AppLacksScope(scope) => (Some(Is::AppLacksScope), Some(scope)),
            O::OwnerDidNotGrant(scope) => (Some(Is::OwnerDidNotGrant), Some(scope)),
        };
        Self { ability: found.ability.into(), way: found.way.into(), obstacle, scope }
    }
}
