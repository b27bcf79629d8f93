//! One piece of content is meant for many accounts.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::{NoteKind, PublishingEvent, PublishingFact},
        model::{AHEAD_MAX_DAYS, ITEMS_MAX, Plan, PlanDraft, Post, SlotDraft, SlotList},
        ports::PublishingTx,
    },
    Publishing,
    checks::Days,
};
use crate::{
    accounts::Postable,
    content::model::{Upload, UploadState},
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, PlanId, PostId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

fn of_item(at: usize, problem: &str) -> PublishingError {
    PublishingError::NotPostable { field: "items", problem: format!("[{at}] {problem}") }
}

impl Publishing {
    /// Plans posts: each waits for somebody to agree. All of them or none.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `NotPostable`, `Port`.
    pub async fn create_plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: PlanDraft,
    ) -> Result<Plan, PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let plan = self.plan_posts(tx, actor, draft).await?;
        tx.record(Record::success(actions::CREATE_PLAN, Party::new("plan", plan.id.uuid()))).await?;
        Ok(plan)
    }

    /// The same without its event.
    pub(super) async fn plan_posts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: PlanDraft,
    ) -> Result<Plan, PublishingError> {
        let now = self.0.clock.now();
        let drafts = draft.drafts(now)?;
        let upload = self.0.content.upload(tx, actor, draft.upload).await?;
        let upload = upload.ok_or(PublishingError::NotFound { field: "uploadId" })?;
        if upload.state != UploadState::Ready {
            let problem = "names a file that can't be used (yet); wait until it is READY".to_owned();
            return Err(PublishingError::NotPostable { field: "uploadId", problem });
        }
        let ids: Vec<_> = draft.items.iter().map(|item| item.account).collect();
        let accounts = self.0.accounts.postable(tx, actor, &ids).await?;
        let accounts: Option<Vec<_>> = accounts.into_iter().collect();
        let accounts = accounts.ok_or(PublishingError::NotFound { field: "items.accountId" })?;
        let times = self.times(tx, &draft, &accounts).await?;
        let plan = self.new_plan(actor, draft.name.trim(), &upload);
        let mut posts = Vec::with_capacity(times.iter().map(Vec::len).sum());
        for (at, (((item, content), account), times)) in
            draft.items.iter().zip(drafts).zip(&accounts).zip(&times).enumerate()
        {
            for (occurrence, planned_at) in (1..).zip(times) {
                self.check(*planned_at, &content, account, &upload)
                    .map_err(|problem| of_item(at, &problem))?;
                let id = PostId::new(&*self.0.ids);
                let mut post = Post::new(id, (plan.id, item.account), content.clone(), *planned_at, now);
                post.occurrence = occurrence;
                post.variables.clone_from(&item.variables);
                post.file = upload.digest;
                posts.push(post);
            }
        }
        self.keep_plan(tx, &plan, posts).await?;
        Ok(plan)
    }

    /// A plan that has no posts yet.
    pub(super) fn new_plan(&self, actor: &Actor, name: &str, upload: &Upload) -> Plan {
        Plan {
            id: PlanId::new(&*self.0.ids),
            name: name.to_owned(),
            upload: upload.id,
            planned_by: actor.member(),
            created_at: self.0.clock.now(),
        }
    }

    /// Stores a new plan and its posts, for somebody to agree to.
    pub(super) async fn keep_plan(
        &self,
        tx: &mut dyn PublishingTx,
        plan: &Plan,
        mut posts: Vec<Post>,
    ) -> Result<(), PublishingError> {
        for post in &mut posts {
            post.submit()?;
        }
        tx.add_plan(plan).await?;
        tx.add_posts(&posts).await?;
        for post in &posts {
            tx.add_note(post, NoteKind::Planned, None, plan.created_at).await?;
        }
        let fact = PublishingFact::PlanCreated(plan.id);
        PublishingTx::announce(tx, PublishingEvent { fact, at: plan.created_at });
        Ok(())
    }

    /// When each item is posted: once at its own time, or at the slots its account gets. No day has more than it may.
    async fn times(
        &self,
        tx: &mut dyn PublishingTx,
        draft: &PlanDraft,
        accounts: &[Postable],
    ) -> Result<Vec<Vec<Timestamp>>, PublishingError> {
        if let Some(slots) = draft.slots {
            let wanted: Vec<_> = draft.items.iter().map(|item| (item.account, None)).collect();
            let mut days = self.days_of_slots(tx, accounts, slots).await?;
            return self.free_slots(tx, slots, &wanted, &mut days).await;
        }
        let planned: Vec<_> = draft.items.iter().filter_map(|item| item.planned_at).collect();
        let (Some(first), Some(last)) = (planned.iter().min(), planned.iter().max()) else {
            return Ok(Vec::new());
        };
        let mut days = self.days(tx, accounts, (*first, *last), true).await?;
        for (at, (item, planned_at)) in draft.items.iter().zip(&planned).enumerate() {
            days.add(item.account, *planned_at).map_err(|problem| of_item(at, &problem))?;
        }
        Ok(planned.into_iter().map(|at| vec![at]).collect())
    }

    /// What accounts have on the days that slots may be on.
    pub(super) async fn days_of_slots(
        &self,
        tx: &mut dyn PublishingTx,
        accounts: &[Postable],
        slots: SlotDraft,
    ) -> Result<Days, PublishingError> {
        let now = self.0.clock.now();
        let most = now + TimeDelta::days(AHEAD_MAX_DAYS);
        let until = slots.until.map_or(most, |until| until.clamp(now, most));
        self.days(tx, accounts, (slots.from.unwrap_or(now).clamp(now, most), until), true).await
    }

    /// The free slots of accounts, in their order: so many of each, or as many as the slots are wanted for.
    pub(super) async fn free_slots(
        &self,
        tx: &mut dyn PublishingTx,
        slots: SlotDraft,
        wanted: &[(AccountId, Option<usize>)],
        days: &mut Days,
    ) -> Result<Vec<Vec<Timestamp>>, PublishingError> {
        let now = self.0.clock.now();
        let from = slots.from.unwrap_or(now).max(now);
        let timetable = tx.timetable(slots.timetable).await?;
        let timetable = timetable.ok_or(PublishingError::NotFound { field: "slots.timetableId" })?;
        let instants = timetable.draft.slots()?;
        let span = (from, now + TimeDelta::days(AHEAD_MAX_DAYS));
        let mut list = SlotList::new(&instants, slots, span);
        // An end in time is a bound; without one, a number is what is meant.
        let least = slots.occurrences.filter(|_| slots.until.is_none()).unwrap_or(1);
        let least = usize::try_from(least).unwrap_or(usize::MAX);
        let (mut times, mut count, mut short) = (Vec::with_capacity(wanted.len()), 0, 0);
        for (account, occurrences) in wanted {
            let found = list.take(*occurrences, ITEMS_MAX + 1, |slot| days.take(*account, slot));
            short += usize::from(found.len() < occurrences.unwrap_or(least));
            count += found.len();
            if count > ITEMS_MAX {
                let problem =
                    format!("come to more than {ITEMS_MAX} posts; end them earlier, or split the plan");
                return Err(PublishingError::Invalid { field: "slots", problem });
            }
            times.push(found);
        }
        if short > 0 {
            let problem = format!(
                "leave fewer free ones than are wanted for {short} of {} accounts; make the span longer (at most \
                 {AHEAD_MAX_DAYS} days ahead)",
                wanted.len()
            );
            return Err(PublishingError::NotPostable { field: "slots", problem });
        }
        Ok(times)
    }

    /// All posts of a plan that the actor reaches, their accounts' turns locked in one order and the posts then.
    pub(super) async fn posts_of_plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
    ) -> Result<Vec<Post>, PublishingError> {
        let absent = || PublishingError::NotFound { field: "id" };
        tx.plan(id).await?.ok_or_else(absent)?;
        let posts = tx.posts_of_plan(id, false).await?;
        let reached = self.0.accounts.reached(tx, actor, None).await?;
        if reached.is_some_and(|reached| posts.iter().any(|post| !reached.contains(&post.account))) {
            return Err(absent());
        }
        tx.wake_accounts(&posts.iter().map(|post| (post.account, None)).collect()).await?;
        Ok(tx.posts_of_plan(id, true).await?)
    }

    /// Stores posts of a plan that a command changed, with a note each.
    pub(super) async fn keep_all(
        &self,
        tx: &mut dyn PublishingTx,
        posts: &[(Post, NoteKind, Option<String>)],
    ) -> Result<(), PublishingError> {
        let mut due = BTreeMap::new();
        for (post, kind, detail) in posts {
            let post = Self::updated(tx, post).await?;
            self.note(tx, &post, *kind, detail.clone()).await?;
            let next: &mut Option<Timestamp> = due.entry(post.account).or_default();
            *next = next.iter().copied().chain(post.next_at()).min();
        }
        Ok(tx.wake_accounts(&due).await?)
    }
}
