//! Something is changed of all posts of a plan at once.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{ITEMS_MAX, Post, PostFault, PostOp, SlotDraft, Visibility, filled, in_range},
        ports::PublishingTx,
    },
    Publishing,
    checks::Days,
};
use crate::{
    accounts::Postable,
    kernel::{
        actor::Actor,
        clock::Timestamp,
        ids::{AccountId, PlanId},
        outbox::{Party, Record},
    },
    publishing::{PublishingError, error::invalid},
};

/// Furthest that posts are moved at once, in minutes.
const SHIFT_MAX_MINUTES: i64 = 366 * 24 * 60;

/// What is changed of a plan's posts; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// The text, with the variables that each post has.
    pub caption: Option<String>,
    /// Which instant of the video is its cover, in milliseconds.
    pub cover_at_ms: Option<u64>,
    /// Who may see it.
    pub visibility: Option<Visibility>,
    /// How many minutes later, or earlier when it is negative.
    pub shift_minutes: Option<i64>,
    /// Other slots: each account's posts get as many as there are posts, in their order.
    pub slots: Option<SlotDraft>,
}

impl PlanChange {
    fn check(&self) -> Result<(), PublishingError> {
        if *self == Self::default() {
            return Err(invalid("id", "is all there is; say what to change"));
        }
        if self.shift_minutes.is_some_and(|minutes| minutes == 0 || minutes.abs() > SHIFT_MAX_MINUTES) {
            return Err(invalid("shiftMinutes", format!("must be 1 to {SHIFT_MAX_MINUTES}, either way")));
        }
        if self.shift_minutes.is_some() && self.slots.is_some() {
            return Err(invalid("slots", "can't be given along with shiftMinutes; give one of the two"));
        }
        if self.slots.is_some_and(|slots| slots.occurrences.is_some()) {
            return Err(invalid("slots.occurrences", "can't be given: there are as many as there are posts"));
        }
        if self.caption.as_ref().is_some_and(|caption| caption.contains('\0')) {
            return Err(invalid("caption", "has a character that no text has"));
        }
        self.slots.map_or(Ok(()), |slots| slots.check(ITEMS_MAX))
    }
}

impl Publishing {
    /// Changes every post of a plan that is not under way. Somebody must agree to them anew. All of them are changed, or
    /// none.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `NotPostable`, `Fault` when there is none, `Port`.
    pub async fn change_plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
        change: PlanChange,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Change.needs())?;
        let mut posts = self.posts_of_plan(tx, actor, id).await?;
        change.check()?;
        posts.retain(|post| post.allows(PostOp::Change));
        if posts.is_empty() {
            return Err(PostFault::NotNow.into());
        }
        posts.sort_by_key(|post| (post.account, post.planned_at, post.id));
        let accounts = self.accounts_by_id(tx, actor, posts.iter().map(|post| post.account)).await?;
        let uploads = self.uploads_by_id(tx, actor, posts.iter().map(|post| post.draft.upload)).await?;
        let times = self.moved(tx, &posts, &accounts, &change).await?;
        let mut changed = Vec::with_capacity(posts.len());
        for (at, (mut post, planned_at)) in posts.into_iter().zip(times).enumerate() {
            let unfit = |problem: String| PublishingError::NotPostable {
                field: "id",
                problem: format!("names posts of which the one numbered {at} {problem}"),
            };
            let mut draft = post.draft.clone();
            if let Some(template) = &change.caption {
                draft.caption = filled(template, &post.variables).map_err(unfit)?;
            }
            draft.cover_at_ms = change.cover_at_ms.or(draft.cover_at_ms);
            draft.visibility = change.visibility.unwrap_or(draft.visibility);
            if draft == post.draft && planned_at == post.planned_at {
                continue;
            }
            let found = accounts.get(&post.account).zip(uploads.get(&draft.upload));
            let (account, upload) = found.ok_or(PublishingError::NotFound { field: "id" })?;
            self.check(planned_at, &draft, account, upload).map_err(unfit)?;
            post.change(draft, planned_at)?;
            changed.push((post, NoteKind::Changed, None));
        }
        self.keep_all(tx, &changed).await?;
        Ok(tx.record(Record::success(actions::CHANGE_PLAN, Party::new("plan", id.uuid()))).await?)
    }

    /// When each of these posts is planned for from now on. No day has more than it may.
    async fn moved(
        &self,
        tx: &mut dyn PublishingTx,
        posts: &[Post],
        accounts: &BTreeMap<AccountId, Postable>,
        change: &PlanChange,
    ) -> Result<Vec<Timestamp>, PublishingError> {
        let all: Vec<_> = accounts.values().cloned().collect();
        if let Some(slots) = change.slots {
            let mut days = self.days_of_slots(tx, &all, slots).await?;
            leave(&mut days, posts);
            let mut counts: BTreeMap<AccountId, usize> = BTreeMap::new();
            for post in posts {
                *counts.entry(post.account).or_default() += 1;
            }
            let wanted: Vec<_> = counts.iter().map(|(account, count)| (*account, Some(*count))).collect();
            let found = self.free_slots(tx, slots, &wanted, &mut days).await?;
            return Ok(found.into_iter().flatten().collect());
        }
        let Some(minutes) = change.shift_minutes else {
            return Ok(posts.iter().map(|post| post.planned_at).collect());
        };
        let now = self.0.clock.now();
        let times: Vec<_> = posts.iter().map(|post| post.planned_at + TimeDelta::minutes(minutes)).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(times);
        };
        let mut days = self.days(tx, &all, (*first, *last), true).await?;
        leave(&mut days, posts);
        for (post, at) in posts.iter().zip(&times) {
            let out = |problem| invalid("shiftMinutes", format!("moves a post to where it {problem}"));
            in_range(*at, now).map_err(out)?;
            let full = |problem| PublishingError::NotPostable {
                field: "shiftMinutes",
                problem: format!("moves a post that {problem}"),
            };
            days.add(post.account, *at).map_err(full)?;
        }
        Ok(times)
    }
}

/// What is moved is not in its own way.
fn leave(days: &mut Days, posts: &[Post]) {
    for post in posts {
        days.remove(post.account, post.planned_at);
    }
}
