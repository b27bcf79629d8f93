//! `compliance.audit_segments`: files of the range of reports that lie ready.

use domain::{
    compliance::{
        bundle::{
            names::SEGMENT_LEAVES_MAX,
            writer::{FileFacts, TypeRun},
        },
        log::merkle::Hash,
        ports::Segment,
    },
    kernel::{fault::PortError, outbox::Stream},
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};

use super::{
    audit_log::{signed, stored_hash, unsigned},
    columns::{hash32, word},
    entity::audit_segment::{Column, Entity, Model},
    error::orm_error,
    scope::Rows as _,
    work::PgWork,
};

const PORT: &str = "postgres.audit_segments";

#[derive(Serialize, Deserialize)]
struct RunColumn {
    r#type: String,
    offset: u64,
    bytes: u64,
    sha256: String,
}

fn segment_of(row: Model) -> Result<Segment, PortError> {
    let runs: Vec<RunColumn> = serde_json::from_value(row.runs).map_err(|e| PortError::lasting(PORT, e))?;
    let run = |run: RunColumn| {
        let sha256 = Hash::parse_hex(&run.sha256).map_err(|e| PortError::lasting(PORT, e))?.0;
        Ok(TypeRun { type_name: run.r#type, offset: run.offset, bytes: run.bytes, sha256 })
    };
    Ok(Segment {
        first: unsigned(PORT, row.first)?,
        root: stored_hash(PORT, row.root)?,
        facts: FileFacts {
            length: unsigned(PORT, row.size_bytes)?,
            crc: word(PORT, u32::try_from(row.crc).ok())?,
            sha256: hash32(PORT, row.sha256)?,
        },
        runs: runs.into_iter().map(run).collect::<Result<_, PortError>>()?,
    })
}

impl PgWork {
    pub(super) async fn ready_segments(
        &self,
        stream: Stream,
        begin: u64,
        end: u64,
    ) -> Result<Vec<Segment>, PortError> {
        let Some(last) = end.checked_sub(SEGMENT_LEAVES_MAX) else { return Ok(Vec::new()) };
        let found = self
            .tx
            .scoped::<Entity>()
            .filter(Column::Stream.eq(stream.as_str()))
            .filter(Column::First.gte(signed(PORT, begin)?))
            .filter(Column::First.lte(signed(PORT, last)?))
            .order_by_asc(Column::First);
        let rows = found.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        rows.into_iter().map(segment_of).collect()
    }

    pub(super) async fn segments_end(&self, stream: Stream) -> Result<u64, PortError> {
        let of_log = self.tx.scoped::<Entity>().filter(Column::Stream.eq(stream.as_str()));
        let last = of_log.order_by_desc(Column::First).one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        last.map_or(Ok(0), |row| Ok(unsigned(PORT, row.first)? + SEGMENT_LEAVES_MAX))
    }

    pub(super) async fn insert_segment(&self, stream: Stream, segment: &Segment) -> Result<(), PortError> {
        let run = |run: &TypeRun| RunColumn {
            r#type: run.type_name.clone(),
            offset: run.offset,
            bytes: run.bytes,
            sha256: Hash(run.sha256).to_hex(),
        };
        let runs: Vec<_> = segment.runs.iter().map(run).collect();
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            stream: stream.as_str().to_owned(),
            first: signed(PORT, segment.first)?,
            root: segment.root.0.to_vec(),
            size_bytes: signed(PORT, segment.facts.length)?,
            crc: segment.facts.crc.into(),
            sha256: segment.facts.sha256.to_vec(),
            runs: serde_json::to_value(runs).map_err(|e| PortError::lasting(PORT, e))?,
        };
        let added = Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&self.tx)
            .await;
        added.map(drop).map_err(|e| orm_error(PORT, e))
    }
}
