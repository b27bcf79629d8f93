//! Logs in memory, read as they are.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Log, MemoryLogKeys, MemoryLogs, lock};
use crate::{
    compliance::{
        event::AuditEvent,
        log::{
            merkle::Hash,
            tile::{Tile, TileId},
        },
        ports::{KeptAnchor, KeptLeaf, LogEnds, LogId, LogKeys as _, LogReader, Prune, SignedHead, WhichLog},
    },
    kernel::{
        fault::PortError,
        ids::{ComplianceId, EventId, TenantId},
        scope::TenantScope,
    },
};

/// Reads all logs. Of a leaf's columns only the event's id and the leaf's hash are kept apart from the leaf; the others
/// are what the leaf says.
pub struct MemoryReader {
    logs: MemoryLogs,
    keys: Arc<MemoryLogKeys>,
}

impl MemoryReader {
    /// Of these logs, signed with these keys.
    pub const fn new(logs: MemoryLogs, keys: Arc<MemoryLogKeys>) -> Self {
        Self { logs, keys }
    }

    /// The platform's log is not among them.
    fn which(&self, log: WhichLog) -> Log {
        match log {
            WhichLog::Tenant(log) => self.log(log),
            WhichLog::Platform => Log::default(),
        }
    }

    fn log(&self, log: LogId) -> Log {
        lock(&self.logs.kept).logs.get(&log).cloned().unwrap_or_default()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[async_trait]
impl LogReader for MemoryReader {
    async fn logs(&self, tenant: Option<TenantId>) -> Result<Vec<LogId>, PortError> {
        let kept = lock(&self.logs.kept);
        let wanted = |log: &&LogId| tenant.is_none_or(|tenant| log.tenant == tenant);
        Ok(kept.logs.keys().filter(wanted).copied().collect())
    }

    async fn long_logs(&self, least: u64) -> Result<Vec<(LogId, u64)>, PortError> {
        let kept = lock(&self.logs.kept);
        let sized = kept.logs.iter().filter_map(|(id, log)| Some((*id, log.heads.last()?.size)));
        Ok(sized.filter(|(_, size)| *size >= least).collect())
    }

    async fn unnoted_tables(&self) -> Result<Vec<&'static str>, PortError> {
        Ok(Vec::new())
    }

    async fn ends(&self, log: WhichLog) -> Result<LogEnds, PortError> {
        let log = self.which(log);
        let head = log.heads.iter().map(|head| head.size).max().unwrap_or_default();
        Ok(LogEnds { leaves: count(log.leaves.len()), head })
    }

    async fn leaves(&self, log: LogId, begin: u64, until: u64) -> Result<Vec<KeptLeaf>, PortError> {
        let rows = (0_u64..).zip(self.log(log).leaves).filter(|(index, _)| (begin..until).contains(index));
        let kept = rows.map(|(index, (event, leaf, leaf_hash))| {
            let told = AuditEvent::from_leaf(&leaf).ok();
            let nobody = ComplianceId::from_uuid(uuid::Uuid::nil());
            KeptLeaf {
                index,
                event,
                compliance_id: told.as_ref().map_or(nobody, |told| told.compliance_id),
                type_name: told.as_ref().map(|told| told.type_name.clone()).unwrap_or_default(),
                outcome: told.as_ref().map(|told| told.outcome.as_str().to_owned()).unwrap_or_default(),
                actor: told.as_ref().and_then(|told| told.actor.id),
                target: told.as_ref().and_then(|told| told.target.as_ref()?.id),
                occurred_at: told.as_ref().map(|told| told.occurred_at).unwrap_or_default(),
                leaf,
                leaf_hash: leaf_hash.0.to_vec(),
            }
        });
        Ok(kept.collect())
    }

    async fn anchors(&self, _: u64, _: u64) -> Result<Vec<KeptAnchor>, PortError> {
        Ok(Vec::new())
    }

    async fn lost(&self, _: u64, _: u64) -> Result<Vec<(u64, Hash)>, PortError> {
        Ok(Vec::new())
    }

    async fn said_lost(&self) -> Result<Vec<(u64, u64)>, PortError> {
        Ok(Vec::new())
    }

    async fn tiles(&self, log: WhichLog, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        let log = self.which(log);
        Ok(ids.iter().filter_map(|id| log.tiles.get(&(id.level(), id.index())).cloned()).collect())
    }

    async fn strays(&self, log: WhichLog) -> Result<Vec<(u8, u64)>, PortError> {
        let log = self.which(log);
        let size = log.heads.iter().map(|head| head.size).max().unwrap_or_default();
        let is_past = |tile: &&Tile| {
            let id = tile.id();
            id.index() * 256 + u64::from(id.width()) > size >> (8 * u32::from(id.level()))
        };
        Ok(log.tiles.values().filter(is_past).map(|tile| (tile.id().level(), tile.id().index())).collect())
    }

    async fn heads(&self, log: WhichLog, after: u64, until: u64) -> Result<Vec<SignedHead>, PortError> {
        let mut heads = self.which(log).heads;
        heads.retain(|head| head.size > after && head.size <= until);
        heads.sort_by_key(|head| head.size);
        Ok(heads)
    }

    async fn pruned(&self, _: LogId) -> Result<Option<Prune>, PortError> {
        Ok(None)
    }

    async fn keys(&self, log: WhichLog) -> Result<Vec<[u8; 32]>, PortError> {
        match log {
            WhichLog::Tenant(log) => self.keys.public_keys(&TenantScope::of(log.tenant)).await,
            WhichLog::Platform => Ok(Vec::new()),
        }
    }
}

/// An id that no event of a test has.
pub const STRANGER: EventId = EventId::from_uuid(uuid::Uuid::from_u128(1));
