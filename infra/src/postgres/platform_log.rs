//! The platform's log, under the role `matricula_notary`, which reads all tenants' heads and writes nothing of theirs.

use async_trait::async_trait;
use domain::{
    compliance::{
        log::tile::{Tile, TileId},
        ports::{
            Anchor, Cosignature, LogId, PlatformGrowth, PlatformHead, PlatformStore, PlatformTx, SignedHead,
            Unanchored,
        },
    },
    kernel::{fault::PortError, ids::TenantId, outbox::Stream},
};
use sqlx::{PgExecutor, Postgres, Row as _, Transaction, postgres::PgRow};

use super::{
    audit_log::{signed, stored_hash, tile_of, unsigned},
    error::port_error,
    pool::Db,
};

const PORT: &str = "postgres.platform_log";

/// Names the lock that one notary at a time holds: the bytes of "matrinot".
const LOCK: i64 = 0x6d61_7472_696e_6f74;

/// So many rows are written by one statement.
const LOST_AT_ONCE: usize = 16_384;
const TILES_AT_ONCE: usize = 256;

/// Newest heads that the platform's log does not have. The tenants are found by skipping from one to the next on the
/// primary key, and of each log its newest head and its newest anchor are the ends of an index.
const UNANCHORED: &str = "
WITH RECURSIVE tenant (id) AS (
    (SELECT tenant_id FROM compliance.audit_heads ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT h.tenant_id FROM compliance.audit_heads AS h
            WHERE h.tenant_id > t.id ORDER BY h.tenant_id LIMIT 1)
    FROM tenant AS t WHERE t.id IS NOT NULL
)
SELECT h.tenant_id, h.stream, h.size, h.root, h.note, h.signed_at
FROM tenant AS t
CROSS JOIN unnest($1::text[]) AS s (stream)
CROSS JOIN LATERAL (
    SELECT * FROM compliance.audit_heads AS n
    WHERE n.tenant_id = t.id AND n.stream = s.stream ORDER BY n.size DESC LIMIT 1
) AS h
WHERE h.size > coalesce((
    SELECT a.size FROM compliance.platform_anchors AS a
    WHERE a.tenant_id = t.id AND a.stream = s.stream ORDER BY a.size DESC LIMIT 1), 0)
ORDER BY h.signed_at, h.tenant_id, h.stream LIMIT $2";

/// The platform's log on a pool of the role `matricula_notary`.
#[derive(Clone, Debug)]
pub struct PgPlatformStore {
    db: Db,
}

impl PgPlatformStore {
    /// Keeps it on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The pool, for what else is kept under the role.
    pub(super) const fn pool(&self) -> &sqlx::PgPool {
        self.db.pool()
    }
}

fn fault(error: sqlx::Error) -> PortError {
    port_error(PORT, error)
}

pub(super) fn platform_head(row: &PgRow) -> Result<PlatformHead, PortError> {
    Ok(PlatformHead {
        size: unsigned(PORT, row.get("size"))?,
        root: stored_hash(PORT, row.get("root"))?,
        note: row.get("note"),
        made_at: row.get("made_at"),
    })
}

async fn newest<'c>(database: impl PgExecutor<'c>) -> Result<Option<PlatformHead>, PortError> {
    sqlx::query("SELECT size, root, note, made_at FROM compliance.platform_heads ORDER BY size DESC LIMIT 1")
        .fetch_optional(database)
        .await
        .map_err(fault)?
        .as_ref()
        .map(platform_head)
        .transpose()
}

pub(super) async fn platform_tiles<'c>(
    database: impl PgExecutor<'c>,
    ids: &[TileId],
) -> Result<Vec<Tile>, PortError> {
    let levels: Vec<_> = ids.iter().map(|id| i16::from(id.level())).collect();
    let indexes = ids.iter().map(|id| signed(PORT, id.index())).collect::<Result<Vec<_>, _>>()?;
    let rows = sqlx::query(
        "SELECT t.level, t.index, t.hashes
         FROM unnest($1::int2[], $2::int8[]) AS w (level, index)
         JOIN compliance.platform_tiles AS t ON t.level = w.level AND t.index = w.index",
    )
    .bind(&levels)
    .bind(&indexes)
    .fetch_all(database)
    .await
    .map_err(fault)?;
    // One that can't be read is as good as none.
    Ok(rows
        .iter()
        .filter_map(|row| tile_of(row.get("level"), row.get("index"), row.get("hashes")).ok())
        .collect())
}

#[async_trait]
impl PlatformStore for PgPlatformStore {
    async fn begin(&self) -> Result<Option<Box<dyn PlatformTx>>, PortError> {
        let mut tx = self.db.pool().begin().await.map_err(fault)?;
        let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *tx)
            .await
            .map_err(fault)?;
        Ok(locked.then(|| -> Box<dyn PlatformTx> { Box::new(PgPlatformTx { tx }) }))
    }

    async fn newest(&self) -> Result<Option<PlatformHead>, PortError> {
        newest(self.db.pool()).await
    }

    async fn newest_signed(&self) -> Result<Option<PlatformHead>, PortError> {
        sqlx::query(
            "SELECT size, root, note, made_at FROM compliance.platform_heads
             WHERE note IS NOT NULL ORDER BY size DESC LIMIT 1",
        )
        .fetch_optional(self.db.pool())
        .await
        .map_err(fault)?
        .as_ref()
        .map(platform_head)
        .transpose()
    }

    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        platform_tiles(self.db.pool(), ids).await
    }

    async fn publish(
        &self,
        size: u64,
        note: &str,
        signed_by: &[u8; 32],
        is_witnessed: bool,
    ) -> Result<(), PortError> {
        let mut tx = self.db.pool().begin().await.map_err(fault)?;
        sqlx::query("INSERT INTO compliance.platform_keys (public_key) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(signed_by.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        sqlx::query(
            "UPDATE compliance.platform_heads SET note = $2, is_witnessed = $3 WHERE size = $1 AND note IS NULL",
        )
        .bind(signed(PORT, size)?)
        .bind(note)
        .bind(is_witnessed)
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
        tx.commit().await.map_err(fault)
    }

    async fn cosignatures(&self, size: u64) -> Result<Vec<Cosignature>, PortError> {
        let rows = sqlx::query(
            "SELECT witness, line, cosigned_at FROM compliance.platform_cosignatures
             WHERE size = $1 ORDER BY witness",
        );
        let rows = rows.bind(signed(PORT, size)?).fetch_all(self.db.pool()).await.map_err(fault)?;
        let line = |row: &PgRow| Cosignature {
            witness: row.get("witness"),
            line: row.get("line"),
            cosigned_at: row.get("cosigned_at"),
        };
        Ok(rows.iter().map(line).collect())
    }

    async fn add_cosignatures(
        &self,
        size: u64,
        new: &[Cosignature],
        is_witnessed: bool,
    ) -> Result<(), PortError> {
        let witnesses: Vec<_> = new.iter().map(|line| line.witness.as_str()).collect();
        let lines: Vec<_> = new.iter().map(|line| line.line.as_str()).collect();
        let times: Vec<_> = new.iter().map(|line| line.cosigned_at).collect();
        let mut tx = self.db.pool().begin().await.map_err(fault)?;
        sqlx::query(
            "INSERT INTO compliance.platform_cosignatures (size, witness, line, cosigned_at)
             SELECT $1, * FROM unnest($2::text[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING",
        )
        .bind(signed(PORT, size)?)
        .bind(&witnesses)
        .bind(&lines)
        .bind(&times)
        .execute(&mut *tx)
        .await
        .map_err(fault)?;
        sqlx::query("UPDATE compliance.platform_heads SET is_witnessed = true WHERE size = $1 AND $2")
            .bind(signed(PORT, size)?)
            .bind(is_witnessed)
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
        tx.commit().await.map_err(fault)
    }
}

struct PgPlatformTx {
    tx: Transaction<'static, Postgres>,
}

#[async_trait]
impl PlatformTx for PgPlatformTx {
    async fn newest(&mut self) -> Result<Option<PlatformHead>, PortError> {
        newest(&mut *self.tx).await
    }

    async fn unanchored(&mut self, most: u32) -> Result<Vec<Unanchored>, PortError> {
        let streams = Stream::ALL.map(Stream::as_str);
        let rows = sqlx::query(UNANCHORED)
            .bind(&streams[..])
            .bind(i64::from(most))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(fault)?;
        rows.iter()
            .map(|row| {
                let stream = Stream::parse(row.get("stream"))
                    .ok_or_else(|| PortError::lasting(PORT, "a stored stream is not one of ours"))?;
                Ok(Unanchored {
                    log: LogId { tenant: TenantId::from_uuid(row.get("tenant_id")), stream },
                    head: SignedHead {
                        size: unsigned(PORT, row.get("size"))?,
                        root: stored_hash(PORT, row.get("root"))?,
                        note: row.get("note"),
                        signed_at: row.get("signed_at"),
                    },
                })
            })
            .collect()
    }

    async fn tiles(&mut self, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        platform_tiles(&mut *self.tx, ids).await
    }

    async fn grow(&mut self, growth: &PlatformGrowth) -> Result<(), PortError> {
        self.add_lost(growth).await?;
        self.add_anchors(&growth.anchors).await?;
        for some in growth.tiles.chunks(TILES_AT_ONCE) {
            self.put_tiles(some).await?;
        }
        let PlatformHead { size, root, made_at, .. } = &growth.head;
        sqlx::query("INSERT INTO compliance.platform_heads (size, root, made_at) VALUES ($1, $2, $3)")
            .bind(signed(PORT, *size)?)
            .bind(root.0.as_slice())
            .bind(made_at)
            .execute(&mut *self.tx)
            .await
            .map(drop)
            .map_err(fault)
    }

    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.tx.commit().await.map_err(fault)
    }
}

impl PgPlatformTx {
    async fn add_lost(&mut self, growth: &PlatformGrowth) -> Result<(), PortError> {
        let mut first = newest(&mut *self.tx).await?.map_or(0, |head| head.size);
        // A day's worth may be hundreds of thousands, and each statement has its time.
        for some in growth.lost.chunks(LOST_AT_ONCE) {
            let hashes: Vec<_> = some.iter().map(|hash| hash.0.to_vec()).collect();
            sqlx::query(
                "INSERT INTO compliance.platform_lost_leaves (index, leaf_hash)
                 SELECT $1 + l.place - 1, l.hash FROM unnest($2::bytea[]) WITH ORDINALITY AS l (hash, place)",
            )
            .bind(signed(PORT, first)?)
            .bind(&hashes)
            .execute(&mut *self.tx)
            .await
            .map_err(fault)?;
            first += u64::try_from(some.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    async fn add_anchors(&mut self, anchors: &[Anchor]) -> Result<(), PortError> {
        let tenants: Vec<_> = anchors.iter().map(|anchor| anchor.log.tenant.uuid()).collect();
        let streams: Vec<_> = anchors.iter().map(|anchor| anchor.log.stream.as_str()).collect();
        let number = |number: fn(&Anchor) -> u64| {
            anchors.iter().map(|anchor| signed(PORT, number(anchor))).collect::<Result<Vec<_>, _>>()
        };
        let salts: Vec<_> = anchors.iter().map(|anchor| anchor.salt.to_vec()).collect();
        let hashes: Vec<_> = anchors.iter().map(|anchor| anchor.leaf_hash.0.to_vec()).collect();
        sqlx::query(
            "INSERT INTO compliance.platform_anchors (tenant_id, stream, size, index, salt, leaf_hash)
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::bytea[], $6::bytea[])",
        )
        .bind(&tenants)
        .bind(&streams)
        .bind(number(|anchor| anchor.size)?)
        .bind(number(|anchor| anchor.index)?)
        .bind(&salts)
        .bind(&hashes)
        .execute(&mut *self.tx)
        .await
        .map(drop)
        .map_err(fault)
    }

    async fn put_tiles(&mut self, tiles: &[Tile]) -> Result<(), PortError> {
        let levels: Vec<_> = tiles.iter().map(|tile| i16::from(tile.id().level())).collect();
        let indexes = tiles.iter().map(|t| signed(PORT, t.id().index())).collect::<Result<Vec<_>, _>>()?;
        let widths: Vec<_> = tiles.iter().map(|tile| i32::from(tile.id().width())).collect();
        let hashes: Vec<_> = tiles.iter().map(Tile::to_bytes).collect();
        // A tile only ever grows: one that would shrink is a log going back, and is refused.
        let put = sqlx::query(
            "INSERT INTO compliance.platform_tiles AS t (level, index, width, hashes)
             SELECT * FROM unnest($1::int2[], $2::int8[], $3::int4[], $4::bytea[])
             ON CONFLICT (level, index)
             DO UPDATE SET width = excluded.width, hashes = excluded.hashes WHERE t.width < excluded.width",
        )
        .bind(&levels)
        .bind(&indexes)
        .bind(&widths)
        .bind(&hashes)
        .execute(&mut *self.tx)
        .await
        .map_err(fault)?;
        if usize::try_from(put.rows_affected()).ok() == Some(tiles.len()) {
            Ok(())
        } else {
            Err(PortError::lasting(PORT, "a tile would have shrunk"))
        }
    }
}
