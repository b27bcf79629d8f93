//! A linked account.

use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, AppId, GroupId, MemberId},
    platform::PlatformKey,
};

/// Most tags of an account.
pub const TAGS_MAX: usize = 20;

/// Longest tag, in characters.
pub const TAG_MAX_CHARS: usize = 40;

/// Why a consent came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsentEnd {
    /// The owner took it back.
    Revoked,
    /// The refresh token ran out.
    Expired,
    /// The platform does not take the tokens any more, and says no more than that.
    Refused,
    /// The owner's account is banned or deregistered.
    OwnerGone,
}

impl ConsentEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Revoked, Self::Expired, Self::Refused, Self::OwnerGone];

    /// The text form, as stores and audit events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::OwnerGone => "owner_gone",
        }
    }

    /// The end of that text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == text)
    }
}

/// Whether we can act for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// We can.
    Connected,
    /// Its owner must consent again.
    ConsentNeeded {
        /// Why.
        end: ConsentEnd,
        /// Since when.
        since: Timestamp,
    },
    /// The tenant gave it up.
    Unlinked {
        /// Since when.
        since: Timestamp,
    },
}

/// A halt somebody made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Who; `None` for a machine.
    pub by: Option<MemberId>,
}

/// What the platform shows of an account.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The display name; empty while it was not read.
    pub nickname: String,
    /// Address of a picture.
    pub avatar: Option<String>,
    /// The kind of account, in the platform's own word, as `EAccountM`.
    pub kind: Option<String>,
    /// The same person's id across apps of one developer.
    pub union_id: Option<String>,
}

/// A person's name is not for logs.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// An account on a platform, linked to a tenant through one of its apps.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The app it was linked with: the same person through another app is another account.
    pub app: AppId,
    /// The platform.
    pub platform: PlatformKey,
    /// What the platform calls it to this app.
    pub open_id: String,
    /// What the platform shows of it.
    pub profile: Profile,
    /// Where in the matrices it is.
    pub group: Option<GroupId>,
    /// Words to find it by, sorted.
    pub tags: Vec<String>,
    /// Whether we can act for it.
    pub state: AccountState,
    /// Whether somebody halted it.
    pub paused: Option<Pause>,
    /// When it was first linked.
    pub created_at: Timestamp,
    /// Counts changes.
    pub version: u32,
}

/// An account's open id and name say who somebody is.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Account {
    /// Halts it; `false` when it was.
    pub fn pause(&mut self, by: Option<MemberId>, now: Timestamp) -> bool {
        let was = self.paused.is_some();
        self.paused.get_or_insert(Pause { since: now, by });
        !was
    }

    /// Lets work go on; `false` when it was not halted.
    pub const fn resume(&mut self) -> bool {
        self.paused.take().is_some()
    }

    /// Its owner consented.
    pub const fn connect(&mut self) {
        self.state = AccountState::Connected;
    }

    /// It was said once more that consent came to its end; who asked the platform before that has asked too early.
    pub const fn doubt_again(&mut self, now: Timestamp) {
        if let AccountState::ConsentNeeded { since, .. } = &mut self.state {
            *since = now;
        }
    }

    /// Its consent came to an end; `false` when that was known, or it was given up.
    pub fn end_consent(&mut self, end: ConsentEnd, now: Timestamp) -> bool {
        if self.state != AccountState::Connected {
            return false;
        }
        self.state = AccountState::ConsentNeeded { end, since: now };
        true
    }

    /// The tenant gives it up; `false` when it had.
    pub const fn unlink(&mut self, now: Timestamp) -> bool {
        if matches!(self.state, AccountState::Unlinked { .. }) {
            return false;
        }
        self.state = AccountState::Unlinked { since: now };
        true
    }
}

/// Checks tags: trimmed, sorted, each once.
///
/// # Errors
/// Says what is wrong with them.
pub fn tags(list: Vec<String>) -> Result<Vec<String>, &'static str> {
    let mut list: Vec<_> = list.into_iter().map(|tag| tag.trim().to_owned()).collect();
    list.sort_unstable();
    list.dedup();
    if list.len() > TAGS_MAX {
        return Err("must be at most 20");
    }
    let good = |tag: &String| {
        !tag.is_empty() && tag.chars().count() <= TAG_MAX_CHARS && !tag.chars().any(char::is_control)
    };
    if list.iter().all(good) {
        Ok(list)
    } else {
        Err("must each be 1 to 40 characters, without control characters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_trimmed_sorted_and_bounded() {
        let list = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert_eq!(tags(list(&["b", " a ", "b"])).unwrap(), ["a", "b"]);
        assert_eq!(tags(Vec::new()).unwrap(), Vec::<String>::new());
        assert!(tags(list(&[" "])).is_err());
        assert!(tags(list(&["a\nb"])).is_err());
        assert!(tags((0..21).map(|n| n.to_string()).collect()).is_err());
        assert!(tags(vec!["名".repeat(40)]).is_ok());
        assert!(tags(vec!["名".repeat(41)]).is_err());
    }
}
