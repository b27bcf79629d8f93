//! One file per verb. A verb that is a command is lent its transaction and begins by asking whether the actor may; what is
//! done for a post when it is due opens its own. No transaction is open while a platform is asked.

mod approve_post;
mod ask_for_post;
pub(super) mod change_plan;
pub(super) mod change_post;
pub(super) mod change_timetable;
mod checks;
pub(super) mod create_fleet;
mod create_plan;
mod find_out;
pub(super) mod import_posts;
pub(super) mod plan_fleet;
pub(super) mod publish_due;
pub(super) mod read_posts;
pub(super) mod read_timetables;
mod upload_medium;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use chrono::TimeDelta;

use super::{
    PublishingError,
    events::{NoteKind, PublishingEvent, PublishingFact},
    model::{Overdue, Post},
    ports::{HeldBy, Publishers, PublishingTx, PublishingUnits, TurnSchedule},
};
use crate::{
    accounts::Accounts,
    content::Content,
    kernel::{
        action::Action,
        actor::Actor,
        clock::Clock,
        ids::{IdSource, PostId},
        outbox::{Party, Record},
    },
};

/// What publishing is built from.
pub struct PublishingPorts {
    /// Its own transactions.
    pub units: Arc<dyn PublishingUnits>,
    /// Whose turn it is, across tenants.
    pub schedule: Arc<dyn TurnSchedule>,
    /// What posts, by platform.
    pub publishers: Publishers,
    /// Accounts and their tokens.
    pub accounts: Arc<Accounts>,
    /// Files.
    pub content: Arc<Content>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
    /// How long after it was made a post may be missing from a platform's lists.
    pub settle: TimeDelta,
    /// How often the figures of a post are read in its first hour.
    pub pace: TimeDelta,
    /// How long before its time a post must be planned, at least, whatever its platform asks.
    pub lead: TimeDelta,
}

/// Plans, posts, and what is done for them when they are due; whether nothing is to be asked for any more; and how many parts
/// of files are under way beside the first of each.
pub struct Publishing(PublishingPorts, AtomicBool, AtomicU32);

impl Publishing {
    /// Takes its ports.
    pub const fn new(ports: PublishingPorts) -> Self {
        Self(ports, AtomicBool::new(false), AtomicU32::new(0))
    }

    /// No post is asked for any more from now on: the process is about to end. What was asked for is waited for.
    pub fn stop_asking(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    /// Whether that was said.
    pub fn is_stopping(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    /// How many accounts something is due for that nobody works for, counted up to 10,000, and for how many seconds the first
    /// of them waits.
    ///
    /// # Errors
    /// `Port`.
    pub async fn turns_behind(&self) -> Result<(u64, f64), PublishingError> {
        Ok(self.0.schedule.behind().await?)
    }

    /// How many accounts something keeps from being worked for until somebody does something, by what it is.
    ///
    /// # Errors
    /// `Port`.
    pub async fn accounts_held(&self) -> Result<Vec<(HeldBy, u64)>, PublishingError> {
        Ok(self.0.schedule.held().await?)
    }

    /// How many posts wait for something for longer than they should, counted up to 10,000.
    ///
    /// # Errors
    /// `Port`.
    pub async fn posts_overdue(&self, waits: Overdue) -> Result<u64, PublishingError> {
        Ok(self.0.schedule.overdue(waits).await?)
    }

    /// Makes room for what will be read.
    ///
    /// # Errors
    /// `Port`.
    pub async fn make_room(&self) -> Result<(), PublishingError> {
        Ok(self.0.schedule.make_room(self.0.clock.now()).await?)
    }

    /// Writes down what happened to a post, and tells subscribers.
    async fn note(
        &self,
        tx: &mut dyn PublishingTx,
        post: &Post,
        kind: NoteKind,
        detail: Option<String>,
    ) -> Result<(), PublishingError> {
        let now = self.0.clock.now();
        tx.add_note(post, kind, detail, now).await?;
        PublishingTx::announce(tx, PublishingEvent { fact: PublishingFact::PostMoved(post.id), at: now });
        Ok(())
    }

    /// Records something as done to a post.
    async fn done(tx: &mut dyn PublishingTx, action: Action, id: PostId) -> Result<(), PublishingError> {
        Ok(tx.record(Record::success(action, Party::new("post", id.uuid()))).await?)
    }

    /// The post a command names, locked behind its account's turn, if the actor reaches it.
    async fn post_reached(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: PostId,
    ) -> Result<Post, PublishingError> {
        let absent = || PublishingError::NotFound { field: "id" };
        let account = tx.post(id).await?.ok_or_else(absent)?.account;
        if !self.0.accounts.reaches(tx, actor, account).await? {
            return Err(absent());
        }
        tx.wake_account(account, None).await?;
        tx.lock_post(id).await?.ok_or_else(absent)
    }

    /// Stores a post that a command changed, with its note, and has a worker come when there is something to do.
    async fn keep(
        &self,
        tx: &mut dyn PublishingTx,
        post: &Post,
        kind: NoteKind,
        detail: Option<String>,
    ) -> Result<(), PublishingError> {
        let post = Self::updated(tx, post).await?;
        // Others may have waited for this one; and what its account is held by is seen by whoever comes.
        tx.wake_account(post.account, Some(self.0.clock.now())).await?;
        self.note(tx, &post, kind, detail).await
    }

    /// Stores a post that was changed; the post as it is stored.
    async fn updated(tx: &mut dyn PublishingTx, post: &Post) -> Result<Post, PublishingError> {
        tx.update_post(post).await?;
        Ok(Post { version: post.version + 1, ..post.clone() })
    }
}
