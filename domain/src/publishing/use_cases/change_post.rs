//! A post is changed, given up, tried again, or told what became of it.

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{Post, PostFault, PostOp, Resolution, Visibility},
        ports::PublishingTx,
    },
    Publishing,
};
use crate::{
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::{PlanId, PostId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

/// What is changed of a post; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostChange {
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
        actor.require(Permission::ManagePosts)?;
        let mut post = self.post_reached(tx, actor, id).await?;
        let mut draft = post.draft.clone();
        if let Some(caption) = change.caption {
            self.check_caption(tx, actor, &post, &caption).await?;
            draft.caption = caption;
        }
        draft.cover_at_ms = change.cover_at_ms.unwrap_or(draft.cover_at_ms);
        draft.visibility = change.visibility.unwrap_or(draft.visibility);
        let planned_at = change.planned_at.unwrap_or(post.planned_at);
        post.change(draft, planned_at)?;
        self.keep(tx, &post, NoteKind::Changed, None).await?;
        Self::done(tx, actions::CHANGE_POST, id).await
    }

    async fn check_caption(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        post: &Post,
        caption: &str,
    ) -> Result<(), PublishingError> {
        let account = self.0.accounts.postable(tx, actor, &[post.account]).await?.pop().flatten();
        let publisher =
            account.and_then(|account| self.0.publishers.get(account.account.platform.as_str()).cloned());
        let most = publisher.map_or(usize::MAX, |publisher| publisher.rules().caption_max_chars);
        if caption.chars().count() > most || caption.contains('\0') {
            let problem = format!("must be a text of at most {most} characters");
            return Err(PublishingError::NotPostable { field: "caption", problem });
        }
        Ok(())
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
        actor.require(Permission::ManagePosts)?;
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
        actor.require(Permission::ManagePosts)?;
        let mut posts = self.posts_of_plan(tx, actor, id).await?;
        posts.retain(|post| post.allows(PostOp::Cancel));
        if posts.is_empty() {
            return Err(PostFault::NotNow.into());
        }
        for mut post in posts {
            post.cancel()?;
            self.keep(tx, &post, NoteKind::Cancelled, None).await?;
        }
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
        actor.require(Permission::ManagePosts)?;
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
        actor.require(Permission::ApprovePosts)?;
        let mut post = self.post_reached(tx, actor, id).await?;
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
