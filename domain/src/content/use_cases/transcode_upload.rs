//! A file is to be made of another, so that a platform has nothing against it.

use super::{
    super::{
        actions,
        events::ContentFact,
        model::{TRANSCODES_OPEN_MAX, Transcode, Upload, UploadState},
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

impl Content {
    /// Asks for a file that `platform` has nothing against, made of this one, which stays as it is. Asked again, it gives
    /// the file that is being made or was.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `PlatformUnknown`, `UploadNotReady`, `NothingToMend`, `NotMendable`, `TranscodesFull`,
    /// `StorageFull`, `Port`.
    pub async fn transcode_upload(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        id: UploadId,
        platform: &str,
    ) -> Result<Upload, ContentError> {
        actor.require(Permission::ManageContent)?;
        // Locked, so that of two who ask at once the second finds what the first asked for.
        let source = Self::locked(tx, id).await?;
        let rules = self.rules(platform);
        let rules = rules.ok_or_else(|| ContentError::PlatformUnknown { platform: platform.to_owned() })?;
        if source.state != UploadState::Ready {
            return Err(ContentError::UploadNotReady);
        }
        let recipe = rules.recipe(source.draft.size_bytes, source.probed.as_ref())?;
        let words = recipe.words();
        if let Some(there) = tx.transcode_of(id, platform, &words).await?
            && let Some(upload) = tx.upload(there.upload).await?
        {
            Self::done(tx, actions::TRANSCODE_UPLOAD, upload.id).await?;
            return Ok(upload);
        }
        let open = tx.count_uploads(UploadState::Transcoding, TRANSCODES_OPEN_MAX).await?;
        if open >= TRANSCODES_OPEN_MAX {
            return Err(ContentError::TranscodesFull { max: TRANSCODES_OPEN_MAX });
        }
        let (made, now) = (UploadId::new(&*self.0.ids), self.0.clock.now());
        let upload = source.transcode(made, &recipe, actor.member(), now)?;
        self.take_room(tx, "id", upload.draft.size_bytes).await?;
        tx.add_upload(&upload).await?;
        let transcode = Transcode {
            upload: made,
            source: id,
            platform: platform.to_owned(),
            recipe: words,
            mends: recipe.mends,
            done_permille: 0,
            attempts: 0,
            failure: None,
        };
        tx.add_transcode(&transcode).await?;
        tx.schedule_transcode(made, now).await?;
        self.announce(tx, ContentFact::UploadBegun(made));
        Self::done(tx, actions::TRANSCODE_UPLOAD, made).await?;
        Ok(upload)
    }
}
