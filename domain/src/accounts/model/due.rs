//! When something must be done about an account's tokens.

use chrono::TimeDelta;

use super::TokenTerms;
use crate::kernel::{clock::Timestamp, ids::AccountId};

/// How long before its end a refresh token is renewed, in days.
const RENEW_AHEAD_DAYS: i64 = 7;

/// An access token is refreshed when this part of its life is over at the latest, in per cent ...
const REFRESH_AT_PERCENT: i32 = 80;

/// ... and accounts are spread over this part before it, in per cent: those linked in one minute are not refreshed in one.
const SPREAD_PERCENT: i32 = 10;

/// Never later than this before its end, in minutes.
const REFRESH_AHEAD_MINUTES: i64 = 5;

/// A renewal's answer may be lost on the way, and the old token with it: then what is left is an access token, which is
/// made this young beforehand, in hours.
const YOUNG_HOURS: i64 = 24;

/// Before a refresh token ends for good, one more access token is got with it, this long before, in hours.
const LAST_REFRESH_HOURS: i64 = 2;

/// First and longest pause after a fault that may pass, in seconds.
const BACKOFF_S: (i64, i64) = (5, 600);

/// What is to be done about an account's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Find out what became of a renewal that was asked for.
    SettleRenewal,
    /// Get an access token.
    Refresh,
    /// Get a refresh token.
    Renew,
    /// The last token is dead.
    Expire,
    /// Nothing, until then.
    Nothing(Timestamp),
}

/// How tokens are, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Good, with time to spare.
    Good,
    /// To be refreshed any moment.
    Due,
    /// The last tries failed; the access token still works.
    Failing,
    /// The access token still works, and there is no way to get another.
    Ending,
    /// The access token is dead.
    Dead,
}

/// When to try again after `failures` in a row: twice as long each time, and not at the same instant as others.
pub fn backoff(account: AccountId, failures: u32, now: Timestamp) -> Timestamp {
    let (first, longest) = BACKOFF_S;
    let pause = first.saturating_mul(1_i64 << failures.min(20)).min(longest);
    now + TimeDelta::seconds(pause) + TimeDelta::seconds(spread(account, pause / 2))
}

/// A number below `span` that is always the same for an account, and unlike its neighbours'.
fn spread(account: AccountId, span: i64) -> i64 {
    let (high, low) = account.uuid().as_u64_pair();
    // SplitMix64's finaliser: ids are made in order, and accounts made together must not come due together.
    let mut mixed = high ^ low;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    i64::try_from(mixed >> 1).unwrap_or_default() % span.max(1)
}

impl TokenTerms {
    /// When an access token is got at the latest, faults aside.
    fn refresh_at(&self, account: AccountId) -> Timestamp {
        let life = self.access_expires_at - self.access_issued_at;
        let early = (life * SPREAD_PERCENT / 100).num_seconds();
        let usual = self.access_issued_at + life * REFRESH_AT_PERCENT / 100
            - TimeDelta::seconds(spread(account, early));
        let latest = self.access_expires_at - TimeDelta::minutes(REFRESH_AHEAD_MINUTES);
        // Once more before the refresh token ends for good.
        let last = self
            .refresh_expires_at
            .map(|end| end - TimeDelta::hours(LAST_REFRESH_HOURS))
            .filter(|last| *last > self.access_issued_at);
        usual.min(latest).min(last.unwrap_or(latest)).max(self.access_issued_at)
    }

    /// When the refresh token is to be renewed; `None` when it can't be.
    fn renew_at(&self, account: AccountId) -> Option<Timestamp> {
        let end = self.refresh_expires_at.filter(|_| self.renewals_left() > 0)?;
        let day = TimeDelta::days(1).num_seconds();
        Some(end - TimeDelta::days(RENEW_AHEAD_DAYS) - TimeDelta::seconds(spread(account, day)))
    }

    /// What is to be done `now`.
    pub fn due(&self, account: AccountId, now: Timestamp) -> Due {
        let Some(refresh_end) = self.refresh_expires_at.filter(|end| now < *end) else {
            return if now < self.access_expires_at {
                Due::Nothing(self.access_expires_at)
            } else {
                Due::Expire
            };
        };
        if self.renewing_since.is_some() {
            return Due::SettleRenewal;
        }
        let refresh_at = self.refresh_at(account);
        if now >= refresh_at {
            return Due::Refresh;
        }
        let Some(renew_at) = self.renew_at(account) else {
            return Due::Nothing(refresh_at.min(refresh_end));
        };
        if now < renew_at {
            return Due::Nothing(refresh_at.min(renew_at));
        }
        if now - self.access_issued_at > TimeDelta::hours(YOUNG_HOURS) { Due::Refresh } else { Due::Renew }
    }

    /// How the tokens are `now`.
    pub fn health(&self, account: AccountId, now: Timestamp) -> Health {
        if now >= self.access_expires_at {
            return Health::Dead;
        }
        match self.refresh_expires_at {
            None => Health::Ending,
            Some(end) if now >= end => Health::Ending,
            Some(_) if self.failures > 0 => Health::Failing,
            Some(_) if now >= self.refresh_at(account) => Health::Due,
            Some(_) => Health::Good,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};
    use crate::{
        accounts::model::{Refreshed, Renewed},
        kernel::secret::Secret,
    };

    #[test]
    fn access_is_got_long_before_its_end_and_not_for_all_at_once() {
        let terms = tokens().terms;
        let whens: Vec<_> = (0..500_u128)
            .map(|n| match terms.due(account(n * 7_919), at(0)) {
                Due::Nothing(when) => when,
                other @ (Due::SettleRenewal | Due::Refresh | Due::Renew | Due::Expire) => panic!("{other:?}"),
            })
            .collect();
        assert!(whens.iter().all(|when| (at(10)..=at(12)).contains(when)), "{whens:?}");
        let first = whens.iter().min().unwrap();
        let last = whens.iter().max().unwrap();
        assert!(*last - *first > TimeDelta::hours(24), "spread over {}", *last - *first);
        assert_eq!(terms.due(account(7), at(12)), Due::Refresh);
    }

    #[test]
    fn a_short_life_keeps_five_minutes() {
        let mut terms = tokens().terms;
        terms.access_expires_at = at(0) + TimeDelta::minutes(6);
        assert_eq!(terms.due(account(7), at(0) + TimeDelta::seconds(61)), Due::Refresh);
    }

    #[test]
    fn a_renewal_comes_after_a_young_access_token() {
        let mut tokens = tokens();
        tokens.take(refreshed(15, 19), at(11));
        assert_eq!(tokens.terms.due(tokens.account, at(23)), Due::Refresh, "12 days old");
        tokens.take(refreshed(15, 7), at(23));
        assert_eq!(tokens.terms.due(tokens.account, at(23)), Due::Renew);
        assert!(tokens.allow_renewals(0));
        assert!(matches!(tokens.terms.due(tokens.account, at(23)), Due::Nothing(_)), "the app may not");
        assert_eq!(tokens.terms.consent_ends_at(), at(38), "and so consent ends with the access token");
        assert!(tokens.allow_renewals(5) && !tokens.allow_renewals(5));
        tokens.begin_renewal(at(23));
        assert_eq!(tokens.terms.due(tokens.account, at(23)), Due::SettleRenewal);
        tokens.renew(Renewed { refresh: Secret::from("rft.2".to_owned()), life_s: 30 * 86_400 }, at(23));
        assert_eq!((tokens.terms.renewals_used, tokens.terms.refresh_expires_at), (1, Some(at(53))));
        assert!(matches!(tokens.terms.due(tokens.account, at(23)), Due::Nothing(_)));
    }

    #[test]
    fn a_consent_lasts_180_days_when_all_goes_well() {
        let mut tokens = tokens();
        assert_eq!(tokens.terms.consent_ends_at(), at(180));
        let mut now = at(0);
        let mut calls = 0;
        let mut expired = None;
        while expired.is_none() {
            match tokens.terms.due(tokens.account, now) {
                Due::Nothing(when) => now = when,
                Due::Refresh => {
                    let left = (tokens.terms.refresh_expires_at.unwrap() - now).num_seconds();
                    tokens.take(Refreshed { refresh_life_s: Some(left), ..refreshed(15, 0) }, now);
                    calls += 1;
                }
                Due::Renew => {
                    tokens.begin_renewal(now);
                    tokens.renew(Renewed { refresh: Secret::from("r".to_owned()), life_s: 30 * 86_400 }, now);
                    calls += 1;
                }
                Due::SettleRenewal => panic!("nothing was lost"),
                Due::Expire => expired = Some(now),
            }
            assert!(calls < 60, "{now}");
        }
        let days = (expired.unwrap() - at(0)).num_days();
        // Renewed seven days ahead five times, and one access token lives on when the last refresh token is gone.
        assert!((140..=160).contains(&days), "{days} days");
        assert_eq!(tokens.terms.renewals_used, 5);
    }

    #[test]
    fn a_lost_renewal_leaves_the_access_token() {
        let mut tokens = tokens();
        tokens.begin_renewal(at(10));
        tokens.renewal_lost();
        assert_eq!(tokens.secrets.refresh, None);
        assert_eq!(tokens.terms.health(tokens.account, at(11)), Health::Ending);
        assert_eq!(tokens.terms.due(tokens.account, at(11)), Due::Nothing(at(15)));
        assert_eq!(tokens.terms.due(tokens.account, at(15)), Due::Expire);
        assert_eq!(tokens.terms.consent_ends_at(), at(15));
    }

    #[test]
    fn pauses_grow_to_ten_minutes_and_differ() {
        let pause = |n: u128, failures| (backoff(account(n), failures, at(0)) - at(0)).num_seconds();
        assert!((5..8).contains(&pause(1, 0)));
        assert!((600..900).contains(&pause(1, 31)));
        assert_ne!(pause(1, 10), pause(2, 10));
    }
}
