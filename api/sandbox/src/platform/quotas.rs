//! How often apps may call, and users may post.

use std::collections::BTreeMap;

use super::{
    Platform,
    calendar::{SECOND_MS, day_of, quota_day_of},
    refusal::Refusal,
};

/// What was used.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    /// Posts by (client_key, user, Beijing day).
    posts: BTreeMap<(String, String, i64), i64>,
    /// Calls by (client_key, scope), with the period they are of.
    calls: BTreeMap<(String, String), (i64, i64)>,
    /// Calls by client_key, with the second they are of.
    seconds: BTreeMap<String, (i64, i64)>,
}

impl Platform {
    /// Counts a call of a scope.
    pub(crate) fn count_call(&mut self, client_key: &str, scope: &str) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        let second = self.quotas.seconds.entry(client_key.to_owned()).or_default();
        if self.switches.calls_per_s > 0 && !used(second, now_ms / SECOND_MS, self.switches.calls_per_s) {
            return Err(Refusal::TooFast);
        }
        let Some(&limit) = self.switches.call_quota.get(scope) else { return Ok(()) };
        let day = self.quotas.calls.entry((client_key.to_owned(), scope.to_owned())).or_default();
        if used(day, quota_day_of(now_ms), limit) { Ok(()) } else { Err(Refusal::QuotaUsedUp) }
    }

    /// Whether the user may still post today through the app.
    pub(crate) fn may_post(&self, client_key: &str, user: &str) -> Result<(), Refusal> {
        let key = (client_key.to_owned(), user.to_owned(), day_of(self.now_ms()));
        let posts = self.quotas.posts.get(&key).copied().unwrap_or_default();
        if posts < self.switches.publish_per_day { Ok(()) } else { Err(Refusal::PublishLimit) }
    }

    pub(crate) fn count_post(&mut self, client_key: &str, user: &str) {
        let key = (client_key.to_owned(), user.to_owned(), day_of(self.now_ms()));
        *self.quotas.posts.entry(key).or_default() += 1;
    }
}

/// Uses one of a period; false when there is none left.
fn used(counter: &mut (i64, i64), period: i64, limit: i64) -> bool {
    if counter.0 != period {
        *counter = (period, 0);
    }
    let left = counter.1 < limit;
    counter.1 += i64::from(left);
    left
}
