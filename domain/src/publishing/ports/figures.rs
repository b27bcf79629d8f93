//! Figures of posts: what keeps them, and what is told of them.

use std::collections::HashMap;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::Figures;
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::{AccountId, PlanId, PostId},
};

/// Whose figures are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FigureQuery {
    /// Only those of posts of these accounts; `None` for all.
    pub accounts: Option<Vec<AccountId>>,
    /// Only those of posts of this plan.
    pub plan: Option<PlanId>,
    /// Only those of this post.
    pub post: Option<PostId>,
}

/// Figures, and when they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureReading {
    /// When. A figure that has not moved since is as fresh as one that has.
    pub read_at: Timestamp,
    /// What was read.
    pub figures: Figures,
    /// When each was last told.
    pub told_at: FigureTimes,
}

/// When figures were told; `None` for one that never was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FigureTimes {
    /// Plays.
    pub plays: Option<Timestamp>,
    /// Likes.
    pub likes: Option<Timestamp>,
    /// Comments.
    pub comments: Option<Timestamp>,
    /// Shares.
    pub shares: Option<Timestamp>,
}

/// Figures of several posts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FigureTotal {
    /// Posts that figures were read of.
    pub posts: u64,
    /// When the stalest of them was read.
    pub read_at: Option<Timestamp>,
    /// The sums; `None` where no platform tells one.
    pub figures: Figures,
    /// When the stalest of those that make up each sum was told.
    pub told_at: FigureTimes,
}

impl FigureTotal {
    /// A mark that is another when anything that is told is.
    pub fn mark(&self) -> String {
        let figures = [self.figures.plays, self.figures.likes, self.figures.comments, self.figures.shares];
        let mut hasher = Sha256::new();
        for figure in std::iter::once(Some(self.posts)).chain(figures) {
            // No figure is this large.
            hasher.update(figure.unwrap_or(u64::MAX).to_be_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let head = digest.first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(head))
    }
}

/// Figures of posts, as they are and as they were.
#[async_trait]
pub trait FigureStore: Send {
    /// Keeps what was read; `true` when any of it is another than before. Of what is not, only that it was read. A figure that
    /// the platform does not tell this time stays as it was last told.
    async fn keep_figures(&mut self, read: &[(PostId, Figures)], at: Timestamp) -> Result<bool, PortError>;
    /// The newest of each of these posts. What was never read is absent.
    async fn newest_figures(&mut self, posts: &[PostId])
    -> Result<HashMap<PostId, FigureReading>, PortError>;
    /// All of each of these posts that are others than those before, newest first.
    async fn figures_of(
        &mut self,
        posts: &[PostId],
        most: u32,
    ) -> Result<HashMap<PostId, Vec<FigureReading>>, PortError>;
    /// Sums of the newest.
    async fn total_figures(&mut self, of: &FigureQuery) -> Result<FigureTotal, PortError>;
    /// How late the platform took posts of these accounts, or all, that were promised since then.
    async fn lateness(
        &mut self,
        accounts: Option<Vec<AccountId>>,
        since: Timestamp,
    ) -> Result<Lateness, PortError>;
}

/// How late posts were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lateness {
    /// Posts that the platform took.
    pub accepted: u64,
    /// Seconds by which half of them were late, at most.
    pub p50_s: Option<f64>,
    /// Seconds by which all but one in a hundred were late, at most.
    pub p99_s: Option<f64>,
    /// Posts that are late and that the platform has not taken yet.
    pub overdue: u64,
}
