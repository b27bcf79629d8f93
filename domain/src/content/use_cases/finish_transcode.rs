//! Files are made of others, by whichever replica claims them. A worker may be killed at any moment: the next one begins
//! again, and nothing is counted before all of it is there.

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        actions,
        events::ContentFact,
        model::{ATTEMPTS_MAX, Part, Probed, Recipe, Transcode, TranscodeFailure, Upload, UploadState},
        ports::{ContentTx, ContentUnit, TranscodeStep},
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, UploadId},
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
    },
};

/// How long a worker may be silent before another one begins, in seconds.
const LEASE_S: i64 = 60;

/// Pause before it is tried again, in seconds.
const AGAIN_S: i64 = 60;

/// Pause between two notes of how far it is, in milliseconds.
const PACE_MS: i64 = 500;

/// Most bytes of a part.
const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a turn on one transcode came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscodeTurn {
    /// The file is made, and is read back next.
    Made,
    /// There will be none.
    Failed,
    /// Whoever made it was killed; it is begun again.
    Killed,
    /// Somebody gave it up, or another worker has it.
    Nothing,
}

/// A transcode that is worked on, as it was when this worker began.
struct Shift {
    scope: TenantScope,
    origin: Origin,
    upload: Upload,
    recipe: Recipe,
    parts: Vec<Part>,
    done_permille: u32,
    noted_at: Timestamp,
}

/// What came of taking one up.
enum TakenUp {
    Shift(Box<Shift>),
    Failed,
    Nothing,
}

impl Content {
    /// Claims up to `most` uploads that are to be made of others, of all tenants.
    ///
    /// # Errors
    /// `Port`.
    pub async fn claim_transcodes(&self, most: u32) -> Result<Vec<(TenantScope, UploadId)>, ContentError> {
        let lease = TimeDelta::seconds(LEASE_S);
        Ok(self.0.schedule.claim_transcodes(self.0.clock.now(), most, lease).await?)
    }

    /// Makes a file of another, from the beginning to the end. Dropped half way, it leaves objects that nobody refers to,
    /// and whoever begins again throws them away.
    ///
    /// # Errors
    /// `Port`: it is begun again when this claim runs out.
    pub async fn finish_transcode(
        &self,
        scope: TenantScope,
        id: UploadId,
    ) -> Result<TranscodeTurn, ContentError> {
        let mut shift = match self.take_up(scope, id).await? {
            TakenUp::Shift(shift) => shift,
            TakenUp::Failed => return Ok(TranscodeTurn::Failed),
            TakenUp::Nothing => return Ok(TranscodeTurn::Nothing),
        };
        let ended = self.make(&mut shift).await;
        if matches!(ended, Err(ContentError::Port(_))) {
            // A store, a disk or a program that is away is not the file's fault, and costs it no attempt.
            self.put_off(&shift, true).await?;
        }
        ended
    }

    /// Has it begun again in a while; with `unblamed` as if it had not been begun.
    async fn put_off(&self, shift: &Shift, unblamed: bool) -> Result<(), ContentError> {
        let Some((mut tx, upload)) = self.hold(shift).await? else { return Ok(()) };
        let transcode = Self::transcode(&mut *tx, upload.id).await?;
        let attempts = transcode.attempts.saturating_sub(u32::from(unblamed));
        tx.update_transcode(&Transcode { attempts, ..transcode }).await?;
        let again_at = self.0.clock.now() + TimeDelta::seconds(AGAIN_S);
        tx.schedule_transcode(upload.id, again_at).await?;
        Ok(tx.commit().await?)
    }

    async fn make(&self, shift: &mut Shift) -> Result<TranscodeTurn, ContentError> {
        let (scope, id) = (shift.scope, shift.upload.id);
        // What one that was killed had kept. None of it is counted, and none ever will be.
        for key in self.0.objects.below(&Self::folder(&scope, id)).await? {
            // Who was taken for dead throws away nothing of whoever came after.
            if !self.note(shift, 0).await? {
                return Ok(TranscodeTurn::Nothing);
            }
            self.0.objects.remove(&key).await?;
        }
        let name = self.0.ids.next_uuid().simple().to_string();
        let mut work = self.0.transcoder.begin(&name, shift.parts.clone(), &shift.recipe).await?;
        loop {
            match work.next().await? {
                TranscodeStep::Going { done_ms } => {
                    if !self.note(shift, done_ms).await? {
                        return Ok(TranscodeTurn::Nothing);
                    }
                }
                TranscodeStep::Failed(failure) => return self.fail(shift, failure).await,
                TranscodeStep::Killed => {
                    self.put_off(shift, false).await?;
                    return Ok(TranscodeTurn::Killed);
                }
                TranscodeStep::Made => break,
            }
        }
        let mut hasher = Sha256::new();
        let mut parts = Vec::new();
        let mut offset_bytes = 0;
        loop {
            let bytes = work.read(PART_BYTES_MAX).await?;
            if bytes.is_empty() {
                break;
            }
            let size_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            hasher.update(&bytes);
            let key = format!("{}/{}", Self::folder(&scope, id), self.0.ids.next_uuid().simple());
            self.0.objects.put(&key, bytes).await?;
            parts.push(Part { offset_bytes, size_bytes, key });
            offset_bytes += size_bytes;
            let whole_ms = shift.recipe.duration_ms;
            if !self.note(shift, whole_ms).await? {
                return self.given_up(parts).await;
            }
        }
        drop(work);
        if offset_bytes == 0 {
            return self.fail(shift, TranscodeFailure::Unreadable).await;
        }
        if offset_bytes > shift.upload.draft.size_bytes {
            return self.fail(shift, TranscodeFailure::TooLarge).await;
        }
        // A file that is none, whatever its maker said of it, is not given to anybody.
        if !matches!(self.0.probe.probe(&parts).await?, Probed::Media(_)) {
            self.given_up(parts).await?;
            return Err(PortError::passing("content.transcode", "what was made is no media").into());
        }
        self.count_made(shift, hasher.finalize().into(), parts).await
    }

    async fn take_up(&self, scope: TenantScope, id: UploadId) -> Result<TakenUp, ContentError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "finish_transcode");
        let mut tx = self.0.units.begin(scope, &origin).await?;
        let now = self.0.clock.now();
        let Some(mut upload) = tx.lock_upload(id).await? else { return Ok(TakenUp::Nothing) };
        if upload.state != UploadState::Transcoding {
            // It ended meanwhile; who ended it has said when it is looked at next, or nobody has since.
            tx.schedule_upload(id, Some(now)).await?;
            tx.commit().await?;
            return Ok(TakenUp::Nothing);
        }
        let mut transcode = Self::transcode(&mut *tx, id).await?;
        transcode.attempts += 1;
        let source = tx.upload(transcode.source).await?.filter(|source| source.state == UploadState::Ready);
        let recipe = source.as_ref().and_then(|source| {
            let rules = self.rules(&transcode.platform)?;
            rules.recipe(source.draft.size_bytes, source.probed.as_ref()).ok()
        });
        let is_hopeless = transcode.attempts > ATTEMPTS_MAX;
        let failure = if is_hopeless { TranscodeFailure::BrokeOff } else { TranscodeFailure::SourceGone };
        let Some(recipe) = recipe.filter(|_| !is_hopeless) else {
            self.record_failure(&mut *tx, upload, transcode, failure).await?;
            tx.commit().await?;
            return Ok(TakenUp::Failed);
        };
        // No more than what was set aside for it, whatever the rules are by now.
        let output_max_bytes = recipe.output_max_bytes.min(upload.draft.size_bytes);
        let recipe = Recipe { output_max_bytes, ..recipe };
        let parts = tx.parts(transcode.source).await?;
        transcode.done_permille = 0;
        tx.update_transcode(&transcode).await?;
        tx.update_upload(&upload).await?;
        upload.version += 1;
        tx.hold_transcode(id, now + TimeDelta::seconds(LEASE_S)).await?;
        self.announce(&mut *tx, ContentFact::TranscodeMoved(id));
        tx.commit().await?;
        let shift = Shift { scope, origin, upload, recipe, parts, done_permille: 0, noted_at: now };
        Ok(TakenUp::Shift(Box::new(shift)))
    }

    async fn transcode(tx: &mut dyn ContentTx, id: UploadId) -> Result<Transcode, ContentError> {
        let found = tx.transcodes(&[id]).await?.remove(&id);
        found.ok_or(ContentError::NotFound { field: "id" })
    }

    /// Opens a transaction in which the upload is this worker's still; `None` when it is not.
    async fn hold(&self, shift: &Shift) -> Result<Option<(Box<dyn ContentUnit>, Upload)>, ContentError> {
        let mut tx = self.0.units.begin(shift.scope, &shift.origin).await?;
        let upload = tx.lock_upload(shift.upload.id).await?;
        let upload = upload.filter(|upload| upload.version == shift.upload.version);
        Ok(upload.map(|upload| (tx, upload)))
    }

    /// Notes how far it is and that somebody is at it, now and then; `false` when it is not this worker's any more.
    async fn note(&self, shift: &mut Shift, done_ms: u64) -> Result<bool, ContentError> {
        let now = self.0.clock.now();
        if now < shift.noted_at + TimeDelta::milliseconds(PACE_MS) {
            return Ok(true);
        }
        let Some((mut tx, upload)) = self.hold(shift).await? else { return Ok(false) };
        let done_permille = shift.recipe.permille(done_ms).max(shift.done_permille);
        if done_permille != shift.done_permille {
            let transcode = Self::transcode(&mut *tx, upload.id).await?;
            tx.update_transcode(&Transcode { done_permille, ..transcode }).await?;
            self.announce(&mut *tx, ContentFact::TranscodeMoved(upload.id));
        }
        tx.hold_transcode(upload.id, now + TimeDelta::seconds(LEASE_S)).await?;
        tx.commit().await?;
        shift.noted_at = now;
        shift.done_permille = done_permille;
        Ok(true)
    }

    async fn fail(&self, shift: &Shift, failure: TranscodeFailure) -> Result<TranscodeTurn, ContentError> {
        let Some((mut tx, upload)) = self.hold(shift).await? else { return Ok(TranscodeTurn::Nothing) };
        let transcode = Self::transcode(&mut *tx, upload.id).await?;
        self.record_failure(&mut *tx, upload, transcode, failure).await?;
        tx.commit().await?;
        Ok(TranscodeTurn::Failed)
    }

    async fn record_failure(
        &self,
        tx: &mut dyn ContentTx,
        mut upload: Upload,
        transcode: Transcode,
        failure: TranscodeFailure,
    ) -> Result<(), ContentError> {
        upload.transcode_failed()?;
        tx.give_room(upload.draft.size_bytes).await?;
        tx.update_upload(&upload).await?;
        tx.update_transcode(&Transcode { failure: Some(failure), ..transcode }).await?;
        tx.schedule_upload(upload.id, Some(self.0.clock.now())).await?;
        self.announce(tx, ContentFact::UploadEnded(upload.id));
        let target = Party::new("upload", upload.id.uuid());
        let refused = Record::refused(actions::FINISH_TRANSCODE, Some(target), failure.as_str());
        Ok(tx.record(Record { outcome: Outcome::Failure, ..refused }).await?)
    }

    /// Throws away what was kept of one that is not this worker's any more.
    async fn given_up(&self, parts: Vec<Part>) -> Result<TranscodeTurn, ContentError> {
        for part in parts {
            self.0.objects.remove(&part.key).await?;
        }
        Ok(TranscodeTurn::Nothing)
    }

    /// Counts a file that is all there, and sends it to be read back as any other.
    async fn count_made(
        &self,
        shift: &Shift,
        digest: [u8; 32],
        parts: Vec<Part>,
    ) -> Result<TranscodeTurn, ContentError> {
        let Some((mut tx, mut upload)) = self.hold(shift).await? else { return self.given_up(parts).await };
        let set_aside = upload.draft.size_bytes;
        let transcode = Self::transcode(&mut *tx, upload.id).await?;
        upload.transcoded(digest, &parts)?;
        for part in &parts {
            tx.add_part(upload.id, part).await?;
        }
        // Last, for all uploads of the tenant wait for whoever has it.
        tx.give_room(set_aside - upload.draft.size_bytes).await?;
        tx.update_upload(&upload).await?;
        tx.update_transcode(&Transcode { done_permille: 1_000, ..transcode }).await?;
        tx.schedule_upload(upload.id, Some(self.0.clock.now())).await?;
        self.announce(&mut *tx, ContentFact::UploadReceived(upload.id));
        Self::done(&mut *tx, actions::FINISH_TRANSCODE, upload.id).await?;
        tx.commit().await?;
        Ok(TranscodeTurn::Made)
    }
}
