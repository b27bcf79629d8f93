//! What is known of files, and their bytes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

use super::{
    super::{
        model::{Finding, Part, Transcode, Upload, UploadState},
        ports::{ContentTx, UploadFilter},
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
        outbox::Origin,
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};

/// A file that can be used, and where its bytes are.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// What it is.
    pub upload: Upload,
    parts: Vec<Part>,
}

/// How much a tenant has announced and keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRoom {
    /// How much it is, in bytes.
    pub used_bytes: u64,
    /// How much it may be, in bytes.
    pub max_bytes: u64,
}

/// Who may manage files may read them too.
fn may_read(actor: &Actor) -> Result<(), ContentError> {
    if !actor.may(Permission::ManageContent) {
        actor.require(Permission::ReadContent)?;
    }
    Ok(())
}

impl Content {
    /// An upload; `None` when this tenant has none of this id. Who may bring files in may look at one.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn upload(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        id: UploadId,
    ) -> Result<Option<Upload>, ContentError> {
        may_read(actor)?;
        Ok(tx.upload(id).await?)
    }

    /// These uploads, each once however often it is named; those the tenant does not have are absent.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn uploads_by_id(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        ids: impl Iterator<Item = UploadId> + Send,
    ) -> Result<BTreeMap<UploadId, Upload>, ContentError> {
        let ids: Vec<_> = ids.collect::<BTreeSet<_>>().into_iter().collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        may_read(actor)?;
        let found = tx.uploads_by_id(&ids).await?;
        Ok(found.into_iter().map(|upload| (upload.id, upload)).collect())
    }

    /// What a platform will make of a file, the worst first; `None` when this installation knows no such platform.
    pub fn preflight(&self, upload: &Upload, platform: &str) -> Option<Vec<Finding>> {
        Some(self.rules(platform)?.check(upload.draft.size_bytes, upload.probed.as_ref()))
    }

    /// How those of these uploads came to be that were made of others.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn transcodes(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        uploads: &[UploadId],
    ) -> Result<HashMap<UploadId, Transcode>, ContentError> {
        may_read(actor)?;
        Ok(tx.transcodes(uploads).await?)
    }

    /// How many bytes the tenant has announced and keeps, and how many it may.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn content_room(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
    ) -> Result<ContentRoom, ContentError> {
        may_read(actor)?;
        Ok(ContentRoom { used_bytes: tx.used_bytes().await?, max_bytes: self.0.tenant_bytes_max })
    }

    /// A file that can be used; `None` when there is none of this id, or not any more.
    ///
    /// # Errors
    /// `Port`.
    pub async fn stored_file(
        &self,
        scope: TenantScope,
        origin: &Origin,
        id: UploadId,
    ) -> Result<Option<StoredFile>, ContentError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let Some(upload) = tx.upload(id).await?.filter(|upload| upload.state == UploadState::Ready) else {
            return Ok(None);
        };
        let parts = tx.parts(id).await?;
        Ok(Some(StoredFile { upload, parts }))
    }

    /// Some of a file's bytes, in memory. What is behind its end is left out.
    ///
    /// # Errors
    /// `Port`.
    pub async fn read_file(&self, file: &StoredFile, range: Range<u64>) -> Result<Vec<u8>, ContentError> {
        let length = range.end.min(file.upload.draft.size_bytes).saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        for part in &file.parts {
            let end = part.offset_bytes + part.size_bytes;
            let (from, to) = (range.start.max(part.offset_bytes), range.end.min(end));
            if from < to {
                let within = from - part.offset_bytes..to - part.offset_bytes;
                bytes.extend(self.0.objects.get(&part.key, within).await?);
            }
        }
        Ok(bytes)
    }

    /// Uploads, oldest first. Pieces are not among them.
    ///
    /// # Errors
    /// `Denied`, `Port`.
    pub async fn uploads(
        &self,
        tx: &mut dyn ContentTx,
        actor: &Actor,
        filter: UploadFilter,
        page: PageRequest,
    ) -> Result<Page<Upload>, ContentError> {
        actor.require(Permission::ReadContent)?;
        Ok(tx.uploads(filter, page).await?)
    }
}
