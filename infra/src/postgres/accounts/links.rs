//! `accounts.links`.

use async_trait::async_trait;
use chrono::DateTime;
use domain::{
    accounts::{
        model::{Link, LinkOutcome, LinkStep, TraceEntry},
        ports::LinkStore,
    },
    kernel::{
        fault::PortError,
        ids::{AccountId, AppId, GroupId, LinkId, MemberId, SessionId},
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QuerySelect as _, Select, sea_query::Expr,
};
use serde::{Deserialize, Serialize};

use super::{held_error, platform};
use crate::postgres::{
    columns::{hash32, word},
    entity::link::{Column, Entity, Model},
    error::{one_changed, orm_error},
    work::PgWork,
};

const PORT: &str = "postgres.links";
const TABLE: &str = "accounts.links";

/// How an entry of `trace` is kept.
#[derive(Serialize, Deserialize)]
struct TraceColumn {
    /// Since 1970, UTC.
    at_us: i64,
    step: String,
    detail: Option<String>,
}

fn trace_column(trace: &[TraceEntry]) -> Result<serde_json::Value, PortError> {
    let entries: Vec<_> = trace
        .iter()
        .map(|entry| TraceColumn {
            at_us: entry.at.timestamp_micros(),
            step: entry.step.as_str().to_owned(),
            detail: entry.detail.clone(),
        })
        .collect();
    serde_json::to_value(entries).map_err(|e| PortError::lasting(PORT, e))
}

fn trace_of(column: serde_json::Value) -> Result<Vec<TraceEntry>, PortError> {
    let entries: Vec<TraceColumn> =
        serde_json::from_value(column).map_err(|e| PortError::lasting(PORT, e))?;
    let entry_of = |entry: TraceColumn| {
        Ok(TraceEntry {
            at: word(PORT, DateTime::from_timestamp_micros(entry.at_us))?,
            step: word(PORT, LinkStep::parse(&entry.step))?,
            detail: entry.detail,
        })
    };
    entries.into_iter().map(entry_of).collect()
}

/// An outcome as its two columns.
const fn outcome_columns(outcome: &LinkOutcome) -> (&'static str, Option<AccountId>) {
    match outcome {
        LinkOutcome::Open => ("open", None),
        LinkOutcome::Linked(account) => ("linked", Some(*account)),
        LinkOutcome::Failed => ("failed", None),
    }
}

fn outcome_of(word: &str, account: Option<AccountId>) -> Option<LinkOutcome> {
    match (word, account) {
        ("open", None) => Some(LinkOutcome::Open),
        ("linked", Some(account)) => Some(LinkOutcome::Linked(account)),
        ("failed", None) => Some(LinkOutcome::Failed),
        _ => None,
    }
}

impl PgWork {
    async fn one_link(&self, select: Select<Entity>) -> Result<Option<Link>, PortError> {
        let row = select.one(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let Some(row) = row else { return Ok(None) };
        let verifier = match row.verifier_sealed {
            Some(sealed) => Some(self.open(TABLE, "verifier_sealed", row.id, sealed).await?),
            None => None,
        };
        Ok(Some(Link {
            id: LinkId::from_uuid(row.id),
            app: AppId::from_uuid(row.app_id),
            platform: platform(PORT, &row.platform)?,
            member: MemberId::from_uuid(row.member_id),
            session: SessionId::from_uuid(row.session_id),
            secret_hash: hash32(PORT, row.secret_hash)?,
            verifier,
            scopes: row.scopes,
            group: row.group_id.map(GroupId::from_uuid),
            again: row.again_account_id.map(AccountId::from_uuid),
            created_at: row.created_at,
            returned_at: row.returned_at,
            outcome: word(PORT, outcome_of(&row.outcome, row.account_id.map(AccountId::from_uuid)))?,
            trace: trace_of(row.trace)?,
        }))
    }
}

#[async_trait]
impl LinkStore for PgWork {
    async fn link(&mut self, id: LinkId) -> Result<Option<Link>, PortError> {
        self.one_link(self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()))).await
    }

    async fn lock_link(&mut self, id: LinkId) -> Result<Option<Link>, PortError> {
        let found = self.tx.scoped::<Entity>().filter(Column::Id.eq(id.uuid()));
        self.one_link(found.lock_exclusive()).await
    }

    async fn add_link(&mut self, link: &Link) -> Result<(), PortError> {
        let id = link.id.uuid();
        let verifier_sealed = match &link.verifier {
            Some(verifier) => Some(self.seal(TABLE, "verifier_sealed", id, verifier.expose()).await?),
            None => None,
        };
        let (outcome, account) = outcome_columns(&link.outcome);
        let row = Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id,
            app_id: link.app.uuid(),
            platform: link.platform.as_str().to_owned(),
            member_id: link.member.uuid(),
            session_id: link.session.uuid(),
            secret_hash: link.secret_hash.to_vec(),
            verifier_sealed,
            scopes: link.scopes.clone(),
            group_id: link.group.map(GroupId::uuid),
            again_account_id: link.again.map(AccountId::uuid),
            created_at: link.created_at,
            returned_at: link.returned_at,
            outcome: outcome.to_owned(),
            account_id: account.map(AccountId::uuid),
            trace: trace_column(&link.trace)?,
        };
        Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(&self.tx)
            .await
            .map(drop)
            .map_err(|e| held_error(PORT, e))
    }

    async fn update_link(&mut self, link: &Link) -> Result<(), PortError> {
        let (outcome, account) = outcome_columns(&link.outcome);
        let updated = Entity::update_many()
            .col_expr(Column::ReturnedAt, Expr::value(link.returned_at))
            .col_expr(Column::Outcome, Expr::value(outcome))
            .col_expr(Column::AccountId, Expr::value(account.map(AccountId::uuid)))
            .col_expr(Column::Trace, Expr::value(trace_column(&link.trace)?))
            .filter(Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(Column::Id.eq(link.id.uuid()))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        // It may have gone with its app.
        one_changed(PORT, updated.rows_affected)
    }
}
