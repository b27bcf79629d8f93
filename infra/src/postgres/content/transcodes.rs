//! `content.transcodes`, and when one is taken up.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    content::{
        model::{FindingCode, Transcode, TranscodeFailure, UploadState},
        ports::TranscodeStore,
    },
    kernel::{clock::Timestamp, fault::PortError, ids::UploadId},
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
};

use super::{
    super::{
        columns::word,
        entity::{
            transcode::{Column, Entity, Model},
            upload,
        },
        error::{one_changed, orm_error},
        scope::{Rows as _, TenantTx},
        work::PgWork,
    },
    SCHEDULE,
};

const PORT: &str = "postgres.transcodes";

fn transcode_of(row: Model) -> Result<Transcode, PortError> {
    let mends = row.mends.iter().map(|code| word(PORT, FindingCode::parse(code)));
    let failure = |text: String| word(PORT, TranscodeFailure::parse(&text));
    Ok(Transcode {
        upload: UploadId::from_uuid(row.upload_id),
        source: UploadId::from_uuid(row.source_id),
        mends: mends.collect::<Result<_, _>>()?,
        platform: row.platform,
        recipe: row.recipe,
        done_permille: word(PORT, u32::try_from(row.done_permille).ok())?,
        attempts: word(PORT, u32::try_from(row.attempts).ok())?,
        failure: row.failure.map(failure).transpose()?,
    })
}

impl PgWork {
    fn transcode_row(&self, transcode: &Transcode) -> Result<Model, PortError> {
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            upload_id: transcode.upload.uuid(),
            source_id: transcode.source.uuid(),
            platform: transcode.platform.clone(),
            recipe: transcode.recipe.clone(),
            mends: transcode.mends.iter().map(|code| code.as_str().to_owned()).collect(),
            done_permille: word(PORT, i32::try_from(transcode.done_permille).ok())?,
            attempts: word(PORT, i32::try_from(transcode.attempts).ok())?,
            failure: transcode.failure.map(|failure| failure.as_str().to_owned()),
        })
    }
}

#[async_trait]
impl TranscodeStore for PgWork {
    async fn transcodes(&mut self, uploads: &[UploadId]) -> Result<HashMap<UploadId, Transcode>, PortError> {
        let ids = uploads.iter().map(|upload| upload.uuid()).collect::<Vec<_>>();
        let select = self.tx.scoped::<Entity>().filter(Column::UploadId.eq_any(ids));
        let rows = select.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        rows.into_iter().map(|row| transcode_of(row).map(|transcode| (transcode.upload, transcode))).collect()
    }

    async fn transcode_of(
        &mut self,
        source: UploadId,
        platform: &str,
        recipe: &str,
    ) -> Result<Option<Transcode>, PortError> {
        let asked = self
            .tx
            .scoped::<Entity>()
            .filter(Column::SourceId.eq(source.uuid()))
            .filter(Column::Platform.eq(platform))
            .filter(Column::Recipe.eq(recipe))
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let ids = asked.iter().map(|row| row.upload_id).collect::<Vec<_>>();
        let uploads = self.tx.scoped::<upload::Entity>().filter(upload::Column::Id.eq_any(ids));
        let uploads = uploads.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let kept = |row: &Model| {
            let upload = uploads.iter().find(|upload| upload.id == row.upload_id);
            upload.and_then(|upload| UploadState::parse(&upload.state)).is_some_and(|state| !state.is_gone())
        };
        asked.into_iter().find(kept).map(transcode_of).transpose()
    }

    async fn add_transcode(&mut self, transcode: &Transcode) -> Result<(), PortError> {
        let row = self.transcode_row(transcode)?;
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn update_transcode(&mut self, transcode: &Transcode) -> Result<(), PortError> {
        let row = self.transcode_row(transcode)?;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::UploadId.eq(transcode.upload.uuid()))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn schedule_transcode(&mut self, id: UploadId, due_at: Timestamp) -> Result<(), PortError> {
        let values = [id.uuid().into(), due_at.into()];
        let statement = TenantTx::statement("SELECT content.schedule_transcode($1, $2)", values);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(SCHEDULE, e))
    }

    async fn hold_transcode(&mut self, id: UploadId, until: Timestamp) -> Result<(), PortError> {
        let values = [id.uuid().into(), until.into()];
        let statement = TenantTx::statement("SELECT content.hold_transcode($1, $2)", values);
        self.tx.execute_raw(statement).await.map(drop).map_err(|e| orm_error(SCHEDULE, e))
    }
}
