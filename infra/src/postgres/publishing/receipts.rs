//! `publishing.receipts`: who agreed to posts, and to what.

use std::collections::HashMap;

use domain::{
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, MemberId, PostId},
    },
    publishing::{model::Post, ports::PostReceipt},
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use crate::postgres::{
    columns::hash32,
    entity::receipt::{Column, Entity, Model},
    error::orm_error,
    scope::Rows as _,
    work::PgWork,
};

const PORT: &str = "postgres.receipts";

/// Receipts that are put into one statement.
const ROWS_MAX: usize = 500;

fn receipt_of(row: Model) -> Result<PostReceipt, PortError> {
    Ok(PostReceipt {
        digest: hash32(PORT, row.digest)?,
        member: row.member_id.map(MemberId::from_uuid),
        at: row.at,
        compliance_id: ComplianceId::from_uuid(row.compliance_id),
    })
}

impl PgWork {
    pub(super) async fn insert_receipts(&self, posts: &[&Post], at: Timestamp) -> Result<(), PortError> {
        let member_id = self.origin.actor.id.filter(|_| self.origin.actor.kind == "member");
        let row = |post: &&Post| Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            post_id: post.id.uuid(),
            id: self.shared.ids.next_uuid(),
            digest: post.digest().to_vec(),
            member_id,
            at,
            compliance_id: self.origin.compliance_id.uuid(),
        };
        for some in posts.chunks(ROWS_MAX) {
            let rows = some.iter().map(|post| row(post).into_active_model().reset_all());
            let inserted = Entity::insert_many(rows).exec_without_returning(&self.tx).await;
            inserted.map_err(|e| orm_error(PORT, e))?;
        }
        Ok(())
    }

    pub(super) async fn receipts_of(
        &self,
        posts: &[PostId],
    ) -> Result<HashMap<PostId, Vec<PostReceipt>>, PortError> {
        let ids: Vec<_> = posts.iter().map(|post| post.uuid()).collect();
        let found = self.tx.scoped::<Entity>().filter(Column::PostId.eq_any(ids));
        let found = found.order_by_asc(Column::PostId).order_by_asc(Column::At).order_by_asc(Column::Id);
        let mut receipts: HashMap<_, Vec<_>> = HashMap::new();
        for row in found.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            receipts.entry(PostId::from_uuid(row.post_id)).or_default().push(receipt_of(row)?);
        }
        Ok(receipts)
    }

    pub(super) async fn is_confirmed(&self, post: &Post) -> Result<bool, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::PostId.eq(post.id.uuid()));
        let found = found.filter(Column::Digest.eq(post.digest().to_vec()));
        let found = found.limit(1).rows(&self.tx).await;
        Ok(!found.map_err(|e| orm_error(PORT, e))?.is_empty())
    }
}
