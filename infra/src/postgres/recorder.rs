//! Adds access events of any tenant to the outbox, many at a time, under the role `matricula_recorder`: it may
//! add to the stream `access` and read nothing.

use domain::{
    compliance::ports::{AccessRecorder, PendingEvent},
    kernel::fault::PortError,
};

use super::{error::port_error, pool::Db};

/// The recorder on a pool of its role.
#[derive(Clone, Debug)]
pub struct PgAccessRecorder {
    db: Db,
}

impl PgAccessRecorder {
    /// Records on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait::async_trait]
impl AccessRecorder for PgAccessRecorder {
    async fn add(&self, events: &[PendingEvent]) -> Result<(), PortError> {
        let tenants: Vec<_> = events.iter().map(|e| e.tenant.uuid()).collect();
        let ids: Vec<_> = events.iter().map(|e| e.id.uuid()).collect();
        let answers: Vec<_> = events.iter().map(|e| e.compliance_id.uuid()).collect();
        let types: Vec<_> = events.iter().map(|e| e.type_name.as_str()).collect();
        let outcomes: Vec<_> = events.iter().map(|e| e.outcome.as_str()).collect();
        let actors: Vec<_> = events.iter().map(|e| e.actor).collect();
        let times: Vec<_> = events.iter().map(|e| e.occurred_at).collect();
        let leaves: Vec<_> = events.iter().map(|e| e.leaf.as_slice()).collect();
        sqlx::query(
            "INSERT INTO compliance.audit_outbox
                 (tenant_id, event_id, stream, compliance_id, type, outcome, actor_id, occurred_at, leaf)
             SELECT t, e, 'access', c, y, o, a, w, l
             FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[],
                 $7::timestamptz[], $8::bytea[]) AS r (t, e, c, y, o, a, w, l)
             ON CONFLICT DO NOTHING",
        )
        .bind(&tenants)
        .bind(&ids)
        .bind(&answers)
        .bind(&types)
        .bind(&outcomes)
        .bind(&actors)
        .bind(&times)
        .bind(&leaves)
        .execute(self.db.pool())
        .await
        .map(drop)
        .map_err(|e| port_error("postgres.recorder", e))
    }
}
