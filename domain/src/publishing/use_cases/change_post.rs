//! A post is changed, given up, tried again, or told what became of it.

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{PostFault, PostOp, Resolution, Visibility, in_range},
        ports::PublishingTx,
    },
    Publishing,
};
use crate::{
    kernel::{
        actor::Actor,
        clock::Timestamp,
        ids::{PlanId, PostId, UploadId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

/// Longest name that a platform gives a post, in bytes.
const ITEM_MAX: usize = 256;

/// What is changed of a post; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostChange {
    /// Another file.
    pub upload: Option<UploadId>,
    /// Its text.
    pub caption: Option<String>,
    /// When it is to be there.
    pub planned_at: Option<Timestamp>,
    /// Which instant of the video is its cover, in milliseconds; `Some(None)` leaves it to the platform.
    pub cover_at_ms: Option<Option<u64>>,
    /// Who may see it.
    pub visibility: Option<Visibility>,
}

impl Publishing {
    /// Changes a post that is not under way. Somebody must agree to it anew.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `NotPostable`, `Fault`, `Port`.
    pub async fn change_post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
        change: PostChange,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Change.needs())?;
        let mut post = self.post_reached(tx, actor, id).await?;
        let mut draft = post.draft.clone();
        draft.upload = change.upload.unwrap_or(draft.upload);
        draft.caption = change.caption.unwrap_or(draft.caption);
        draft.cover_at_ms = change.cover_at_ms.unwrap_or(draft.cover_at_ms);
        draft.visibility = change.visibility.unwrap_or(draft.visibility);
        let planned_at = change.planned_at.unwrap_or(post.planned_at);
        if planned_at != post.planned_at {
            let out = |problem| PublishingError::Invalid { field: "plannedAt", problem };
            in_range(planned_at, self.0.clock.now()).map_err(out)?;
        }
        if draft.caption.contains('\0') {
            let problem = "has a character that no text has".to_owned();
            return Err(PublishingError::Invalid { field: "caption", problem });
        }
        // What can't be changed is said before what could not be posted.
        let was = post.planned_at;
        post.change(draft, planned_at)?;
        let account = self.0.accounts.postable(tx, actor, &[post.account]).await?.pop().flatten();
        let account = account.ok_or(PublishingError::NotFound { field: "id" })?;
        let upload = self.0.content.upload(tx, actor, post.draft.upload).await?;
        let upload = upload.ok_or(PublishingError::NotFound { field: "uploadId" })?;
        post.file = upload.digest;
        let unfit = |problem| PublishingError::NotPostable { field: "id", problem };
        self.check(planned_at, &post.draft, &account, &upload).map_err(unfit)?;
        if planned_at != was {
            let mut days = self.days(tx, &[account], (planned_at, planned_at), true).await?;
            days.remove(post.account, was);
            let full = |problem| PublishingError::NotPostable { field: "plannedAt", problem };
            days.add(post.account, planned_at).map_err(full)?;
        }
        self.keep(tx, &post, NoteKind::Changed, None).await?;
        Self::done(tx, actions::CHANGE_POST, id).await
    }

    /// Gives a post up that the platform was not asked for yet.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault`, `Port`.
    pub async fn cancel_post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Cancel.needs())?;
        let mut post = self.post_reached(tx, actor, id).await?;
        post.cancel()?;
        self.keep(tx, &post, NoteKind::Cancelled, None).await?;
        Self::done(tx, actions::CANCEL_POST, id).await
    }

    /// Gives up every post of a plan that the platform was not asked for yet.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault` when there is none, `Port`.
    pub async fn cancel_plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Cancel.needs())?;
        let mut posts = self.posts_of_plan(tx, actor, id).await?;
        posts.retain(|post| post.allows(PostOp::Cancel));
        if posts.is_empty() {
            return Err(PostFault::NotNow.into());
        }
        let mut cancelled = Vec::with_capacity(posts.len());
        for mut post in posts {
            post.cancel()?;
            cancelled.push((post, NoteKind::Cancelled, None));
        }
        self.keep_all(tx, &cancelled).await?;
        tx.record(Record::success(actions::CANCEL_PLAN, Party::new("plan", id.uuid()))).await?;
        Ok(())
    }

    /// Tries a post that failed again. What may be on the platform is not tried again: it is found out.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault`, `Port`.
    pub async fn retry_post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Retry.needs())?;
        let mut post = self.post_reached(tx, actor, id).await?;
        post.retry(self.0.clock.now())?;
        self.keep(tx, &post, NoteKind::Retried, None).await?;
        Self::done(tx, actions::RETRY_POST, id).await
    }

    /// Takes somebody's word for what became of a post, who has looked on the platform.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault`, `Port`.
    pub async fn resolve_post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
        resolution: Resolution,
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Resolve.needs())?;
        let mut post = self.post_reached(tx, actor, id).await?;
        if let Resolution::Is(item) = &resolution {
            let is_name = !item.trim().is_empty() && item.len() <= ITEM_MAX && !item.contains('\0');
            let known = tx.known_items(post.account, std::slice::from_ref(item), id).await?;
            if !is_name || !known.is_empty() {
                let problem = "must be the platform's name of a post that is no other post's".to_owned();
                return Err(PublishingError::Invalid { field: "item", problem });
            }
        }
        let word = match &resolution {
            Resolution::Is(item) => format!("it is {item}"),
            Resolution::PostAgain => "it is not there; it is posted again".to_owned(),
            Resolution::GiveUp => "it is not there; it is given up".to_owned(),
        };
        post.resolve(resolution, self.0.settle, self.0.clock.now())?;
        self.keep(tx, &post, NoteKind::Resolved, Some(word)).await?;
        Self::done(tx, actions::RESOLVE_POST, id).await
    }
}
