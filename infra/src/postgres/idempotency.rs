//! `kernel.idempotency_keys`.

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use chrono::TimeDelta;
use domain::{
    kernel::{
        fault::PortError,
        secret::{Place, Sealed},
    },
    work::{Claimed, IdempotencyClaim, IdempotencyStore},
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::idempotency_key::{Column, Entity, Model},
    error::orm_error,
    scope::TenantTx,
    work::PgWork,
};

const PORT: &str = "postgres.idempotency_keys";

/// How long a key is remembered, in hours.
const REMEMBERED_HOURS: i64 = 24;

/// The first half of a digest over the whole key: names the lock and the sealed answer's place.
fn row_of(tenant: Uuid, claim: &IdempotencyClaim) -> Uuid {
    let mut bytes = tenant.as_bytes().to_vec();
    for part in [&claim.caller, claim.action, &claim.key] {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..16]);
    Uuid::from_bytes(half)
}

fn place(row: Uuid) -> Place {
    Place { table: "kernel.idempotency_keys", column: "answer", row }
}

#[async_trait]
impl IdempotencyStore for PgWork {
    async fn claim(&mut self, claim: &IdempotencyClaim) -> Result<Claimed, PortError> {
        let tenant = self.tx.scope().tenant().uuid();
        let row_id = row_of(tenant, claim);
        let (high, _) = row_id.as_u64_pair();
        // Held until the transaction ends, and never waited for: whoever comes second is told so at once.
        let locked = self
            .tx
            .query_one_raw(TenantTx::statement(
                "SELECT pg_try_advisory_xact_lock($1) AS locked",
                [high.cast_signed().into()],
            ))
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let locked = locked.and_then(|row| row.try_get::<bool>("", "locked").ok()).unwrap_or(false);
        if !locked {
            return Ok(Claimed::InProgress);
        }
        let mine = || {
            sea_orm::Condition::all()
                .add(Column::TenantId.eq(tenant))
                .add(Column::Caller.eq(&claim.caller))
                .add(Column::Action.eq(claim.action))
                .add(Column::Key.eq(&claim.key))
        };
        Entity::delete_many()
            .filter(mine())
            .filter(Column::CreatedAt.lte(claim.at - TimeDelta::hours(REMEMBERED_HOURS)))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(PORT, e))?;
        let found = self.tx.scoped::<Entity>().filter(mine()).one(&self.tx).await;
        match found.map_err(|e| orm_error(PORT, e))? {
            Some(row) if row.arguments != claim.arguments => Ok(Claimed::OtherArguments),
            Some(Model { answer: Some(sealed), .. }) => {
                let scope = self.tx.scope();
                let answer = self.shared.vault.open(&scope, place(row_id), &Sealed(sealed)).await?;
                Ok(Claimed::Answered(answer.expose().to_vec()))
            }
            Some(_) => Err(PortError::lasting(PORT, "a committed key has no answer")),
            None => {
                let row = Model {
                    tenant_id: tenant,
                    caller: claim.caller.clone(),
                    action: claim.action.to_owned(),
                    key: claim.key.clone(),
                    arguments: claim.arguments.to_vec(),
                    answer: None,
                    created_at: claim.at,
                };
                Entity::insert(row.into_active_model().reset_all())
                    .exec_without_returning(&self.tx)
                    .await
                    .map_err(|e| orm_error(PORT, e))?;
                Ok(Claimed::New)
            }
        }
    }

    async fn keep_answer(&mut self, claim: &IdempotencyClaim, answer: &[u8]) -> Result<(), PortError> {
        let scope = self.tx.scope();
        let tenant = scope.tenant().uuid();
        let sealed = self.shared.vault.seal(&scope, place(row_of(tenant, claim)), answer).await?;
        Entity::update_many()
            .col_expr(Column::Answer, Expr::value(sealed.0))
            .filter(Column::TenantId.eq(tenant))
            .filter(Column::Caller.eq(&claim.caller))
            .filter(Column::Action.eq(claim.action))
            .filter(Column::Key.eq(&claim.key))
            .exec(&self.tx)
            .await
            .map(drop)
            .map_err(|e| orm_error(PORT, e))
    }
}
