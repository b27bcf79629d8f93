//! Where and when many posts are best put on many accounts: said, and nothing planned.

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;

use super::{
    super::{
        model::{FLEET_ACCOUNTS_MAX, FLEET_ITEMS_MAX, Fleet, FleetAccount},
        ports::{Foreseen, Prospect, PublishingTx},
    },
    Publishing,
};
use crate::{
    accounts::Postable,
    content::model::Upload,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, GroupId, UploadId},
    },
    publishing::{PublishingError, error::invalid},
};

/// Longest window, in days.
const WINDOW_MAX_DAYS: i64 = 92;

/// What is added to the time that posts are planned ahead.
const LEAD_SLACK_MINUTES: i64 = 5;

/// Least and most time between two posts of one account, in minutes.
const SPACING_MINUTES: std::ops::RangeInclusive<u32> = 1..=10_080;

/// A file that is to be posted on several accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetItem {
    /// The file.
    pub upload: UploadId,
    /// On how many accounts.
    pub count: u32,
}

/// What is to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetDraft {
    /// What.
    pub items: Vec<FleetItem>,
    /// On these accounts; empty for all of the group, or all there are.
    pub accounts: Vec<AccountId>,
    /// On accounts of this group and below.
    pub group: Option<GroupId>,
    /// Not before.
    pub from: Timestamp,
    /// Before.
    pub until: Timestamp,
    /// Least time between two posts of one account.
    pub spacing_minutes: u32,
}

/// A place that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetPlace {
    /// What is posted.
    pub upload: UploadId,
    /// Where.
    pub account: AccountId,
    /// When.
    pub planned_at: Timestamp,
}

/// An account, and what it can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRoom {
    /// The account.
    pub account: AccountId,
    /// How many places it has in the window.
    pub places: u32,
    /// Why it has none, or fewer than the window would have.
    pub reason: Option<String>,
}

/// Where everything is put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetAnswer {
    /// The places, by time.
    pub places: Vec<FleetPlace>,
    /// Of each file, how many found no place, and why.
    pub unplaced: Vec<(FleetItem, String)>,
    /// The accounts.
    pub rooms: Vec<FleetRoom>,
}

impl Publishing {
    /// Says where and when the items are best posted: as many as can be, and so that the last is as early as can be. The
    /// same question has the same answer as long as nothing changes.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `Port`.
    pub async fn plan_fleet(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: FleetDraft,
    ) -> Result<FleetAnswer, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let earliest = self.checked(&draft)?;
        let accounts = self.fleet_accounts(tx, actor, &draft).await?;
        // The longest lead of any is that of all: one window is what was asked about.
        let lead = accounts.iter().map(|account| self.lead(account)).max().unwrap_or_default();
        // With time for somebody to plan what is answered.
        let lead =
            if lead > TimeDelta::zero() { lead + TimeDelta::minutes(LEAD_SLACK_MINUTES) } else { lead };
        let from = earliest.max(self.0.clock.now() + lead);
        if draft.until <= from {
            let problem = format!("must be after {}: posts are planned so long ahead", from.to_rfc3339());
            return Err(invalid("until", problem));
        }
        let mut found = self.uploads_by_id(tx, actor, draft.items.iter().map(|item| item.upload)).await?;
        let uploads = draft.items.iter().map(|item| found.remove(&item.upload));
        let uploads: Vec<_> =
            uploads.collect::<Option<_>>().ok_or(PublishingError::NotFound { field: "items.uploadId" })?;
        let ids: Vec<_> = accounts.iter().map(|account| account.account.id).collect();
        let spacing = TimeDelta::minutes(draft.spacing_minutes.into());
        let mut taken: HashMap<AccountId, Vec<Timestamp>> = HashMap::new();
        // A day more on either side: quotas are counted by the day.
        let around = spacing + TimeDelta::days(1);
        let now = self.0.clock.now();
        let planned = tx.planned(&ids, from - around, draft.until + around).await?;
        let mut by_hand = self.posted_by_hand(tx, &accounts, &planned).await?;
        for planned in planned {
            taken.entry(planned.account).or_default().push(planned.counts_at(now));
        }
        let platforms: BTreeSet<_> =
            accounts.iter().map(|account| account.account.platform.as_str()).collect();
        let obstacles: Vec<_> = accounts.iter().map(|account| self.obstacle(account)).collect();
        let fleet = Fleet {
            items: draft
                .items
                .iter()
                .enumerate()
                .flat_map(|(content, item)| (0..item.count).map(move |_| content))
                .collect(),
            contents: uploads
                .iter()
                .map(|upload| {
                    let fits = |platform: &str| self.unfit(upload, platform).is_none();
                    let fit: BTreeSet<_> =
                        platforms.iter().copied().filter(|platform| fits(platform)).collect();
                    let may = |at: &usize| {
                        obstacles[*at].is_none() && fit.contains(accounts[*at].account.platform.as_str())
                    };
                    (0..accounts.len()).filter(may).collect()
                })
                .collect(),
            accounts: accounts
                .iter()
                .map(|account| FleetAccount {
                    until: account.consent_ends_at.unwrap_or(draft.until),
                    per_day: self.rules(account).map_or(0, |rules| rules.posts_per_day),
                    day_ahead: self.rules(account).map(|rules| rules.day_ahead).unwrap_or_default(),
                    more_today: by_hand.remove(&account.account.id).unwrap_or_default(),
                    taken: taken.remove(&account.account.id).unwrap_or_default(),
                })
                .collect(),
            now,
            from,
            until: draft.until,
            spacing,
        };
        Ok(self.answer(&draft, &fleet, (&accounts, &uploads), obstacles))
    }

    /// What would speak against the posts of an answer, by their places in it, and does not stop them. Their texts are not
    /// known yet.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn foresee_fleet(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        answer: &FleetAnswer,
    ) -> Result<HashMap<usize, Vec<Foreseen>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let uploads = self.uploads_by_id(tx, actor, answer.places.iter().map(|place| place.upload)).await?;
        let prospect = |place: &FleetPlace| Prospect {
            post: None,
            account: place.account,
            file: uploads.get(&place.upload).and_then(|upload| upload.digest),
            caption: None,
            planned_at: place.planned_at,
        };
        self.foresee(tx, actor, &answer.places.iter().map(prospect).collect::<Vec<_>>()).await
    }

    /// What a draft must be; from when on may be planned.
    fn checked(&self, draft: &FleetDraft) -> Result<Timestamp, PublishingError> {
        let now = self.0.clock.now();
        let from = draft.from.max(now);
        let count: u64 = draft.items.iter().map(|item| u64::from(item.count)).sum();
        let items_max = u64::try_from(FLEET_ITEMS_MAX).unwrap_or(u64::MAX);
        if count == 0 || count > items_max || draft.items.iter().any(|item| item.count == 0) {
            return Err(invalid(
                "items",
                format!("must be 1 to {FLEET_ITEMS_MAX} posts, and none of no account"),
            ));
        }
        let files: BTreeSet<_> = draft.items.iter().map(|item| item.upload).collect();
        if files.len() != draft.items.len() {
            return Err(invalid("items", "name a file twice; give it once, with the sum of its counts"));
        }
        if draft.until <= from || draft.until > now + TimeDelta::days(WINDOW_MAX_DAYS) {
            let problem = format!("must be after `from` and now, and at most {WINDOW_MAX_DAYS} days ahead");
            return Err(invalid("until", problem));
        }
        if !SPACING_MINUTES.contains(&draft.spacing_minutes) {
            return Err(invalid("spacingMinutes", "must be 1 to 10080"));
        }
        Ok(from)
    }

    async fn fleet_accounts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: &FleetDraft,
    ) -> Result<Vec<Postable>, PublishingError> {
        let ids = if draft.accounts.is_empty() {
            self.0.accounts.all_reached(tx, actor, draft.group).await?
        } else {
            let mut seen = BTreeSet::new();
            draft.accounts.iter().copied().filter(|id| seen.insert(*id)).collect()
        };
        if ids.is_empty() || ids.len() > FLEET_ACCOUNTS_MAX {
            let problem = format!("must be 1 to {FLEET_ACCOUNTS_MAX}; name some, or a group");
            return Err(invalid("accountIds", problem));
        }
        let accounts = self.0.accounts.postable(tx, actor, &ids).await?;
        let reached: Option<Vec<_>> = accounts.into_iter().collect();
        reached.ok_or(PublishingError::NotFound { field: "accountIds" })
    }

    fn answer(
        &self,
        draft: &FleetDraft,
        fleet: &Fleet,
        (accounts, uploads): (&[Postable], &[Upload]),
        obstacles: Vec<Option<String>>,
    ) -> FleetAnswer {
        let plan = fleet.place();
        let mut missing = vec![0_u32; draft.items.len()];
        let mut places = Vec::new();
        for (content, placement) in fleet.items.iter().zip(&plan.placements) {
            match placement {
                Some(placement) => places.push(FleetPlace {
                    upload: draft.items[*content].upload,
                    account: accounts[placement.account].account.id,
                    planned_at: placement.at,
                }),
                None => missing[*content] += 1,
            }
        }
        places.sort_by_key(|place| (place.planned_at, place.account));
        let why = |content: usize| {
            let on = fleet.contents[content].len();
            let unfit = || {
                let mut platforms = accounts.iter().map(|account| account.account.platform.as_str());
                platforms.find_map(|platform| self.unfit(&uploads[content], platform))
            };
            if on == 0 {
                let nowhere = || "nothing can be posted on any of the accounts".to_owned();
                unfit().map_or_else(nowhere, |what| format!("it is {what}"))
            } else if usize::try_from(draft.items[content].count).is_ok_and(|count| count > on) {
                format!("only {on} of the accounts may take it, once each")
            } else {
                "the accounts' places in the window are taken".to_owned()
            }
        };
        let unplaced = missing.iter().enumerate().filter(|(_, count)| **count > 0);
        let unplaced = unplaced
            .map(|(content, count)| {
                (FleetItem { upload: draft.items[content].upload, count: *count }, why(content))
            })
            .collect();
        // As many as the window has where nothing is planned and nothing counted, and no more than are asked for.
        let span = fleet.until - fleet.from - TimeDelta::microseconds(1);
        let most = span.num_seconds() / fleet.spacing.num_seconds().max(1) + 1;
        let most = most.min(i64::try_from(fleet.items.len()).unwrap_or(i64::MAX));
        let room = |(((account, obstacle), places), own): (
            ((&Postable, Option<String>), &usize),
            &FleetAccount,
        )| {
            let ends = account.consent_ends_at.filter(|ends_at| *ends_at < draft.until);
            let shortened = ends.map(|ends_at| format!("its consent ends at {ends_at}; link it again"));
            let places = if obstacle.is_some() { 0 } else { u32::try_from(*places).unwrap_or(u32::MAX) };
            let fewer = || {
                (i64::from(places) < most).then(|| {
                    format!(
                        "its platform takes {} posts of it a day, and {} are planned or were posted in the window or \
                         close to it",
                        own.per_day,
                        own.taken.len() + usize::try_from(own.more_today).unwrap_or_default()
                    )
                })
            };
            FleetRoom { account: account.account.id, places, reason: obstacle.or(shortened).or_else(fewer) }
        };
        let rooms = accounts.iter().zip(obstacles).zip(&plan.places).zip(&fleet.accounts).map(room).collect();
        FleetAnswer { places, unplaced, rooms }
    }
}
