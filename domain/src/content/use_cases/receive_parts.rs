//! Bytes arrive. They are kept first and counted then, so that what was counted is there.

use super::{
    super::{
        actions,
        events::ContentFact,
        model::{Part, Piece, Upload},
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
        outbox::Origin,
    },
};

/// Bytes that are kept and not counted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedPart {
    key: String,
    size_bytes: u64,
}

impl Content {
    /// Keeps bytes of an upload. They count for nothing until [`Self::receive_parts`].
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn stage_part(
        &self,
        actor: &Actor,
        id: UploadId,
        bytes: Vec<u8>,
    ) -> Result<StagedPart, ContentError> {
        actor.require(Permission::ManageContent)?;
        let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let key = format!("{}/{}", Self::folder(&actor.scope(), id), self.0.ids.next_uuid().simple());
        self.0.objects.put(&key, bytes).await?;
        Ok(StagedPart { key, size_bytes })
    }

    /// Counts bytes that were kept, all or none of them, from `offset` on; the upload as it is then. What is not counted
    /// is thrown away.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `UploadClosed`, `OffsetWrong`, `TooLong`, `TooManyParts`, `Port`.
    pub async fn receive_parts(
        &self,
        origin: &Origin,
        actor: &Actor,
        id: UploadId,
        offset: u64,
        staged: Vec<StagedPart>,
    ) -> Result<Upload, ContentError> {
        match self.count(origin, actor, id, offset, &staged).await {
            Ok(upload) => Ok(upload),
            // Nobody knows whether it was committed: what is not referred to is found when the upload ends.
            Err(ContentError::Port(fault)) => Err(ContentError::Port(fault)),
            Err(error) => {
                self.discard_parts(staged).await;
                Err(error)
            }
        }
    }

    /// Throws away bytes that were kept and are not to be counted.
    pub async fn discard_parts(&self, staged: Vec<StagedPart>) {
        for part in staged {
            // What stays is found when the upload ends.
            let _ = self.0.objects.remove(&part.key).await;
        }
    }

    async fn count(
        &self,
        origin: &Origin,
        actor: &Actor,
        id: UploadId,
        offset: u64,
        staged: &[StagedPart],
    ) -> Result<Upload, ContentError> {
        actor.require(Permission::ManageContent)?;
        let mut tx = self.0.units.begin(actor.scope(), origin).await?;
        let mut upload = Self::locked(&mut *tx, id).await?;
        let now = self.0.clock.now();
        let mut at = offset;
        for part in staged {
            let part = Part { offset_bytes: at, size_bytes: part.size_bytes, key: part.key.clone() };
            upload.receive(&part, now)?;
            tx.add_part(id, &part).await?;
            at += part.size_bytes;
        }
        tx.update_upload(&upload).await?;
        upload.version += 1;
        if upload.is_complete() && upload.piece == Piece::Whole {
            tx.schedule_upload(id, Some(now)).await?;
            Self::done(&mut *tx, actions::RECEIVE_PARTS, id).await?;
        }
        self.announce(&mut *tx, ContentFact::UploadReceived(id));
        tx.commit().await?;
        Ok(upload)
    }
}
