//! Timetables are made, changed and forgotten. What is planned by one stays as it was planned.

use super::{
    super::{
        actions,
        model::{Timetable, TimetableDraft},
        ports::PublishingTx,
    },
    Publishing,
};
use crate::{
    kernel::{
        action::Action,
        actor::{Actor, Permission},
        ids::TimetableId,
        outbox::{Party, Record},
    },
    publishing::PublishingError,
};

/// What is changed of a timetable; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimetableChange {
    /// What people call it.
    pub name: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// All its rules.
    pub rules: Option<Vec<String>>,
}

const ABSENT: PublishingError = PublishingError::NotFound { field: "id" };

async fn done(tx: &mut dyn PublishingTx, action: Action, id: TimetableId) -> Result<(), PublishingError> {
    Ok(tx.record(Record::success(action, Party::new("timetable", id.uuid()))).await?)
}

impl Publishing {
    /// Gives local times a name.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `Port`.
    pub async fn create_timetable(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        draft: TimetableDraft,
    ) -> Result<TimetableId, PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let id = TimetableId::new(&*self.0.ids);
        let draft = draft.checked(self.0.clock.now())?;
        tx.add_timetable(&Timetable { id, draft, created_at: self.0.clock.now(), version: 0 }).await?;
        done(tx, actions::CREATE_TIMETABLE, id).await?;
        Ok(id)
    }

    /// Changes them.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotFound`, `Port`.
    pub async fn change_timetable(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: TimetableId,
        change: TimetableChange,
    ) -> Result<(), PublishingError> {
        actor.require(Permission::ManagePosts)?;
        let mut timetable = tx.timetable(id).await?.ok_or(ABSENT)?;
        let now = timetable.draft;
        timetable.draft = TimetableDraft {
            name: change.name.unwrap_or(now.name),
            zone: change.zone.unwrap_or(now.zone),
            rules: change.rules.unwrap_or(now.rules),
        }
        .checked(self.0.clock.now())?;
        tx.update_timetable(&timetable).await?;
        done(tx, actions::CHANGE_TIMETABLE, id).await
    }

    /// Forgets them.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Port`.
    pub async fn remove_timetable(
        &self,
        tx: &mut dyn PublishingTx,
        actor: &Actor,
        id: TimetableId,
    ) -> Result<(), PublishingError> {
        actor.require(Permission::ManagePosts)?;
        if !tx.remove_timetable(id).await? {
            return Err(ABSENT);
        }
        done(tx, actions::REMOVE_TIMETABLE, id).await
    }
}
