//! The platform's log goes on after its database was put back by right: after a disk was lost, say.
//!
//! What was signed stands in bundles, with witnesses, on chains; it can't be unsigned, and a log that went on from an older
//! size would be another log under the same name. So the leaves that are missing are put back by their hashes, which are
//! kept beside the mark, until the tree is the one that was signed. Then the log only ever grew, everybody who has seen it
//! sees it go on, and which leaves were lost is there to be read. That tenants' logs have lost events is not mended by it:
//! a head of theirs that somebody kept shows it.
//!
//! Absent on purpose: going on from a tree that is not the beginning of the one signed.

use super::{
    super::{
        actions::RESUME_PLATFORM_LOG,
        log::tile::{append, edge_tiles},
        ports::{Mark, PlatformGrowth, PlatformHead},
    },
    notarise::{Notary, PORT, Rollback},
};
use crate::kernel::{
    fault::PortError,
    ids::PLATFORM,
    outbox::{Outbox, Party, Record},
};

/// How the log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It was never stopped.
    Unhindered,
    /// The leaves `first..size` are in it again, by their hashes alone; a worker signs the head of that size again.
    Filled {
        /// Index of the first of them.
        first: u64,
        /// How many leaves the log has now.
        size: u64,
    },
    /// The mark was lost, and stands now where the newest head is that is signed in the database.
    Marked {
        /// The size of that head.
        size: u64,
    },
}

/// Why it does not go on.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// The mark is gone, and nobody has said to believe the database.
    #[error(
        "the mark is gone, and heads up to {signed} leaves are signed: find the mark again, or, when the database is surely not one that was put back, say --mark-is-lost"
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

impl Notary {
    /// Makes the log in a database that was put back the one that was signed. With `is_mark_lost` it is the database that is
    /// believed, and the mark that is made anew.
    ///
    /// # Errors
    /// All of [`NotResumed`]. Nothing is changed then.
    pub async fn resume_platform_log(&self, is_mark_lost: bool) -> Result<Resumed, NotResumed> {
        let stopped = self.look().await?.err();
        if is_mark_lost && let Some(mark) = self.0.high_water.read(&self.origin()).await? {
            return Err(NotResumed::NotLost { size: mark.size });
        }
        match stopped {
            None => Ok(Resumed::Unhindered),
            Some(Rollback::Different { size }) => Err(NotResumed::Different { size }),
            Some(Rollback::Unmarked { signed }) if is_mark_lost => self.mark(signed).await,
            Some(Rollback::Unmarked { signed }) => Err(NotResumed::Unmarked { signed }),
            Some(Rollback::Smaller { .. }) => self.fill().await,
        }
    }

    async fn mark(&self, size: u64) -> Result<Resumed, NotResumed> {
        let root = self.root(size).await?.ok_or(NotResumed::Different { size })?;
        self.keep_leaves(0, size).await?;
        if self.0.high_water.advance(&self.origin(), None, Mark { size, root }).await? {
            Ok(Resumed::Marked { size })
        } else {
            Err(NotResumed::Busy)
        }
    }

    async fn fill(&self) -> Result<Resumed, NotResumed> {
        let origin = self.origin();
        let mut tx = self.0.store.begin().await?.ok_or(NotResumed::Busy)?;
        // Read while nobody makes the log grow.
        let mark = self.0.high_water.read(&origin).await?.ok_or(NotResumed::Busy)?;
        let have = tx.newest().await?.map_or(0, |head| head.size);
        let lost = self.0.leaves.hashes(&origin, have, mark.size).await?;
        let reach = have + u64::try_from(lost.len()).unwrap_or(u64::MAX);
        if reach < mark.size {
            let kept = self.0.leaves.kept(&origin).await?;
            return Err(NotResumed::Incomplete { have, kept, signed: mark.size });
        }
        let edge = tx.tiles(&edge_tiles(have)).await?;
        let grown = append(have, &edge, &lost).map_err(|fault| PortError::lasting(PORT, fault))?;
        if (grown.size, grown.root) != (mark.size, mark.root) {
            return Err(NotResumed::Different { size: mark.size });
        }
        let head =
            PlatformHead { size: grown.size, root: grown.root, note: None, made_at: self.0.clock.now() };
        tx.grow(&PlatformGrowth { lost, anchors: Vec::new(), tiles: grown.tiles, head }).await?;
        tx.commit().await?;
        Ok(Resumed::Filled { first: have, size: mark.size })
    }

    /// Records in the platform's own log that it went on, or why not.
    ///
    /// # Errors
    /// The outbox did not answer.
    pub async fn tell_of_resuming(
        &self,
        outbox: &mut dyn Outbox,
        resumed: &Result<Resumed, NotResumed>,
    ) -> Result<(), PortError> {
        let target = Party::new("tenant", PLATFORM.uuid());
        outbox
            .record(match resumed {
                Ok(_) => Record::success(RESUME_PLATFORM_LOG, target),
                Err(fault) => Record::refused(RESUME_PLATFORM_LOG, Some(target), fault.as_str()),
            })
            .await
    }
}
