//! Files that are all here are read back; what ended, or never arrived, is thrown away. By whichever replica claims
//! them.

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        actions,
        events::ContentFact,
        model::{Part, Upload, UploadState},
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        fault::Retry,
        ids::{ComplianceId, UploadId},
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
    },
};

/// How long a claim holds, in seconds: longer than it takes to read the longest file back.
const CLAIM_S: i64 = 600;

/// How long a file that can't be read back is left alone, in seconds.
const AGAIN_S: i64 = 300;

/// What a turn on one upload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadTurn {
    /// It is of use now.
    Ready,
    /// It is not the file that was announced.
    Refused,
    /// It did not arrive in time.
    Expired,
    /// What nobody refers to was thrown away.
    Swept,
    /// There was nothing to do yet.
    Nothing,
}

impl Content {
    /// Claims up to `most` uploads, of all tenants, for this replica to tend now.
    ///
    /// # Errors
    /// `Port`.
    pub async fn claim_uploads(&self, most: u32) -> Result<Vec<(TenantScope, UploadId)>, ContentError> {
        let lease = TimeDelta::seconds(CLAIM_S);
        Ok(self.0.schedule.claim(self.0.clock.now(), most, lease).await?)
    }

    /// Does what is due for an upload that was claimed.
    ///
    /// # Errors
    /// `Port`: it comes back when its claim runs out.
    pub async fn check_upload(&self, scope: TenantScope, id: UploadId) -> Result<UploadTurn, ContentError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "check_upload");
        let mut tx = self.0.units.begin(scope, &origin).await?;
        let Some(mut upload) = tx.lock_upload(id).await? else {
            tx.schedule_upload(id, None).await?;
            tx.commit().await?;
            return Ok(UploadTurn::Nothing);
        };
        if upload.expire(self.0.clock.now()) {
            drop(tx);
            return self.expire_upload(scope, id).await;
        }
        match upload.state {
            UploadState::Receiving => {
                tx.schedule_upload(id, Some(upload.expires_at)).await?;
                tx.commit().await?;
                Ok(UploadTurn::Nothing)
            }
            UploadState::Transcoding => {
                // Not work of this kind: it goes where that is claimed.
                tx.schedule_transcode(id, self.0.clock.now()).await?;
                tx.commit().await?;
                Ok(UploadTurn::Nothing)
            }
            UploadState::Checking => {
                let parts = tx.parts(id).await?;
                drop(tx);
                match self.read_back(scope, &origin, &upload, parts).await {
                    Ok(turn) => Ok(turn),
                    Err(error) => {
                        // Behind all others, so that one that can't be read is in nobody's way.
                        let again = self.0.clock.now() + TimeDelta::seconds(AGAIN_S);
                        let mut tx = self.0.units.begin(scope, &origin).await?;
                        tx.schedule_upload(id, Some(again)).await?;
                        tx.commit().await?;
                        Err(error)
                    }
                }
            }
            UploadState::Ready
            | UploadState::DigestWrong
            | UploadState::Cancelled
            | UploadState::Expired
            | UploadState::Absorbed
            | UploadState::TranscodeFailed => {
                drop(tx);
                self.sweep(scope, &origin, &upload).await?;
                Ok(UploadTurn::Swept)
            }
        }
    }

    /// Ends an upload that did not arrive in time, and throws away what is there of it.
    ///
    /// # Errors
    /// `Port`.
    pub async fn expire_upload(&self, scope: TenantScope, id: UploadId) -> Result<UploadTurn, ContentError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "expire_upload");
        let mut tx = self.0.units.begin(scope, &origin).await?;
        let mut upload = Self::locked(&mut *tx, id).await?;
        if !upload.expire(self.0.clock.now()) {
            return Ok(UploadTurn::Nothing);
        }
        tx.give_room(upload.draft.size_bytes).await?;
        tx.update_upload(&upload).await?;
        self.announce(&mut *tx, ContentFact::UploadEnded(id));
        Self::done(&mut *tx, actions::EXPIRE_UPLOAD, id).await?;
        tx.commit().await?;
        // Scheduled still, and so swept by somebody else should this end half way.
        upload.version += 1;
        self.sweep(scope, &origin, &upload).await?;
        Ok(UploadTurn::Expired)
    }

    /// Reads a file back, outside of any transaction, and says what it is.
    async fn read_back(
        &self,
        scope: TenantScope,
        origin: &Origin,
        upload: &Upload,
        parts: Vec<Part>,
    ) -> Result<UploadTurn, ContentError> {
        let mut hasher = Sha256::new();
        for part in &parts {
            hasher.update(self.0.objects.get(&part.key, 0..part.size_bytes).await?);
        }
        let digest = hasher.finalize().into();
        // Without a probe a file is still a file; what is not known of it is said where it is asked for.
        let probed = match self.0.probe.probe(&parts).await {
            Ok(probed) => Some(probed),
            Err(fault) if fault.retry == Retry::Useless => None,
            Err(fault) => return Err(fault.into()),
        };
        let mut tx = self.0.units.begin(scope, origin).await?;
        let mut now = Self::locked(&mut *tx, upload.id).await?;
        if now.version != upload.version {
            // Given up meanwhile, and scheduled by who did.
            return Ok(UploadTurn::Nothing);
        }
        now.checked(digest, probed)?;
        if now.state.is_gone() {
            tx.give_room(now.draft.size_bytes).await?;
        }
        tx.update_upload(&now).await?;
        let target = Party::new("upload", upload.id.uuid());
        let turn = if now.state == UploadState::Ready {
            self.announce(&mut *tx, ContentFact::UploadReady(upload.id));
            tx.record(Record::success(actions::CHECK_UPLOAD, target)).await?;
            // When nobody can be adding to it any more: what was kept and never counted is thrown away then.
            tx.schedule_upload(upload.id, Some(upload.last_look_at())).await?;
            UploadTurn::Ready
        } else {
            self.announce(&mut *tx, ContentFact::UploadRefused(upload.id));
            let refused = Record::refused(actions::CHECK_UPLOAD, Some(target), "digest_wrong");
            tx.record(Record { outcome: Outcome::Refused, ..refused }).await?;
            tx.schedule_upload(upload.id, Some(self.0.clock.now())).await?;
            UploadTurn::Refused
        };
        tx.commit().await?;
        Ok(turn)
    }

    /// Throws away what is in an upload's folder and nobody refers to, and all of it when it has come to nothing. Nothing
    /// is counted of an upload that comes here; who was sending when it ended may keep some bytes more, so it is looked
    /// at once more when nobody can be sending any more.
    async fn sweep(&self, scope: TenantScope, origin: &Origin, upload: &Upload) -> Result<(), ContentError> {
        let id = upload.id;
        if upload.state.is_gone() {
            let mut tx = self.0.units.begin(scope, origin).await?;
            let parts = tx.parts(id).await?;
            drop(tx);
            // Forgotten last, so that what a joined file took from other folders is found again after a crash.
            for part in parts {
                self.0.objects.remove(&part.key).await?;
            }
            let mut tx = self.0.units.begin(scope, origin).await?;
            tx.remove_parts(id).await?;
            tx.commit().await?;
        }
        let keys = self.0.objects.below(&Self::folder(&scope, id)).await?;
        let mut tx = self.0.units.begin(scope, origin).await?;
        let in_use = tx.objects_in_use(&keys).await?;
        drop(tx);
        for key in keys.iter().filter(|key| !in_use.contains(*key)) {
            self.0.objects.remove(key).await?;
        }
        let mut tx = self.0.units.begin(scope, origin).await?;
        let now = tx.lock_upload(id).await?;
        // Who changed it meanwhile has said when it is looked at next.
        if now.is_none_or(|now| now.version == upload.version) {
            let last = upload.last_look_at();
            let next = (self.0.clock.now() < last).then_some(last);
            tx.schedule_upload(id, next).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
