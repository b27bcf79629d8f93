//! Moves events from the outbox into the logs, across tenants, under the role `matricula_sequencer`.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    compliance::{
        log::tile::edge_tiles,
        ports::{LogEdge, LogGrowth, LogId, SequencerStore, SequencingTx, Taken, Unsequenced},
    },
    kernel::{
        fault::PortError,
        ids::{EventId, TenantId},
        outbox::Stream,
    },
};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

use super::{
    audit_log::{signed, tile_of, unsigned},
    error::port_error,
    pool::Db,
};

const PORT: &str = "postgres.sequencer";

/// Names the lock that one sequencer at a time holds: the bytes of "matriseq".
const LOCK: i64 = 0x6d61_7472_6973_6571;

/// Takes events: any visible row, never "behind the last one seen", since rows become visible in the order of
/// commits, and that is not the order of any of their columns. Nobody else deletes: there is nothing to lock.
///
/// The tenants that have any are found by skipping from one to the next on the primary key. They have their turns row by
/// row, the oldest of each first, until the batch is full; how far each is read for that is bounded. An event under an id
/// that is in the log with another leaf is somebody's forgery: it stays here, and shows as lag.
const TAKE: &str = "
WITH RECURSIVE tenant (id) AS (
    (SELECT tenant_id FROM compliance.audit_outbox WHERE tenant_id <> ALL ($2) ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.tenant_id FROM compliance.audit_outbox AS o
            WHERE o.tenant_id > t.id AND o.tenant_id <> ALL ($2) ORDER BY o.tenant_id LIMIT 1)
    FROM tenant AS t WHERE t.id IS NOT NULL
), reach (most) AS (
    SELECT least($1, 4 * $1 / greatest(1, count(id)) + 64) FROM tenant
), picked AS (
    SELECT t.id AS tenant_id, w.event_id, w.place = (SELECT most FROM reach) AS is_last
    FROM tenant AS t
    CROSS JOIN LATERAL (
        SELECT o.event_id, row_number() OVER (ORDER BY o.event_id) AS place
        FROM compliance.audit_outbox AS o
        WHERE o.tenant_id = t.id
          AND NOT EXISTS (SELECT FROM compliance.audit_leaves AS l
                          WHERE l.tenant_id = o.tenant_id AND l.event_id = o.event_id AND l.leaf <> o.leaf)
        ORDER BY o.event_id LIMIT (SELECT most FROM reach)
    ) AS w
    ORDER BY w.place, w.event_id LIMIT $1
)
DELETE FROM compliance.audit_outbox AS o
USING picked AS p
WHERE o.tenant_id = p.tenant_id AND o.event_id = p.event_id
RETURNING o.*, p.is_last,
    EXISTS (SELECT FROM compliance.audit_leaves AS l
            WHERE l.tenant_id = o.tenant_id AND l.event_id = o.event_id) AS known";

/// How many wait, and how long the first of each tenant has: identifiers are in the order of making.
const BACKLOG: &str = "
WITH RECURSIVE tenant (id) AS (
    (SELECT tenant_id FROM compliance.audit_outbox ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT o.tenant_id FROM compliance.audit_outbox AS o
            WHERE o.tenant_id > t.id ORDER BY o.tenant_id LIMIT 1)
    FROM tenant AS t WHERE t.id IS NOT NULL
), first (at) AS (
    SELECT (SELECT o.occurred_at FROM compliance.audit_outbox AS o
            WHERE o.tenant_id = t.id ORDER BY o.event_id LIMIT 1)
    FROM tenant AS t WHERE t.id IS NOT NULL
)
SELECT (SELECT count(*) FROM (SELECT FROM compliance.audit_outbox LIMIT 10000) AS waiting) AS waiting,
    coalesce(extract(epoch FROM now() - (SELECT min(at) FROM first)), 0)::float8 AS oldest_s";

/// Sequencing on a pool of the role `matricula_sequencer`.
#[derive(Clone, Debug)]
pub struct PgSequencerStore {
    db: Db,
}

impl PgSequencerStore {
    /// Sequences on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The pool, for what else is done under the role.
    pub(super) const fn pool(&self) -> &sqlx::PgPool {
        self.db.pool()
    }

    /// How many events wait, counted up to 10,000, and for how many seconds the oldest has.
    ///
    /// # Errors
    /// The database did not answer.
    pub async fn backlog(&self) -> Result<(i64, f64), PortError> {
        let row = sqlx::query(BACKLOG).fetch_one(self.db.pool()).await.map_err(fault)?;
        Ok((row.get("waiting"), row.get("oldest_s")))
    }
}

fn fault(error: sqlx::Error) -> PortError {
    port_error(PORT, error)
}

#[async_trait]
impl SequencerStore for PgSequencerStore {
    async fn begin(&self) -> Result<Option<Box<dyn SequencingTx>>, PortError> {
        let mut tx = self.db.pool().begin().await.map_err(fault)?;
        // The lock ends with the transaction, however that ends: a sequencer that lost its connection can't
        // come back and write, and none can write beside it. No lease, no clock.
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *tx)
            .await
            .map_err(fault)?;
        Ok(locked.then(|| -> Box<dyn SequencingTx> { Box::new(PgSequencing { tx, taken: HashMap::new() }) }))
    }
}

struct PgSequencing {
    tx: Transaction<'static, Postgres>,
    taken: HashMap<(LogId, EventId), PgRow>,
}

#[async_trait]
impl SequencingTx for PgSequencing {
    async fn take(&mut self, most: u32, resting: &[TenantId]) -> Result<Taken, PortError> {
        let rows = sqlx::query(TAKE)
            .bind(i64::from(most))
            .bind(resting.iter().map(|tenant| tenant.uuid()).collect::<Vec<_>>())
            .fetch_all(&mut *self.tx)
            .await
            .map_err(fault)?;
        let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= most);
        let mut taken = Taken { events: Vec::with_capacity(rows.len()), more: is_full };
        for row in rows {
            taken.more |= row.get::<bool, _>("is_last");
            if row.get("known") {
                continue;
            }
            let stream: &str = row.get("stream");
            let event = EventId::from_uuid(row.get("event_id"));
            let log = LogId {
                tenant: TenantId::from_uuid(row.get("tenant_id")),
                stream: Stream::parse(stream)
                    .ok_or_else(|| PortError::lasting(PORT, "a stored stream is not one of ours"))?,
            };
            taken.events.push(Unsequenced { log, event, leaf: row.get("leaf") });
            self.taken.insert((log, event), row);
        }
        // By id, which is by time of making: RETURNING keeps no order.
        taken.events.sort_by_key(|event| (event.log, event.event));
        Ok(taken)
    }

    async fn edges(&mut self, logs: &[LogId]) -> Result<Vec<LogEdge>, PortError> {
        let (tenants, streams) = names(logs);
        let sizes = sqlx::query(
            "SELECT l.tenant, l.stream, coalesce(h.size, 0) AS size, h.signed_at
             FROM unnest($1::uuid[], $2::text[]) AS l (tenant, stream)
             LEFT JOIN LATERAL (
                 SELECT size, signed_at FROM compliance.audit_heads
                 WHERE tenant_id = l.tenant AND stream = l.stream ORDER BY size DESC LIMIT 1
             ) AS h ON true",
        )
        .bind(&tenants)
        .bind(&streams)
        .fetch_all(&mut *self.tx)
        .await
        .map_err(fault)?;
        let mut edges = HashMap::new();
        let mut wanted = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in sizes {
            let log = log_of(row.get("tenant"), row.get("stream"))?;
            let size = unsigned(PORT, row.get("size"))?;
            for tile in edge_tiles(size) {
                wanted.0.push(log.tenant.uuid());
                wanted.1.push(log.stream.as_str());
                wanted.2.push(i16::from(tile.level()));
                wanted.3.push(signed(PORT, tile.index())?);
            }
            edges.insert(log, LogEdge { log, size, signed_at: row.get("signed_at"), tiles: Vec::new() });
        }
        let tiles = sqlx::query(
            "SELECT t.tenant_id, t.stream, t.level, t.index, t.hashes
             FROM unnest($1::uuid[], $2::text[], $3::int2[], $4::int8[]) AS w (tenant, stream, level, index)
             JOIN compliance.audit_tiles AS t
               ON t.tenant_id = w.tenant AND t.stream = w.stream AND t.level = w.level AND t.index = w.index",
        )
        .bind(&wanted.0)
        .bind(&wanted.1)
        .bind(&wanted.2)
        .bind(&wanted.3)
        .fetch_all(&mut *self.tx)
        .await
        .map_err(fault)?;
        for row in tiles {
            let log = log_of(row.get("tenant_id"), row.get("stream"))?;
            // A tile that can't be read is left out: growing that log fails then, and no other.
            let tile = tile_of(row.get("level"), row.get("index"), row.get("hashes"));
            if let (Some(edge), Ok(tile)) = (edges.get_mut(&log), tile) {
                edge.tiles.push(tile);
            }
        }
        Ok(edges.into_values().collect())
    }

    async fn grow(&mut self, growth: &[LogGrowth]) -> Result<(), PortError> {
        self.add_leaves(growth).await?;
        self.put_tiles(growth).await?;
        self.add_heads(growth).await
    }

    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.tx.commit().await.map_err(fault)
    }
}

impl PgSequencing {
    async fn add_leaves(&mut self, growth: &[LogGrowth]) -> Result<(), PortError> {
        let mut columns = LeafColumns::default();
        for grown in growth {
            for (index, (event, hash)) in (grown.old_size..).zip(&grown.leaves) {
                let row = self
                    .taken
                    .get(&(grown.log, *event))
                    .ok_or_else(|| PortError::lasting(PORT, "an event was sequenced that was not taken"))?;
                columns.push(grown.log, signed(PORT, index)?, row, hash.0.to_vec());
            }
        }
        sqlx::query(
            "INSERT INTO compliance.audit_leaves
                 (tenant_id, stream, index, event_id, compliance_id, type, outcome, actor_id, target_id,
                  occurred_at, leaf, leaf_hash)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::uuid[], $5::uuid[], $6::text[],
                 $7::text[], $8::uuid[], $9::uuid[], $10::timestamptz[], $11::bytea[], $12::bytea[])",
        )
        .bind(&columns.tenants)
        .bind(&columns.streams)
        .bind(&columns.indexes)
        .bind(&columns.events)
        .bind(&columns.answers)
        .bind(&columns.types)
        .bind(&columns.outcomes)
        .bind(&columns.actors)
        .bind(&columns.targets)
        .bind(&columns.times)
        .bind(&columns.leaves)
        .bind(&columns.hashes)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(fault)
    }

    async fn put_tiles(&mut self, growth: &[LogGrowth]) -> Result<(), PortError> {
        let mut columns = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for grown in growth {
            for tile in &grown.tiles {
                columns.0.push(grown.log.tenant.uuid());
                columns.1.push(grown.log.stream.as_str());
                columns.2.push(i16::from(tile.id().level()));
                columns.3.push(signed(PORT, tile.id().index())?);
                columns.4.push(i16::try_from(tile.hashes().len()).map_err(|e| PortError::lasting(PORT, e))?);
                columns.5.push(tile.to_bytes());
            }
        }
        // A tile only ever grows: one that would shrink is a log going back, and is refused.
        let put = sqlx::query(
            "INSERT INTO compliance.audit_tiles AS t (tenant_id, stream, level, index, width, hashes)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::int2[], $4::int8[], $5::int2[], $6::bytea[])
             ON CONFLICT (tenant_id, stream, level, index)
             DO UPDATE SET width = excluded.width, hashes = excluded.hashes WHERE t.width < excluded.width",
        )
        .bind(&columns.0)
        .bind(&columns.1)
        .bind(&columns.2)
        .bind(&columns.3)
        .bind(&columns.4)
        .bind(&columns.5)
        .execute(&mut *self.tx)
        .await
        .map_err(fault)?;
        if usize::try_from(put.rows_affected()).ok() == Some(columns.0.len()) {
            Ok(())
        } else {
            Err(PortError::lasting(PORT, "a tile would have shrunk"))
        }
    }

    async fn add_heads(&mut self, growth: &[LogGrowth]) -> Result<(), PortError> {
        let mut columns =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for grown in growth {
            columns.0.push(grown.log.tenant.uuid());
            columns.1.push(grown.log.stream.as_str());
            columns.2.push(signed(PORT, grown.head.size)?);
            columns.3.push(grown.head.root.0.to_vec());
            columns.4.push(grown.head.note.as_str());
            columns.5.push(grown.head.signed_at);
            columns.6.push(grown.oldest_at);
        }
        sqlx::query(
            "INSERT INTO compliance.audit_heads (tenant_id, stream, size, root, note, signed_at, oldest_at)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::bytea[], $5::text[], $6::timestamptz[],
                 $7::timestamptz[])",
        )
        .bind(&columns.0)
        .bind(&columns.1)
        .bind(&columns.2)
        .bind(&columns.3)
        .bind(&columns.4)
        .bind(&columns.5)
        .bind(&columns.6)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(fault)
    }
}

#[derive(Default)]
struct LeafColumns {
    tenants: Vec<Uuid>,
    streams: Vec<&'static str>,
    indexes: Vec<i64>,
    events: Vec<Uuid>,
    answers: Vec<Uuid>,
    types: Vec<String>,
    outcomes: Vec<String>,
    actors: Vec<Option<Uuid>>,
    targets: Vec<Option<Uuid>>,
    times: Vec<domain::kernel::clock::Timestamp>,
    leaves: Vec<Vec<u8>>,
    hashes: Vec<Vec<u8>>,
}

impl LeafColumns {
    fn push(&mut self, log: LogId, index: i64, row: &PgRow, hash: Vec<u8>) {
        self.tenants.push(log.tenant.uuid());
        self.streams.push(log.stream.as_str());
        self.indexes.push(index);
        self.events.push(row.get("event_id"));
        self.answers.push(row.get("compliance_id"));
        self.types.push(row.get("type"));
        self.outcomes.push(row.get("outcome"));
        self.actors.push(row.get("actor_id"));
        self.targets.push(row.get("target_id"));
        self.times.push(row.get("occurred_at"));
        self.leaves.push(row.get("leaf"));
        self.hashes.push(hash);
    }
}

fn names(logs: &[LogId]) -> (Vec<Uuid>, Vec<&'static str>) {
    logs.iter().map(|log| (log.tenant.uuid(), log.stream.as_str())).unzip()
}

fn log_of(tenant: Uuid, stream: &str) -> Result<LogId, PortError> {
    let stream = Stream::parse(stream)
        .ok_or_else(|| PortError::lasting(PORT, "a stored stream is not one of ours"))?;
    Ok(LogId { tenant: TenantId::from_uuid(tenant), stream })
}
