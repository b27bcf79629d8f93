//! Quotas of a platform: whose they are, for how long, how much, and what was used of them.

use chrono::{NaiveTime, TimeDelta};

use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, AppId},
    platform::{PlatformKey, RefusalKind},
};

/// Who has to share a quota. An account is linked with one app, so a quota of a user and an app is an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaOwner {
    /// All accounts of an app together.
    App,
    /// Each account by itself.
    Account,
}

/// For how long a quota is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPeriod {
    /// A day that begins at midnight of a clock that is so far ahead of UTC's.
    Day {
        /// How far.
        ahead: TimeDelta,
    },
    /// A second: held to by waiting, and not kept in the ledger.
    Second,
}

/// Which calls a platform counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaCounts {
    /// All that it answered.
    Answered,
    /// Those that it did.
    Done,
}

/// A quota, as a platform's documents have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaRule {
    /// What it is called here: a fixed word.
    pub name: &'static str,
    /// What is counted against it, by the words that calls have.
    pub endpoints: &'static [&'static str],
    /// Whose it is.
    pub owner: QuotaOwner,
    /// For how long.
    pub period: QuotaPeriod,
    /// What of them is counted.
    pub counts: QuotaCounts,
    /// How much; `None` where the platform does not publish it.
    pub limit: Option<u32>,
    /// What the platform says when there is no more.
    pub used_up_by: Option<RefusalKind>,
    /// Where this is written.
    pub source: &'static str,
}

/// From when to when a period lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpan {
    /// Its first instant.
    pub begins_at: Timestamp,
    /// When the next one begins.
    pub ends_at: Timestamp,
}

impl QuotaPeriod {
    /// The one that an instant is in; `None` for what is not kept.
    pub fn around(self, at: Timestamp) -> Option<QuotaSpan> {
        let Self::Day { ahead } = self else { return None };
        let midnight = (at + ahead).date_naive().and_time(NaiveTime::MIN).and_utc();
        let begins_at = midnight - ahead;
        Some(QuotaSpan { begins_at, ends_at: begins_at + TimeDelta::days(1) })
    }
}

/// What was used of a quota in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaTally {
    /// Calls that the platform answered, but for those it refused because there was no more.
    pub answered: u64,
    /// Calls that it did.
    pub done: u64,
    /// Calls that may have been heard and were never answered: whether it counted them is not known.
    pub unsure: u64,
    /// When it last said that there is no more.
    pub used_up_at: Option<Timestamp>,
}

impl QuotaTally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            answered: self.answered.saturating_add(other.answered),
            done: self.done.saturating_add(other.done),
            unsure: self.unsure.saturating_add(other.unsure),
            used_up_at: self.used_up_at.max(other.used_up_at),
        }
    }
}

/// What was used of a quota by one owner in one period, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    /// The quota's name.
    pub quota: String,
    /// The period's first instant.
    pub begins_at: Timestamp,
    /// How much.
    pub tally: QuotaTally,
}

impl QuotaRule {
    /// What counts against it of a tally.
    pub const fn used(&self, tally: &QuotaTally) -> u64 {
        match self.counts {
            QuotaCounts::Answered => tally.answered,
            QuotaCounts::Done => tally.done,
        }
    }

    /// What is left, as far as it is known: none once the platform said so, whatever was counted here.
    pub fn remaining(&self, tally: &QuotaTally) -> Option<u64> {
        if tally.used_up_at.is_some() {
            return Some(0);
        }
        self.limit.map(|limit| u64::from(limit).saturating_sub(self.used(tally)))
    }
}

/// How a quota stands now, for one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaStanding {
    /// The platform.
    pub platform: PlatformKey,
    /// The quota.
    pub rule: QuotaRule,
    /// The app it is of.
    pub app: AppId,
    /// The account, where it is an account's.
    pub account: Option<AccountId>,
    /// The period now; `None` where nothing is kept.
    pub span: Option<QuotaSpan>,
    /// What was used in it.
    pub tally: QuotaTally,
}

impl QuotaStanding {
    /// How it stands at an instant, by what the ledger has of its owner.
    pub fn of(
        platform: &PlatformKey,
        rule: QuotaRule,
        (app, account): (AppId, AccountId),
        uses: &[QuotaUse],
        now: Timestamp,
    ) -> Self {
        let account = (rule.owner == QuotaOwner::Account).then_some(account);
        Self::with(platform, rule, (app, account), uses, now)
    }

    /// The same, of an app or of one of its accounts.
    pub fn with(
        platform: &PlatformKey,
        rule: QuotaRule,
        (app, account): (AppId, Option<AccountId>),
        uses: &[QuotaUse],
        now: Timestamp,
    ) -> Self {
        let span = rule.period.around(now);
        let is_now = |used: &&QuotaUse| {
            used.quota == rule.name && span.is_some_and(|span| span.begins_at == used.begins_at)
        };
        let tally = uses.iter().filter(is_now).fold(QuotaTally::default(), |sum, used| sum.and(used.tally));
        Self { platform: platform.clone(), rule, app, account, span, tally }
    }

    /// How much was used; `None` where nothing is kept.
    pub fn used(&self) -> Option<u64> {
        self.span.map(|_| self.rule.used(&self.tally))
    }

    /// What is left, as far as it is known.
    pub fn remaining(&self) -> Option<u64> {
        self.span.and_then(|_| self.rule.remaining(&self.tally))
    }

    /// Until when there is no more, as the platform said.
    pub fn used_up_until(&self) -> Option<Timestamp> {
        self.tally.used_up_at.and(self.span).map(|span| span.ends_at)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const POSTS: QuotaRule = QuotaRule {
        name: "posts",
        endpoints: &["create"],
        owner: QuotaOwner::Account,
        period: QuotaPeriod::Day { ahead: TimeDelta::hours(8) },
        counts: QuotaCounts::Done,
        limit: Some(3),
        used_up_by: Some(RefusalKind::PostsUsedUp),
        source: "a page",
    };

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn used(begins_at: &str, tally: QuotaTally) -> QuotaUse {
        QuotaUse { quota: "posts".to_owned(), begins_at: at(begins_at), tally }
    }

    fn standing(uses: &[QuotaUse], now: &str) -> QuotaStanding {
        let platform = PlatformKey::parse("somewhere").expect("a name");
        let ids = (AppId::from_uuid(Uuid::from_u128(1)), AccountId::from_uuid(Uuid::from_u128(2)));
        QuotaStanding::of(&platform, POSTS, ids, uses, at(now))
    }

    #[test]
    fn a_day_begins_where_its_clock_says() {
        let check = |ahead, instant: &str, begins: &str| {
            let span =
                QuotaPeriod::Day { ahead: TimeDelta::hours(ahead) }.around(at(instant)).expect("a day");
            assert_eq!((span.begins_at, span.ends_at - span.begins_at), (at(begins), TimeDelta::days(1)));
        };
        check(8, "2026-01-01T15:59:59Z", "2025-12-31T16:00:00Z");
        check(8, "2026-01-01T16:00:00Z", "2026-01-01T16:00:00Z");
        check(0, "2026-01-01T23:59:59.999Z", "2026-01-01T00:00:00Z");
        check(-5, "2026-01-01T04:00:00Z", "2025-12-31T05:00:00Z");
        assert_eq!(QuotaPeriod::Second.around(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn only_what_is_of_this_period_and_counted_is_used() {
        let tally = QuotaTally { answered: 9, done: 2, unsure: 1, used_up_at: None };
        let uses = [used("2025-12-31T16:00:00Z", tally), used("2025-12-30T16:00:00Z", tally)];
        let today = standing(&uses, "2026-01-01T10:00:00Z");
        assert_eq!((today.used(), today.remaining(), today.tally.unsure), (Some(2), Some(1), 1));
        assert_eq!((today.used_up_until(), today.account.is_some()), (None, true));
        let tomorrow = standing(&uses, "2026-01-01T16:00:00Z");
        assert_eq!((tomorrow.used(), tomorrow.remaining()), (Some(0), Some(3)));
    }

    #[test]
    fn what_the_platform_says_is_used_up_is_whatever_was_counted() {
        let tally = QuotaTally { used_up_at: Some(at("2026-01-01T09:00:00Z")), ..QuotaTally::default() };
        let today = standing(&[used("2025-12-31T16:00:00Z", tally)], "2026-01-01T10:00:00Z");
        assert_eq!((today.used(), today.remaining()), (Some(0), Some(0)));
        assert_eq!(today.used_up_until(), Some(at("2026-01-01T16:00:00Z")));
    }

    #[test]
    fn what_is_not_kept_is_not_zero() {
        let platform = PlatformKey::parse("somewhere").expect("a name");
        let rule = QuotaRule { period: QuotaPeriod::Second, owner: QuotaOwner::App, ..POSTS };
        let app = AppId::from_uuid(Uuid::from_u128(1));
        let now = at("2026-01-01T10:00:00Z");
        let standing = QuotaStanding::with(&platform, rule, (app, None), &[], now);
        assert_eq!((standing.used(), standing.remaining()), (None, None));
    }
}
