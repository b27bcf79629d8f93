//! One file per verb. Bytes are kept outside of any transaction, and counted in a short one.

pub(super) mod begin_upload;
mod cancel_upload;
pub(super) mod check_upload;
pub(super) mod finish_transcode;
pub(super) mod read_uploads;
pub(super) mod receive_parts;
mod transcode_upload;

use std::sync::Arc;

use super::{
    ContentError,
    events::{ContentEvent, ContentFact},
    model::{MediaRules, Upload},
    ports::{ContentTx, ContentUnits, MediaProbe, ObjectStore, Transcoder, UploadSchedule},
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
    /// Makes files of others.
    pub transcoder: Arc<dyn Transcoder>,
    /// Most bytes of a tenant that are announced and kept.
    pub tenant_bytes_max: u64,
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

    fn rules(&self, platform: &str) -> Option<&MediaRules> {
        self.0.rules.iter().find(|(key, _)| key.as_str() == platform).map(|(_, rules)| rules)
    }

    /// Counts bytes that are announced; `field` asks for them.
    async fn take_room(
        &self,
        tx: &mut dyn ContentTx,
        field: &'static str,
        wanted_bytes: u64,
    ) -> Result<(), ContentError> {
        let max_bytes = self.0.tenant_bytes_max;
        if tx.take_room(wanted_bytes, max_bytes).await? {
            return Ok(());
        }
        let used_bytes = tx.used_bytes().await?;
        Err(ContentError::StorageFull { field, used_bytes, max_bytes, wanted_bytes })
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
