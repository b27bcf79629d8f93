//! Platforms by name. A value and not an enum: a platform more is a folder in infra, not a change here.

use std::fmt;

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
