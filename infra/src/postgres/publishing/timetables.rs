//! `publishing.timetables`.

use async_trait::async_trait;
use domain::{
    kernel::{
        fault::PortError,
        ids::TimetableId,
        page::{Page, PageRequest},
    },
    publishing::{
        model::{Timetable, TimetableDraft},
        ports::TimetableStore,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
};

use crate::postgres::{
    columns::word,
    entity::timetable::{Column, Entity, Model},
    error::{one_changed, orm_error},
    scope::{Rows as _, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.timetables";

fn timetable_of(row: Model) -> Result<Timetable, PortError> {
    Ok(Timetable {
        id: TimetableId::from_uuid(row.id),
        draft: TimetableDraft { name: row.name, zone: row.zone, rules: row.rules },
        created_at: row.created_at,
        version: word(PORT, u32::try_from(row.version).ok())?,
    })
}

impl PgWork {
    fn timetable_row(&self, timetable: &Timetable) -> Result<Model, PortError> {
        let draft = timetable.draft.clone();
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: timetable.id.uuid(),
            name: draft.name,
            zone: draft.zone,
            rules: draft.rules,
            created_at: timetable.created_at,
            version: word(PORT, i32::try_from(timetable.version).ok())?,
        })
    }
}

#[async_trait]
impl TimetableStore for PgWork {
    async fn add_timetable(&mut self, timetable: &Timetable) -> Result<(), PortError> {
        let row = self.timetable_row(timetable)?.into_active_model().reset_all();
        let added = Entity::insert(row).exec_without_returning(&self.tx).await;
        added.map(drop).map_err(|e| orm_error(PORT, e))
    }

    async fn timetable(&mut self, id: TimetableId) -> Result<Option<Timetable>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid())).one(&self.tx).await;
        found.map_err(|e| orm_error(PORT, e))?.map(timetable_of).transpose()
    }

    async fn timetables(&mut self, page: PageRequest) -> Result<Page<Timetable>, PortError> {
        let select = self.tx.scoped::<Entity>();
        let rows = keyset(select, Column::CreatedAt, Column::Id, page).rows(&self.tx).await;
        let found = rows.map_err(|e| orm_error(PORT, e))?.into_iter().map(timetable_of);
        Ok(Page::of_read(found.collect::<Result<_, _>>()?, &page))
    }

    async fn update_timetable(&mut self, timetable: &Timetable) -> Result<(), PortError> {
        let mut row = self.timetable_row(timetable)?;
        let read = row.version;
        row.version += 1;
        let updated = Entity::update_many()
            .set(row.into_active_model().reset_all())
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(timetable.id.uuid()))
            .filter(Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn remove_timetable(&mut self, id: TimetableId) -> Result<bool, PortError> {
        let removed = Entity::delete_many()
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id.uuid()))
            .exec(&self.tx)
            .await;
        Ok(removed.map_err(|e| orm_error(PORT, e))?.rows_affected > 0)
    }
}
