//! Reading the platform's log from a tenant's transaction: of the leaves its own, of the rest what all may see.

use async_trait::async_trait;
use domain::{
    compliance::{
        log::tile::{Tile, TileId},
        ports::{Anchor, AnchorStore, Attestation, LogId, SignedHead},
    },
    kernel::{fault::PortError, outbox::Stream},
};
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, QueryFilter as _, QueryOrder as _, Statement};

use super::{
    attestations::settled,
    audit_log::{signed, stored_hash, tile_of, unsigned},
    columns::hash32,
    entity::platform_anchor,
    error::orm_error,
    scope::TenantTx,
    work::PgWork,
};

const PORT: &str = "postgres.platform_anchors";

/// Longest a proof's list of tiles is: two for each of eight levels.
const TILES_MAX: usize = 16;

impl PgWork {
    /// The head of the platform's log that a statement gives, with its cosignatures in its note.
    pub(super) async fn one_platform_head(
        &self,
        statement: Statement,
    ) -> Result<Option<SignedHead>, PortError> {
        const PORT: &str = "postgres.platform_heads";
        let row = self.tx.query_one_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        row.map(|row| {
            let fault = |e| orm_error(PORT, e);
            Ok(SignedHead {
                size: unsigned(PORT, row.try_get("", "size").map_err(fault)?)?,
                root: stored_hash(PORT, row.try_get("", "root").map_err(fault)?)?,
                note: row.try_get("", "note").map_err(fault)?,
                signed_at: row.try_get("", "made_at").map_err(fault)?,
            })
        })
        .transpose()
    }
}

#[async_trait]
impl AnchorStore for PgWork {
    async fn anchor(
        &mut self,
        stream: Stream,
        size: Option<u64>,
        covered: u64,
    ) -> Result<Option<Anchor>, PortError> {
        use platform_anchor::Column;
        let mut select = self
            .tx
            .scoped::<platform_anchor::Entity>()
            .filter(Column::Stream.eq(stream.as_str()))
            .filter(Column::Index.lt(signed(PORT, covered)?))
            .order_by_desc(Column::Size);
        if let Some(size) = size {
            // A size beyond what is kept has no head.
            let Ok(size) = i64::try_from(size) else { return Ok(None) };
            select = select.filter(Column::Size.eq(size));
        }
        let row = select.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        row.map(|row| {
            let salt = row.salt.try_into().map_err(|_| PortError::lasting(PORT, "a salt is not 32 bytes"))?;
            Ok(Anchor {
                log: LogId { tenant: self.tx.scope().tenant(), stream },
                size: unsigned(PORT, row.size)?,
                index: unsigned(PORT, row.index)?,
                salt,
                leaf_hash: stored_hash(PORT, row.leaf_hash)?,
            })
        })
        .transpose()
    }

    async fn platform_head(&mut self) -> Result<Option<SignedHead>, PortError> {
        let statement = TenantTx::statement(
            "SELECT h.size, h.root, h.made_at, h.note || coalesce((
                 SELECT string_agg(c.line || E'\\n', '' ORDER BY c.witness)
                 FROM compliance.platform_cosignatures AS c WHERE c.size = h.size), '') AS note
             FROM compliance.platform_heads AS h
             WHERE h.note IS NOT NULL AND h.is_witnessed ORDER BY h.size DESC LIMIT 1",
            [],
        );
        self.one_platform_head(statement).await
    }

    async fn platform_tiles(&mut self, ids: &[TileId]) -> Result<Vec<Tile>, PortError> {
        const PORT: &str = "postgres.platform_tiles";
        let mut tiles = Vec::with_capacity(ids.len());
        for id in ids.iter().take(TILES_MAX) {
            let statement = TenantTx::statement(
                "SELECT hashes FROM compliance.platform_tiles WHERE level = $1 AND index = $2",
                [i16::from(id.level()).into(), signed(PORT, id.index())?.into()],
            );
            let row = self.tx.query_one_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
            if let Some(row) = row {
                let hashes: Vec<u8> = row.try_get("", "hashes").map_err(|e| orm_error(PORT, e))?;
                tiles.push(tile_of(i16::from(id.level()), signed(PORT, id.index())?, &hashes)?);
            }
        }
        Ok(tiles)
    }

    async fn platform_keys(&mut self) -> Result<Vec<[u8; 32]>, PortError> {
        const PORT: &str = "postgres.platform_keys";
        let statement = TenantTx::statement(
            "SELECT public_key FROM compliance.platform_keys ORDER BY created_at DESC LIMIT 16",
            [],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        rows.iter()
            .map(|row| {
                let key: Vec<u8> = row.try_get("", "public_key").map_err(|e| orm_error(PORT, e))?;
                key.try_into().map_err(|_| PortError::lasting(PORT, "a public key is not 32 bytes"))
            })
            .collect()
    }

    async fn attestations(
        &mut self,
        before: Option<u64>,
        most: u16,
    ) -> Result<Vec<(Attestation, String)>, PortError> {
        const PORT: &str = "postgres.platform_attestations";
        let statement = TenantTx::statement(
            "SELECT a.attester, a.size, a.salt, a.digest, a.prepared_at, a.proof, a.settled_at, h.note
             FROM compliance.platform_attestations AS a
             JOIN compliance.platform_heads AS h ON h.size = a.size AND h.note IS NOT NULL
             WHERE a.size < coalesce($2, 9223372036854775807)
             ORDER BY a.size DESC, a.attester LIMIT $1",
            [i64::from(most).into(), before.and_then(|before| i64::try_from(before).ok()).into()],
        );
        let fault = |e| orm_error(PORT, e);
        let rows = self.tx.query_all_raw(statement).await.map_err(fault)?;
        rows.iter()
            .map(|row| {
                let attestation = Attestation {
                    by: row.try_get("", "attester").map_err(fault)?,
                    size: unsigned(PORT, row.try_get("", "size").map_err(fault)?)?,
                    salt: hash32(PORT, row.try_get("", "salt").map_err(fault)?)?,
                    digest: stored_hash(PORT, row.try_get("", "digest").map_err(fault)?)?,
                    // What was sent, or will be, is told by its digest.
                    prepared: Vec::new(),
                    prepared_at: row.try_get("", "prepared_at").map_err(fault)?,
                    settled: settled(
                        row.try_get("", "proof").map_err(fault)?,
                        row.try_get("", "settled_at").map_err(fault)?,
                    ),
                };
                Ok((attestation, row.try_get("", "note").map_err(fault)?))
            })
            .collect()
    }
}
