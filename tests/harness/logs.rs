//! Logs as long as only years make them: grown by the product's own tiles and signed with the tenant's own key, past the
//! sequencer.

use domain::{
    compliance::{
        event::AuditEvent,
        log::{
            checkpoint::Checkpoint,
            merkle::{Hash, leaf_hash},
            note::NoteSigner,
            tile::{Tile, TileId, append, edge_tiles},
        },
        ports::LogKeys as _,
    },
    kernel::{ids::TenantId, outbox::Stream, scope::TenantScope, secret::Vault},
};
use infra::{
    postgres::{Db, PgLogKeys, PoolSettings},
    system::System,
};
use sqlx::{PgConnection, Row as _};
use std::sync::Arc;

use crate::stores::HarnessError;

const ADD_LEAVES: &str = "
    INSERT INTO compliance.audit_leaves
        (tenant_id, stream, index, event_id, compliance_id, type, outcome, actor_id, target_id, occurred_at, leaf, leaf_hash)
    SELECT $1, $2, i, e, c, t, 'success', a, a, w, l, h
    FROM unnest($3::bigint[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::timestamptz[], $9::bytea[], $10::bytea[])
        AS r (i, e, c, t, a, w, l, h)";

const PUT_TILES: &str = "
    INSERT INTO compliance.audit_tiles AS t (tenant_id, stream, level, index, width, hashes)
    SELECT $1, $2, * FROM unnest($3::smallint[], $4::bigint[], $5::smallint[], $6::bytea[])
    ON CONFLICT (tenant_id, stream, level, index) DO UPDATE SET width = excluded.width, hashes = excluded.hashes";

const ADD_HEAD: &str = "
    INSERT INTO compliance.audit_heads (tenant_id, stream, size, root, note, signed_at, oldest_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// A log that grows in one go. Nobody else may write to it meanwhile.
pub struct LongLog {
    tenant: TenantId,
    stream: Stream,
    origin: String,
    signer: NoteSigner,
    /// How many leaves it has.
    pub size: u64,
    edge: Vec<Tile>,
}

fn number(number: u64) -> Result<i64, HarnessError> {
    Ok(i64::try_from(number)?)
}

impl LongLog {
    /// The log of a tenant, as it is now. `app_url` is the application's login, `superuser` one that row-level security does not
    /// hold.
    ///
    /// # Errors
    /// The database or the vault does not answer.
    pub async fn open(
        superuser: &mut PgConnection,
        app_url: &str,
        vault: Arc<dyn Vault>,
        (tenant, stream): (TenantId, Stream),
    ) -> Result<Self, HarnessError> {
        let db = Db::connect(app_url, PoolSettings::default())?;
        let system = Arc::new(System);
        let keys = PgLogKeys::new(db, vault, system.clone(), system.clone(), system);
        let origin = format!("audit.matricula.localhost/t/{}/{}", tenant.uuid(), stream.as_str());
        let seed = keys.seed(&TenantScope::of(tenant)).await?;
        let signer = NoteSigner::from_seed(&origin, &seed)?;
        let size: Option<i64> = sqlx::query_scalar(
            "SELECT max(size) FROM compliance.audit_heads WHERE tenant_id = $1 AND stream = $2",
        )
        .bind(tenant.uuid())
        .bind(stream.as_str())
        .fetch_one(&mut *superuser)
        .await?;
        let size = u64::try_from(size.unwrap_or_default())?;
        let rows = sqlx::query(
            "SELECT level, index, width, hashes FROM compliance.audit_tiles WHERE tenant_id = $1 AND stream = $2",
        )
        .bind(tenant.uuid())
        .bind(stream.as_str())
        .fetch_all(superuser)
        .await?;
        let wanted = edge_tiles(size);
        let mut edge = Vec::with_capacity(wanted.len());
        for row in rows {
            let (level, width): (i16, i16) = (row.get("level"), row.get("width"));
            let index = u64::try_from(row.get::<i64, _>("index"))?;
            let id = TileId::new(u8::try_from(level)?, index, u16::try_from(width)?)?;
            if wanted.contains(&id) {
                edge.push(Tile::from_bytes(id, row.get("hashes"))?);
            }
        }
        Ok(Self { tenant, stream, origin, signer, size, edge })
    }

    /// Adds events, and a head over them that is signed when the last of them happened.
    ///
    /// # Errors
    /// They are none, or the database does not take them.
    pub async fn grow(
        &mut self,
        superuser: &mut PgConnection,
        events: &[AuditEvent],
    ) -> Result<(), HarnessError> {
        let leaves = events.iter().map(AuditEvent::to_leaf).collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let grown = append(self.size, &self.edge, &hashes)?;
        let indexes = (self.size..grown.size).map(number).collect::<Result<Vec<_>, _>>()?;
        let of = |id: fn(&AuditEvent) -> uuid::Uuid| events.iter().map(id).collect::<Vec<_>>();
        let (tenant, stream) = (self.tenant.uuid(), self.stream.as_str());
        sqlx::query(ADD_LEAVES)
            .bind(tenant)
            .bind(stream)
            .bind(&indexes)
            .bind(of(|event| event.event_id.uuid()))
            .bind(of(|event| event.compliance_id.uuid()))
            .bind(events.iter().map(|event| event.type_name.as_str()).collect::<Vec<_>>())
            .bind(of(|event| event.actor.id.unwrap_or_default()))
            .bind(events.iter().map(|event| event.occurred_at).collect::<Vec<_>>())
            .bind(&leaves)
            .bind(hashes.iter().map(|hash| hash.0.to_vec()).collect::<Vec<_>>())
            .execute(&mut *superuser)
            .await?;
        let ids: Vec<_> = grown.tiles.iter().map(Tile::id).collect();
        let widths = grown.tiles.iter().map(|tile| i16::try_from(tile.hashes().len()));
        sqlx::query(PUT_TILES)
            .bind(tenant)
            .bind(stream)
            .bind(ids.iter().map(|id| i16::from(id.level())).collect::<Vec<_>>())
            .bind(ids.iter().map(|id| number(id.index())).collect::<Result<Vec<_>, _>>()?)
            .bind(widths.collect::<Result<Vec<_>, _>>()?)
            .bind(grown.tiles.iter().map(Tile::to_bytes).collect::<Vec<_>>())
            .execute(&mut *superuser)
            .await?;
        let note = Checkpoint::new(&self.origin, grown.size, grown.root)?.sign(&self.signer)?.to_text();
        sqlx::query(ADD_HEAD)
            .bind(tenant)
            .bind(stream)
            .bind(number(grown.size)?)
            .bind(grown.root.0.to_vec())
            .bind(note)
            .bind(events.last().map(|event| event.occurred_at))
            .bind(events.iter().map(|event| event.occurred_at).min())
            .execute(superuser)
            .await?;
        self.size = grown.size;
        let tiles = grown.tiles.iter().chain(&self.edge);
        let wanted = edge_tiles(self.size);
        self.edge = tiles.filter(|tile| wanted.contains(&tile.id())).cloned().collect();
        Ok(())
    }
}
