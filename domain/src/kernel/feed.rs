//! News of what happened, carried to subscribers on all replicas. A context has a type of facts of its own; what
//! carries them needs to know no more of one than its name and what it is about.

use std::{fmt, hash::Hash, pin::Pin};

use async_trait::async_trait;
use futures_core::Stream;
use uuid::Uuid;

use super::{clock::Timestamp, fault::PortError, scope::TenantScope};

/// One thing that can be told of a context, in the past tense. It carries an id; who listens reads the rest under its
/// own permissions.
pub trait Fact: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The context, in snake case: part of the channel's name.
    const CONTEXT: &'static str;

    /// What happened, in snake case; the same in every release.
    fn name(self) -> &'static str;

    /// What it happened to.
    fn subject(self) -> Uuid;

    /// The fact of that name; `None` when this release knows none.
    fn of(name: &str, subject: Uuid) -> Option<Self>;
}

/// A fact and when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct News<F> {
    /// What.
    pub fact: F,
    /// When.
    pub at: Timestamp,
}

/// News as it is announced, on every replica.
pub type NewsStream<F> = Pin<Box<dyn Stream<Item = News<F>> + Send>>;

/// Carries news to subscribers on all replicas. Best effort: a subscriber that was away reads again.
#[async_trait]
pub trait NewsFeed<F: Fact>: Send + Sync {
    /// Tells all subscribers of that tenant.
    async fn publish(&self, scope: &TenantScope, news: &[News<F>]) -> Result<(), PortError>;
    /// Listens to one tenant from now on. Ends when the feed is closed for shutdown; a slow listener misses the oldest.
    async fn subscribe(&self, scope: &TenantScope) -> Result<NewsStream<F>, PortError>;
}
