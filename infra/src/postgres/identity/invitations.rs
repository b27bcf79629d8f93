//! `identity.invitations`.

use async_trait::async_trait;
use domain::{
    identity::{
        model::{EmailAddress, Invitation},
        ports::InvitationStore,
    },
    kernel::{
        actor::Role,
        clock::Timestamp,
        fault::PortError,
        ids::{InvitationId, MemberId},
        page::{Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QuerySelect as _, sea_query::Expr,
};

use super::{hash32, word};
use crate::postgres::{
    entity::invitation::{Column, Entity, Model},
    error::orm_error,
    scope::{Rows as _, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.invitations";
const TABLE: &str = "identity.invitations";

impl PgWork {
    async fn invitation_of(&self, row: Model) -> Result<Invitation, PortError> {
        Ok(Invitation {
            id: InvitationId::from_uuid(row.id),
            email: self.open_email(TABLE, row.id, row.email_sealed).await?,
            role: word(PORT, Role::parse(&row.role))?,
            invited_by: row.invited_by.map(MemberId::from_uuid),
            secret_hash: hash32(PORT, row.secret_hash)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            accepted_at: row.accepted_at,
            revoked_at: row.revoked_at,
        })
    }
}

#[async_trait]
impl InvitationStore for PgWork {
    async fn invitation(&mut self, id: InvitationId) -> Result<Option<Invitation>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid())).lock_exclusive();
        match found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.invitation_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn add_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError> {
        let id = invitation.id.uuid();
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id,
            email_sealed: self.seal(TABLE, "email_sealed", id, invitation.email.expose().as_bytes()).await?,
            email_index: self.email_index(&invitation.email).await?,
            role: invitation.role.as_str().to_owned(),
            invited_by: invitation.invited_by.map(MemberId::uuid),
            secret_hash: invitation.secret_hash.to_vec(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
            accepted_at: invitation.accepted_at,
            revoked_at: invitation.revoked_at,
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn update_invitation(&mut self, invitation: &Invitation) -> Result<(), PortError> {
        Entity::update_many()
            .col_expr(Column::AcceptedAt, Expr::value(invitation.accepted_at))
            .col_expr(Column::RevokedAt, Expr::value(invitation.revoked_at))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(invitation.id.uuid()))
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn open_invitation(
        &mut self,
        email: &EmailAddress,
        now: Timestamp,
    ) -> Result<Option<Invitation>, PortError> {
        let index = self.email_index(email).await?;
        let found = self
            .tx
            .scoped::<Entity>()
            .filter(Column::EmailIndex.eq(index))
            .filter(Column::AcceptedAt.is_null())
            .filter(Column::RevokedAt.is_null())
            .filter(Column::ExpiresAt.gt(now));
        match found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.invitation_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn invitations(&mut self, page: PageRequest) -> Result<Page<Invitation>, PortError> {
        let rows = keyset(self.tx.scoped::<Entity>(), Column::CreatedAt, Column::Id, page)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let mut invitations = Vec::with_capacity(rows.len());
        for row in rows {
            invitations.push(self.invitation_of(row).await?);
        }
        Ok(Page::of_read(invitations, &page))
    }
}
