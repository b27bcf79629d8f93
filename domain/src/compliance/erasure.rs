//! Erasure of what is kept about a person, and what holds it up.

use chrono::Datelike as _;
use uuid::Uuid;

use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, HoldId, MemberId, ReportId},
    outbox::Party,
};

/// Longest name of the matter that a hold is for, in characters.
pub const MATTER_MAX_CHARS: usize = 200;

/// Whose data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A member of the tenant.
    Member,
    /// The owner of an account on a platform.
    Account,
}

impl SubjectKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Member, Self::Account];

    /// The word stores and events have.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Account => "account",
        }
    }
}

/// A person, by what is a pseudonym once the rest is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Who they are to the tenant.
    pub kind: SubjectKind,
    /// The member's or the account's id.
    pub id: Uuid,
}

impl Subject {
    /// As events name it.
    pub const fn party(self) -> Party {
        Party::new(self.kind.as_str(), self.id)
    }
}

impl From<MemberId> for Subject {
    fn from(id: MemberId) -> Self {
        Self { kind: SubjectKind::Member, id: id.uuid() }
    }
}

impl From<AccountId> for Subject {
    fn from(id: AccountId) -> Self {
        Self { kind: SubjectKind::Account, id: id.uuid() }
    }
}

/// Why it must be erased (GDPR article 17(1), PIPL article 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErasureBasis {
    /// It is not needed any more for what it was collected for (GDPR 17(1)(a)).
    NotNeeded,
    /// Consent was withdrawn, and nothing else allows it (GDPR 17(1)(b)).
    ConsentWithdrawn,
    /// The person objects (GDPR 17(1)(c)).
    Objected,
    /// It should not have been processed (GDPR 17(1)(d)).
    Unlawful,
    /// Another law demands it (GDPR 17(1)(e)).
    Obliged,
}

impl ErasureBasis {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NotNeeded, Self::ConsentWithdrawn, Self::Objected, Self::Unlawful, Self::Obliged];

    /// The word stores and events have.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not_needed",
            Self::ConsentWithdrawn => "consent_withdrawn",
            Self::Objected => "objected",
            Self::Unlawful => "unlawful",
            Self::Obliged => "obliged",
        }
    }
}

/// That somebody's data was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Whose.
    pub subject: Subject,
    /// Why.
    pub basis: ErasureBasis,
    /// When.
    pub at: Timestamp,
    /// By whom; `None` when it was done again because the database had been put back.
    pub by: Option<MemberId>,
    /// Of how many events the values are gone.
    pub openings: u64,
    /// Reports that were there and showed what events commit to, of whomever: whoever took one away has a copy beyond reach.
    pub reports: Vec<ReportId>,
}

/// How far the end of a tenant is that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantEnd {
    /// It ended before, and the database was put back to when it had not.
    pub is_put_back: bool,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// When its end began, which can't be stopped.
    pub begun_at: Option<Timestamp>,
    /// When there was nothing left but the log.
    pub ended_at: Option<Timestamp>,
}

/// What is written down of a tenant outside of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantFate {
    /// It is closed.
    Closed {
        /// Since when.
        closed_at: Timestamp,
        /// When it is to end.
        ends_at: Timestamp,
    },
    /// It was closed and taken back.
    Reopened {
        /// When it had been closed.
        closed_at: Timestamp,
    },
    /// Its end began.
    Ended,
}

/// That somebody's data must be kept, whoever asks for its erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalHold {
    /// Its id.
    pub id: HoldId,
    /// Whose.
    pub subject: Subject,
    /// What for, as the number of a file.
    pub matter: String,
    /// Since when.
    pub placed_at: Timestamp,
    /// By whom; `None` for a machine.
    pub placed_by: Option<MemberId>,
    /// Until when.
    pub released_at: Option<Timestamp>,
    /// By whom; `None` for a machine.
    pub released_by: Option<MemberId>,
}

/// The month in which keys of persons are wrapped, counted from the year 0.
pub fn epoch_of(at: Timestamp) -> i32 {
    at.year() * 12 + i32::try_from(at.month0()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_counted_without_gaps() {
        let at = |text: &str| text.parse::<Timestamp>().map(epoch_of).ok();
        let december = at("2026-12-31T23:59:59Z");
        assert_eq!(december.map(|epoch| epoch + 1), at("2027-01-01T00:00:00Z"));
        assert_eq!(december, at("2026-12-01T00:00:00Z"));
    }
}
