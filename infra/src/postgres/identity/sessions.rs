//! `identity.sessions` and `identity.refresh_tokens`.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    identity::{
        model::{MemberStatus, RefreshToken, SESSION_IDLE_DAYS, SESSION_MAX_DAYS, Session},
        ports::{SessionStore, Standing},
    },
    kernel::{
        actor::Role,
        clock::Timestamp,
        fault::PortError,
        ids::{MemberId, RefreshTokenId, SessionId},
        outbox::{Geo, Mfa},
        page::{Direction, Page, PageRequest},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryResult, QuerySelect as _, Value,
    sea_query::{ArrayType, Expr},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{hash32, word};
use crate::postgres::{
    entity::{
        Scoped as _, refresh_token,
        session::{Column, Entity, Model},
    },
    error::orm_error,
    scope::TenantTx,
    work::PgWork,
};

const PORT: &str = "postgres.sessions";

/// Live sessions of many members, a page of each by the index on member, instant and id. $1 tenant, $2 members, $3 now,
/// $4 the instant before which a session was idle too long, $5 and $6 the place to read from, $7 rows a member, $8 the
/// instant before which none was begun that is not over: the index is read from there.
const LIVE_FORWARD: &str = "
    SELECT s.tenant_id, s.id, s.member_id, s.created_at, s.last_seen_at, s.expires_at, s.revoked_at, s.device, s.geo, s.mfa
    FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS m
    CROSS JOIN LATERAL (
        SELECT * FROM identity.sessions
        WHERE tenant_id = $1 AND member_id = m.id
          AND revoked_at IS NULL AND expires_at > $3 AND last_seen_at > $4 AND created_at > $8
          AND (created_at, id) > (COALESCE($5::timestamptz, '-infinity'), COALESCE($6::uuid, '00000000-0000-0000-0000-000000000000'))
        ORDER BY created_at, id
        LIMIT $7
    ) AS s";

/// The same from the end.
const LIVE_BACKWARD: &str = "
    SELECT s.tenant_id, s.id, s.member_id, s.created_at, s.last_seen_at, s.expires_at, s.revoked_at, s.device, s.geo, s.mfa
    FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS m
    CROSS JOIN LATERAL (
        SELECT * FROM identity.sessions
        WHERE tenant_id = $1 AND member_id = m.id
          AND revoked_at IS NULL AND expires_at > $3 AND last_seen_at > $4 AND created_at > $8
          AND (created_at, id) < (COALESCE($5::timestamptz, 'infinity'), COALESCE($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        ORDER BY created_at DESC, id DESC
        LIMIT $7
    ) AS s";

/// Who acts in sessions. $1 tenant, $2 sessions, $3 now, $4 the instant before which a session was idle too long.
const STANDINGS: &str = "
    SELECT s.id, s.member_id, m.role
    FROM identity.sessions AS s
    JOIN identity.members AS m ON m.tenant_id = s.tenant_id AND m.id = s.member_id
    WHERE s.tenant_id = $1 AND s.id = ANY ($2)
      AND s.revoked_at IS NULL AND s.expires_at > $3 AND s.last_seen_at > $4 AND m.status = $5";

/// How `geo` is kept.
#[derive(Serialize, Deserialize)]
struct GeoColumn {
    country: String,
    region: Option<String>,
    source: String,
    db_version: u64,
}

fn session_of(row: Model) -> Result<Session, PortError> {
    let geo = row.geo.map(serde_json::from_value::<GeoColumn>).transpose();
    Ok(Session {
        id: SessionId::from_uuid(row.id),
        member: MemberId::from_uuid(row.member_id),
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
        device: row.device,
        geo: geo.map_err(|e| PortError::lasting(PORT, e))?.map(|g| Geo {
            country: g.country,
            region: g.region,
            source: g.source,
            db_version: g.db_version,
        }),
        mfa: word(PORT, Mfa::parse(&row.mfa))?,
    })
}

#[async_trait]
impl SessionStore for PgWork {
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?.map(session_of).transpose()
    }

    async fn standings(
        &mut self,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<HashMap<SessionId, Standing>, PortError> {
        let ids = sessions.iter().map(|session| Value::from(session.uuid())).collect();
        let statement = TenantTx::statement(
            STANDINGS,
            [
                self.tx.scope().tenant().uuid().into(),
                Value::Array(ArrayType::Uuid, Some(Box::new(ids))),
                now.into(),
                (now - TimeDelta::days(SESSION_IDLE_DAYS)).into(),
                MemberStatus::Active.as_str().into(),
            ],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        let standing = |row: QueryResult| {
            let (id, member, role): (Uuid, Uuid, String) =
                row.try_get_many_by_index().map_err(|e| orm_error(PORT, e))?;
            let member = MemberId::from_uuid(member);
            // In a role that is none of ours nobody acts: one such row must not hide how the others stand.
            Ok(Role::parse(&role).map(|role| (SessionId::from_uuid(id), Standing { member, role })))
        };
        rows.into_iter().filter_map(|row| standing(row).transpose()).collect()
    }

    async fn add_session(&mut self, session: &Session) -> Result<(), PortError> {
        let geo = session.geo.clone().map(|g| GeoColumn {
            country: g.country,
            region: g.region,
            source: g.source,
            db_version: g.db_version,
        });
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: session.id.uuid(),
            member_id: session.member.uuid(),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            revoked_at: session.revoked_at,
            device: session.device.clone(),
            geo: geo.map(serde_json::to_value).transpose().map_err(|e| PortError::lasting(PORT, e))?,
            mfa: session.mfa.as_str().to_owned(),
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn touch_session(&mut self, id: SessionId, now: Timestamp) -> Result<bool, PortError> {
        let touched = Entity::update_many()
            .col_expr(Column::LastSeenAt, Expr::value(now))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(touched.rows_affected == 1)
    }

    async fn end_session(&mut self, id: SessionId, now: Timestamp) -> Result<(), PortError> {
        Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(id.uuid()))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn sessions_of(
        &mut self,
        members: &[MemberId],
        now: Timestamp,
        page: PageRequest,
    ) -> Result<HashMap<MemberId, Page<Session>>, PortError> {
        let ids = members.iter().map(|member| Value::from(member.uuid())).collect();
        let statement = TenantTx::statement(
            match page.direction {
                Direction::Forward => LIVE_FORWARD,
                Direction::Backward => LIVE_BACKWARD,
            },
            [
                self.tx.scope().tenant().uuid().into(),
                Value::Array(ArrayType::Uuid, Some(Box::new(ids))),
                now.into(),
                (now - TimeDelta::days(SESSION_IDLE_DAYS)).into(),
                page.from.map(|key| key.at).into(),
                page.from.map(|key| key.id).into(),
                (i64::from(page.limit) + 1).into(),
                (now - TimeDelta::days(SESSION_MAX_DAYS)).into(),
            ],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        let mut read: HashMap<MemberId, Vec<Session>> = HashMap::with_capacity(members.len());
        for row in rows {
            let row = Entity::read(&row).map_err(|e| orm_error(PORT, e))?;
            let session = session_of(row)?;
            read.entry(session.member).or_default().push(session);
        }
        let page_of = |(member, mut sessions): (MemberId, Vec<Session>)| {
            // The order of a lateral join's rows is nobody's promise.
            sessions.sort_unstable_by_key(|session| (session.created_at, session.id.uuid()));
            if page.direction == Direction::Backward {
                sessions.reverse();
            }
            (member, Page::of_read(sessions, &page))
        };
        Ok(read.into_iter().map(page_of).collect())
    }

    async fn end_sessions(
        &mut self,
        member: MemberId,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, PortError> {
        let statement = TenantTx::statement(
            "UPDATE identity.sessions SET revoked_at = $3
             WHERE tenant_id = $1 AND member_id = $2 AND revoked_at IS NULL
               AND id IS DISTINCT FROM $4
             RETURNING id",
            [
                self.tx.scope().tenant().uuid().into(),
                member.uuid().into(),
                now.into(),
                keep.map(SessionId::uuid).into(),
            ],
        );
        let rows = self.tx.query_all_raw(statement).await.map_err(|e| orm_error(PORT, e))?;
        rows.iter()
            .map(|row| row.try_get("", "id").map(SessionId::from_uuid).map_err(|e| orm_error(PORT, e)))
            .collect()
    }

    async fn knows_device(&mut self, member: MemberId, device: &str) -> Result<bool, PortError> {
        let found = self
            .tx
            .scoped::<Entity>()
            .filter(Column::MemberId.eq(member.uuid()))
            .filter(Column::Device.eq(device))
            .select_only()
            .column(Column::Id)
            .into_tuple::<uuid::Uuid>()
            .one(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        Ok(found.is_some())
    }

    async fn refresh_token(&mut self, id: RefreshTokenId) -> Result<Option<RefreshToken>, PortError> {
        let found = self
            .tx
            .scoped::<refresh_token::Entity>()
            .filter(refresh_token::Column::Id.eq(id.uuid()))
            .lock_exclusive();
        let row = found.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        row.map(|row| {
            Ok(RefreshToken {
                id,
                session: SessionId::from_uuid(row.session_id),
                secret_hash: hash32(PORT, row.secret_hash)?,
                created_at: row.created_at,
                used_at: row.used_at,
            })
        })
        .transpose()
    }

    async fn add_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError> {
        let row = refresh_token::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: token.id.uuid(),
            session_id: token.session.uuid(),
            secret_hash: token.secret_hash.to_vec(),
            created_at: token.created_at,
            used_at: token.used_at,
        };
        refresh_token::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }

    async fn update_refresh_token(&mut self, token: &RefreshToken) -> Result<(), PortError> {
        refresh_token::Entity::update_many()
            .col_expr(refresh_token::Column::UsedAt, Expr::value(token.used_at))
            .filter(refresh_token::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(refresh_token::Column::Id.eq(token.id.uuid()))
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{IdenStatic as _, Iterable as _};

    use super::*;

    #[test]
    fn columns_are_named_in_the_order_they_are_read_in() {
        let columns: Vec<_> = Column::iter().map(|column| format!("s.{}", column.as_str())).collect();
        for statement in [LIVE_FORWARD, LIVE_BACKWARD] {
            let named = statement.trim().strip_prefix("SELECT ").and_then(|rest| rest.split('\n').next());
            assert_eq!(named, Some(columns.join(", ").as_str()));
        }
    }
}
