//! What content needs from outside, in its own words.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{
    events::ContentEvent,
    model::{Part, Probed, Recipe, Transcode, TranscodeFailure, Upload, UploadState},
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
    /// Those of these uploads that this tenant has, in any order.
    async fn uploads_by_id(&mut self, ids: &[UploadId]) -> Result<Vec<Upload>, PortError>;
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
    /// How many are in that state, pieces among them, counted up to `most`.
    async fn count_uploads(&mut self, state: UploadState, most: u32) -> Result<u32, PortError>;
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

/// Uploads that are made of others.
#[async_trait]
pub trait TranscodeStore: Send {
    /// How those of these uploads came to be that were made of others.
    async fn transcodes(&mut self, uploads: &[UploadId]) -> Result<HashMap<UploadId, Transcode>, PortError>;
    /// The one of a source, for a platform and by that recipe, that did not end without a file.
    async fn transcode_of(
        &mut self,
        source: UploadId,
        platform: &str,
        recipe: &str,
    ) -> Result<Option<Transcode>, PortError>;
    /// Stores a new one; its upload is stored already.
    async fn add_transcode(&mut self, transcode: &Transcode) -> Result<(), PortError>;
    /// Stores how far it is. Who changes it holds the lock on its upload.
    async fn update_transcode(&mut self, transcode: &Transcode) -> Result<(), PortError>;
    /// Says when an upload that is to be made is taken up at the latest, and gives back the claim on it.
    async fn schedule_transcode(&mut self, id: UploadId, due_at: Timestamp) -> Result<(), PortError>;
    /// Nobody else claims a transcode that is due until then.
    async fn hold_transcode(&mut self, id: UploadId, until: Timestamp) -> Result<(), PortError>;
}

/// How much a tenant has announced and keeps.
#[async_trait]
pub trait RoomStore: Send {
    /// How much it is, in bytes.
    async fn used_bytes(&mut self) -> Result<u64, PortError>;
    /// Counts `bytes` more unless they would be more than `max_bytes` in all; whether they were counted. Others who count
    /// wait until this transaction ends. Called before the upload is stored.
    async fn take_room(&mut self, bytes: u64, max_bytes: u64) -> Result<bool, PortError>;
    /// Counts `bytes` less. Called before the upload is changed.
    async fn give_room(&mut self, bytes: u64) -> Result<(), PortError>;
}

/// The stores of content in one transaction of one tenant.
pub trait ContentTx: UploadStore + TranscodeStore + RoomStore + Outbox {
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
    /// The same of uploads that are to be made of others.
    async fn claim_transcodes(
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

/// How the making of a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranscodeStep {
    /// It goes on; so much of the file plays, in milliseconds.
    Going {
        /// How much.
        done_ms: u64,
    },
    /// The file is made and can be read.
    Made,
    /// There will be none.
    Failed(TranscodeFailure),
    /// Whoever made it was killed, by the system or by somebody: it may be made another time, but not for ever.
    Killed,
}

/// Makes a file of another. It is somebody else's, and may be made to do harm.
#[async_trait]
pub trait Transcoder: Send + Sync {
    /// Begins to make a file of the parts, in this order. `name` is the work's own: what an earlier one of this name left
    /// behind is thrown away.
    async fn begin(
        &self,
        name: &str,
        parts: Vec<Part>,
        recipe: &Recipe,
    ) -> Result<Box<dyn TranscodeWork>, PortError>;
}

/// A file in the making. Dropped, it ends, and nothing stays of it.
#[async_trait]
pub trait TranscodeWork: Send {
    /// Waits for what is next, a few seconds at the most.
    async fn next(&mut self) -> Result<TranscodeStep, PortError>;
    /// The next bytes of the file that was made, `most` or those that are left; none at its end.
    async fn read(&mut self, most: usize) -> Result<Vec<u8>, PortError>;
}

/// The folder of the marker that a store is known by.
pub const MARKER_FOLDER: &str = "store-marker";

/// Keeps bytes under names. An object is written once and whole, and is durable when `put` has answered.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps bytes.
    async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), PortError>;
    /// Some of an object's bytes; a lasting error when it is not there or is shorter, and the store is the one it was: it
    /// has something in [`MARKER_FOLDER`].
    async fn get(&self, key: &str, range: Range<u64>) -> Result<Vec<u8>, PortError>;
    /// Throws an object away; no error when it is not there.
    async fn remove(&self, key: &str) -> Result<(), PortError>;
    /// Names of all objects below a folder, which ends in no slash.
    async fn below(&self, folder: &str) -> Result<Vec<String>, PortError>;
}
