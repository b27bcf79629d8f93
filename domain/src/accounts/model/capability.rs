//! What can be done with an account, and if not, why not.

use super::{Account, AccountState, App, AppState, TokenTerms};
use crate::kernel::clock::Timestamp;

/// Something a platform may let us do for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Ability {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::PublishVideo, Self::PublishImages, Self::ReadPosts, Self::Comments, Self::Statistics];
}

/// What an ability takes on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbilityRule {
    /// The ability.
    pub ability: Ability,
    /// Scopes any of which lets our servers do it, the current one first. The owner must have granted it.
    pub server: Vec<String>,
    /// Scopes of the app any of which lets the owner do it with a link or code of ours.
    pub hand_off: Vec<String>,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Our servers.
    Server,
    /// The owner, with a signed link or code of ours.
    HandOff,
    /// Nobody.
    None,
}

/// Why our servers can't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing is in the way.
    None,
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
    /// The platform switched this scope off.
    ScopeSwitchedOff(String),
    /// The platform has not granted the app this scope.
    AppLacksScope(String),
    /// The owner has not granted this scope: link again.
    OwnerDidNotGrant(String),
}

/// What came of an ability for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The ability.
    pub ability: Ability,
    /// Who does it.
    pub way: Way,
    /// Why our servers don't.
    pub obstacle: Obstacle,
}

/// Every ability of an account, in the order of [`Ability::ALL`].
pub fn capabilities(
    rules: &[AbilityRule],
    app: &App,
    account: &Account,
    terms: Option<&TokenTerms>,
    now: Timestamp,
) -> Vec<Capability> {
    let of = |ability| {
        let Some(rule) = rules.iter().find(|rule| rule.ability == ability) else {
            return Capability { ability, way: Way::None, obstacle: Obstacle::Unsupported };
        };
        let obstacle = obstacle(rule, app, account, terms, now);
        let handed = || app.working_scopes().any(|own| rule.hand_off.iter().any(|scope| scope == own));
        let way = match obstacle {
            Obstacle::None => Way::Server,
            // Whoever may not be touched is not handed links either.
            Obstacle::Unlinked | Obstacle::Paused | Obstacle::AppSwitchedOff => Way::None,
            Obstacle::Unsupported
            | Obstacle::ConsentNeeded
            | Obstacle::ScopeSwitchedOff(_)
            | Obstacle::AppLacksScope(_)
            | Obstacle::OwnerDidNotGrant(_) => {
                if handed() {
                    Way::HandOff
                } else {
                    Way::None
                }
            }
        };
        Capability { ability, way, obstacle }
    };
    Ability::ALL.map(of).to_vec()
}

fn obstacle(
    rule: &AbilityRule,
    app: &App,
    account: &Account,
    terms: Option<&TokenTerms>,
    now: Timestamp,
) -> Obstacle {
    if matches!(account.state, AccountState::Unlinked { .. }) {
        return Obstacle::Unlinked;
    }
    if app.state == AppState::SwitchedOff {
        return Obstacle::AppSwitchedOff;
    }
    if account.paused.is_some() {
        return Obstacle::Paused;
    }
    let Some(first) = rule.server.first() else { return Obstacle::Unsupported };
    let Some(owned) = rule.server.iter().find(|scope| app.scopes.contains(scope)) else {
        return Obstacle::AppLacksScope(first.clone());
    };
    let Some(working) = rule.server.iter().find(|scope| app.working_scopes().any(|own| own == *scope)) else {
        return Obstacle::ScopeSwitchedOff(owned.clone());
    };
    let living =
        terms.filter(|terms| account.state == AccountState::Connected && now < terms.access_expires_at);
    let Some(terms) = living else { return Obstacle::ConsentNeeded };
    let granted =
        |scope: &&String| terms.scopes.contains(scope) && app.working_scopes().any(|own| own == **scope);
    match rule.server.iter().find(granted) {
        Some(_) => Obstacle::None,
        None => Obstacle::OwnerDidNotGrant(working.clone()),
    }
}
