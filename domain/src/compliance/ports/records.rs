//! Records of processing: where they are kept, and what is so of a tenant now.

use async_trait::async_trait;

use crate::{
    compliance::{
        processing::{ProcessingRecord, TenantFacts},
        records::Activity,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{MemberId, RecordId},
        page::{Page, PageRequest},
    },
};

/// Which records are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this activity; `None` asks for all.
    pub activity: Option<Activity>,
    /// Only the newest version of each.
    pub is_current: bool,
}

/// Keeps records of processing.
#[async_trait]
pub trait RecordStore: Send {
    /// What is so of the tenant now; `None` when there is no such tenant.
    async fn tenant_facts(&mut self) -> Result<Option<TenantFacts>, PortError>;
    /// The newest version of each.
    async fn newest_records(&mut self) -> Result<Vec<ProcessingRecord>, PortError>;
    /// Stores a new version.
    async fn add_record(&mut self, record: &ProcessingRecord) -> Result<(), PortError>;
    /// The newest version of one that somebody has looked at, or nobody had to.
    async fn looked_at(&mut self, activity: Activity) -> Result<Option<ProcessingRecord>, PortError>;
    /// It is so still.
    async fn record_checked(&mut self, id: RecordId, at: Timestamp) -> Result<(), PortError>;
    /// Stores who looked at it, unless somebody has. Whether that is news.
    async fn record_reviewed(&mut self, id: RecordId, at: Timestamp, by: MemberId)
    -> Result<bool, PortError>;
    /// Stores its signature, unless it has one. Whether that is news.
    async fn record_signed(
        &mut self,
        id: RecordId,
        at: Timestamp,
        signature: Vec<u8>,
    ) -> Result<bool, PortError>;
    /// One, locked until the transaction ends.
    async fn lock_record(&mut self, id: RecordId) -> Result<Option<ProcessingRecord>, PortError>;
    /// One.
    async fn record_of(&mut self, id: RecordId) -> Result<Option<ProcessingRecord>, PortError>;
    /// Newest last.
    async fn records(
        &mut self,
        filter: RecordFilter,
        page: PageRequest,
    ) -> Result<Page<ProcessingRecord>, PortError>;
}
