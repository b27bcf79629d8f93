//! Room is made for a file, or a file is made of the pieces it was sent in.

use super::{
    super::{
        actions,
        events::ContentFact,
        model::{Piece, UPLOADS_OPEN_MAX, Upload, UploadDraft, UploadState},
        ports::ContentTx,
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
    },
};

/// What is to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginUpload {
    /// A file, sent in order.
    Whole(UploadDraft),
    /// A piece of one, sent beside others.
    Partial(UploadDraft),
}

impl Content {
    /// Makes room for a file, or a piece of one.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `UploadsFull`, `StorageFull`, `Port`.
    pub async fn begin_upload(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        begin: BeginUpload,
    ) -> Result<Upload, ContentError> {
        actor.require(Permission::ManageContent)?;
        if tx.count_uploads(UploadState::Receiving, UPLOADS_OPEN_MAX).await? >= UPLOADS_OPEN_MAX {
            return Err(ContentError::UploadsFull { max: UPLOADS_OPEN_MAX });
        }
        let (piece, draft) = match begin {
            BeginUpload::Whole(draft) => (Piece::Whole, draft),
            BeginUpload::Partial(draft) => (Piece::Partial, draft),
        };
        let id = UploadId::new(&*self.0.ids);
        let upload = Upload::begin(id, piece, draft, actor.member(), self.0.clock.now())?;
        self.take_room(tx, "sizeBytes", upload.draft.size_bytes).await?;
        tx.add_upload(&upload).await?;
        tx.schedule_upload(id, Some(upload.expires_at)).await?;
        self.announce(tx, ContentFact::UploadBegun(id));
        Self::done(tx, actions::BEGIN_UPLOAD, id).await?;
        Ok(upload)
    }

    /// Makes one file of pieces that are all here, in this order. Asked again, because the answer was lost, it gives the
    /// file that was made.
    ///
    /// # Errors
    /// `Denied`, `Invalid`, `NotJoinable`, `TooManyParts`, `Port`.
    pub async fn join_uploads(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        draft: UploadDraft,
        pieces: &[UploadId],
    ) -> Result<Upload, ContentError> {
        actor.require(Permission::ManageContent)?;
        // Locked in one order, whatever theirs is: two who join the same pieces wait for each other and not in a circle.
        let mut ids = pieces.to_vec();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != pieces.len() {
            return Err(ContentError::NotJoinable);
        }
        let mut locked = Vec::with_capacity(ids.len());
        for id in ids {
            locked.push(tx.lock_upload(id).await?.ok_or(ContentError::NotJoinable)?);
        }
        if locked.iter().all(|upload| upload.state == UploadState::Absorbed)
            && let Some(joined) = tx.joined_of(pieces).await?
        {
            Self::done(tx, actions::JOIN_UPLOADS, joined.id).await?;
            return Ok(joined);
        }
        locked.sort_by_key(|upload| pieces.iter().position(|id| *id == upload.id));
        let id = UploadId::new(&*self.0.ids);
        let now = self.0.clock.now();
        let joined = Upload::join(id, draft, &mut locked, actor.member(), now)?;
        // As many bytes as the pieces have room for, which is the file's now.
        tx.add_upload(&joined).await?;
        let mut shift = 0;
        for piece in &locked {
            tx.move_parts(piece.id, id, shift).await?;
            tx.update_upload(piece).await?;
            // What nobody refers to in its folder is thrown away.
            tx.schedule_upload(piece.id, Some(now)).await?;
            shift += piece.received_bytes;
        }
        tx.schedule_upload(id, Some(now)).await?;
        self.announce(tx, ContentFact::UploadReceived(id));
        Self::done(tx, actions::JOIN_UPLOADS, id).await?;
        Ok(joined)
    }
}
