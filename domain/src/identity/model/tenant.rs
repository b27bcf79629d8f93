//! A tenant and its public name.

use crate::kernel::{clock::Timestamp, ids::TenantId, name::display_name};

/// A tenant's public name in addresses: 3 to 40 of `a-z 0-9 -`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slug(String);

/// Why a text is no slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 3 to 40 characters of a-z, 0-9 and -, starting with a letter and not ending with -")]
pub struct SlugFault;

impl Slug {
    /// Checks.
    ///
    /// # Errors
    /// [`SlugFault`].
    pub fn parse(text: &str) -> Result<Self, SlugFault> {
        let good = (3..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if good { Ok(Self(text.to_owned())) } else { Err(SlugFault) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a tenant may work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantStatus {
    /// It may.
    Active,
    /// Nobody signs in and no key works.
    Suspended,
    /// The same, until who was erased before the database was put back is erased again.
    AwaitingErasure,
    /// The same, and nothing is posted; unless it is taken back, it ends for good ([`Closing`]).
    Closed,
}

impl TenantStatus {
    /// The text form, as stores keep it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::AwaitingErasure => "awaiting_erasure",
            Self::Closed => "closed",
        }
    }

    /// The status of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::AwaitingErasure, Self::Closed]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

/// Shortest and longest time for which a tenant that is closed can be taken back, in days.
pub const TAKE_BACK_DAYS: std::ops::RangeInclusive<u16> = 1..=365;

/// That a tenant is closed, and how far its end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Until when it can be taken back.
    pub ends_at: Timestamp,
    /// What it was before.
    pub before: TenantStatus,
    /// It had ended, and the database was put back: it ends again.
    pub is_put_back: bool,
    /// When its end began, which can't be stopped.
    pub begun_at: Option<Timestamp>,
    /// When there was nothing left but its log.
    pub ended_at: Option<Timestamp>,
}

/// A customer of this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its public name.
    pub slug: Slug,
    /// Its display name.
    pub name: String,
    /// Whether it may work.
    pub status: TenantStatus,
    /// Most members it may have, invitations included.
    pub members_max: u32,
    /// When it was opened.
    pub created_at: Timestamp,
}

/// Members a tenant may have unless its plan says otherwise.
pub(super) const MEMBERS_MAX_DEFAULT: u32 = 500;

impl Tenant {
    /// A new tenant, active.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn open(id: TenantId, slug: Slug, name: &str, now: Timestamp) -> Result<Self, &'static str> {
        Ok(Self {
            id,
            slug,
            name: display_name(name)?,
            status: TenantStatus::Active,
            members_max: MEMBERS_MAX_DEFAULT,
            created_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["aurora", "a-1", "north-sea-42"] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "1abc", "-abc", "abc-", "Abc", "a_b", "a b", "aurôra", &"a".repeat(41)] {
            assert_eq!(Slug::parse(bad), Err(SlugFault), "{bad}");
        }
    }
}
