//! `compliance.processing_records`, and what is so of a tenant now.

use async_trait::async_trait;
use domain::{
    compliance::{
        ports::{RecordFilter, RecordStore},
        processing::{Content, ProcessingRecord, TenantFacts},
        records::Activity,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{MemberId, RecordId},
        page::{Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityName as _, EntityTrait as _,
    ExprTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, UpdateMany,
    sea_query::{Expr, Query},
};

use super::{
    columns::{hash32, word},
    entity::processing_record::{Column, Entity, Model},
    error::{one_changed, orm_error},
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.processing_records";

const FACTS: &str = "
    SELECT t.slug, t.name,
        ARRAY (SELECT DISTINCT a.platform FROM accounts.apps AS a WHERE a.tenant_id = $1) AS platforms,
        (SELECT k.provider FROM compliance.tenant_keys AS k WHERE k.tenant_id = $1 ORDER BY k.version DESC LIMIT 1) AS provider
    FROM identity.tenants AS t WHERE t.tenant_id = $1";

fn record_of(row: Model) -> Result<ProcessingRecord, PortError> {
    Ok(ProcessingRecord {
        id: RecordId::from_uuid(row.id),
        activity: word(PORT, Activity::parse(&row.activity))?,
        version: word(PORT, u32::try_from(row.version).ok())?,
        content: Content { text: row.content, sha256: hash32(PORT, row.sha256)? },
        changed: row.changed,
        made_at: row.made_at,
        checked_at: row.checked_at,
        reviewed: row.reviewed_at.map(|at| (at, row.reviewed_by.map(MemberId::from_uuid))),
        signature: row.signed_at.zip(row.signature),
    })
}

impl PgWork {
    fn record_row(&self, record: &ProcessingRecord) -> Result<Model, PortError> {
        Ok(Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: record.id.uuid(),
            activity: record.activity.as_str().to_owned(),
            version: word(PORT, i32::try_from(record.version).ok())?,
            content: record.content.text.clone(),
            sha256: record.content.sha256.to_vec(),
            changed: record.changed.clone(),
            made_at: record.made_at,
            checked_at: record.checked_at,
            reviewed_at: record.reviewed.map(|(at, _)| at),
            reviewed_by: record.reviewed.and_then(|(_, by)| by).map(MemberId::uuid),
            signature: record.signature.as_ref().map(|(_, signature)| signature.clone()),
            signed_at: record.signature.as_ref().map(|(at, _)| *at),
        })
    }

    /// A change of one, and of nothing that it does not name: others may change the rest.
    fn change(&self, id: RecordId) -> UpdateMany<Entity> {
        let tenant = self.tx.scope().tenant().uuid();
        Entity::update_many().filter(Column::TenantId.eq(tenant)).filter(Column::Id.eq(id.uuid()))
    }

    /// The condition that a version is the newest of its record.
    fn is_newest(&self) -> sea_orm::sea_query::SimpleExpr {
        let tenant = self.tx.scope().tenant().uuid();
        let newest = Query::select()
            .column(Column::Activity)
            .expr(Expr::col(Column::Version).max())
            .from(Entity.table_ref())
            .and_where(Column::TenantId.eq(tenant))
            .group_by_col(Column::Activity)
            .to_owned();
        Expr::tuple([Expr::col(Column::Activity), Expr::col(Column::Version)]).in_subquery(newest)
    }
}

#[async_trait]
impl RecordStore for PgWork {
    async fn tenant_facts(&mut self) -> Result<Option<TenantFacts>, PortError> {
        let row = self.tx.query_one_raw(TenantTx::statement(FACTS, [self.tenant()])).await;
        let Some(row) = row.map_err(|e| orm_error(PORT, e))? else { return Ok(None) };
        let text = |name: &str| row.try_get("", name).map_err(|e| orm_error(PORT, e));
        let platforms: Vec<String> = row.try_get("", "platforms").map_err(|e| orm_error(PORT, e))?;
        Ok(Some(TenantFacts {
            slug: text("slug")?,
            name: text("name")?,
            platforms: platforms.into_iter().collect(),
            key_provider: row.try_get("", "provider").map_err(|e| orm_error(PORT, e))?,
        }))
    }

    async fn newest_records(&mut self) -> Result<Vec<ProcessingRecord>, PortError> {
        let rows = self.tx.scoped::<Entity>().filter(self.is_newest()).rows(&self.tx).await;
        rows.map_err(|e| orm_error(PORT, e))?.into_iter().map(record_of).collect()
    }

    async fn add_record(&mut self, record: &ProcessingRecord) -> Result<(), PortError> {
        let row = self.record_row(record)?.into_active_model().reset_all();
        let added = Entity::insert(row).exec_without_returning(&self.tx).await;
        added.map(drop).map_err(|e| orm_error(PORT, e))
    }

    async fn looked_at(&mut self, activity: Activity) -> Result<Option<ProcessingRecord>, PortError> {
        let of = self.tx.scoped::<Entity>().filter(Column::Activity.eq(activity.as_str()));
        let known = of.filter(Column::ReviewedAt.is_not_null().or(Column::Version.eq(1)));
        let newest = known.order_by_desc(Column::Version).limit(1).one(&self.tx).await;
        newest.map_err(|e| orm_error(PORT, e))?.map(record_of).transpose()
    }

    async fn record_checked(&mut self, id: RecordId, at: Timestamp) -> Result<(), PortError> {
        let checked = self.change(id).col_expr(Column::CheckedAt, Expr::value(at)).exec(&self.tx).await;
        one_changed(PORT, checked.map_err(|e| orm_error(PORT, e))?.rows_affected)
    }

    async fn record_reviewed(
        &mut self,
        id: RecordId,
        at: Timestamp,
        by: MemberId,
    ) -> Result<bool, PortError> {
        let reviewed = self
            .change(id)
            .col_expr(Column::ReviewedAt, Expr::value(at))
            .col_expr(Column::ReviewedBy, Expr::value(by.uuid()))
            .filter(Column::ReviewedAt.is_null())
            .exec(&self.tx)
            .await;
        Ok(reviewed.map_err(|e| orm_error(PORT, e))?.rows_affected > 0)
    }

    async fn record_signed(
        &mut self,
        id: RecordId,
        at: Timestamp,
        signature: Vec<u8>,
    ) -> Result<bool, PortError> {
        let signed = self
            .change(id)
            .col_expr(Column::Signature, Expr::value(signature))
            .col_expr(Column::SignedAt, Expr::value(at))
            .filter(Column::SignedAt.is_null())
            .exec(&self.tx)
            .await;
        Ok(signed.map_err(|e| orm_error(PORT, e))?.rows_affected > 0)
    }

    async fn lock_record(&mut self, id: RecordId) -> Result<Option<ProcessingRecord>, PortError> {
        let one = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive();
        one.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?.map(record_of).transpose()
    }

    async fn record_of(&mut self, id: RecordId) -> Result<Option<ProcessingRecord>, PortError> {
        let one = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        one.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?.map(record_of).transpose()
    }

    async fn records(
        &mut self,
        filter: RecordFilter,
        page: PageRequest,
    ) -> Result<Page<ProcessingRecord>, PortError> {
        let mut select = self.tx.scoped::<Entity>();
        if let Some(activity) = filter.activity {
            select = select.filter(Column::Activity.eq(activity.as_str()));
        }
        if filter.is_current {
            select = select.filter(self.is_newest());
        }
        let rows = keyset(select, Column::MadeAt, Column::Id, page).rows(&self.tx).await;
        let records = rows.map_err(|e| orm_error(PORT, e))?.into_iter().map(record_of);
        Ok(Page::of_read(records.collect::<Result<_, _>>()?, &page))
    }
}
