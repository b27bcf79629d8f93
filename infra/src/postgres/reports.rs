//! `compliance.reports`, what of the log and its heads they are made of, and their schedule, which is all tenants' and reached
//! through functions of the database alone.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use domain::{
    compliance::{
        bundle::{opening::Field, query::Query},
        ports::{Prune, ReportSchedule, ReportStore, Segment, SignedHead},
        report::{Bundle, Piece, Report, ReportDraft, ReportFailure, ReportState},
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, ReportId},
        outbox::Stream,
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Statement, Value,
};
use serde::{Deserialize, Serialize};

use super::{
    audit_log::{head_of, signed, unsigned},
    claim::claim_due,
    columns::{hash32, word},
    entity::{
        audit_head,
        report::{Column, Entity, Model},
    },
    error::{one_changed, orm_error},
    pool::Db,
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.reports";
const LEAVES: &str = "postgres.audit_leaves";
const HEADS: &str = "postgres.audit_heads";
const ANCHORS: &str = "postgres.platform_anchors";
const OUTBOX: &str = "postgres.audit_outbox";

/// An event that waits. One under an id that is in the log waits for nothing: it was written twice, or is somebody's forgery.
const WAITING: &str = "
    SELECT FROM compliance.audit_outbox AS o
    WHERE o.tenant_id = $1 AND o.stream = $2 AND o.occurred_at < $3 AND NOT EXISTS (
        SELECT FROM compliance.audit_leaves AS l WHERE l.tenant_id = o.tenant_id AND l.event_id = o.event_id)
    LIMIT 1";

/// Of heads by which something came in late there is an index, for what is late by more than five minutes. Of those for which it is
/// not known, something may have.
const LATE: &str = "
    SELECT size FROM compliance.audit_heads
    WHERE tenant_id = $1 AND stream = $2 AND size > $3
      AND (oldest_at IS NULL OR signed_at - oldest_at > interval '300 seconds')
      AND (oldest_at IS NULL OR oldest_at < $4 AND signed_at - oldest_at > $5 * interval '1 second')
    ORDER BY size DESC LIMIT 1";

const LEAF_ROWS: &str = "
    SELECT leaf FROM compliance.audit_leaves
    WHERE tenant_id = $1 AND stream = $2 AND index >= $3 AND index < $4 ORDER BY index";

/// The newest head of the platform's log that may be shown, with what cosigned it, all of that before then.
const PLATFORM_BEFORE: &str = "
    SELECT h.size, h.root, h.made_at, h.note || coalesce((
        SELECT string_agg(c.line || E'\\n', '' ORDER BY c.witness)
        FROM compliance.platform_cosignatures AS c WHERE c.size = h.size), '') AS note
    FROM compliance.platform_heads AS h
    WHERE h.note IS NOT NULL AND h.is_witnessed AND h.made_at < $1 AND NOT EXISTS (
        SELECT FROM compliance.platform_cosignatures AS c WHERE c.size = h.size AND c.cosigned_at >= $1)
    ORDER BY h.made_at DESC LIMIT 1";

const REACHING: &str = "
    SELECT a.size FROM compliance.platform_anchors AS a
    WHERE a.tenant_id = $1 AND a.stream = $2 AND a.size >= $3 AND a.index < $4 ORDER BY a.size LIMIT 1";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PieceColumn {
    Object(String, u64),
    Bytes(String),
}

fn pieces_column(pieces: &[Piece]) -> Result<serde_json::Value, PortError> {
    let column = pieces.iter().map(|piece| match piece {
        Piece::Object(key, size_bytes) => PieceColumn::Object(key.clone(), *size_bytes),
        Piece::Bytes(bytes) => PieceColumn::Bytes(STANDARD.encode(bytes)),
    });
    serde_json::to_value(column.collect::<Vec<_>>()).map_err(|e| PortError::lasting(PORT, e))
}

fn pieces_of(column: serde_json::Value) -> Result<Vec<Piece>, PortError> {
    let column: Vec<PieceColumn> = serde_json::from_value(column).map_err(|e| PortError::lasting(PORT, e))?;
    let piece = |piece| match piece {
        PieceColumn::Object(key, size_bytes) => Ok(Piece::Object(key, size_bytes)),
        PieceColumn::Bytes(text) => {
            STANDARD.decode(text).map(Piece::Bytes).map_err(|e| PortError::lasting(PORT, e))
        }
    };
    column.into_iter().map(piece).collect()
}

/// The pieces of a bundle that was made before its pieces were remembered.
fn of_before(place: &str, size_bytes: u64) -> Vec<Piece> {
    const EACH: u64 = 8 * 1024 * 1024;
    let object = |number: u64| {
        let size_bytes = (size_bytes - number * EACH).min(EACH);
        Piece::Object(format!("{place}-{number:06}"), size_bytes)
    };
    (0..size_bytes.div_ceil(EACH)).map(object).collect()
}

fn field_of(text: &str) -> Option<Field> {
    Field::ALL.into_iter().find(|field| field.in_leaf() == text)
}

fn report_of(row: Model) -> Result<Report, PortError> {
    let unsigned = |number| unsigned(PORT, number);
    let bundle = match row.place {
        None => None,
        Some(place) => {
            let size_bytes = unsigned(word(PORT, row.size_bytes)?)?;
            let pieces = match row.pieces {
                Some(pieces) => pieces_of(pieces)?,
                None => of_before(&place, size_bytes),
            };
            Some(Bundle {
                place,
                size_bytes,
                sha256: row.sha256.map(|sha256| hash32(PORT, sha256)).transpose()?,
                pieces,
                first: unsigned(word(PORT, row.first_leaf)?)?,
                end: unsigned(word(PORT, row.end_leaf)?)?,
                rows: unsigned(word(PORT, row.row_count)?)?,
                is_timestamped: word(PORT, row.is_timestamped)?,
                expires_at: word(PORT, row.expires_at)?,
            })
        }
    };
    let failure =
        |text: String| word(PORT, ReportFailure::ALL.into_iter().find(|failure| failure.as_str() == text));
    Ok(Report {
        id: ReportId::from_uuid(row.id),
        draft: ReportDraft {
            kind: row.kind,
            stream: word(PORT, Stream::parse(&row.stream))?,
            query: Query::try_from(&row.query).map_err(|e| PortError::lasting(PORT, e))?,
            query_text: row.query_text,
            zone: row.zone,
            kept: row.kept_first.map(unsigned).transpose()?.zip(row.kept_last.map(unsigned).transpose()?),
            disclosed: row
                .disclosed
                .iter()
                .map(|field| word(PORT, field_of(field)))
                .collect::<Result<_, _>>()?,
        },
        compliance_id: ComplianceId::from_uuid(row.compliance_id),
        requested_at: row.requested_at,
        state: word(PORT, ReportState::ALL.into_iter().find(|state| state.as_str() == row.state))?,
        failure: row.failure.map(failure).transpose()?,
        done_permille: word(PORT, u32::try_from(row.done_permille).ok())?,
        attempts: word(PORT, u32::try_from(row.attempts).ok())?,
        bundle,
        ended_at: row.ended_at,
        version: word(PORT, u32::try_from(row.version).ok())?,
    })
}

impl PgWork {
    fn report_row(&self, report: &Report) -> Result<Model, PortError> {
        let (draft, bundle) = (&report.draft, report.bundle.as_ref());
        let number = |of: fn(&Bundle) -> u64| bundle.map(|bundle| signed(PORT, of(bundle))).transpose();
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: report.id.uuid(),
            kind: draft.kind.clone(),
            stream: draft.stream.as_str().to_owned(),
            query: draft.query.to_json(),
            query_text: draft.query_text.clone(),
            zone: draft.zone.clone(),
            kept_first: draft.kept.map(|(first, _)| signed(PORT, first)).transpose()?,
            kept_last: draft.kept.map(|(_, last)| signed(PORT, last)).transpose()?,
            compliance_id: report.compliance_id.uuid(),
            requested_at: report.requested_at,
            state: report.state.as_str().to_owned(),
            failure: report.failure.map(|failure| failure.as_str().to_owned()),
            done_permille: word(PORT, i32::try_from(report.done_permille).ok())?,
            attempts: word(PORT, i32::try_from(report.attempts).ok())?,
            place: bundle.map(|bundle| bundle.place.clone()),
            size_bytes: number(|bundle| bundle.size_bytes)?,
            sha256: bundle.and_then(|bundle| bundle.sha256).map(|sha256| sha256.to_vec()),
            pieces: bundle.map(|bundle| pieces_column(&bundle.pieces)).transpose()?,
            first_leaf: number(|bundle| bundle.first)?,
            end_leaf: number(|bundle| bundle.end)?,
            row_count: number(|bundle| bundle.rows)?,
            is_timestamped: bundle.map(|bundle| bundle.is_timestamped),
            expires_at: bundle.map(|bundle| bundle.expires_at),
            ended_at: report.ended_at,
            version: word(PORT, i32::try_from(report.version).ok())?,
            disclosed: draft.disclosed.iter().map(|field| field.in_leaf().to_owned()).collect(),
        })
    }

    async fn one_report(&self, select: Select<Entity>) -> Result<Option<Report>, PortError> {
        let row = select.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        row.map(report_of).transpose()
    }

    /// The size that a statement gives, if any.
    async fn one_size(&self, port: &'static str, statement: Statement) -> Result<Option<u64>, PortError> {
        let fault = |e| orm_error(port, e);
        let Some(row) = self.tx.query_one_raw(statement).await.map_err(fault)? else { return Ok(None) };
        unsigned(port, row.try_get("", "size").map_err(fault)?).map(Some)
    }
}

#[async_trait]
impl ReportStore for PgWork {
    async fn add_report(&mut self, report: &Report) -> Result<(), PortError> {
        let row = self.report_row(report)?.into_active_model().reset_all();
        let added = Entity::insert(row).exec_without_returning(&self.tx).await;
        added.map(drop).map_err(|e| orm_error(PORT, e))
    }

    async fn report(&mut self, id: ReportId) -> Result<Option<Report>, PortError> {
        self.one_report(self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()))).await
    }

    async fn lock_report(&mut self, id: ReportId) -> Result<Option<Report>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        self.one_report(found.lock_exclusive()).await
    }

    async fn reports(&mut self, page: PageRequest) -> Result<Page<Report>, PortError> {
        let select = self.tx.scoped::<Entity>();
        let rows = keyset(select, Column::RequestedAt, Column::Id, page).rows(&self.tx).await;
        let reports = rows.map_err(|e| orm_error(PORT, e))?.into_iter().map(report_of);
        Ok(Page::of_read(reports.collect::<Result<_, _>>()?, &page))
    }

    async fn count_reports(&mut self) -> Result<(u32, u32), PortError> {
        self.tx.hold("compliance.reports").await.map_err(|e| orm_error(PORT, e))?;
        let mut counts = [0; 2];
        for (count, state) in counts.iter_mut().zip([ReportState::Making, ReportState::Ready]) {
            let such = self.tx.scoped::<Entity>().filter(Column::State.eq(state.as_str()));
            let found = such.count(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
            *count = u32::try_from(found).unwrap_or(u32::MAX);
        }
        let [making, ready] = counts;
        Ok((making, ready))
    }

    async fn update_report(&mut self, report: &Report) -> Result<(), PortError> {
        let mut row = self.report_row(report)?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(report.id.uuid()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn schedule_report(&mut self, id: ReportId, due_at: Option<Timestamp>) -> Result<(), PortError> {
        const DUE: &str = "SELECT compliance.schedule_report($1, $2)";
        let statement = TenantTx::statement(DUE, [id.uuid().into(), due_at.into()]);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(PORT, e))
    }

    async fn leaves(&mut self, stream: Stream, begin: u64, until: u64) -> Result<Vec<Vec<u8>>, PortError> {
        let values: [Value; 4] = [
            self.tx.scope().tenant().uuid().into(),
            stream.as_str().into(),
            signed(LEAVES, begin)?.into(),
            signed(LEAVES, until)?.into(),
        ];
        let rows = self.tx.query_all_raw(TenantTx::statement(LEAF_ROWS, values)).await;
        let rows = rows.map_err(|e| orm_error(LEAVES, e))?;
        let leaf = |row: &sea_orm::QueryResult| row.try_get_by_index::<Vec<u8>>(0);
        rows.iter().map(|row| leaf(row).map_err(|e| orm_error(LEAVES, e))).collect()
    }

    async fn segments(&mut self, stream: Stream, begin: u64, end: u64) -> Result<Vec<Segment>, PortError> {
        self.ready_segments(stream, begin, end).await
    }

    async fn cut_until(&mut self, stream: Stream) -> Result<u64, PortError> {
        self.segments_end(stream).await
    }

    async fn add_segment(&mut self, stream: Stream, segment: &Segment) -> Result<(), PortError> {
        self.insert_segment(stream, segment).await
    }

    async fn add_prune(&mut self, stream: Stream, prune: &Prune) -> Result<(), PortError> {
        self.insert_prune(stream, prune).await
    }

    async fn drop_segments(&mut self, stream: Stream, until: u64) -> Result<Vec<Segment>, PortError> {
        self.forget_segments(stream, until).await
    }

    async fn head_from(&mut self, stream: Stream, size: u64) -> Result<Option<SignedHead>, PortError> {
        use audit_head::Column;
        // A size beyond what is kept has no head.
        let Ok(size) = i64::try_from(size) else { return Ok(None) };
        let heads = self.tx.scoped::<audit_head::Entity>().filter(Column::Stream.eq(stream.as_str()));
        let smallest = heads.filter(Column::Size.gte(size)).order_by_asc(Column::Size).one(&self.tx).await;
        smallest.map_err(|e| orm_error(HEADS, e))?.map(head_of).transpose()
    }

    async fn platform_head_before(&mut self, at: Timestamp) -> Result<Option<SignedHead>, PortError> {
        self.one_platform_head(TenantTx::statement(PLATFORM_BEFORE, [at.into()])).await
    }

    async fn head_before(&mut self, stream: Stream, at: Timestamp) -> Result<Option<SignedHead>, PortError> {
        use audit_head::Column;
        let heads = self.tx.scoped::<audit_head::Entity>().filter(Column::Stream.eq(stream.as_str()));
        let newest = heads
            .filter(Column::SignedAt.lt(at))
            .order_by_desc(Column::SignedAt)
            .order_by_desc(Column::Size)
            .one(&self.tx)
            .await;
        newest.map_err(|e| orm_error(HEADS, e))?.map(head_of).transpose()
    }

    async fn head_since(&mut self, stream: Stream, at: Timestamp) -> Result<Option<SignedHead>, PortError> {
        use audit_head::Column;
        let heads = self.tx.scoped::<audit_head::Entity>().filter(Column::Stream.eq(stream.as_str()));
        let oldest = heads
            .filter(Column::SignedAt.gte(at))
            .order_by_asc(Column::SignedAt)
            .order_by_asc(Column::Size)
            .one(&self.tx)
            .await;
        oldest.map_err(|e| orm_error(HEADS, e))?.map(head_of).transpose()
    }

    async fn is_waiting(&mut self, stream: Stream, before: Timestamp) -> Result<bool, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let values: [Value; 3] = [tenant.into(), stream.as_str().into(), before.into()];
        let row = self.tx.query_one_raw(TenantTx::statement(WAITING, values)).await;
        Ok(row.map_err(|e| orm_error(OUTBOX, e))?.is_some())
    }

    async fn late_head(
        &mut self,
        stream: Stream,
        size: u64,
        before: Timestamp,
        late: TimeDelta,
    ) -> Result<Option<u64>, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let values: [Value; 5] = [
            tenant.into(),
            stream.as_str().into(),
            signed(HEADS, size)?.into(),
            before.into(),
            late.num_seconds().into(),
        ];
        self.one_size(HEADS, TenantTx::statement(LATE, values)).await
    }

    async fn anchor_reaching(
        &mut self,
        stream: Stream,
        size: u64,
        covered: u64,
    ) -> Result<Option<u64>, PortError> {
        // A size beyond what is kept has no head.
        let Ok(size) = i64::try_from(size) else { return Ok(None) };
        let tenant = self.tx.scope().tenant().uuid();
        let values: [Value; 4] =
            [tenant.into(), stream.as_str().into(), size.into(), signed(ANCHORS, covered)?.into()];
        self.one_size(ANCHORS, TenantTx::statement(REACHING, values)).await
    }
}

/// The schedule, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgReportSchedule {
    db: Db,
}

impl PgReportSchedule {
    /// Claims on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ReportSchedule for PgReportSchedule {
    async fn claim_reports(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, ReportId)>, PortError> {
        const CLAIM: &str = "SELECT tenant, report FROM compliance.claim_due_reports($1, $2, $3)";
        let claimed = claim_due(PORT, &self.db, CLAIM, (now, most, lease)).await?;
        Ok(claimed.into_iter().map(|(scope, report)| (scope, ReportId::from_uuid(report))).collect())
    }
}
