//! The platform's log goes on after its database was put back by right: after a disk was lost, say.
//!
//! What was signed stands in bundles, with witnesses, on chains; it can't be unsigned, and a log that went on from an older
//! size would be another log under the same name. So the leaves that are missing are put back by their hashes, which are
//! kept beside the mark, until the tree is the one that was signed. Then the log only ever grew, everybody who has seen it
//! sees it go on, and which leaves were lost an event says. That tenants' logs have lost events is not mended by it:
//! a head of theirs that somebody kept shows it.
//!
//! Absent on purpose: going on from a tree that is not the beginning of the one signed.

use super::{
    super::{
        actions::RESUME_PLATFORM_LOG,
        log::{
            merkle::Hash,
            tile::{append, edge_tiles},
        },
        ports::{Mark, PlatformGrowth, PlatformHead},
    },
    notarise::{Notary, PORT, Rollback},
};
use uuid::Uuid;

use crate::kernel::{
    fault::PortError,
    ids::PLATFORM,
    outbox::{Outbox, Party, Record},
};

/// How the log is to go on. Nothing is done yet.
#[derive(Debug)]
pub enum Resuming {
    /// It was never stopped.
    Unhindered,
    /// Leaves are put back by their hashes alone.
    Filling {
        /// Index of the first of them.
        first: u64,
        /// They, and the head up to which the log was signed.
        growth: PlatformGrowth,
        /// The mark was lost, too, and is set to that head.
        is_mark_lost: bool,
    },
    /// The mark was lost, and is set to where the newest head is that is signed in the database.
    Marking(Mark),
}

/// Why it does not go on.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// The mark is gone, and nobody has said to believe the database.
    #[error(
        "the mark is gone, and heads up to {signed} leaves are signed: find the mark again, or, when it is gone for good, say --mark-is-lost: the database is believed then, as far as the hashes beside the mark do not say otherwise"
    )]
    Unmarked {
        /// The size of the newest head that is signed.
        signed: u64,
    },
    /// The mark is there.
    #[error("the mark is not lost: it stands at {size} leaves")]
    NotLost {
        /// Where.
        size: u64,
    },
    /// Not all hashes are there.
    #[error(
        "the database has {have} leaves, {signed} were signed, and the hashes beside the mark reach only to {kept}: put back a newer backup"
    )]
    Incomplete {
        /// How many leaves the database has.
        have: u64,
        /// How many leaves' hashes are kept.
        kept: u64,
        /// How many leaves were signed.
        signed: u64,
    },
    /// The database is not the beginning of what was signed.
    #[error(
        "the leaves in the database are not those that were signed: with the ones that are missing, the root at {size} leaves is another"
    )]
    Different {
        /// How many leaves were signed.
        size: u64,
    },
    /// Somebody makes the log grow at this moment.
    #[error("somebody else is at it")]
    Busy,
    /// A port did not answer.
    #[error("{}: {}", .0.port, .0.source)]
    Port(#[from] PortError),
}

impl NotResumed {
    /// A machine word.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Unmarked { .. } => "mark_is_gone",
            Self::NotLost { .. } => "mark_is_there",
            Self::Incomplete { .. } => "leaves_are_gone",
            Self::Different { .. } => "different_from_signed",
            Self::Busy => "busy",
            Self::Port(_) => "unavailable",
        }
    }
}

/// Which leaves an event says were lost: index of the first, and of the one behind the last, as the two halves of an id.
fn lost(first: u64, end: u64) -> Party {
    Party::new("platform_leaves", Uuid::from_u64_pair(first, end))
}

impl Notary {
    /// Finds out how the log in a database that was put back becomes the one that was signed. With `is_mark_lost` it is the
    /// database that is believed, and the mark that is made anew.
    ///
    /// # Errors
    /// All of [`NotResumed`].
    pub async fn plan_to_resume(&self, is_mark_lost: bool) -> Result<Resuming, NotResumed> {
        let stopped = self.look().await?.err();
        let mark = self.0.high_water.read(&self.origin()).await?;
        match (stopped, mark) {
            (_, Some(mark)) if is_mark_lost => Err(NotResumed::NotLost { size: mark.size }),
            (Some(Rollback::Different { size }), _) => Err(NotResumed::Different { size }),
            (Some(Rollback::Smaller { .. }), Some(mark)) => self.plan_to_fill(mark).await,
            (Some(Rollback::Unmarked { .. }), None) if is_mark_lost => self.plan_to_mark().await,
            (Some(Rollback::Unmarked { signed }), None) => Err(NotResumed::Unmarked { signed }),
            // It was made, or lost, between two looks.
            (Some(Rollback::Smaller { .. }), None) | (Some(Rollback::Unmarked { .. }), Some(_)) => {
                Err(NotResumed::Busy)
            }
            (None, _) => Ok(Resuming::Unhindered),
        }
    }

    async fn plan_to_fill(&self, mark: Mark) -> Result<Resuming, NotResumed> {
        let origin = self.origin();
        let first = self.0.store.newest().await?.map_or(0, |head| head.size);
        let lost = self.0.leaves.hashes(&origin, first, mark.size).await?;
        let reach = first + u64::try_from(lost.len()).unwrap_or(u64::MAX);
        if reach < mark.size {
            let kept = self.0.leaves.kept(&origin).await?;
            return Err(NotResumed::Incomplete { have: first, kept, signed: mark.size });
        }
        let growth = self.filling(first, lost).await?;
        if (growth.head.size, growth.head.root) != (mark.size, mark.root) {
            return Err(NotResumed::Different { size: mark.size });
        }
        Ok(Resuming::Filling { first, growth, is_mark_lost: false })
    }

    async fn filling(&self, first: u64, lost: Vec<Hash>) -> Result<PlatformGrowth, PortError> {
        let edge = self.0.store.tiles(&edge_tiles(first)).await?;
        let grown = append(first, &edge, &lost).map_err(|fault| PortError::lasting(PORT, fault))?;
        let head =
            PlatformHead { size: grown.size, root: grown.root, note: None, made_at: self.0.clock.now() };
        Ok(PlatformGrowth { lost, anchors: Vec::new(), tiles: grown.tiles, head })
    }

    /// With the mark lost, what is left beside it still says whether the database is the newest. That more may be there than was
    /// signed does no harm.
    async fn plan_to_mark(&self) -> Result<Resuming, NotResumed> {
        let origin = self.origin();
        let signed = self.0.store.newest_signed().await?.ok_or(NotResumed::Busy)?;
        let different = || NotResumed::Different { size: signed.size };
        if self.root(signed.size).await? != Some(signed.root) {
            return Err(different());
        }
        let have = self.0.store.newest().await?.map_or(0, |head| head.size);
        let mut kept = self.0.leaves.hashes(&origin, 0, u64::MAX).await?;
        let lost = kept.split_off(kept.len().min(usize::try_from(have).unwrap_or(usize::MAX)));
        let begun = append(0, &[], &kept).map_err(|fault| PortError::lasting(PORT, fault))?;
        if begun.size > 0 && self.root(begun.size).await? != Some(begun.root) {
            return Err(different());
        }
        if lost.is_empty() {
            return Ok(Resuming::Marking(Mark { size: signed.size, root: signed.root }));
        }
        Ok(Resuming::Filling { first: have, growth: self.filling(have, lost).await?, is_mark_lost: true })
    }

    /// Does so. A worker signs the head that was signed last again, and goes on from there.
    ///
    /// # Errors
    /// `Busy`: the log has grown meanwhile, or the mark was set. `Port`.
    pub async fn resume_platform_log(&self, plan: &Resuming) -> Result<(), NotResumed> {
        match plan {
            Resuming::Unhindered => Ok(()),
            Resuming::Filling { first, growth, is_mark_lost } => {
                let mut tx = self.0.store.begin().await?.ok_or(NotResumed::Busy)?;
                if tx.newest().await?.map_or(0, |head| head.size) != *first {
                    return Err(NotResumed::Busy);
                }
                tx.grow(growth).await?;
                tx.commit().await?;
                let mark = Mark { size: growth.head.size, root: growth.head.root };
                if *is_mark_lost { self.mark(mark).await } else { Ok(()) }
            }
            Resuming::Marking(mark) => self.mark(*mark).await,
        }
    }

    async fn mark(&self, mark: Mark) -> Result<(), NotResumed> {
        let is_set = self.keep_leaves(None, mark.size).await?
            && self.0.high_water.advance(&self.origin(), None, mark).await?;
        is_set.then_some(()).ok_or(NotResumed::Busy)
    }

    /// Records in the platform's own log how it is to go on, or why it does not. Before it does: a leaf that is said to be lost,
    /// and of which no event says so, is what other hands have taken away.
    ///
    /// # Errors
    /// The outbox did not answer.
    pub async fn tell_of_resuming(
        &self,
        outbox: &mut dyn Outbox,
        plan: &Result<Resuming, NotResumed>,
    ) -> Result<(), PortError> {
        let platform = Party::new("tenant", PLATFORM.uuid());
        let record = match plan {
            Ok(Resuming::Unhindered) => return Ok(()),
            Ok(Resuming::Filling { first, growth, .. }) => {
                Record::success(RESUME_PLATFORM_LOG, lost(*first, growth.head.size))
            }
            Ok(Resuming::Marking(_)) => {
                Record { reason: Some("mark_was_lost"), ..Record::success(RESUME_PLATFORM_LOG, platform) }
            }
            Err(fault) => Record::refused(RESUME_PLATFORM_LOG, Some(platform), fault.as_str()),
        };
        outbox.record(record).await
    }
}
