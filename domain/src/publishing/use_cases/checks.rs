//! What is asked of every post before it is planned: whether our servers can post it there, then, and on that day.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{NaiveDate, TimeDelta};

use super::{
    super::{
        model::PostDraft,
        ports::{PostRules, PublishingTx},
    },
    Publishing,
};
use crate::{
    accounts::{
        Postable,
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
    instants: HashSet<(AccountId, Timestamp)>,
    rules: HashMap<AccountId, PostRules>,
}

impl Days {
    /// Counts a post in, or says why it has no place on its day.
    pub(super) fn add(&mut self, account: AccountId, planned_at: Timestamp) -> Result<(), String> {
        // What is planned in the past is posted now.
        let at = planned_at.max(self.now);
        self.instants.insert((account, planned_at));
        let Some(rules) = self.rules.get(&account) else { return Ok(()) };
        let count = self.counts.entry((account, (at + rules.day_ahead).date_naive())).or_default();
        if *count >= rules.posts_per_day {
            return Err(format!(
                "is of an account that has {count} posts on that day; its platform takes {} of one account and app, so \
                 plan it on another day",
                rules.posts_per_day
            ));
        }
        *count += 1;
        Ok(())
    }

    /// Forgets one that is moved away.
    pub(super) fn remove(&mut self, account: AccountId, planned_at: Timestamp) {
        self.instants.remove(&(account, planned_at));
        let Some(rules) = self.rules.get(&account) else { return };
        let day = (planned_at.max(self.now) + rules.day_ahead).date_naive();
        if let Some(count) = self.counts.get_mut(&(account, day)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a post in if nothing else of its account is planned for that instant and its day has room.
    pub(super) fn take(&mut self, account: AccountId, slot: Timestamp) -> bool {
        !self.instants.contains(&(account, slot)) && self.add(account, slot).is_ok()
    }
}

impl Publishing {
    /// What a platform takes.
    pub(super) fn rules(&self, account: &Postable) -> Option<PostRules> {
        self.0.publishers.get(account.account.platform.as_str()).map(|publisher| publisher.rules())
    }

    /// What accounts have on their days, from a day before the span to a day after.
    pub(super) async fn days(
        &self,
        tx: &mut dyn PublishingTx,
        accounts: &[Postable],
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Days, PublishingError> {
        let now = self.0.clock.now();
        let rules = accounts.iter().filter_map(|postable| Some((postable.account.id, self.rules(postable)?)));
        let mut days = Days { now, counts: HashMap::new(), instants: HashSet::new(), rules: rules.collect() };
        let ids: Vec<_> = accounts.iter().map(|postable| postable.account.id).collect();
        let day = TimeDelta::days(1);
        for (account, at) in tx.planned_times(&ids, from.min(now) - day, until.max(now) + day).await? {
            // More than there may be are no fault of what is planned now.
            let _ = days.add(account, at);
        }
        Ok(days)
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
        ids: impl Iterator<Item = UploadId>,
    ) -> Result<BTreeMap<UploadId, Upload>, PublishingError> {
        let mut found = BTreeMap::new();
        for id in ids {
            if !found.contains_key(&id)
                && let Some(upload) = self.0.content.upload(tx, actor, id).await?
            {
                found.insert(id, upload);
            }
        }
        Ok(found)
    }
}
