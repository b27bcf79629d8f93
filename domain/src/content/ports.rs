//! What content needs from outside, in its own words.

use std::{collections::HashSet, ops::Range};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{
    events::ContentEvent,
    model::{Part, Probed, Upload, UploadState},
};
use crate::kernel::{
    clock::Timestamp,
    fault::PortError,
    ids::UploadId,
    outbox::{Origin, Outbox},
    page::{Page, PageRequest},
    scope::TenantScope,
};

/// Which uploads are asked for. Pieces are never among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadFilter {
    /// Only those in this state; `None` leaves out what is gone.
    pub state: Option<UploadState>,
}

/// Uploads, their parts, and when something is to be done about them.
#[async_trait]
pub trait UploadStore: Send {
    /// `None` when this tenant has no such upload.
    async fn upload(&mut self, id: UploadId) -> Result<Option<Upload>, PortError>;
    /// The same, locked until the transaction ends.
    async fn lock_upload(&mut self, id: UploadId) -> Result<Option<Upload>, PortError>;
    /// Stores a new upload.
    async fn add_upload(&mut self, upload: &Upload) -> Result<(), PortError>;
    /// Stores changes and counts the version on; stale when it is another than the one stored.
    async fn update_upload(&mut self, upload: &Upload) -> Result<(), PortError>;
    /// Oldest first, without pieces.
    async fn uploads(&mut self, filter: UploadFilter, page: PageRequest) -> Result<Page<Upload>, PortError>;
    /// The file that was made of these pieces, in this order.
    async fn joined_of(&mut self, pieces: &[UploadId]) -> Result<Option<Upload>, PortError>;
    /// How many are receiving, pieces among them, counted up to `most`.
    async fn count_receiving(&mut self, most: u32) -> Result<u32, PortError>;
    /// Its parts, in order.
    async fn parts(&mut self, upload: UploadId) -> Result<Vec<Part>, PortError>;
    /// Stores where a part is.
    async fn add_part(&mut self, upload: UploadId, part: &Part) -> Result<(), PortError>;
    /// Gives the parts of `from` to `to`, each `shift` bytes further on.
    async fn move_parts(&mut self, from: UploadId, to: UploadId, shift: u64) -> Result<(), PortError>;
    /// Forgets the parts of an upload.
    async fn remove_parts(&mut self, upload: UploadId) -> Result<(), PortError>;
    /// Those of these objects that are a part of anything.
    async fn objects_in_use(&mut self, keys: &[String]) -> Result<HashSet<String>, PortError>;
    /// Says when an upload is looked at next, and gives back the claim on it; `None` for never again.
    async fn schedule_upload(&mut self, id: UploadId, due_at: Option<Timestamp>) -> Result<(), PortError>;
}

/// The stores of content in one transaction of one tenant.
pub trait ContentTx: UploadStore + Outbox {
    /// The tenant the transaction is confined to.
    fn scope(&self) -> TenantScope;
    /// Told to subscribers once the transaction is committed, and never when it is not.
    fn announce(&mut self, event: ContentEvent);
}

/// Opens transactions for what no command does: bytes that arrive, and what is done with a file afterwards.
#[async_trait]
pub trait ContentUnits: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn ContentUnit>, PortError>;
}

/// One open transaction. Dropped without a commit, it leaves nothing behind.
#[async_trait]
pub trait ContentUnit: ContentTx {
    /// Makes it all durable, then announces.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;
}

/// Uploads of all tenants that something is to be done about: to be checked, or thrown away.
#[async_trait]
pub trait UploadSchedule: Send + Sync {
    /// Claims up to `most` that are due, the most overdue first; nobody else gets them for `lease`.
    async fn claim(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, UploadId)>, PortError>;
}

/// Finds out what a file is. It is somebody else's, and may be made to do harm.
#[async_trait]
pub trait MediaProbe: Send + Sync {
    /// What the parts are when they are put together, in this order.
    async fn probe(&self, parts: &[Part]) -> Result<Probed, PortError>;
}

/// Keeps bytes under names. An object is written once and whole, and is durable when `put` has answered.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps bytes.
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), PortError>;
    /// Some of an object's bytes; a lasting error when it is not there or is shorter.
    async fn get(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>, PortError>;
    /// Throws an object away; no error when it is not there.
    async fn remove(&self, key: &str) -> Result<(), PortError>;
    /// Names of all objects below a folder, which ends in no slash.
    async fn below(&self, folder: &str) -> Result<Vec<String>, PortError>;
}
