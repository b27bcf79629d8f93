//! Values and rules. Constructors and transitions check; there are no setters.

mod account;
mod app;
mod capability;
mod due;
mod group;
mod line_health;
mod link;
mod quota;
#[cfg(test)]
mod testing;
mod tokens;

pub use account::{Account, AccountState, ConsentEnd, Pause, Profile, TAG_MAX_CHARS, TAGS_MAX, tags};
pub use app::{App, AppCredentials, AppState, SCOPES_MAX, scopes};
pub use capability::{Ability, AbilityRule, Capability, Obstacle, Way, capabilities};
pub use due::{Due, Health, backoff};
pub use group::{GROUP_LEVELS_MAX, GROUPS_MAX, Group, Matrix, Reach};
pub use line_health::{
    LATENCY_BOUNDS_MS, LATENCY_PLACES, LineHealth, LineReport, LineState, PlatformHealth, ProcessReport,
};
pub use link::{LINK_MINUTES, Link, LinkOutcome, LinkStep, TraceEntry};
pub use quota::{
    QuotaCounts, QuotaOwner, QuotaPeriod, QuotaRule, QuotaSpan, QuotaStanding, QuotaTally, QuotaUse,
};
pub use tokens::{Refreshed, RenewalAsked, Renewed, TokenSecrets, TokenTerms, Tokens};
