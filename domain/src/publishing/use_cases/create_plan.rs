//! One piece of content is meant for many accounts.

use std::collections::BTreeSet;

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
    content::model::{Severity, Upload, UploadState},
    kernel::{
        actor::{Actor, Permission},
        ids::{AccountId, PlanId, PostId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

fn of_item(at: usize, problem: impl std::fmt::Display) -> PublishingError {
    PublishingError::NotPostable { field: "items", problem: format!("[{at}] {problem}") }
}

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
            self.check_item(at, item, post, account, &upload)?;
        }
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

    fn check_item(
        &self,
        at: usize,
        item: &ItemDraft,
        post: &PostDraft,
        account: &Postable,
        upload: &Upload,
    ) -> Result<(), PublishingError> {
        let platform = account.account.platform.as_str();
        let publisher = self.0.publishers.get(platform);
        let video = account.video.as_ref().filter(|video| video.way == Way::Server);
        let (Some(publisher), Some(_)) = (publisher, video) else {
            let obstacle = account.video.as_ref().map_or(&Obstacle::Unsupported, |video| &video.obstacle);
            return Err(of_item(at, told(obstacle)));
        };
        if let Some(ends_at) = account.consent_ends_at
            && item.planned_at >= ends_at
        {
            let problem =
                format!("is planned past the end of its account's consent, {ends_at}; link it again");
            return Err(of_item(at, problem));
        }
        let (chars, most) = (post.caption.chars().count(), publisher.rules().caption_max_chars);
        if chars > most {
            return Err(of_item(at, format!("has a caption of {chars} characters; {platform} takes {most}")));
        }
        let findings = self.0.content.preflight(upload, platform).unwrap_or_default();
        match findings.into_iter().find(|finding| finding.severity == Severity::Blocking) {
            Some(finding) => {
                let problem = format!("has a file that {platform} will refuse: {:?}", finding.code);
                Err(of_item(at, problem))
            }
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
        tx.plan(id).await?.ok_or(PublishingError::NotFound { field: "id" })?;
        let posts = self.all_of_plan(tx, id).await?;
        let accounts: BTreeSet<AccountId> = posts.iter().map(|post| post.account).collect();
        for account in &accounts {
            if !self.0.accounts.reaches(tx, actor, *account).await? {
                return Err(PublishingError::NotFound { field: "id" });
            }
        }
        for account in accounts {
            tx.wake_account(account, None).await?;
        }
        let mut locked = Vec::with_capacity(posts.len());
        for post in posts {
            locked.extend(tx.lock_post(post.id).await?);
        }
        Ok(locked)
    }
}
