//! `identity.members` and `identity.recovery_codes`.

use async_trait::async_trait;
use domain::{
    identity::{
        model::{EmailAddress, Member, MemberStatus, RecoveryCode, Totp},
        ports::{Added, MemberStore},
    },
    kernel::{
        actor::Role,
        clock::Timestamp,
        fault::PortError,
        ids::MemberId,
        page::{Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QuerySelect as _,
};

use super::word;
use crate::postgres::{
    entity::{member, recovery_code},
    error::{is_taken, one_changed, orm_error},
    scope::{Rows as _, TenantTx, count_up_to, keyset},
    work::PgWork,
};

const PORT: &str = "postgres.members";
const TABLE: &str = "identity.members";

impl PgWork {
    async fn member_of(&self, row: member::Model) -> Result<Member, PortError> {
        let name = self.open(TABLE, "name_sealed", row.id, row.name_sealed).await?;
        let totp = match row.totp_sealed {
            Some(sealed) => Some(Totp {
                seed: self.open(TABLE, "totp_sealed", row.id, sealed).await?,
                confirmed_at: row.totp_confirmed_at,
                last_step: row.totp_last_step,
            }),
            None => None,
        };
        Ok(Member {
            id: MemberId::from_uuid(row.id),
            email: self.open_email(TABLE, row.id, row.email_sealed).await?,
            name: word(PORT, name.expose_str())?.to_owned(),
            role: word(PORT, Role::parse(&row.role))?,
            status: word(PORT, MemberStatus::parse(&row.status))?,
            password_hash: row.password_hash,
            totp,
            created_at: row.created_at,
            version: word(PORT, u32::try_from(row.version).ok())?,
        })
    }

    /// The row of a member, who has the row `kept` so far.
    async fn member_row(
        &self,
        member: &Member,
        kept: Option<&member::Model>,
    ) -> Result<member::Model, PortError> {
        let id = member.id.uuid();
        let sealed = async |column, plain: &[u8], kept| self.seal_again(TABLE, column, id, plain, kept).await;
        let totp_sealed = match &member.totp {
            Some(totp) => {
                let kept = kept.and_then(|kept| kept.totp_sealed.as_ref());
                Some(sealed("totp_sealed", totp.seed.expose(), kept).await?)
            }
            None => None,
        };
        Ok(member::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id,
            email_sealed: sealed(
                "email_sealed",
                member.email.expose().as_bytes(),
                kept.map(|kept| &kept.email_sealed),
            )
            .await?,
            email_index: self.email_index(&member.email).await?,
            name_sealed: sealed("name_sealed", member.name.as_bytes(), kept.map(|kept| &kept.name_sealed))
                .await?,
            role: member.role.as_str().to_owned(),
            status: member.status.as_str().to_owned(),
            password_hash: member.password_hash.clone(),
            totp_sealed,
            totp_confirmed_at: member.totp.as_ref().and_then(|totp| totp.confirmed_at),
            totp_last_step: member.totp.as_ref().and_then(|totp| totp.last_step),
            created_at: member.created_at,
            version: word(PORT, i32::try_from(member.version).ok())?,
        })
    }

    /// Counts rows a statement locks or names.
    async fn rows(&self, statement: sea_orm::Statement) -> Result<u32, PortError> {
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
    }
}

#[async_trait]
impl MemberStore for PgWork {
    async fn member(&mut self, id: MemberId) -> Result<Option<Member>, PortError> {
        let found = self.tx.scoped::<member::Entity>().filter(member::Column::Id.eq(id.uuid()));
        match found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.member_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn lock_member(&mut self, id: MemberId) -> Result<Option<Member>, PortError> {
        let found =
            self.tx.scoped::<member::Entity>().filter(member::Column::Id.eq(id.uuid())).lock_exclusive();
        match found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.member_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn member_by_email(&mut self, email: &EmailAddress) -> Result<Option<Member>, PortError> {
        let index = self.email_index(email).await?;
        let found = self.tx.scoped::<member::Entity>().filter(member::Column::EmailIndex.eq(index));
        match found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))? {
            Some(row) => self.member_of(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn add_member(&mut self, member: &Member) -> Result<Added, PortError> {
        let row = self.member_row(member, None).await?;
        let inserted = member::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await;
        match inserted {
            Ok(_) => Ok(Added::New),
            Err(error) if is_taken(&error) => Ok(Added::Taken),
            Err(error) => Err(orm_error(PORT, error)),
        }
    }

    async fn update_member(&mut self, member: &Member) -> Result<(), PortError> {
        let kept = self.tx.scoped::<member::Entity>().filter(member::Column::Id.eq(member.id.uuid()));
        let kept = kept.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let mut row = self.member_row(member, kept.as_ref()).await?;
        let read = row.version;
        row.version += 1;
        let changes = row.into_active_model().reset_all();
        let updated = member::Entity::update_many()
            .set(changes)
            .filter(member::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(member::Column::Id.eq(member.id.uuid()))
            .filter(member::Column::Version.eq(read))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        one_changed(PORT, updated.rows_affected)
    }

    async fn lock_owners(&mut self) -> Result<u32, PortError> {
        self.rows(TenantTx::statement(
            "SELECT 1 FROM identity.members
             WHERE tenant_id = $1 AND role = 'owner' AND status = 'active' FOR UPDATE",
            [self.tx.scope().tenant().uuid().into()],
        ))
        .await
    }

    async fn lock_seats(&mut self, now: Timestamp) -> Result<u32, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        // The tenant's own row is the lock: two invitations can't both take the last seat.
        self.rows(TenantTx::statement(
            "SELECT 1 FROM identity.tenants WHERE tenant_id = $1 FOR UPDATE",
            [tenant.into()],
        ))
        .await?;
        self.rows(TenantTx::statement(
            "SELECT 1 FROM identity.members WHERE tenant_id = $1
             UNION ALL
             SELECT 1 FROM identity.invitations
             WHERE tenant_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2",
            [tenant.into(), now.into()],
        ))
        .await
    }

    async fn members(&mut self, page: PageRequest) -> Result<Page<Member>, PortError> {
        let select = self.tx.scoped::<member::Entity>();
        let rows = keyset(select, member::Column::CreatedAt, member::Column::Id, page)
            .rows(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let mut members = Vec::with_capacity(rows.len());
        for row in rows {
            members.push(self.member_of(row).await?);
        }
        Ok(Page::of_read(members, &page))
    }

    async fn count_members(&mut self, most: u32) -> Result<u32, PortError> {
        count_up_to(PORT, &self.tx, self.tx.scoped::<member::Entity>(), member::Column::Id, most).await
    }

    async fn put_recovery_codes(
        &mut self,
        member: MemberId,
        codes: &[RecoveryCode],
    ) -> Result<(), PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        recovery_code::Entity::delete_many()
            .filter(recovery_code::Column::TenantId.eq(tenant))
            .filter(recovery_code::Column::MemberId.eq(member.uuid()))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        if codes.is_empty() {
            return Ok(());
        }
        let rows = codes.iter().map(|code| {
            let row = recovery_code::Model {
                tenant_id: tenant,
                member_id: member.uuid(),
                hash: code.hash.to_vec(),
                used_at: code.used_at,
            };
            row.into_active_model().reset_all()
        });
        recovery_code::Entity::insert_many(rows)
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn use_recovery_code(
        &mut self,
        member: MemberId,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<bool, PortError> {
        let used = recovery_code::Entity::update_many()
            .col_expr(recovery_code::Column::UsedAt, sea_orm::sea_query::Expr::value(now))
            .filter(recovery_code::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(recovery_code::Column::MemberId.eq(member.uuid()))
            .filter(recovery_code::Column::Hash.eq(hash.to_vec()))
            .filter(recovery_code::Column::UsedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(used.rows_affected == 1)
    }
}
