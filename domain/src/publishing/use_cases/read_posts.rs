//! What is known of plans and posts.

use super::{
    super::{
        events::PostNote,
        model::{Plan, Post, PostStatus},
        ports::{PostQuery, PublishingTx},
    },
    Publishing,
};
use crate::{
    kernel::{
        actor::{Actor, Permission},
        ids::{AccountId, PlanId, PostId},
        page::{Direction, Key, Page, PageRequest},
    },
    publishing::PublishingError,
};

/// Which posts are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostFilter {
    /// Only those of this account.
    pub account: Option<AccountId>,
    /// Only those of this plan.
    pub plan: Option<PlanId>,
    /// Only those that stand so.
    pub status: Option<PostStatus>,
}

impl Publishing {
    /// A plan; `None` when this tenant has none of this id.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
    ) -> Result<Option<Plan>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.plan(id).await?)
    }

    /// Plans, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn plans(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Plan>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.plans(page).await?)
    }

    /// A post; `None` when this tenant has none of this id, or the actor does not reach its account.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
    ) -> Result<Option<Post>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let Some(post) = tx.post(id).await? else { return Ok(None) };
        let reached = self.0.accounts.reaches(tx, actor, post.account).await?;
        Ok(reached.then_some(post))
    }

    /// Posts the actor reaches, by the time they are planned for.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn posts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        filter: PostFilter,
        page: PageRequest,
    ) -> Result<Page<Post>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let mut accounts = self.0.accounts.reached(tx, actor).await?;
        if let Some(account) = filter.account {
            let reached = accounts.is_none_or(|all| all.contains(&account));
            accounts = Some(reached.then_some(account).into_iter().collect());
        }
        let query = PostQuery { accounts, plan: filter.plan, status: filter.status };
        Ok(tx.posts(&query, page).await?)
    }

    /// The timeline of a post that was read before, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn notes(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
    ) -> Result<Vec<PostNote>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.notes(id).await?)
    }

    /// What agrees to a plan that was read before: the digest of its posts that wait for it; `None` when none does.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn plan_digest(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
    ) -> Result<Option<[u8; 32]>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let posts = self.all_of_plan(tx, id).await?;
        let waiting: Vec<_> =
            posts.into_iter().filter(|post| post.state.status() == PostStatus::AwaitingApproval).collect();
        Ok((!waiting.is_empty()).then(|| Plan::digest(&waiting)))
    }

    /// Every post of a plan, by the time they are planned for.
    pub(super) async fn all_of_plan(
        &self,
        tx: &mut dyn PublishingTx,
        id: PlanId,
    ) -> Result<Vec<Post>, PublishingError> {
        let query = PostQuery { plan: Some(id), ..PostQuery::default() };
        let (mut posts, mut from) = (Vec::new(), None);
        loop {
            let page = PageRequest { limit: 100, from, direction: Direction::Forward };
            let page = tx.posts(&query, page).await?;
            from = page.items.last().map(|last| Key { at: last.planned_at, id: last.id.uuid() });
            posts.extend(page.items);
            if !page.more {
                return Ok(posts);
            }
        }
    }
}
