//! One file per verb. Bytes are kept outside of any transaction, and counted in a short one.

pub(super) mod begin_upload;
mod cancel_upload;
pub(super) mod check_upload;
pub(super) mod read_uploads;
pub(super) mod receive_parts;

use std::sync::Arc;

use super::{
    ContentError,
    events::{ContentEvent, ContentFact},
    model::{MediaRules, Upload},
    ports::{ContentTx, ContentUnits, MediaProbe, ObjectStore, UploadSchedule},
};
use crate::kernel::{
    action::Action,
    clock::Clock,
    ids::{IdSource, UploadId},
    outbox::{Party, Record},
    platform::PlatformKey,
    scope::TenantScope,
};

/// What content is built from.
pub struct ContentPorts {
    /// Its own transactions.
    pub units: Arc<dyn ContentUnits>,
    /// Which uploads are due, across tenants.
    pub schedule: Arc<dyn UploadSchedule>,
    /// Where bytes are kept.
    pub objects: Arc<dyn ObjectStore>,
    /// What files are.
    pub probe: Arc<dyn MediaProbe>,
    /// What platforms take.
    pub rules: Vec<(PlatformKey, MediaRules)>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

/// Files that are to be posted.
pub struct Content(ContentPorts);

impl Content {
    /// Takes its ports.
    pub const fn new(ports: ContentPorts) -> Self {
        Self(ports)
    }

    fn announce(&self, tx: &mut dyn ContentTx, fact: ContentFact) {
        tx.announce(ContentEvent { fact, at: self.0.clock.now() });
    }

    /// Records something as done to an upload.
    async fn done(tx: &mut dyn ContentTx, action: Action, id: UploadId) -> Result<(), ContentError> {
        Ok(tx.record(Record::success(action, Party::new("upload", id.uuid()))).await?)
    }

    /// The folder of an upload's objects: nobody else's are in it.
    fn folder(scope: &TenantScope, id: UploadId) -> String {
        format!("uploads/{}/{}", scope.tenant().uuid().simple(), id.uuid().simple())
    }

    async fn locked(tx: &mut dyn ContentTx, id: UploadId) -> Result<Upload, ContentError> {
        tx.lock_upload(id).await?.ok_or(ContentError::NotFound { field: "id" })
    }
}
