//! Somebody agrees to exactly what will be posted.

use super::{
    super::{
        actions,
        events::NoteKind,
        model::{Plan, PostFault, PostOp},
        ports::PublishingTx,
    },
    Publishing,
};
use crate::{
    kernel::{
        actor::Actor,
        ids::{PlanId, PostId},
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

fn digits(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

impl Publishing {
    /// Agrees to a post that has this digest. From its time on it is posted.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault`, `Port`.
    pub async fn approve_post(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
        digest: &[u8; 32],
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Approve.needs())?;
        let mut post = self.post_reached(tx, actor, id).await?;
        let now = self.0.clock.now();
        post.approve(digest, now)?;
        tx.add_receipts(&[&post], now).await?;
        self.keep(tx, &post, NoteKind::Approved, Some(digits(digest))).await?;
        Self::done(tx, actions::APPROVE_POST, id).await
    }

    /// Agrees to all posts of a plan that wait for it, which together have this digest.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Fault`, `Port`.
    pub async fn approve_plan(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PlanId,
        digest: &[u8; 32],
    ) -> Result<(), PublishingError> {
        actor.require(PostOp::Approve.needs())?;
        let mut posts = self.posts_of_plan(tx, actor, id).await?;
        posts.retain(|post| post.allows(PostOp::Approve));
        if posts.is_empty() {
            return Err(PostFault::NotNow.into());
        }
        if Plan::digest(&posts) != *digest {
            return Err(PostFault::Changed.into());
        }
        let now = self.0.clock.now();
        let mut approved = Vec::with_capacity(posts.len());
        for mut post in posts {
            let own = post.digest();
            post.approve(&own, now)?;
            approved.push((post, NoteKind::Approved, Some(digits(&own))));
        }
        tx.add_receipts(&approved.iter().map(|(post, _, _)| post).collect::<Vec<_>>(), now).await?;
        self.keep_all(tx, &approved).await?;
        tx.record(Record::success(actions::APPROVE_PLAN, Party::new("plan", id.uuid()))).await?;
        Ok(())
    }
}
