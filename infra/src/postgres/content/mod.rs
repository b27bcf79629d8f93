//! `content.uploads`, `content.parts`, and the schedule of uploads, which is all tenants' and reached through functions
//! of the database alone. Beside it, how uploads came to be that were made of others (`transcodes`), and how much room a
//! tenant's take (`room`).

mod room;
mod transcodes;

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    content::{
        model::{AudioFacts, MediaFacts, Part, Piece, Probed, Upload, UploadDraft, UploadState, VideoFacts},
        ports::{UploadFilter, UploadSchedule, UploadStore},
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{MemberId, UploadId},
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Value, sea_query::Expr,
};
use serde::{Deserialize, Serialize};

use super::{
    claim::claim_due,
    columns::{hash32, word},
    entity::{
        part,
        upload::{Column, Entity, Model},
    },
    error::{one_changed, orm_error},
    pool::Db,
    scope::{Rows as _, TenantTx, count_up_to, keyset},
    work::PgWork,
};

const UPLOADS: &str = "postgres.uploads";
const PARTS: &str = "postgres.parts";
const SCHEDULE: &str = "postgres.upload_schedule";

const MOVE: &str = "
    UPDATE content.parts SET upload_id = $3, offset_bytes = offset_bytes + $4
    WHERE tenant_id = $1 AND upload_id = $2";

fn signed(port: &'static str, bytes: u64) -> Result<i64, PortError> {
    word(port, i64::try_from(bytes).ok())
}

fn unsigned(port: &'static str, bytes: i64) -> Result<u64, PortError> {
    word(port, u64::try_from(bytes).ok())
}

/// What a probe made of a file, as it is stored. A file that is no media has none of it.
#[derive(Default, Serialize, Deserialize)]
struct ProbedColumn {
    media: Option<MediaColumn>,
}

#[derive(Serialize, Deserialize)]
struct MediaColumn {
    container: String,
    duration_ms: u64,
    video: Option<VideoColumn>,
    audio: Option<AudioColumn>,
}

#[derive(Serialize, Deserialize)]
struct VideoColumn {
    codec: String,
    width: u32,
    height: u32,
    frame_rate_milli: u32,
    /// Not there in what was stored before it was looked at.
    #[serde(default)]
    pixel_format: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct AudioColumn {
    codec: String,
    channels: u32,
    sample_rate_hz: u32,
}

fn probed_column(probed: &Probed) -> Result<serde_json::Value, PortError> {
    let column = match probed {
        Probed::NotMedia => ProbedColumn::default(),
        Probed::Media(media) => ProbedColumn {
            media: Some(MediaColumn {
                container: media.container.clone(),
                duration_ms: media.duration_ms,
                video: media.video.as_ref().map(|video| VideoColumn {
                    codec: video.codec.clone(),
                    width: video.width,
                    height: video.height,
                    frame_rate_milli: video.frame_rate_milli,
                    pixel_format: video.pixel_format.clone(),
                }),
                audio: media.audio.as_ref().map(|audio| AudioColumn {
                    codec: audio.codec.clone(),
                    channels: audio.channels,
                    sample_rate_hz: audio.sample_rate_hz,
                }),
            }),
        },
    };
    serde_json::to_value(column).map_err(|e| PortError::lasting(UPLOADS, e))
}

fn probed_of(column: serde_json::Value) -> Result<Probed, PortError> {
    let column: ProbedColumn = serde_json::from_value(column).map_err(|e| PortError::lasting(UPLOADS, e))?;
    Ok(match column.media {
        None => Probed::NotMedia,
        Some(media) => Probed::Media(MediaFacts {
            container: media.container,
            duration_ms: media.duration_ms,
            video: media.video.map(|video| VideoFacts {
                codec: video.codec,
                width: video.width,
                height: video.height,
                frame_rate_milli: video.frame_rate_milli,
                pixel_format: video.pixel_format,
            }),
            audio: media.audio.map(|audio| AudioFacts {
                codec: audio.codec,
                channels: audio.channels,
                sample_rate_hz: audio.sample_rate_hz,
            }),
        }),
    })
}

fn upload_of(row: Model) -> Result<Upload, PortError> {
    Ok(Upload {
        id: UploadId::from_uuid(row.id),
        piece: word(UPLOADS, Piece::parse(&row.piece))?,
        pieces: row.pieces.into_iter().map(UploadId::from_uuid).collect(),
        draft: UploadDraft {
            name: row.name,
            media_type: row.media_type,
            size_bytes: unsigned(UPLOADS, row.size_bytes)?,
            metadata: row.metadata,
            sha256: row.sha256.map(|hash| hash32(UPLOADS, hash)).transpose()?,
        },
        received_bytes: unsigned(UPLOADS, row.received_bytes)?,
        parts: word(UPLOADS, u32::try_from(row.parts).ok())?,
        state: word(UPLOADS, UploadState::parse(&row.state))?,
        digest: row.digest.map(|hash| hash32(UPLOADS, hash)).transpose()?,
        probed: row.probed.map(probed_of).transpose()?,
        begun_by: row.begun_by.map(MemberId::from_uuid),
        created_at: row.created_at,
        expires_at: row.expires_at,
        version: word(UPLOADS, u32::try_from(row.version).ok())?,
    })
}

fn part_of(row: part::Model) -> Result<Part, PortError> {
    Ok(Part {
        offset_bytes: unsigned(PARTS, row.offset_bytes)?,
        size_bytes: unsigned(PARTS, row.size_bytes)?,
        key: row.object_key,
    })
}

impl PgWork {
    fn upload_row(&self, upload: &Upload) -> Result<Model, PortError> {
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: upload.id.uuid(),
            piece: upload.piece.as_str().to_owned(),
            pieces: upload.pieces.iter().map(|piece| piece.uuid()).collect(),
            name: upload.draft.name.clone(),
            media_type: upload.draft.media_type.clone(),
            size_bytes: signed(UPLOADS, upload.draft.size_bytes)?,
            metadata: upload.draft.metadata.clone(),
            sha256: upload.draft.sha256.map(|hash| hash.to_vec()),
            received_bytes: signed(UPLOADS, upload.received_bytes)?,
            parts: word(UPLOADS, i32::try_from(upload.parts).ok())?,
            state: upload.state.as_str().to_owned(),
            digest: upload.digest.map(|hash| hash.to_vec()),
            probed: upload.probed.as_ref().map(probed_column).transpose()?,
            begun_by: upload.begun_by.map(MemberId::uuid),
            created_at: upload.created_at,
            expires_at: upload.expires_at,
            version: word(UPLOADS, i32::try_from(upload.version).ok())?,
        })
    }

    async fn one_upload(&self, select: Select<Entity>) -> Result<Option<Upload>, PortError> {
        select.one(&self.tx).await.map_err(|e| orm_error(UPLOADS, e))?.map(upload_of).transpose()
    }

    fn parts_of(&self, upload: UploadId) -> Select<part::Entity> {
        self.tx.scoped::<part::Entity>().filter(part::Column::UploadId.eq(upload.uuid()))
    }
}

#[async_trait]
impl UploadStore for PgWork {
    async fn upload(&mut self, id: UploadId) -> Result<Option<Upload>, PortError> {
        self.one_upload(self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()))).await
    }

    async fn uploads_by_id(&mut self, ids: &[UploadId]) -> Result<Vec<Upload>, PortError> {
        let select = self.tx.scoped::<Entity>().filter(Column::Id.eq_any(ids.iter().map(|id| id.uuid())));
        let rows = select.rows(&self.tx).await.map_err(|e| orm_error(UPLOADS, e))?;
        rows.into_iter().map(upload_of).collect()
    }

    async fn lock_upload(&mut self, id: UploadId) -> Result<Option<Upload>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        self.one_upload(found.lock_exclusive()).await
    }

    async fn add_upload(&mut self, upload: &Upload) -> Result<(), PortError> {
        let row = self.upload_row(upload)?;
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(UPLOADS, e))
    }

    async fn update_upload(&mut self, upload: &Upload) -> Result<(), PortError> {
        let mut row = self.upload_row(upload)?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(upload.id.uuid()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(UPLOADS, e))?;
        one_changed(UPLOADS, updated.rows_affected)
    }

    async fn uploads(&mut self, filter: UploadFilter, page: PageRequest) -> Result<Page<Upload>, PortError> {
        let select = self.tx.scoped::<Entity>().filter(Column::Piece.ne(Piece::Partial.as_str()));
        let gone = UploadState::ALL.into_iter().filter(|state| state.is_gone()).map(UploadState::as_str);
        let select = match filter.state {
            Some(state) => select.filter(Column::State.eq(state.as_str())),
            None => select.filter(Column::State.is_not_in(gone)),
        };
        let rows = keyset(select, Column::CreatedAt, Column::Id, page).rows(&self.tx).await;
        let uploads = rows.map_err(|e| orm_error(UPLOADS, e))?.into_iter().map(upload_of);
        Ok(Page::of_read(uploads.collect::<Result<_, _>>()?, &page))
    }

    async fn joined_of(&mut self, pieces: &[UploadId]) -> Result<Option<Upload>, PortError> {
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.uuid()).collect();
        let Some(first) = pieces.first().copied() else { return Ok(None) };
        let begins = Expr::cust_with_values("pieces[1] = $1", [first]);
        let select = self.tx.scoped::<Entity>().filter(Column::Piece.eq(Piece::Joined.as_str()));
        self.one_upload(select.filter(begins).filter(Column::Pieces.eq(pieces))).await
    }

    async fn count_uploads(&mut self, state: UploadState, most: u32) -> Result<u32, PortError> {
        let select = self.tx.scoped::<Entity>().filter(Column::State.eq(state.as_str()));
        count_up_to(UPLOADS, &self.tx, select, Column::Id, most).await
    }

    async fn parts(&mut self, upload: UploadId) -> Result<Vec<Part>, PortError> {
        let rows = self.parts_of(upload).order_by_asc(part::Column::OffsetBytes).rows(&self.tx).await;
        rows.map_err(|e| orm_error(PARTS, e))?.into_iter().map(part_of).collect()
    }

    async fn add_part(&mut self, upload: UploadId, part: &Part) -> Result<(), PortError> {
        let row = part::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            upload_id: upload.uuid(),
            offset_bytes: signed(PARTS, part.offset_bytes)?,
            size_bytes: signed(PARTS, part.size_bytes)?,
            object_key: part.key.clone(),
        };
        part::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PARTS, e))
    }

    async fn move_parts(&mut self, from: UploadId, to: UploadId, shift: u64) -> Result<(), PortError> {
        let values: [Value; 4] = [
            self.tx.scope().tenant().uuid().into(),
            from.uuid().into(),
            to.uuid().into(),
            signed(PARTS, shift)?.into(),
        ];
        let moved = self.tx.execute_raw(TenantTx::statement(MOVE, values)).await;
        moved.map(drop).map_err(|e| orm_error(PARTS, e))
    }

    async fn remove_parts(&mut self, upload: UploadId) -> Result<(), PortError> {
        part::Entity::delete_many()
            .filter(part::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(part::Column::UploadId.eq(upload.uuid()))
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PARTS, e))
    }

    async fn objects_in_use(&mut self, keys: &[String]) -> Result<HashSet<String>, PortError> {
        let found = self
            .tx
            .scoped::<part::Entity>()
            .filter(part::Column::ObjectKey.eq_any(keys.to_vec()))
            .select_only()
            .column(part::Column::ObjectKey)
            .into_tuple::<String>()
            .all(&self.tx)
            .await
            .map_err(|e| orm_error(PARTS, e))?;
        Ok(found.into_iter().collect())
    }

    async fn schedule_upload(&mut self, id: UploadId, due_at: Option<Timestamp>) -> Result<(), PortError> {
        let statement =
            TenantTx::statement("SELECT content.schedule_upload($1, $2)", [id.uuid().into(), due_at.into()]);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(SCHEDULE, e))
    }
}

/// The schedule, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgUploadSchedule {
    db: Db,
}

impl PgUploadSchedule {
    /// Claims on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl UploadSchedule for PgUploadSchedule {
    async fn claim(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, UploadId)>, PortError> {
        const CLAIM: &str = "SELECT tenant, upload FROM content.claim_due_uploads($1, $2, $3)";
        let claimed = claim_due(SCHEDULE, &self.db, CLAIM, (now, most, lease)).await?;
        Ok(claimed.into_iter().map(|(scope, upload)| (scope, UploadId::from_uuid(upload))).collect())
    }

    async fn claim_transcodes(
        &self,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<(TenantScope, UploadId)>, PortError> {
        const CLAIM: &str = "SELECT tenant, upload FROM content.claim_due_transcodes($1, $2, $3)";
        let claimed = claim_due(SCHEDULE, &self.db, CLAIM, (now, most, lease)).await?;
        Ok(claimed.into_iter().map(|(scope, upload)| (scope, UploadId::from_uuid(upload))).collect())
    }
}
