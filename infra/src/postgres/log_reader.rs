//! Reads whole logs across tenants, under the role `matricula_verifier`, which may read them and nothing else.

use async_trait::async_trait;
use domain::{
    compliance::{
        actions::RESUME_PLATFORM_LOG,
        log::{
            merkle::Hash,
            tile::{Tile, TileId},
        },
        ports::{KeptAnchor, KeptLeaf, LogEnds, LogId, LogReader, Prune, SignedHead, WhichLog},
    },
    kernel::{
        fault::PortError,
        ids::{ComplianceId, EventId, PLATFORM, TenantId},
        outbox::{Outcome, Stream},
    },
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    audit_log::{signed, stored_hash, tile_of, unsigned},
    error::port_error,
    platform_log::platform_tiles,
    pool::Db,
    self_check::unnoted_tables,
};

const PORT: &str = "postgres.log_reader";

/// Most strays told of: one is enough to know.
const STRAYS_MAX: i64 = 8;

/// The tenants of which anything is left, found by skipping from one to the next on each primary key: there may be
/// millions of rows of one.
const TENANTS: &str = "
WITH RECURSIVE of_leaves (id) AS (
    (SELECT tenant_id FROM compliance.audit_leaves ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM compliance.audit_leaves AS n
            WHERE n.tenant_id > t.id ORDER BY n.tenant_id LIMIT 1)
    FROM of_leaves AS t WHERE t.id IS NOT NULL
), of_tiles (id) AS (
    (SELECT tenant_id FROM compliance.audit_tiles ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM compliance.audit_tiles AS n
            WHERE n.tenant_id > t.id ORDER BY n.tenant_id LIMIT 1)
    FROM of_tiles AS t WHERE t.id IS NOT NULL
), of_heads (id) AS (
    (SELECT tenant_id FROM compliance.audit_heads ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM compliance.audit_heads AS n
            WHERE n.tenant_id > t.id ORDER BY n.tenant_id LIMIT 1)
    FROM of_heads AS t WHERE t.id IS NOT NULL
)
SELECT id FROM of_leaves WHERE id IS NOT NULL
UNION SELECT id FROM of_tiles WHERE id IS NOT NULL
UNION SELECT id FROM of_heads WHERE id IS NOT NULL
ORDER BY 1";

const LOGS: &str = "
SELECT t.tenant, s.stream
FROM unnest($1::uuid[]) WITH ORDINALITY AS t (tenant, place)
CROSS JOIN unnest($2::text[]) WITH ORDINALITY AS s (stream, place)
WHERE EXISTS (SELECT FROM compliance.audit_leaves AS l WHERE l.tenant_id = t.tenant AND l.stream = s.stream)
   OR EXISTS (SELECT FROM compliance.audit_tiles AS l WHERE l.tenant_id = t.tenant AND l.stream = s.stream)
   OR EXISTS (SELECT FROM compliance.audit_heads AS l WHERE l.tenant_id = t.tenant AND l.stream = s.stream)
ORDER BY t.place, s.place";

/// The newest head of each log that has so many leaves, found by skipping from one log to the next. $1 how many.
const LONG: &str = "
WITH RECURSIVE log (tenant_id, stream) AS (
    (SELECT tenant_id, stream FROM compliance.audit_heads ORDER BY tenant_id, stream LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.stream FROM log AS l CROSS JOIN LATERAL (
        SELECT h.tenant_id, h.stream FROM compliance.audit_heads AS h
        WHERE (h.tenant_id, h.stream) > (l.tenant_id, l.stream) ORDER BY h.tenant_id, h.stream LIMIT 1
    ) AS n
)
SELECT l.tenant_id, l.stream, h.size FROM log AS l CROSS JOIN LATERAL (
    SELECT n.size FROM compliance.audit_heads AS n
    WHERE n.tenant_id = l.tenant_id AND n.stream = l.stream ORDER BY n.size DESC LIMIT 1
) AS h
WHERE h.size >= $1";

/// Logs on a pool of the role `matricula_verifier`.
#[derive(Clone, Debug)]
pub struct PgLogReader {
    db: Db,
}

impl PgLogReader {
    /// Reads on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

fn fault(error: sqlx::Error) -> PortError {
    port_error(PORT, error)
}

fn kept(row: &PgRow) -> Result<KeptLeaf, PortError> {
    Ok(KeptLeaf {
        index: unsigned(PORT, row.get("index"))?,
        event: EventId::from_uuid(row.get("event_id")),
        compliance_id: ComplianceId::from_uuid(row.get("compliance_id")),
        type_name: row.get("type"),
        outcome: row.get("outcome"),
        actor: row.get("actor_id"),
        target: row.get("target_id"),
        occurred_at: row.get("occurred_at"),
        leaf: row.get("leaf"),
        leaf_hash: row.get("leaf_hash"),
    })
}

fn ends(row: &PgRow) -> Result<LogEnds, PortError> {
    Ok(LogEnds {
        leaves: unsigned(PORT, row.get::<i64, _>("last").saturating_add(1))?,
        head: unsigned(PORT, row.get("head"))?,
    })
}

fn place(row: &PgRow) -> Result<(u8, u64), PortError> {
    let level = u8::try_from(row.get::<i16, _>("level")).map_err(|e| PortError::lasting(PORT, e))?;
    Ok((level, unsigned(PORT, row.get("index"))?))
}

pub(super) fn head(row: &PgRow) -> Result<SignedHead, PortError> {
    Ok(SignedHead {
        size: unsigned(PORT, row.get("size"))?,
        root: stored_hash(PORT, row.get("root"))?,
        note: row.get("note"),
        signed_at: row.get("signed_at"),
    })
}

/// The platform's log, which is in tables of its own.
impl PgLogReader {
    async fn platform_ends(&self) -> Result<LogEnds, PortError> {
        let row = sqlx::query(
            "SELECT greatest((SELECT max(index) FROM compliance.platform_anchors),
                             (SELECT max(index) FROM compliance.platform_lost_leaves), -1) AS last,
                    coalesce((SELECT max(size) FROM compliance.platform_heads), 0) AS head",
        );
        ends(&row.fetch_one(self.db.pool()).await.map_err(fault)?)
    }

    async fn platform_anchors(&self, begin: u64, until: u64) -> Result<Vec<KeptAnchor>, PortError> {
        let rows = sqlx::query(
            "SELECT a.index, a.tenant_id || ' ' || a.stream AS of, a.size, a.salt, a.leaf_hash, h.note
             FROM compliance.platform_anchors AS a
             LEFT JOIN compliance.audit_heads AS h
               ON h.tenant_id = a.tenant_id AND h.stream = a.stream AND h.size = a.size
             WHERE a.index >= $1 AND a.index < $2 ORDER BY a.index",
        )
        .bind(signed(PORT, begin)?)
        .bind(signed(PORT, until)?)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        let anchor = |row: &PgRow| {
            Ok(KeptAnchor {
                index: unsigned(PORT, row.get("index"))?,
                of: row.get("of"),
                size: unsigned(PORT, row.get("size"))?,
                salt: row.get("salt"),
                leaf_hash: row.get("leaf_hash"),
                note: row.get("note"),
            })
        };
        rows.iter().map(anchor).collect()
    }

    async fn lost_leaves(&self, begin: u64, until: u64) -> Result<Vec<(u64, Hash)>, PortError> {
        let rows = sqlx::query(
            "SELECT index, leaf_hash FROM compliance.platform_lost_leaves WHERE index >= $1 AND index < $2 ORDER BY index",
        )
        .bind(signed(PORT, begin)?)
        .bind(signed(PORT, until)?)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        let leaf =
            |row: &PgRow| Ok((unsigned(PORT, row.get("index"))?, stored_hash(PORT, row.get("leaf_hash"))?));
        rows.iter().map(leaf).collect()
    }

    async fn leaves_said_lost(&self) -> Result<Vec<(u64, u64)>, PortError> {
        let rows = sqlx::query_scalar::<_, Uuid>(
            "SELECT target_id FROM compliance.audit_leaves
             WHERE tenant_id = $1 AND stream = $2 AND type = $3 AND outcome = $4
               AND convert_from(leaf, 'UTF8')::jsonb #>> '{target,kind}' = 'platform_leaves'",
        )
        .bind(PLATFORM.uuid())
        .bind(RESUME_PLATFORM_LOG.stream.as_str())
        .bind(RESUME_PLATFORM_LOG.name)
        .bind(Outcome::Success.as_str())
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        Ok(rows.iter().map(Uuid::as_u64_pair).collect())
    }

    async fn platform_strays(&self) -> Result<Vec<(u8, u64)>, PortError> {
        let rows = sqlx::query(
            "SELECT t.level, t.index FROM compliance.platform_tiles AS t
             WHERE t.index::numeric * 256 + t.width > (
                 SELECT coalesce(max(h.size), 0) >> (8 * t.level) FROM compliance.platform_heads AS h)
             ORDER BY t.level, t.index LIMIT $1",
        );
        let rows = rows.bind(STRAYS_MAX).fetch_all(self.db.pool()).await.map_err(fault)?;
        rows.iter().map(place).collect()
    }

    async fn platform_heads(&self, after: u64, until: u64) -> Result<Vec<SignedHead>, PortError> {
        let rows = sqlx::query(
            "SELECT size, root, note, made_at AS signed_at FROM compliance.platform_heads
             WHERE note IS NOT NULL AND size > $1 AND size <= $2 ORDER BY size",
        )
        .bind(signed(PORT, after)?)
        .bind(signed(PORT, until)?)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        rows.iter().map(head).collect()
    }
}

#[async_trait]
impl LogReader for PgLogReader {
    async fn logs(&self, tenant: Option<TenantId>) -> Result<Vec<LogId>, PortError> {
        let tenants: Vec<Uuid> = match tenant {
            Some(tenant) => vec![tenant.uuid()],
            None => sqlx::query_scalar(TENANTS).fetch_all(self.db.pool()).await.map_err(fault)?,
        };
        let streams = Stream::ALL.map(Stream::as_str);
        let rows = sqlx::query(LOGS)
            .bind(&tenants)
            .bind(&streams[..])
            .fetch_all(self.db.pool())
            .await
            .map_err(fault)?;
        let log = |row: &PgRow| {
            let stream = Stream::parse(row.get("stream"))?;
            Some(LogId { tenant: TenantId::from_uuid(row.get("tenant")), stream })
        };
        Ok(rows.iter().filter_map(log).collect())
    }

    async fn long_logs(&self, least: u64) -> Result<Vec<(LogId, u64)>, PortError> {
        let rows = sqlx::query(LONG).bind(signed(PORT, least)?).fetch_all(self.db.pool()).await;
        let mut logs = Vec::new();
        for row in rows.map_err(fault)? {
            let Some(stream) = Stream::parse(row.get("stream")) else { continue };
            let log = LogId { tenant: TenantId::from_uuid(row.get("tenant_id")), stream };
            logs.push((log, unsigned(PORT, row.get("size"))?));
        }
        Ok(logs)
    }

    async fn unnoted_tables(&self) -> Result<Vec<&'static str>, PortError> {
        unnoted_tables(self.db.pool()).await.map_err(fault)
    }

    async fn ends(&self, log: WhichLog) -> Result<LogEnds, PortError> {
        let WhichLog::Tenant(log) = log else { return self.platform_ends().await };
        let row = sqlx::query(
            "SELECT coalesce((SELECT max(index) FROM compliance.audit_leaves
                              WHERE tenant_id = $1 AND stream = $2), -1) AS last,
                    coalesce((SELECT max(size) FROM compliance.audit_heads
                              WHERE tenant_id = $1 AND stream = $2), 0) AS head",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .fetch_one(self.db.pool())
        .await
        .map_err(fault)?;
        ends(&row)
    }

    async fn leaves(&self, log: LogId, begin: u64, until: u64) -> Result<Vec<KeptLeaf>, PortError> {
        let rows = sqlx::query(
            "SELECT index, event_id, compliance_id, type, outcome, actor_id, target_id, occurred_at, leaf, leaf_hash
             FROM compliance.audit_leaves
             WHERE tenant_id = $1 AND stream = $2 AND index >= $3 AND index < $4 ORDER BY index",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .bind(signed(PORT, begin)?)
        .bind(signed(PORT, until)?)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        rows.iter().map(kept).collect()
    }

    async fn anchors(&self, begin: u64, until: u64) -> Result<Vec<KeptAnchor>, PortError> {
        self.platform_anchors(begin, until).await
    }

    async fn lost(&self, begin: u64, until: u64) -> Result<Vec<(u64, Hash)>, PortError> {
        self.lost_leaves(begin, until).await
    }

    async fn said_lost(&self) -> Result<Vec<(u64, u64)>, PortError> {
        self.leaves_said_lost().await
    }

    async fn tiles(&self, log: WhichLog, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        let WhichLog::Tenant(log) = log else { return platform_tiles(self.db.pool(), ids).await };
        let levels: Vec<_> = ids.iter().map(|id| i16::from(id.level())).collect();
        let indexes = ids.iter().map(|id| signed(PORT, id.index())).collect::<Result<Vec<_>, _>>()?;
        let rows = sqlx::query(
            "SELECT t.level, t.index, t.hashes
             FROM unnest($3::int2[], $4::int8[]) AS w (level, index)
             JOIN compliance.audit_tiles AS t
               ON t.tenant_id = $1 AND t.stream = $2 AND t.level = w.level AND t.index = w.index",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .bind(&levels)
        .bind(&indexes)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        Ok(rows
            .iter()
            .filter_map(|row| tile_of(row.get("level"), row.get("index"), row.get("hashes")).ok())
            .collect())
    }

    async fn strays(&self, log: WhichLog) -> Result<Vec<(u8, u64)>, PortError> {
        let WhichLog::Tenant(log) = log else { return self.platform_strays().await };
        let rows = sqlx::query(
            "SELECT t.level, t.index FROM compliance.audit_tiles AS t
             WHERE t.tenant_id = $1 AND t.stream = $2
               AND t.index::numeric * 256 + t.width > (
                   SELECT coalesce(max(h.size), 0) >> (8 * t.level) FROM compliance.audit_heads AS h
                   WHERE h.tenant_id = $1 AND h.stream = $2)
             ORDER BY t.level, t.index LIMIT $3",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .bind(STRAYS_MAX)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        rows.iter().map(place).collect()
    }

    async fn heads(&self, log: WhichLog, after: u64, until: u64) -> Result<Vec<SignedHead>, PortError> {
        let WhichLog::Tenant(log) = log else { return self.platform_heads(after, until).await };
        let rows = sqlx::query(
            "SELECT size, root, note, signed_at FROM compliance.audit_heads
             WHERE tenant_id = $1 AND stream = $2 AND size > $3 AND size <= $4 ORDER BY size",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .bind(signed(PORT, after)?)
        .bind(signed(PORT, until)?)
        .fetch_all(self.db.pool())
        .await
        .map_err(fault)?;
        rows.iter().map(head).collect()
    }

    async fn pruned(&self, log: LogId) -> Result<Option<Prune>, PortError> {
        let row = sqlx::query(
            "SELECT until, root, note, pruned_at FROM compliance.prunes
             WHERE tenant_id = $1 AND stream = $2 ORDER BY until DESC LIMIT 1",
        )
        .bind(log.tenant.uuid())
        .bind(log.stream.as_str())
        .fetch_optional(self.db.pool())
        .await
        .map_err(fault)?;
        let prune = |row: PgRow| {
            Ok(Prune {
                until: unsigned(PORT, row.get("until"))?,
                root: stored_hash(PORT, row.get("root"))?,
                note: row.get("note"),
                at: row.get("pruned_at"),
            })
        };
        row.map(prune).transpose()
    }

    async fn keys(&self, log: WhichLog) -> Result<Vec<[u8; 32]>, PortError> {
        let keys = match log {
            WhichLog::Tenant(log) => sqlx::query_scalar(
                "SELECT public_key FROM compliance.log_keys WHERE tenant_id = $1 ORDER BY created_at DESC",
            )
            .bind(log.tenant.uuid()),
            WhichLog::Platform => {
                sqlx::query_scalar("SELECT public_key FROM compliance.platform_keys ORDER BY created_at DESC")
            }
        };
        let keys: Vec<Vec<u8>> = keys.fetch_all(self.db.pool()).await.map_err(fault)?;
        // One of another length is no key, and so has signed nothing.
        Ok(keys.into_iter().filter_map(|key| key.try_into().ok()).collect())
    }
}
