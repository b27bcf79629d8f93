//! What is known of timetables.

use super::{
    super::{model::Timetable, ports::PublishingTx},
    Publishing,
};
use crate::{
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        ids::TimetableId,
        page::{Page, PageRequest},
    },
    publishing::PublishingError,
};

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTime {
    /// The instant.
    pub at: Timestamp,
    /// The same in the timetable's zone, with its offset then, as RFC 3339.
    pub local: String,
}

impl Publishing {
    /// A timetable; `None` when this tenant has none of this id.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn timetable(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: TimetableId,
    ) -> Result<Option<Timetable>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.timetable(id).await?)
    }

    /// Timetables, oldest first.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn timetables(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Timetable>, PublishingError> {
        actor.require(Permission::ReadPosts)?;
        Ok(tx.timetables(page).await?)
    }

    /// The next slots of a timetable that was read before, from now on.
    ///
    /// # Errors
    /// `Invalid`: its zone is none any more.
    pub fn next_slots(&self, timetable: &Timetable, most: usize) -> Result<Vec<SlotTime>, PublishingError> {
        let slots = timetable.draft.slots()?;
        let slot = |at| SlotTime { at, local: slots.local(at) };
        Ok(slots.since(self.0.clock.now()).take(most).map(slot).collect())
    }
}
