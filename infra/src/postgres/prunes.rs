//! `compliance.prunes`: what was thrown away of logs, and throwing it away under the role `matricula_sequencer`.

use async_trait::async_trait;
use domain::{
    compliance::ports::{LogId, LogPruner, Prune, Segment},
    kernel::{fault::PortError, outbox::Stream},
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _,
};

use super::{
    audit_log::{signed, stored_hash, unsigned},
    entity::{
        audit_segment,
        prune::{Column, Entity, Model},
    },
    error::{orm_error, port_error},
    sequencer::PgSequencerStore,
    work::PgWork,
};

const PORT: &str = "postgres.prunes";
const SEGMENTS: &str = "postgres.audit_segments";

/// Leaves and what opens them, in one go. $1 tenant, $2 stream, $3 below which index, $4 how many at most.
const PRUNE: &str = "
    WITH gone AS (
        SELECT index, event_id FROM compliance.audit_leaves
        WHERE tenant_id = $1 AND stream = $2 AND index < $3 ORDER BY index LIMIT $4
    ), openings AS (
        DELETE FROM compliance.audit_openings AS o USING gone AS g WHERE o.tenant_id = $1 AND o.event_id = g.event_id
    )
    DELETE FROM compliance.audit_leaves AS l USING gone AS g
    WHERE l.tenant_id = $1 AND l.stream = $2 AND l.index = g.index";

pub(super) fn prune_of(row: Model) -> Result<Prune, PortError> {
    Ok(Prune {
        until: unsigned(PORT, row.until)?,
        root: stored_hash(PORT, row.root)?,
        note: row.note,
        at: row.pruned_at,
    })
}

impl PgWork {
    pub(super) async fn newest_prune(&self, stream: Stream) -> Result<Option<Prune>, PortError> {
        let of_log = self.tx.scoped::<Entity>().filter(Column::Stream.eq(stream.as_str()));
        let newest = of_log.order_by_desc(Column::Until).one(&self.tx).await;
        newest.map_err(|e| orm_error(PORT, e))?.map(prune_of).transpose()
    }

    pub(super) async fn insert_prune(&self, stream: Stream, prune: &Prune) -> Result<(), PortError> {
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            stream: stream.as_str().to_owned(),
            until: signed(PORT, prune.until)?,
            root: prune.root.0.to_vec(),
            note: prune.note.clone(),
            pruned_at: prune.at,
        };
        let added =
            Entity::insert(row.into_active_model().reset_all()).exec_without_returning(&self.tx).await;
        added.map(drop).map_err(|e| orm_error(PORT, e))
    }

    pub(super) async fn forget_segments(
        &self,
        stream: Stream,
        until: u64,
    ) -> Result<Vec<Segment>, PortError> {
        let below = self.ready_segments(stream, 0, until).await?;
        let firsts = below.iter().map(|segment| signed(SEGMENTS, segment.first));
        audit_segment::Entity::delete_many()
            .filter(audit_segment::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(audit_segment::Column::Stream.eq(stream.as_str()))
            .filter(audit_segment::Column::First.is_in(firsts.collect::<Result<Vec<_>, _>>()?))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(SEGMENTS, e))?;
        Ok(below)
    }
}

#[async_trait]
impl LogPruner for PgSequencerStore {
    async fn prune(&self, log: LogId, until: u64, most: u32) -> Result<u32, PortError> {
        let gone = sqlx::query(PRUNE)
            .bind(log.tenant.uuid())
            .bind(log.stream.as_str())
            .bind(signed(PORT, until)?)
            .bind(i64::from(most))
            .execute(self.pool())
            .await
            .map_err(|e| port_error(PORT, e))?;
        u32::try_from(gone.rows_affected()).map_err(|e| PortError::lasting(PORT, e))
    }
}
