//! Facts subscribers are told, in the past tense.

use uuid::Uuid;

use crate::kernel::{
    feed::{Fact, News},
    ids::{AccountId, LinkId},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountFact {
    /// An account was linked, or linked again.
    AccountLinked(AccountId),
    /// An attempt to link ended without an account.
    LinkFailed(LinkId),
    /// Nothing is done with an account for a while.
    AccountPaused(AccountId),
    /// Work on it goes on.
    AccountResumed(AccountId),
    /// An account was given up.
    AccountUnlinked(AccountId),
    /// An account is in another group or has other tags.
    AccountArranged(AccountId),
    /// The owner must consent again before anything can be done.
    ConsentNeeded(AccountId),
    /// The pool holds newer tokens.
    TokensRefreshed(AccountId),
    /// The pool could not refresh, and will try again.
    RefreshFailed(AccountId),
}

/// A fact and when it happened.
pub type AccountEvent = News<AccountFact>;

impl Fact for AccountFact {
    const CONTEXT: &'static str = "accounts";

    fn name(self) -> &'static str {
        match self {
            Self::AccountLinked(_) => "account_linked",
            Self::LinkFailed(_) => "link_failed",
            Self::AccountPaused(_) => "account_paused",
            Self::AccountResumed(_) => "account_resumed",
            Self::AccountUnlinked(_) => "account_unlinked",
            Self::AccountArranged(_) => "account_arranged",
            Self::ConsentNeeded(_) => "consent_needed",
            Self::TokensRefreshed(_) => "tokens_refreshed",
            Self::RefreshFailed(_) => "refresh_failed",
        }
    }

    fn subject(self) -> Uuid {
        match self {
            Self::LinkFailed(link) => link.uuid(),
            Self::AccountLinked(account)
            | Self::AccountPaused(account)
            | Self::AccountResumed(account)
            | Self::AccountUnlinked(account)
            | Self::AccountArranged(account)
            | Self::ConsentNeeded(account)
            | Self::TokensRefreshed(account)
            | Self::RefreshFailed(account) => account.uuid(),
        }
    }

    fn of(name: &str, subject: Uuid) -> Option<Self> {
        let account = AccountId::from_uuid(subject);
        Some(match name {
            "account_linked" => Self::AccountLinked(account),
            "link_failed" => Self::LinkFailed(LinkId::from_uuid(subject)),
            "account_paused" => Self::AccountPaused(account),
            "account_resumed" => Self::AccountResumed(account),
            "account_unlinked" => Self::AccountUnlinked(account),
            "account_arranged" => Self::AccountArranged(account),
            "consent_needed" => Self::ConsentNeeded(account),
            "tokens_refreshed" => Self::TokensRefreshed(account),
            "refresh_failed" => Self::RefreshFailed(account),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Uuid = Uuid::from_u128(7);

    /// What all releases call a fact, and the fact to look at next: a new one has to find its place here.
    fn told(fact: AccountFact) -> (&'static str, Option<AccountFact>) {
        use AccountFact as Is;
        let account = AccountId::from_uuid(SUBJECT);
        match fact {
            Is::AccountLinked(_) => ("account_linked", Some(Is::LinkFailed(LinkId::from_uuid(SUBJECT)))),
            Is::LinkFailed(_) => ("link_failed", Some(Is::AccountPaused(account))),
            Is::AccountPaused(_) => ("account_paused", Some(Is::AccountResumed(account))),
            Is::AccountResumed(_) => ("account_resumed", Some(Is::AccountUnlinked(account))),
            Is::AccountUnlinked(_) => ("account_unlinked", Some(Is::AccountArranged(account))),
            Is::AccountArranged(_) => ("account_arranged", Some(Is::ConsentNeeded(account))),
            Is::ConsentNeeded(_) => ("consent_needed", Some(Is::TokensRefreshed(account))),
            Is::TokensRefreshed(_) => ("tokens_refreshed", Some(Is::RefreshFailed(account))),
            Is::RefreshFailed(_) => ("refresh_failed", None),
        }
    }

    #[test]
    fn every_fact_is_found_again_by_its_name() {
        let mut next = Some(AccountFact::AccountLinked(AccountId::from_uuid(SUBJECT)));
        while let Some(fact) = next {
            let (name, after) = told(fact);
            assert_eq!((fact.name(), fact.subject()), (name, SUBJECT));
            assert_eq!(AccountFact::of(name, SUBJECT), Some(fact));
            next = after;
        }
        assert_eq!(AccountFact::of("account_cloned", SUBJECT), None);
    }
}
