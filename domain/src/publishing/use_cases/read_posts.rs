//! What is known of plans and posts.

use std::collections::HashMap;

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    super::{
        actions,
        events::PostNote,
        model::{Plan, Post, PostStatus},
        ports::{
            FigureQuery, FigureReading, FigureTotal, Foreseen, Lateness, PostLists, PostQuery, PostReceipt,
            PostWarning, Prospect, PublishingTx,
        },
    },
    Publishing,
};
use crate::{
    kernel::{
        actor::{Actor, Permission},
        ids::{AccountId, GroupId, PlanId, PostId},
        outbox::{Party, Record},
        page::{Page, PageRequest},
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

/// Whose figures are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FigureFilter {
    /// Only those of posts of accounts of this group and below.
    pub group: Option<GroupId>,
    /// Only those of posts of this account.
    pub account: Option<AccountId>,
    /// Only those of posts of this plan.
    pub plan: Option<PlanId>,
    /// Only those of this post.
    pub post: Option<PostId>,
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
        let mut accounts = self.0.accounts.reached(tx, actor, None).await?;
        if let Some(account) = filter.account {
            let reached = accounts.is_none_or(|all| all.contains(&account));
            accounts = Some(reached.then_some(account).into_iter().collect());
        }
        let query = PostQuery { accounts, plan: filter.plan, status: filter.status };
        Ok(tx.posts(&query, page).await?)
    }

    /// For each of these accounts that the actor reaches the same part of its posts, by the time they are planned for. One
    /// without is absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn posts_of_accounts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        accounts: &[AccountId],
        page: PageRequest,
    ) -> Result<HashMap<Uuid, Page<Post>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let reached = self.0.accounts.reached(tx, actor, None).await?;
        let is_reached = |id: &AccountId| reached.as_ref().is_none_or(|all| all.contains(id));
        let accounts = accounts.iter().copied().filter(is_reached).collect();
        Ok(tx.post_lists(&PostLists::OfAccounts(accounts), page).await?)
    }

    /// For each of these plans the same part of its posts that the actor reaches, by the time they are planned for. One
    /// without is absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn posts_of_plans(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        plans: &[PlanId],
        page: PageRequest,
    ) -> Result<HashMap<Uuid, Page<Post>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let reached = self.0.accounts.reached(tx, actor, None).await?;
        Ok(tx.post_lists(&PostLists::OfPlans(plans.to_vec(), reached), page).await?)
    }

    /// The timelines of posts that were read before, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn notes(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, Vec<PostNote>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.notes(posts).await?)
    }

    /// Who agreed to posts that were read before, and to what, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn receipts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, Vec<PostReceipt>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.receipts(posts).await?)
    }

    /// What speaks against posts that were read before. What nothing speaks against is absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn warnings(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, Vec<PostWarning>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let accounts = self.0.accounts.reached(tx, actor, None).await?;
        Ok(tx.warnings(posts, accounts).await?)
    }

    /// What would speak against posts, by their places in the list. What nothing would is absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub(super) async fn foresee(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[Prospect],
    ) -> Result<HashMap<usize, Vec<Foreseen>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        if posts.is_empty() {
            return Ok(HashMap::new());
        }
        let accounts = self.0.accounts.reached(tx, actor, None).await?;
        Ok(tx.foresee(posts, accounts).await?)
    }

    /// What agrees to plans that were read before: the digest of each one's posts that wait for it. One of which none does
    /// is absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn plan_digests(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        plans: &[PlanId],
    ) -> Result<HashMap<PlanId, [u8; 32]>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let mut waiting: HashMap<PlanId, Vec<Post>> = HashMap::new();
        for post in tx.awaiting_posts(plans).await? {
            waiting.entry(post.plan).or_default().push(post);
        }
        Ok(waiting.into_iter().map(|(plan, posts)| (plan, Plan::digest(&posts))).collect())
    }

    /// The newest figures of posts that were read before. Of which none were read are absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn newest_figures(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, FigureReading>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.newest_figures(posts).await?)
    }

    /// How the figures of posts moved that were read before, newest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn figures_of(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        posts: &[PostId],
        most: u32,
    ) -> Result<HashMap<PostId, Vec<FigureReading>>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.figures_of(posts, most).await?)
    }

    /// Figures of all posts the actor reaches, together.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn total_figures(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        filter: FigureFilter,
    ) -> Result<FigureTotal, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let mut accounts = self.0.accounts.reached(tx, actor, filter.group).await?;
        if let Some(account) = filter.account {
            let reached = accounts.is_none_or(|all| all.contains(&account));
            accounts = Some(reached.then_some(account).into_iter().collect());
        }
        let query = FigureQuery { accounts, plan: filter.plan, post: filter.post };
        Ok(tx.total_figures(&query).await?)
    }

    /// Leaves the event of posts being taken away as a file, before they are.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn export_posts(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
    ) -> Result<(), PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let target = Party { kind: "posts", id: None };
        Ok(tx.record(Record::success(actions::EXPORT_POSTS, target)).await?)
    }

    /// How late the platform took the posts the actor reaches of the last `days`.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn lateness(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        days: u32,
    ) -> Result<Lateness, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        let accounts = self.0.accounts.reached(tx, actor, None).await?;
        Ok(tx.lateness(accounts, self.0.clock.now() - TimeDelta::days(days.into())).await?)
    }
}
