//! What is asked of every post before it is planned: whether our servers can post it there, then, and on that day.

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDate, NaiveTime, TimeDelta};

use super::{
    super::{
        model::{PostDraft, SlotRoom},
        ports::{Planned, PostRules, PublishingTx},
    },
    Publishing,
};
use crate::{
    accounts::{
        Postable, PostsUsed,
        model::{Obstacle, Way},
    },
    content::model::{Probed, Severity, Upload, UploadState},
    kernel::{actor::Actor, clock::Timestamp, ids::AccountId, ids::UploadId},
    publishing::PublishingError,
};

/// Why our servers can't post, in words that say the way out.
fn told(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::None | Obstacle::Unsupported => "is on a platform that nothing can be posted to".to_owned(),
        Obstacle::Paused => "is of an account that is paused; resume it first".to_owned(),
        Obstacle::ConsentNeeded => {
            "is of an account whose owner must consent again; link it again".to_owned()
        }
        Obstacle::Unlinked => "is of an account that was given up".to_owned(),
        Obstacle::AppSwitchedOff => "is of an account whose app the platform has switched off".to_owned(),
        Obstacle::ScopeSwitchedOff(scope) => {
            format!("needs the scope {scope}, which the platform has switched off")
        }
        Obstacle::AppLacksScope(scope) => format!("needs the scope {scope}, which the app does not have"),
        Obstacle::OwnerDidNotGrant(scope) => {
            format!("needs the scope {scope}, which the account's owner did not grant; link it again")
        }
    }
}

/// Posts of accounts by the days that platforms count by, with those that are being planned.
pub(super) struct Days {
    now: Timestamp,
    counts: HashMap<(AccountId, NaiveDate), u32>,
    instants: HashMap<(AccountId, Timestamp), u32>,
    rules: HashMap<AccountId, PostRules>,
    /// How long before its time a post is planned at least, whatever platforms ask.
    lead: TimeDelta,
}

impl Days {
    fn count(&mut self, account: AccountId, planned_at: Timestamp, counts_at: Timestamp) {
        *self.instants.entry((account, planned_at)).or_default() += 1;
        if let Some(rules) = self.rules.get(&account) {
            *self.counts.entry((account, day_of(rules, counts_at))).or_default() += 1;
        }
    }

    /// The rules and the count of a day that has no room for another post.
    fn full(&self, account: AccountId, planned_at: Timestamp) -> Option<(&PostRules, u32)> {
        let rules = self.rules.get(&account)?;
        // What is planned in the past is posted now.
        let count = *self.counts.get(&(account, day_of(rules, planned_at.max(self.now))))?;
        (count >= rules.posts_per_day).then_some((rules, count))
    }

    /// The first instant that may be planned for; `None` when all may, and what is past is posted at once.
    fn earliest(&self, account: AccountId) -> Option<Timestamp> {
        let lead = self.rules.get(&account).map_or(self.lead, |rules| rules.lead.max(self.lead));
        (lead > TimeDelta::zero()).then(|| self.now + lead)
    }

    /// Counts a post in, or says why it has no place on its day.
    pub(super) fn add(&mut self, account: AccountId, planned_at: Timestamp) -> Result<(), String> {
        if let Some(earliest) = self.earliest(account).filter(|earliest| planned_at < *earliest) {
            return Err(format!("is planned too soon; plan it for {} or later", earliest.to_rfc3339()));
        }
        if let Some((rules, count)) = self.full(account, planned_at) {
            return Err(format!(
                "is of an account that has {count} posts on that day; its platform takes {} of one account and app, so \
                 plan it on another day",
                rules.posts_per_day
            ));
        }
        self.keep(account, planned_at);
        Ok(())
    }

    /// Counts a post in that stays where it is, whatever there is room for.
    pub(super) fn keep(&mut self, account: AccountId, planned_at: Timestamp) {
        self.count(account, planned_at, planned_at.max(self.now));
    }

    /// Forgets one that is moved away. It is still to be posted.
    pub(super) fn remove(&mut self, account: AccountId, planned_at: Timestamp) {
        if let Some(count) = self.instants.get_mut(&(account, planned_at)) {
            *count = count.saturating_sub(1);
        }
        let Some(rules) = self.rules.get(&account) else { return };
        if let Some(count) = self.counts.get_mut(&(account, day_of(rules, planned_at.max(self.now)))) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a post in if nothing else of its account is planned for that instant and its day has room.
    pub(super) fn take(&mut self, account: AccountId, slot: Timestamp) -> SlotRoom {
        if let Some(earliest) = self.earliest(account).filter(|earliest| slot < *earliest) {
            return SlotRoom::FullUntil(earliest);
        }
        if let Some((rules, _)) = self.full(account, slot) {
            let next = day_of(rules, slot).succ_opt().map(|day| day.and_time(NaiveTime::MIN).and_utc());
            return next.map_or(SlotRoom::Clash, |next| SlotRoom::FullUntil(next - rules.day_ahead));
        }
        if self.instants.get(&(account, slot)).is_some_and(|count| *count > 0) {
            return SlotRoom::Clash;
        }
        self.count(account, slot, slot);
        SlotRoom::Taken
    }
}

fn day_of(rules: &PostRules, at: Timestamp) -> NaiveDate {
    (at + rules.day_ahead).date_naive()
}

impl Publishing {
    /// What a platform takes.
    pub(super) fn rules(&self, account: &Postable) -> Option<PostRules> {
        self.0.publishers.get(account.account.platform.as_str()).map(|publisher| publisher.rules())
    }

    /// What accounts have on their days, from a day before the span to a day after. With `lock`, nobody else plans for them
    /// until the transaction ends.
    pub(super) async fn days(
        &self,
        tx: &mut dyn PublishingTx,
        accounts: &[Postable],
        (from, until): (Timestamp, Timestamp),
        lock: bool,
    ) -> Result<Days, PublishingError> {
        let now = self.0.clock.now();
        let rules = accounts.iter().filter_map(|postable| Some((postable.account.id, self.rules(postable)?)));
        let mut days = Days {
            now,
            counts: HashMap::new(),
            instants: HashMap::new(),
            rules: rules.collect(),
            lead: self.0.lead,
        };
        let ids: Vec<_> = accounts.iter().map(|postable| postable.account.id).collect();
        if lock {
            tx.wake_accounts(&ids.iter().map(|id| (*id, None)).collect()).await?;
        }
        // Nothing is planned in the past: it is posted now.
        let day = TimeDelta::days(1);
        let planned = tx.planned(&ids, from.max(now) - day, until.max(now) + day).await?;
        for planned in &planned {
            days.count(planned.account, planned.planned_at, planned.counts_at(now));
        }
        for (account, by_hand) in self.posted_by_hand(tx, accounts, &planned).await? {
            if let Some(rules) = days.rules.get(&account) {
                *days.counts.entry((account, day_of(rules, now))).or_default() += by_hand;
            }
        }
        Ok(days)
    }

    /// How many posts accounts have today that are none of `planned`, as far as their platforms told us: made by hand, or by
    /// another program.
    pub(super) async fn posted_by_hand(
        &self,
        tx: &mut dyn PublishingTx,
        accounts: &[Postable],
        planned: &[Planned],
    ) -> Result<HashMap<AccountId, u32>, PublishingError> {
        let now = self.0.clock.now();
        let rules: HashMap<_, _> =
            accounts.iter().filter_map(|account| Some((account.account.id, self.rules(account)?))).collect();
        let mut posted: HashMap<AccountId, u32> = HashMap::new();
        for planned in planned {
            let on_day = |rules: &PostRules| {
                planned.accepted_at.is_some_and(|at| day_of(rules, at) == day_of(rules, now))
            };
            if rules.get(&planned.account).is_some_and(on_day) {
                *posted.entry(planned.account).or_default() += 1;
            }
        }
        let there: Vec<_> = accounts.iter().map(|postable| &postable.account).collect();
        let used = self.0.accounts.posts_used(tx, &there).await?.into_iter();
        let by_hand = |(account, used): (AccountId, PostsUsed)| {
            let ours = posted.get(&account).copied().unwrap_or_default();
            (account, used.at(now).saturating_sub(ours))
        };
        Ok(used.map(by_hand).collect())
    }

    /// How long before its time a post on an account is planned, at least.
    pub(super) fn lead(&self, account: &Postable) -> TimeDelta {
        self.rules(account).map_or(self.0.lead, |rules| rules.lead.max(self.0.lead))
    }

    /// Why our servers can't post on an account, and find out what became of it, whatever is posted.
    pub(super) fn obstacle(&self, account: &Postable) -> Option<String> {
        let unsupported = || told(&Obstacle::Unsupported);
        if self.0.publishers.get(account.account.platform.as_str()).is_none() {
            return Some(unsupported());
        }
        [&account.video, &account.reading].into_iter().find_map(|ability| match ability {
            None => Some(unsupported()),
            Some(ability) => (ability.way != Way::Server).then(|| told(&ability.obstacle)),
        })
    }

    /// What a platform will not take a file as, in words that follow "is" or "has".
    pub(super) fn unfit(&self, upload: &Upload, platform: &str) -> Option<String> {
        if upload.state != UploadState::Ready {
            return Some("a file that can't be used (yet); wait until it is READY".to_owned());
        }
        let findings = self.0.content.preflight(upload, platform).unwrap_or_default();
        let worst = findings.into_iter().find(|finding| finding.severity == Severity::Blocking)?;
        Some(format!("a file that {platform} will refuse: {:?}", worst.code))
    }

    /// Whether a post can be posted on an account at a time; why not, in words that follow the field's name.
    pub(super) fn check(
        &self,
        planned_at: Timestamp,
        post: &PostDraft,
        account: &Postable,
        upload: &Upload,
    ) -> Result<(), String> {
        let platform = account.account.platform.as_str();
        if let Some(obstacle) = self.obstacle(account) {
            return Err(obstacle);
        }
        let rules = self.rules(account).ok_or_else(|| told(&Obstacle::Unsupported))?;
        if let Some(ends_at) = account.consent_ends_at
            && planned_at >= ends_at
        {
            return Err(format!(
                "is planned past the end of its account's consent, {ends_at}; link it again"
            ));
        }
        let (chars, most) = (post.caption.chars().count(), rules.caption_max_chars);
        if chars > most {
            return Err(format!("has a caption of {chars} characters; {platform} takes {most}"));
        }
        if let (Some(at_ms), Some(Probed::Media(media))) = (post.cover_at_ms, &upload.probed)
            && at_ms > media.duration_ms
        {
            return Err(format!("has its cover at {at_ms} ms; the video ends at {} ms", media.duration_ms));
        }
        self.unfit(upload, platform).map_or(Ok(()), |what| Err(format!("has {what}")))
    }

    /// These accounts, each asked for once; those the actor does not reach are absent.
    pub(super) async fn accounts_by_id(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        ids: impl Iterator<Item = AccountId>,
    ) -> Result<BTreeMap<AccountId, Postable>, PublishingError> {
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        ids.dedup();
        let found = self.0.accounts.postable(tx, actor, &ids).await?;
        Ok(found.into_iter().flatten().map(|postable| (postable.account.id, postable)).collect())
    }

    /// These files, each asked for once; those there are none of are absent.
    pub(super) async fn uploads_by_id(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        ids: impl Iterator<Item = UploadId> + Send,
    ) -> Result<BTreeMap<UploadId, Upload>, PublishingError> {
        Ok(self.0.content.uploads_by_id(tx, actor, ids).await?)
    }
}
