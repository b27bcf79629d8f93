//! One piece of content is meant for many accounts.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::{NoteKind, PublishingEvent, PublishingFact},
        model::{ItemDraft, Plan, PlanDraft, Post, PostDraft},
        ports::PublishingTx,
    },
    Publishing,
};
use crate::{
    accounts::{
        Postable,
        model::{Obstacle, Way},
    },
    content::model::{Probed, Severity, Upload, UploadState},
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{AccountId, PlanId, PostId},
        outbox::{Party, Record},
    },
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
        for (at, ((item, post), account)) in draft.items.iter().zip(&drafts).zip(&accounts).enumerate() {
            let account = account.as_ref().ok_or(PublishingError::NotFound { field: "items.accountId" })?;
            self.check(item.planned_at, post, account, &upload).map_err(|problem| {
                PublishingError::NotPostable { field: "items", problem: format!("[{at}] {problem}") }
            })?;
        }
        self.check_quotas(tx, &draft.items, &accounts).await?;
        let plan = Plan {
            id: PlanId::new(&*self.0.ids),
            name: draft.name.trim().to_owned(),
            upload: draft.upload,
            planned_by: actor.member(),
            created_at: now,
        };
        tx.add_plan(&plan).await?;
        let mut posts = Vec::with_capacity(drafts.len());
        for (item, content) in draft.items.iter().zip(drafts) {
            let id = PostId::new(&*self.0.ids);
            let mut post = Post::new(id, (plan.id, item.account), content, item.planned_at, now);
            post.submit()?;
            posts.push(post);
        }
        tx.add_posts(&posts).await?;
        for post in &posts {
            tx.add_note(post, NoteKind::Planned, None, now).await?;
        }
        let event = PublishingEvent { fact: PublishingFact::PlanCreated(plan.id), at: now };
        PublishingTx::announce(tx, event);
        tx.record(Record::success(actions::CREATE_PLAN, Party::new("plan", plan.id.uuid()))).await?;
        Ok(plan)
    }

    /// Whether each account may have one post more on its day, with all that are planned already.
    async fn check_quotas(
        &self,
        tx: &mut dyn PublishingTx,
        items: &[ItemDraft],
        accounts: &[Option<Postable>],
    ) -> Result<(), PublishingError> {
        let now = self.0.clock.now();
        // What is planned in the past is posted now.
        let time = |item: &ItemDraft| item.planned_at.max(now);
        let (Some(first), Some(last)) = (items.iter().map(time).min(), items.iter().map(time).max()) else {
            return Ok(());
        };
        let ids: Vec<_> = items.iter().map(|item| item.account).collect();
        let day = TimeDelta::days(1);
        let planned = tx.planned_times(&ids, first - day, last + day).await?;
        for (at, (item, account)) in items.iter().zip(accounts).enumerate() {
            let Some(account) = account else { continue };
            let platform = account.account.platform.as_str();
            let Some(rules) = self.0.publishers.get(platform).map(|publisher| publisher.rules()) else {
                continue;
            };
            let day = |time: Timestamp| (time + rules.day_ahead).date_naive();
            let same = |(other, time): &&(AccountId, Timestamp)| {
                *other == item.account && day(*time) == day(item.planned_at.max(now))
            };
            let count = u32::try_from(planned.iter().filter(same).count()).unwrap_or(u32::MAX);
            if count >= rules.posts_per_day {
                let problem = format!(
                    "[{at}] is of an account that has {count} posts on that day; {platform} takes {} of one account and \
                     app, so plan it on another day",
                    rules.posts_per_day
                );
                return Err(PublishingError::NotPostable { field: "items", problem });
            }
        }
        Ok(())
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
        let publisher = self.0.publishers.get(platform).ok_or_else(|| told(&Obstacle::Unsupported))?;
        if let Some(ends_at) = account.consent_ends_at
            && planned_at >= ends_at
        {
            return Err(format!(
                "is planned past the end of its account's consent, {ends_at}; link it again"
            ));
        }
        let (chars, most) = (post.caption.chars().count(), publisher.rules().caption_max_chars);
        if chars > most {
            return Err(format!("has a caption of {chars} characters; {platform} takes {most}"));
        }
        if let (Some(at_ms), Some(Probed::Media(media))) = (post.cover_at_ms, &upload.probed)
            && at_ms > media.duration_ms
        {
            return Err(format!("has its cover at {at_ms} ms; the video ends at {} ms", media.duration_ms));
        }
        let findings = self.0.content.preflight(upload, platform).unwrap_or_default();
        match findings.into_iter().find(|finding| finding.severity == Severity::Blocking) {
            Some(finding) => Err(format!("has a file that {platform} will refuse: {:?}", finding.code)),
            None => Ok(()),
        }
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
            tx.update_post(post).await?;
            self.note(tx, post, *kind, detail.clone()).await?;
            due.insert(post.account, post.next_at());
        }
        Ok(tx.wake_accounts(&due).await?)
    }
}
