//! The tokens of one account, and when something must be done about them.

use chrono::TimeDelta;
use uuid::Uuid;

use crate::kernel::{
    clock::Timestamp,
    ids::{AccountId, AppId},
    secret::Secret,
};

/// The last instant that stores can keep in their calendars: the end of the year 9999.
const CALENDAR_END: Timestamp = match Timestamp::from_timestamp(253_402_300_799, 0) {
    Some(end) => end,
    None => Timestamp::UNIX_EPOCH,
};

/// What is kept of an account's tokens, without the tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenTerms {
    /// What the owner granted, sorted.
    pub scopes: Vec<String>,
    /// When the owner consented.
    pub consented_at: Timestamp,
    /// When the access token was made.
    pub access_issued_at: Timestamp,
    /// When it ends.
    pub access_expires_at: Timestamp,
    /// When the refresh token ends; `None` when there is none (any more).
    pub refresh_expires_at: Option<Timestamp>,
    /// Life of a refresh token, in seconds.
    pub refresh_life_s: i64,
    /// Renewals of the refresh token since the owner consented.
    pub renewals_used: u32,
    /// Renewals the platform allows for each consent; 0 when the app may not renew.
    pub renewals_max: u32,
    /// Since when a renewal is asked for whose answer is not known.
    pub renewing_since: Option<Timestamp>,
    /// When the pool last got a token.
    pub refreshed_at: Timestamp,
    /// Why it last got none, as a short word or `code 10010`; cleared by the next success.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// Counts changes: an older set of tokens never replaces a newer one.
    pub version: u64,
}

/// The tokens themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSecrets {
    /// Does the work.
    pub access: Secret,
    /// Gets the next access token; gone when a renewal's answer was lost, or the platform gives none.
    pub refresh: Option<Secret>,
}

/// The tokens of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Whose.
    pub account: AccountId,
    /// The app they were got with.
    pub app: AppId,
    /// What is known of them.
    pub terms: TokenTerms,
    /// Them.
    pub secrets: TokenSecrets,
}

/// What a platform gave for a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The new access token, never empty.
    pub access: Secret,
    /// Its life, in seconds.
    pub access_life_s: i64,
    /// The refresh token from now on; `None` leaves the old one.
    pub refresh: Option<Secret>,
    /// What is left of its life, in seconds; `None` when the platform does not say.
    pub refresh_life_s: Option<i64>,
    /// What is granted now; `None` when the platform does not say.
    pub scopes: Option<Vec<String>>,
}

/// Which renewal a new refresh token is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalAsked {
    /// When the owner consented.
    pub consented_at: Timestamp,
    /// Renewals in that consent before this one.
    pub renewals_used: u32,
}

/// A new refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The token, never empty.
    pub refresh: Secret,
    /// Its life, in seconds.
    pub life_s: i64,
}

impl TokenTerms {
    /// Renewals left in this consent.
    pub const fn renewals_left(&self) -> u32 {
        self.renewals_max.saturating_sub(self.renewals_used)
    }

    /// When the owner must have consented again, if every renewal that is left is made.
    pub fn consent_ends_at(&self) -> Timestamp {
        let seconds = self.refresh_life_s.saturating_mul(self.renewals_left().into());
        let renewed = |end: Timestamp| {
            // A platform without an end to renewals: as far as there is a calendar.
            let after = TimeDelta::try_seconds(seconds).and_then(|after| end.checked_add_signed(after));
            after.unwrap_or(CALENDAR_END)
        };
        self.refresh_expires_at.map_or(self.access_expires_at, |end| renewed(end).max(self.access_expires_at))
    }

    /// Takes a fault down.
    pub fn fail(&mut self, word: impl Into<String>) {
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(word.into());
    }

    fn succeed(&mut self, now: Timestamp) {
        self.failures = 0;
        self.last_error = None;
        self.refreshed_at = now;
    }
}

impl Tokens {
    /// Takes newer tokens of the same consent.
    pub fn take(&mut self, refreshed: Refreshed, now: Timestamp) {
        self.secrets.access = refreshed.access;
        self.terms.access_issued_at = now;
        self.terms.access_expires_at = now + TimeDelta::seconds(refreshed.access_life_s);
        // What is not given leaves what is there: a token is never wiped by an answer that has none.
        if let Some(refresh) = refreshed.refresh.filter(|token| !token.expose().is_empty()) {
            self.secrets.refresh = Some(refresh);
        }
        if let Some(life_s) = refreshed.refresh_life_s
            && self.secrets.refresh.is_some()
        {
            self.terms.refresh_expires_at = Some(now + TimeDelta::seconds(life_s));
        }
        if let Some(scopes) = refreshed.scopes {
            self.terms.scopes = scopes;
        }
        // A refresh token that still works was not renewed, unless a renewal is on its way this moment; whoever gets that
        // one's answer takes it in all the same.
        self.terms.renewing_since = None;
        self.terms.succeed(now);
    }

    /// Writes down that a renewal is asked for, before it is.
    pub const fn begin_renewal(&mut self, now: Timestamp) {
        self.terms.renewing_since = Some(now);
    }

    /// Takes the renewal's answer.
    pub fn renew(&mut self, renewed: Renewed, now: Timestamp) {
        // One that was taken for lost is counted already.
        if self.secrets.refresh.is_some() {
            self.terms.renewals_used = self.terms.renewals_used.saturating_add(1);
        }
        self.secrets.refresh = Some(renewed.refresh);
        self.terms.refresh_expires_at = Some(now + TimeDelta::seconds(renewed.life_s));
        self.terms.renewing_since = None;
        self.terms.succeed(now);
    }

    /// The renewal was surely not made.
    pub fn renewal_undone(&mut self, word: impl Into<String>) {
        self.terms.renewing_since = None;
        self.terms.fail(word);
    }

    /// The platform refuses to renew in this consent.
    pub fn renewals_over(&mut self, word: impl Into<String>) {
        self.terms.renewing_since = None;
        self.terms.renewals_used = self.terms.renewals_used.max(self.terms.renewals_max);
        self.terms.last_error = Some(word.into());
    }

    /// The renewal was made, and its answer was lost: the old token is dead and the new one nobody knows. The access
    /// token works on to its end.
    pub fn renewal_lost(&mut self) {
        self.refresh_dead();
        self.terms.last_error = Some("renewal_lost".to_owned());
    }

    /// What a renewal that is asked for now belongs to.
    pub const fn asking(&self) -> RenewalAsked {
        RenewalAsked { consented_at: self.terms.consented_at, renewals_used: self.terms.renewals_used }
    }

    /// The refresh token does not work any more, though no renewal was asked for. The access token works on to its end.
    pub fn refresh_dead(&mut self) {
        self.secrets.refresh = None;
        self.terms.refresh_expires_at = None;
        self.terms.renewing_since = None;
        // Counted like a renewal that is lost: a token of one may still turn up.
        self.terms.renewals_used = self.terms.renewals_used.saturating_add(1);
        self.terms.last_error = Some("refresh_token_dead".to_owned());
    }

    /// Whether these are the tokens that a renewal belongs to: it is of the same consent, and none was taken in since.
    /// Whatever else was thought of it meanwhile: who has the answer knows that the token it replaced is dead.
    pub fn awaits(&self, asked: &RenewalAsked) -> bool {
        // One that was taken for lost is counted already.
        let used = asked.renewals_used + u32::from(self.secrets.refresh.is_none());
        asked.consented_at == self.terms.consented_at && self.terms.renewals_used == used
    }

    /// Takes what the platform allows the app in the way of renewals; `false` when it was known.
    pub const fn allow_renewals(&mut self, max: u32) -> bool {
        let new = self.terms.renewals_max != max;
        self.terms.renewals_max = max;
        new
    }

    /// Whether an access token got `now` works for at least `least`.
    pub fn lasts(&self, least: TimeDelta, now: Timestamp) -> bool {
        now + least < self.terms.access_expires_at
    }

    /// The row they are kept in.
    pub const fn row(&self) -> Uuid {
        self.account.uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn renewals_without_end_have_a_calendar_too() {
        let mut terms = tokens().terms;
        terms.renewals_max = u32::MAX;
        assert_eq!(terms.consent_ends_at(), CALENDAR_END);
        terms.refresh_life_s = i64::MAX;
        assert_eq!(terms.consent_ends_at(), CALENDAR_END);
    }

    #[test]
    fn a_renewed_token_is_of_its_own_consent_and_turn() {
        let mut tokens = tokens();
        let asked = tokens.asking();
        tokens.begin_renewal(at(23));
        assert!(tokens.awaits(&asked));
        tokens.terms.renewing_since = None;
        assert!(tokens.awaits(&asked), "whatever was thought of it meanwhile");
        assert!(!tokens.awaits(&RenewalAsked { consented_at: at(-30), ..asked }), "an older consent's");
        assert!(!tokens.awaits(&RenewalAsked { renewals_used: 1, ..asked }));
        tokens.renewal_lost();
        tokens.terms.fail("something else since");
        assert!(tokens.awaits(&asked));
        tokens.renew(Renewed { refresh: Secret::from("rft.2".to_owned()), life_s: 86_400 }, at(24));
        assert!(!tokens.awaits(&asked), "taken in once");
    }

    #[test]
    fn an_answer_without_a_token_wipes_none() {
        let mut tokens = tokens();
        let empty = Refreshed { refresh: Some(Secret::from(String::new())), ..refreshed(15, 20) };
        tokens.take(empty, at(10));
        assert_eq!(tokens.secrets.refresh.as_ref().and_then(Secret::expose_str), Some("rft.1"));
    }
}
