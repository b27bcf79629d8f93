//! Platforms by name, and what they say when they do not do what was asked. A name is a value and not an enum: a platform
//! more is a folder in infra, not a change here.

use std::fmt;

use super::fault::PortError;

/// What a platform is called, as `douyin`: 2 to 32 of `a-z 0-9 _`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlatformKey(String);

/// Why a text names no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 2 to 32 characters of a-z, 0-9 and _, starting with a letter")]
pub struct PlatformKeyFault;

impl PlatformKey {
    /// Checks.
    ///
    /// # Errors
    /// [`PlatformKeyFault`].
    pub fn parse(text: &str) -> Result<Self, PlatformKeyFault> {
        let good = (2..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if good { Ok(Self(text.to_owned())) } else { Err(PlatformKeyFault) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a platform said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// The access token is not good (any more); a refreshed one may be.
    TokenDead,
    /// The code, refresh token or consent is not good (any more): the owner must consent again.
    ConsentGone,
    /// The owner has not granted this.
    NotGranted,
    /// No more renewals in this consent.
    RenewalsOver,
    /// The owner is banned, deregistered or out of reach.
    OwnerGone,
    /// The app lacks the scope or capability.
    AppLacks,
    /// The credentials of the app are wrong, or it is not set up for this.
    AppWrong,
    /// The platform has switched the app off.
    AppOff,
    /// The platform has switched the ability off.
    AbilityOff,
    /// A quota is used up until it is reset.
    QuotaUsedUp,
    /// The account has posted as often as it may today.
    PostsUsedUp,
    /// What is to be posted is refused: its text, length or size.
    ContentRefused,
    /// What was uploaded is not good (any more): it was posted already, is unknown, or broken.
    MediumRefused,
    /// The owner may not post.
    PostingBarred,
    /// Our own mistake: the call is not as the platform wants it.
    BadCall,
}

impl RefusalKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::TokenDead,
        Self::ConsentGone,
        Self::NotGranted,
        Self::RenewalsOver,
        Self::OwnerGone,
        Self::AppLacks,
        Self::AppWrong,
        Self::AppOff,
        Self::AbilityOff,
        Self::QuotaUsedUp,
        Self::PostsUsedUp,
        Self::ContentRefused,
        Self::MediumRefused,
        Self::PostingBarred,
        Self::BadCall,
    ];

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The word in traces, errors kept and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenDead => "token_dead",
            Self::ConsentGone => "consent_gone",
            Self::NotGranted => "not_granted",
            Self::RenewalsOver => "renewals_over",
            Self::OwnerGone => "owner_gone",
            Self::AppLacks => "app_lacks",
            Self::AppWrong => "app_wrong",
            Self::AppOff => "app_off",
            Self::AbilityOff => "ability_off",
            Self::QuotaUsedUp => "quota_used_up",
            Self::PostsUsedUp => "posts_used_up",
            Self::ContentRefused => "content_refused",
            Self::MediumRefused => "medium_refused",
            Self::PostingBarred => "posting_barred",
            Self::BadCall => "bad_call",
        }
    }
}

/// A platform's considered no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// The platform's own code.
    pub code: i64,
}

/// Why a platform's call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// It said no, and did nothing.
    #[error("the platform refused ({}, code {})", .0.kind.as_str(), .0.code)]
    Refused(Refusal),
    /// It surely did nothing: it was never reached, said that it is busy, or was not asked because it failed before.
    #[error("the platform did not act")]
    NotDone(#[source] PortError),
    /// Nobody knows whether it did: the answer was lost, or can't be read.
    #[error("whether the platform acted is not known")]
    Unknown(#[source] PortError),
}

impl PlatformError {
    /// A word for traces and the board: a kind of refusal with its code, or where it got stuck.
    pub fn word(&self) -> String {
        match self {
            Self::Refused(refusal) => format!("{} (code {})", refusal.kind.as_str(), refusal.code),
            Self::NotDone(fault) => format!("not done ({})", fault.port),
            Self::Unknown(fault) => format!("no answer ({})", fault.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["douyin", "tiktok", "x2", "a_b"] {
            assert_eq!(PlatformKey::parse(good).map(|key| key.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "x", "Douyin", "2x", "a-b", "a b", "抖音", &"x".repeat(33)] {
            assert!(PlatformKey::parse(bad).is_err(), "{bad}");
        }
    }
}
