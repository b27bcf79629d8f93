//! Watches how the audit logs keep up, for all tenants at once: who waits for an index is told when it is there,
//! and a tenant whose log is far behind takes no more changes until it has caught up.
//!
//! One reader for each process, under the role `matricula_recorder`, which sees of events their names and streams and no
//! more. Access events do not count: reading a lot, or knocking at the door, must not keep a tenant from its work. While
//! the database is away nobody is told anything and nobody is refused here: the change itself would fail.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use domain::kernel::{
    fault::PortError,
    ids::{EventId, TenantId},
};
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{error::port_error, pool::Db};

const PORT: &str = "postgres.log_watch";

/// How often waiting events are looked for.
const LOOK: Duration = Duration::from_millis(20);

/// How often the logs are measured, and the pause after the database did not answer.
const MEASURE: Duration = Duration::from_secs(1);

/// How long a measurement counts.
const MEASURED_FOR: Duration = Duration::from_secs(5);

/// How long nobody waits after somebody waited in vain: a log that is late is late for all of one request's changes, and
/// for all requests.
const LATE_FOR: Duration = Duration::from_secs(5);

/// How patient the watch is.
#[derive(Clone, Copy, Debug)]
pub struct LogWatchSettings {
    /// Longest wait for an index. Zero: nobody waits.
    pub patience: Duration,
    /// Events of one tenant that may be without an index before its changes are refused.
    pub waiting_max: u32,
}

impl Default for LogWatchSettings {
    fn default() -> Self {
        Self { patience: Duration::from_secs(1), waiting_max: 4_096 }
    }
}

/// The watch. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct LogWatch {
    shared: Arc<Shared>,
    settings: LogWatchSettings,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The tenants behind, and when that was measured.
    behind: RwLock<(HashSet<Uuid>, Option<Instant>)>,
    /// When somebody last waited in vain.
    late: RwLock<Option<Instant>>,
    waiting: Mutex<HashMap<Uuid, (Uuid, oneshot::Sender<()>)>>,
    called: Notify,
}

impl LogWatch {
    /// Starts watching on `db`, a pool of the role `matricula_recorder`.
    pub fn start(db: Db, settings: LogWatchSettings) -> Self {
        let shared = Arc::new(Shared::default());
        let tasks = vec![
            tokio::spawn(measure(db.clone(), Arc::clone(&shared), settings.waiting_max)),
            tokio::spawn(look(db, Arc::clone(&shared))),
        ];
        Self { shared, settings, tasks }
    }

    /// Refuses while too many events of the tenant wait for their index.
    ///
    /// # Errors
    /// They do; it passes.
    pub fn admit(&self, tenant: TenantId) -> Result<(), PortError> {
        let behind = self.shared.behind.read().unwrap_or_else(PoisonError::into_inner);
        let is_recent = behind.1.is_some_and(|at| at.elapsed() < MEASURED_FOR);
        if is_recent && behind.0.contains(&tenant.uuid()) {
            return Err(PortError::passing(PORT, "too many audit events of the tenant have no index yet"));
        }
        Ok(())
    }

    /// Waits until the event has its index, no longer than the patience. The event is durable either way: a log
    /// that is late is said in the process's own log, not to the caller.
    pub async fn indexed(&self, tenant: TenantId, event: EventId) {
        let late = *self.shared.late.read().unwrap_or_else(PoisonError::into_inner);
        if self.settings.patience.is_zero() || late.is_some_and(|at| at.elapsed() < LATE_FOR) {
            return;
        }
        let (tell, told) = oneshot::channel();
        self.waiting().insert(event.uuid(), (tenant.uuid(), tell));
        self.shared.called.notify_one();
        if tokio::time::timeout(self.settings.patience, told).await.is_err() {
            self.waiting().remove(&event.uuid());
            *self.shared.late.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            tracing::warn!(tenant = %tenant.uuid(), event = %event.uuid(), "an audit event has no index yet");
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (Uuid, oneshot::Sender<()>)>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Keeps the tenants whose logs are behind.
async fn measure(db: Db, shared: Arc<Shared>, waiting_max: u32) {
    loop {
        match tenants_behind(&db, waiting_max).await {
            Ok(behind) => {
                let mut known = shared.behind.write().unwrap_or_else(PoisonError::into_inner);
                for tenant in behind.difference(&known.0) {
                    tracing::warn!(%tenant, waiting_max, "an audit log is behind: the tenant's changes are refused");
                }
                *known = (behind, Some(Instant::now()));
            }
            Err(fault) => {
                tracing::debug!(port = fault.port, error = %fault.source, "the logs were not measured");
            }
        }
        tokio::time::sleep(MEASURE).await;
    }
}

/// Tenants with at least `most` events that wait, found by skipping from one to the next on the primary key.
async fn tenants_behind(db: &Db, most: u32) -> Result<HashSet<Uuid>, PortError> {
    sqlx::query_scalar(
        "WITH RECURSIVE tenant (id) AS (
             (SELECT tenant_id FROM compliance.audit_outbox ORDER BY tenant_id LIMIT 1)
             UNION ALL
             SELECT (SELECT o.tenant_id FROM compliance.audit_outbox AS o
                     WHERE o.tenant_id > t.id ORDER BY o.tenant_id LIMIT 1)
             FROM tenant AS t WHERE t.id IS NOT NULL
         )
         SELECT id FROM tenant
         WHERE id IS NOT NULL AND $1 <= (
             SELECT count(*) FROM (
                 SELECT FROM compliance.audit_outbox AS o
                 WHERE o.tenant_id = tenant.id AND o.stream <> 'access' LIMIT $1
             ) AS waiting)",
    )
    .bind(i64::from(most))
    .fetch_all(db.pool())
    .await
    .map(|tenants: Vec<Uuid>| tenants.into_iter().collect())
    .map_err(|e| port_error(PORT, e))
}

/// Tells those who wait, as long as somebody does.
async fn look(db: Db, shared: Arc<Shared>) {
    loop {
        let wanted: (Vec<Uuid>, Vec<Uuid>) = {
            let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|_, (_, tell)| !tell.is_closed());
            waiting.iter().map(|(event, (tenant, _))| (*tenant, *event)).unzip()
        };
        if wanted.0.is_empty() {
            shared.called.notified().await;
            continue;
        }
        match indexed_of(&db, &wanted).await {
            Ok(found) => {
                let mut waiting = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                for event in found {
                    if let Some((_, tell)) = waiting.remove(&event) {
                        // Who has gone meanwhile needs no telling.
                        let _ = tell.send(());
                    }
                }
            }
            Err(fault) => {
                tracing::debug!(port = fault.port, error = %fault.source, "indexes were not looked for");
                tokio::time::sleep(MEASURE).await;
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn indexed_of(db: &Db, (tenants, events): &(Vec<Uuid>, Vec<Uuid>)) -> Result<Vec<Uuid>, PortError> {
    sqlx::query_scalar(
        "SELECT l.event_id FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant, event)
         JOIN compliance.audit_leaves AS l ON l.tenant_id = w.tenant AND l.event_id = w.event",
    )
    .bind(tenants)
    .bind(events)
    .fetch_all(db.pool())
    .await
    .map_err(|e| port_error(PORT, e))
}
