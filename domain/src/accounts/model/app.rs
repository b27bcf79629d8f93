//! A tenant's credentials as a developer on a platform.

use crate::kernel::{clock::Timestamp, ids::AppId, platform::PlatformKey, secret::Secret};

/// Most scopes an app may name.
pub const SCOPES_MAX: usize = 64;

/// Longest name of a scope, in bytes.
const SCOPE_MAX_BYTES: usize = 64;

/// Whether an app may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppState {
    /// It may.
    Active,
    /// The platform has banned it or taken it offline.
    SwitchedOff,
}

impl AppState {
    /// The text form, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::SwitchedOff => "switched_off",
        }
    }

    /// The state of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::SwitchedOff].into_iter().find(|state| state.as_str() == text)
    }
}

/// A tenant's registration on a platform, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// The platform.
    pub platform: PlatformKey,
    /// What the tenant calls it.
    pub name: String,
    /// What the platform calls it; no secret.
    pub client_key: String,
    /// What the platform granted it, sorted.
    pub scopes: Vec<String>,
    /// Those of them that the platform has since switched off, sorted.
    pub scopes_off: Vec<String>,
    /// Whether it may be used.
    pub state: AppState,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u32,
}

impl App {
    /// The scopes that work now.
    pub fn working_scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter(|scope| !self.scopes_off.contains(scope)).map(String::as_str)
    }

    /// Takes down that the platform has switched a scope off; `false` when that was known.
    pub fn lose_scope(&mut self, scope: &str) -> bool {
        if !self.scopes.iter().any(|own| own == scope) || self.scopes_off.iter().any(|off| off == scope) {
            return false;
        }
        self.scopes_off.push(scope.to_owned());
        self.scopes_off.sort_unstable();
        true
    }
}

/// What an app proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppCredentials {
    /// The app.
    pub app: AppId,
    /// What the platform calls it.
    pub client_key: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// Checks a list of scopes: plain words, sorted, each once.
///
/// # Errors
/// Says what is wrong with it.
pub fn scopes(list: Vec<String>) -> Result<Vec<String>, &'static str> {
    let mut list: Vec<_> = list.into_iter().map(|scope| scope.trim().to_owned()).collect();
    list.sort_unstable();
    list.dedup();
    let plain = |scope: &String| {
        !scope.is_empty()
            && scope.len() <= SCOPE_MAX_BYTES
            && scope.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':'))
    };
    if list.is_empty() {
        return Err("must name at least one scope");
    }
    if list.len() > SCOPES_MAX {
        return Err("must name at most 64 scopes");
    }
    if !list.iter().all(plain) {
        return Err("must be scopes as the platform writes them, each of a-z, 0-9 and . _ - :");
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &[&str]) -> Result<Vec<String>, &'static str> {
        scopes(list.iter().map(|scope| (*scope).to_owned()).collect())
    }

    #[test]
    fn scopes_are_sorted_once_and_plain() {
        assert_eq!(
            of(&["video.list.bind", " user_info ", "user_info"]).unwrap(),
            ["user_info", "video.list.bind"]
        );
        for bad in [&[][..], &[""], &["a b"], &["a,b"], &["抖音"], &[&"x".repeat(65)]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
