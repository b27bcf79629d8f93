//! A file is given up.

use super::{
    super::{actions, events::ContentFact, ports::ContentTx},
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
    },
};

impl Content {
    /// Gives up a file, wholly here or half way here. What is kept of it is thrown away a little later.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `UploadClosed`, `Port`.
    pub async fn cancel_upload(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        id: UploadId,
    ) -> Result<(), ContentError> {
        actor.require(Permission::ManageContent)?;
        let mut upload = Self::locked(tx, id).await?;
        upload.cancel()?;
        tx.give_room(upload.draft.size_bytes).await?;
        tx.update_upload(&upload).await?;
        tx.schedule_upload(id, Some(self.0.clock.now())).await?;
        self.announce(tx, ContentFact::UploadEnded(id));
        Self::done(tx, actions::CANCEL_UPLOAD, id).await
    }
}
