//! `accounts.groups` and `accounts.group_grants`.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    accounts::{model::Group, ports::GroupStore},
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{GroupId, MemberId},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, sea_query::Expr,
};

use super::held_error;
use crate::postgres::{
    columns::word,
    entity::{
        group::{Column, Entity, Model},
        group_grant,
    },
    error::{one_changed, orm_error},
    scope::{Rows as _, TenantTx},
    work::PgWork,
};

const PORT: &str = "postgres.groups";

/// The tenant's own row is the lock. This strength lets others add rows that name the tenant meanwhile.
const LOCK: &str = "SELECT 1 FROM identity.tenants WHERE tenant_id = $1 FOR NO KEY UPDATE";

/// Locked first, so that whoever is putting an account into the group is waited for and then seen.
const LOCK_ONE: &str = "SELECT 1 FROM accounts.groups WHERE tenant_id = $1 AND id = $2 FOR UPDATE";

/// What was given up stands in nobody's way.
const LET_GO: &str = "
    UPDATE accounts.accounts SET group_id = NULL, version = version + 1
    WHERE tenant_id = $1 AND group_id = $2 AND state = 'unlinked'";

const REMOVE: &str = "
    DELETE FROM accounts.groups AS g WHERE g.tenant_id = $1 AND g.id = $2
    AND NOT EXISTS (SELECT FROM accounts.accounts AS a WHERE a.tenant_id = $1 AND a.group_id = $2)
    AND NOT EXISTS (SELECT FROM accounts.groups AS b WHERE b.tenant_id = $1 AND b.parent_id = $2)";

/// A grant to nobody adds nothing, instead of ending the transaction by the foreign key.
const GRANT: &str = "
    WITH who AS (
        SELECT tenant_id, id FROM identity.members WHERE tenant_id = $1 AND id = $3
    ), added AS (
        INSERT INTO accounts.group_grants (tenant_id, group_id, member_id, created_at)
        SELECT tenant_id, $2, id, $4 FROM who ON CONFLICT DO NOTHING
    ) SELECT 1 FROM who";

fn group_of(row: Model) -> Result<Group, PortError> {
    Ok(Group {
        id: GroupId::from_uuid(row.id),
        parent: row.parent_id.map(GroupId::from_uuid),
        name: row.name,
        created_at: row.created_at,
        version: word(PORT, u32::try_from(row.version).ok())?,
    })
}

#[async_trait]
impl GroupStore for PgWork {
    async fn groups(&mut self) -> Result<Vec<Group>, PortError> {
        let rows = self.tx.scoped::<Entity>().rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        rows.into_iter().map(group_of).collect()
    }

    async fn lock_groups(&mut self) -> Result<Vec<Group>, PortError> {
        let statement = TenantTx::statement(LOCK, [self.tx.scope().tenant().uuid().into()]);
        self.tx.execute_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        self.groups().await
    }

    async fn add_group(&mut self, group: &Group) -> Result<(), PortError> {
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: group.id.uuid(),
            parent_id: group.parent.map(GroupId::uuid),
            name: group.name.clone(),
            created_at: group.created_at,
            version: word(PORT, i32::try_from(group.version).ok())?,
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| held_error(PORT, e))
    }

    async fn update_group(&mut self, group: &Group) -> Result<(), PortError> {
        let version = word(PORT, i32::try_from(group.version).ok())?;
        let updated = Entity::update_many()
            .col_expr(Column::Name, Expr::value(group.name.clone()))
            .col_expr(Column::ParentId, Expr::value(group.parent.map(GroupId::uuid)))
            .col_expr(Column::Version, Expr::value(version + 1))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(group.id.uuid()))
            .filter(Column::Version.eq(version))
            .exec(&self.tx)
            .await
            .map_err(|e| held_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn remove_group(&mut self, id: GroupId) -> Result<bool, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let statement = |sql| TenantTx::statement(sql, [tenant.into(), id.uuid().into()]);
        self.tx.execute_raw(statement(LOCK_ONE)).await.map_err(|e| orm_error(PORT, e))?;
        self.tx.execute_raw(statement(LET_GO)).await.map_err(|e| orm_error(PORT, e))?;
        let removed = self.tx.execute_raw(statement(REMOVE)).await.map_err(|e| orm_error(PORT, e))?;
        Ok(removed.rows_affected() == 1)
    }

    async fn granted_groups(&mut self, member: MemberId) -> Result<Vec<GroupId>, PortError> {
        let rows = self
            .tx
            .scoped::<group_grant::Entity>()
            .filter(group_grant::Column::MemberId.eq(member.uuid()))
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(rows.into_iter().map(|row| GroupId::from_uuid(row.group_id)).collect())
    }

    async fn grants_of(&mut self, groups: &[GroupId]) -> Result<HashMap<GroupId, Vec<MemberId>>, PortError> {
        let rows = self
            .tx
            .scoped::<group_grant::Entity>()
            .filter(group_grant::Column::GroupId.eq_any(groups.iter().map(|group| group.uuid())))
            .order_by_asc(group_grant::Column::CreatedAt)
            .order_by_asc(group_grant::Column::MemberId)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let mut grants: HashMap<_, Vec<_>> = HashMap::with_capacity(groups.len());
        for row in rows {
            let members = grants.entry(GroupId::from_uuid(row.group_id)).or_default();
            members.push(MemberId::from_uuid(row.member_id));
        }
        Ok(grants)
    }

    async fn grant_group(
        &mut self,
        group: GroupId,
        member: MemberId,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let statement = TenantTx::statement(
            GRANT,
            [tenant.into(), group.uuid().into(), member.uuid().into(), now.into()],
        );
        let known = self.tx.query_one_raw(statement).await.map_err(|e| held_error(PORT, e))?;
        Ok(known.is_some())
    }

    async fn revoke_group(&mut self, group: GroupId, member: MemberId) -> Result<bool, PortError> {
        let revoked = group_grant::Entity::delete_many()
            .filter(group_grant::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(group_grant::Column::GroupId.eq(group.uuid()))
            .filter(group_grant::Column::MemberId.eq(member.uuid()))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(revoked.rows_affected == 1)
    }
}
