//! One tenant's view of the logs.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Log, MemoryLogs, lock};
use crate::{
    compliance::{
        compose,
        event::AuditEvent,
        log::{
            merkle::Hash,
            tile::{Tile, TileId},
        },
        ports::{
            Anchor, AnchorStore, Attestation, AuditStore, ComplianceTx, EventFilter, EventKey, LogId,
            LoggedEvent, Prune, SignedHead, Unsequenced,
        },
    },
    kernel::{
        clock::Clock,
        fault::PortError,
        ids::{ComplianceId, EventId, IdSource},
        outbox::{Origin, Outbox, Record, Stream},
        page::{Direction, Page, PageRequest},
        scope::TenantScope,
    },
};

const PORT: &str = "memory.audit";

/// Reads a tenant's logs. What is recorded through it waits at once: it has nothing to commit.
pub struct MemoryAudit {
    logs: MemoryLogs,
    scope: TenantScope,
    origin: Origin,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl MemoryAudit {
    /// Of this tenant; what is recorded comes from `origin`.
    pub fn new(
        logs: MemoryLogs,
        scope: TenantScope,
        origin: Origin,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { logs, scope, origin, clock, ids }
    }

    fn log(&self, stream: Stream) -> Log {
        let id = LogId { tenant: self.scope.tenant(), stream };
        lock(&self.logs.kept).logs.get(&id).cloned().unwrap_or_default()
    }

    /// Everything sequenced, by time and id.
    fn all(&self) -> Result<Vec<LoggedEvent>, PortError> {
        let mut found = Vec::new();
        for stream in Stream::ALL {
            for (index, (_, leaf, leaf_hash)) in (0..).zip(self.log(stream).leaves) {
                found.push(logged(index, &leaf, leaf_hash)?);
            }
        }
        found.sort_by_key(|logged| (logged.event.occurred_at, logged.event.event_id));
        Ok(found)
    }
}

fn logged(index: u64, leaf: &[u8], leaf_hash: Hash) -> Result<LoggedEvent, PortError> {
    let event = AuditEvent::from_leaf(leaf).map_err(|e| PortError::lasting(PORT, e))?;
    Ok(LoggedEvent { index, event, leaf_hash })
}

/// Whether an event is wanted.
fn passes(filter: &EventFilter, event: &AuditEvent) -> bool {
    let target = event.target.as_ref().and_then(|target| target.id);
    filter.stream.map_or(event.stream != Stream::Access, |stream| event.stream == stream)
        && (filter.types.is_empty() || filter.types.contains(&event.type_name))
        && filter.outcome.is_none_or(|outcome| event.outcome == outcome)
        && (filter.actor.is_none() || event.actor.id == filter.actor)
        && (filter.target.is_none() || target == filter.target)
        && filter.since.is_none_or(|since| event.occurred_at >= since)
        && filter.until.is_none_or(|until| event.occurred_at < until)
}

#[async_trait]
impl AuditStore for MemoryAudit {
    async fn trail(&mut self, id: ComplianceId) -> Result<Vec<LoggedEvent>, PortError> {
        let all = self.all()?.into_iter();
        Ok(all.filter(|logged| logged.event.compliance_id == id).collect())
    }

    async fn events(
        &mut self,
        filter: &EventFilter,
        page: PageRequest<EventKey>,
    ) -> Result<Page<LoggedEvent>, PortError> {
        let mut found = self.all()?;
        found.retain(|logged| {
            let place = (logged.event.occurred_at, logged.event.event_id);
            passes(filter, &logged.event)
                && page.from.is_none_or(|from| match page.direction {
                    Direction::Forward => place > (from.at, from.id),
                    Direction::Backward => place < (from.at, from.id),
                })
        });
        if page.direction == Direction::Backward {
            found.reverse();
        }
        found.truncate(usize::from(page.limit) + 1);
        Ok(Page::of_read(found, &page))
    }

    async fn event(&mut self, id: EventId) -> Result<Option<LoggedEvent>, PortError> {
        let mut leaves = Stream::ALL.into_iter().flat_map(|stream| (0..).zip(self.log(stream).leaves));
        let found = leaves.find(|(_, (event, ..))| *event == id);
        found.map(|(index, (_, leaf, leaf_hash))| logged(index, &leaf, leaf_hash)).transpose()
    }

    async fn head(&mut self, stream: Stream, size: Option<u64>) -> Result<Option<SignedHead>, PortError> {
        let heads = self.log(stream).heads;
        Ok(heads.into_iter().rev().find(|head| size.is_none_or(|size| head.size == size)))
    }

    async fn pruned(&mut self, _: Stream) -> Result<Option<Prune>, PortError> {
        Ok(None)
    }

    async fn tiles(&mut self, stream: Stream, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        let log = self.log(stream);
        Ok(ids.iter().filter_map(|id| log.tiles.get(&(id.level(), id.index())).cloned()).collect())
    }
}

/// There is none in memory.
#[async_trait]
impl AnchorStore for MemoryAudit {
    async fn anchor(&mut self, _: Stream, _: Option<u64>, _: u64) -> Result<Option<Anchor>, PortError> {
        Ok(None)
    }

    async fn platform_head(&mut self) -> Result<Option<SignedHead>, PortError> {
        Ok(None)
    }

    async fn platform_tiles(&mut self, _: &[TileId]) -> Result<Vec<Tile>, PortError> {
        Ok(Vec::new())
    }

    async fn platform_keys(&mut self) -> Result<Vec<[u8; 32]>, PortError> {
        Ok(Vec::new())
    }

    async fn attestations(
        &mut self,
        _: Option<u64>,
        _: u16,
    ) -> Result<Vec<(Attestation, String)>, PortError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Outbox for MemoryAudit {
    async fn record(&mut self, record: Record) -> Result<(), PortError> {
        let (id, now) = (EventId::new(&*self.ids), self.clock.now());
        let event = compose(self.scope, &self.origin, &record, id, now);
        let leaf = event.to_leaf().map_err(|e| PortError::lasting(PORT, e))?;
        let log = LogId { tenant: self.scope.tenant(), stream: record.action.stream };
        self.logs.add(Unsequenced { log, event: id, leaf });
        Ok(())
    }
}

impl ComplianceTx for MemoryAudit {}
