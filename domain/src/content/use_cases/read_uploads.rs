//! What is known of files, and their bytes.

use super::{
    super::{
        model::{Finding, Upload},
        ports::{ContentTx, UploadFilter},
    },
    Content,
};
use crate::{
    content::ContentError,
    kernel::{
        actor::{Actor, Permission},
        ids::UploadId,
        page::{Page, PageRequest},
    },
};

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
        if !actor.may(Permission::ManageContent) {
            actor.require(Permission::ReadContent)?;
        }
        Ok(tx.upload(id).await?)
    }

    /// What a platform will make of a file, the worst first; `None` when this installation knows no such platform.
    pub fn preflight(&self, upload: &Upload, platform: &str) -> Option<Vec<Finding>> {
        let (_, rules) = self.0.rules.iter().find(|(key, _)| key.as_str() == platform)?;
        Some(rules.check(upload.draft.size_bytes, upload.probed.as_ref()))
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
