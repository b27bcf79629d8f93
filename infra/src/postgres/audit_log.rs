//! Reading a tenant's audit log.

use async_trait::async_trait;
use domain::{
    compliance::{
        event::AuditEvent,
        log::{
            merkle::Hash,
            tile::{Tile, TileId},
        },
        ports::{AuditStore, EventFilter, EventKey, LoggedEvent, Prune, SignedHead},
    },
    kernel::{
        fault::PortError,
        ids::{ComplianceId, EventId},
        outbox::Stream,
        page::{Key, Page, PageRequest},
    },
};
use sea_orm::{ColumnTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::{
    entity::{audit_head, audit_leaf, audit_tile},
    error::orm_error,
    scope::{Rows as _, keyset},
    work::PgWork,
};

const LEAVES: &str = "postgres.audit_leaves";
const HEADS: &str = "postgres.audit_heads";
const TILES: &str = "postgres.audit_tiles";

pub(super) fn stored_hash(port: &'static str, bytes: Vec<u8>) -> Result<Hash, PortError> {
    let bytes: [u8; 32] =
        bytes.try_into().map_err(|_| PortError::lasting(port, "a stored hash is not 32 bytes"))?;
    Ok(Hash(bytes))
}

/// Sizes and indexes are kept as `bigint` and never negative (CHECK).
pub(super) fn unsigned(port: &'static str, number: i64) -> Result<u64, PortError> {
    u64::try_from(number).map_err(|e| PortError::lasting(port, e))
}

/// The other way round.
pub(super) fn signed(port: &'static str, number: u64) -> Result<i64, PortError> {
    i64::try_from(number).map_err(|e| PortError::lasting(port, e))
}

fn logged(row: audit_leaf::Model) -> Result<LoggedEvent, PortError> {
    Ok(LoggedEvent {
        index: unsigned(LEAVES, row.index)?,
        event: AuditEvent::from_leaf(&row.leaf).map_err(|e| PortError::lasting(LEAVES, e))?,
        leaf_hash: stored_hash(LEAVES, row.leaf_hash)?,
    })
}

pub(super) fn head_of(row: audit_head::Model) -> Result<SignedHead, PortError> {
    Ok(SignedHead {
        size: unsigned(HEADS, row.size)?,
        root: stored_hash(HEADS, row.root)?,
        note: row.note,
        signed_at: row.signed_at,
    })
}

#[async_trait]
impl AuditStore for PgWork {
    async fn trail(&mut self, id: ComplianceId) -> Result<Vec<LoggedEvent>, PortError> {
        /// More than any one answer leaves; bounds what a corrupted log could make us read.
        const MOST: u64 = 1_000;
        self.tx
            .scoped::<audit_leaf::Entity>()
            .filter(audit_leaf::Column::ComplianceId.eq(id.uuid()))
            .order_by_asc(audit_leaf::Column::OccurredAt)
            .order_by_asc(audit_leaf::Column::EventId)
            .limit(MOST)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(LEAVES, e))?
            .into_iter()
            .map(logged)
            .collect()
    }

    async fn events(
        &mut self,
        filter: &EventFilter,
        page: PageRequest<EventKey>,
    ) -> Result<Page<LoggedEvent>, PortError> {
        use audit_leaf::Column;
        let mut select = self.tx.scoped::<audit_leaf::Entity>();
        select = match filter.stream {
            Some(stream) => select.filter(Column::Stream.eq(stream.as_str())),
            None => select.filter(Column::Stream.ne(Stream::Access.as_str())),
        };
        if !filter.types.is_empty() {
            select = select.filter(Column::Type.is_in(filter.types.iter().cloned()));
        }
        if let Some(outcome) = filter.outcome {
            select = select.filter(Column::Outcome.eq(outcome.as_str()));
        }
        if let Some(actor) = filter.actor {
            select = select.filter(Column::ActorId.eq(actor));
        }
        if let Some(target) = filter.target {
            select = select.filter(Column::TargetId.eq(target));
        }
        if let Some(since) = filter.since {
            select = select.filter(Column::OccurredAt.gte(since));
        }
        if let Some(until) = filter.until {
            select = select.filter(Column::OccurredAt.lt(until));
        }
        let by_key = PageRequest {
            limit: page.limit,
            from: page.from.map(|key| Key { at: key.at, id: key.id.uuid() }),
            direction: page.direction,
        };
        let rows = keyset(select, Column::OccurredAt, Column::EventId, by_key)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(LEAVES, e))?;
        let events = rows.into_iter().map(logged).collect::<Result<_, _>>()?;
        Ok(Page::of_read(events, &page))
    }

    async fn event(&mut self, id: EventId) -> Result<Option<LoggedEvent>, PortError> {
        self.tx
            .scoped::<audit_leaf::Entity>()
            .filter(audit_leaf::Column::EventId.eq(id.uuid()))
            .one(&self.tx)
            .await
            .map_err(|e| orm_error(LEAVES, e))?
            .map(logged)
            .transpose()
    }

    async fn head(&mut self, stream: Stream, size: Option<u64>) -> Result<Option<SignedHead>, PortError> {
        use audit_head::Column;
        let mut select = self
            .tx
            .scoped::<audit_head::Entity>()
            .filter(Column::Stream.eq(stream.as_str()))
            .order_by_desc(Column::Size);
        if let Some(size) = size {
            // A size beyond what is kept has no head.
            let Ok(size) = i64::try_from(size) else { return Ok(None) };
            select = select.filter(Column::Size.eq(size));
        }
        let row = select.one(&self.tx).await.map_err(|e| orm_error(HEADS, e))?;
        row.map(head_of).transpose()
    }

    async fn tiles(&mut self, stream: Stream, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        use audit_tile::Column;
        let mut wanted = sea_orm::Condition::any();
        for id in ids {
            wanted = wanted.add(
                Column::Level.eq(i16::from(id.level())).and(Column::Index.eq(signed(TILES, id.index())?)),
            );
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.tx
            .scoped::<audit_tile::Entity>()
            .filter(Column::Stream.eq(stream.as_str()))
            .filter(wanted)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(TILES, e))?
            .into_iter()
            .map(|row| tile_of(row.level, row.index, &row.hashes))
            .collect()
    }

    async fn pruned(&mut self, stream: Stream) -> Result<Option<Prune>, PortError> {
        self.newest_prune(stream).await
    }
}

/// A tile as it is kept: `width` hashes one after the other.
pub(super) fn tile_of(level: i16, index: i64, hashes: &[u8]) -> Result<Tile, PortError> {
    let level = u8::try_from(level).map_err(|e| PortError::lasting(TILES, e))?;
    let width = u16::try_from(hashes.len() / 32).map_err(|e| PortError::lasting(TILES, e))?;
    let id = TileId::new(level, unsigned(TILES, index)?, width).map_err(|e| PortError::lasting(TILES, e))?;
    Tile::from_bytes(id, hashes).map_err(|e| PortError::lasting(TILES, e))
}
