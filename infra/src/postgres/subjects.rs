//! Persons in the database: what is taken away of them, `compliance.erasures` and `compliance.legal_holds`, and schedules that
//! are all tenants'.

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    compliance::{
        erasure::{Erasure, ErasureBasis, LegalHold, Subject, SubjectKind},
        ports::{DailySchedule, ErasureSchedule, Rewrapped, SubjectStore},
        report::ReportState,
    },
    kernel::{
        clock::Timestamp,
        fault::PortError,
        ids::{HoldId, MemberId, ReportId, TenantId},
        page::{Page, PageRequest},
        scope::TenantScope,
    },
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::{
    audit_log::{signed, unsigned},
    columns::word,
    entity::{erasure, legal_hold, report},
    error::{one_changed, orm_error, port_error},
    pool::Db,
    scope::{Rows as _, TenantTx, keyset},
    work::PgWork,
};

const ERASURES: &str = "postgres.erasures";
const HOLDS: &str = "postgres.legal_holds";
const PORT: &str = "postgres.subjects";

/// What goes with a member, those first that name others: $1 tenant, $2 member. What they did keeps their id, which is nobody's
/// any more. Their row is held before, so that nothing comes that names it.
const OF_MEMBER: [&str; 13] = [
    "SELECT FROM identity.members WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    "DELETE FROM identity.refresh_tokens AS r USING identity.sessions AS s
     WHERE r.tenant_id = $1 AND s.tenant_id = $1 AND r.session_id = s.id AND s.member_id = $2",
    "DELETE FROM identity.sessions WHERE tenant_id = $1 AND member_id = $2",
    "DELETE FROM identity.recovery_codes WHERE tenant_id = $1 AND member_id = $2",
    "DELETE FROM identity.password_resets WHERE tenant_id = $1 AND member_id = $2",
    "DELETE FROM identity.api_keys WHERE tenant_id = $1 AND issued_by = $2",
    "DELETE FROM accounts.group_grants WHERE tenant_id = $1 AND member_id = $2",
    "DELETE FROM accounts.links WHERE tenant_id = $1 AND member_id = $2",
    "DELETE FROM identity.invitations AS i USING identity.members AS m
     WHERE i.tenant_id = $1 AND m.tenant_id = $1 AND m.id = $2 AND i.email_index = m.email_index",
    "UPDATE identity.invitations SET invited_by = NULL WHERE tenant_id = $1 AND invited_by = $2",
    "UPDATE accounts.accounts SET paused_by = NULL WHERE tenant_id = $1 AND paused_by = $2",
    "DELETE FROM kernel.idempotency_keys WHERE tenant_id = $1 AND caller LIKE 'member:' || $2::text || ':%'",
    "DELETE FROM identity.members WHERE tenant_id = $1 AND id = $2",
];

/// The same of the owner of an account. The account's row stays, so that what was posted with it can be told of; nobody finds it
/// by the platform's name for it any more.
const OF_ACCOUNT: [&str; 5] = [
    "SELECT FROM accounts.accounts WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    "DELETE FROM accounts.tokens WHERE tenant_id = $1 AND account_id = $2",
    "DELETE FROM accounts.links WHERE tenant_id = $1 AND (account_id = $2 OR again_account_id = $2)",
    "UPDATE accounts.accounts SET open_id_sealed = '', open_id_index = uuid_send($2), profile_sealed = '', kind = NULL,
         tags = '{}', state_since = CASE state WHEN 'unlinked' THEN state_since ELSE now() END, state = 'unlinked',
         consent_end = NULL, version = version + 1
     WHERE tenant_id = $1 AND id = $2",
    "SELECT accounts.schedule_tokens($2, NULL) WHERE $1::uuid IS NOT NULL",
];

const HAS_MEMBER: &str = "SELECT 1 FROM identity.members WHERE tenant_id = $1 AND id = $2";
const HAS_ACCOUNT: &str =
    "SELECT 1 FROM accounts.accounts WHERE tenant_id = $1 AND id = $2 AND length(open_id_sealed) > 0";
const KEEP_OUT: &str =
    "UPDATE identity.tenants SET status = 'awaiting_erasure' WHERE tenant_id = $1 AND status = 'active'";
const LET_IN: &str =
    "UPDATE identity.tenants SET status = 'active' WHERE tenant_id = $1 AND status = 'awaiting_erasure'";
const COUNT: &str =
    "SELECT count(*) AS openings FROM compliance.audit_openings WHERE tenant_id = $1 AND subject = $2";
const OPENINGS: &str = "DELETE FROM compliance.audit_openings WHERE tenant_id = $1 AND subject = $2";
const KEY: &str = "DELETE FROM compliance.subject_keys WHERE tenant_id = $1 AND subject = $2";

/// Months nothing is under any more, or something is again: $1 tenant, $2 the month now, $3 when.
const EMPTIED: &str = "
    UPDATE compliance.subject_epochs AS e SET emptied_at = CASE WHEN k.is_used THEN NULL ELSE coalesce(e.emptied_at, $3) END
    FROM (
        SELECT o.epoch, EXISTS (SELECT FROM compliance.subject_keys AS s WHERE s.tenant_id = $1 AND s.epoch = o.epoch) AS is_used
        FROM compliance.subject_epochs AS o WHERE o.tenant_id = $1 AND o.epoch < $2 AND o.destroyed_at IS NULL
    ) AS k
    WHERE e.tenant_id = $1 AND e.epoch = k.epoch AND k.is_used = (e.emptied_at IS NOT NULL)";
/// Those to be destroyed: $1 tenant, $2 the month now, $3 emptied before then.
const SPENT: &str = "
    SELECT e.epoch, e.object_id FROM compliance.subject_epochs AS e
    WHERE tenant_id = $1 AND epoch < $2 AND emptied_at < $3 AND destroyed_at IS NULL AND NOT EXISTS (
        SELECT FROM compliance.subject_keys AS k WHERE k.tenant_id = $1 AND k.epoch = e.epoch)
    FOR UPDATE";
const DESTROYED: &str =
    "UPDATE compliance.subject_epochs SET destroyed_at = $3 WHERE tenant_id = $1 AND epoch = $2";

fn subject_of(port: &'static str, kind: &str, id: Uuid) -> Result<Subject, PortError> {
    let kind = SubjectKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(Subject { kind: word(port, kind)?, id })
}

fn erasure_of(row: erasure::Model) -> Result<Erasure, PortError> {
    let basis = ErasureBasis::ALL.into_iter().find(|basis| basis.as_str() == row.basis);
    Ok(Erasure {
        subject: subject_of(ERASURES, &row.kind, row.subject)?,
        basis: word(ERASURES, basis)?,
        at: row.erased_at,
        by: row.erased_by.map(MemberId::from_uuid),
        openings: unsigned(ERASURES, row.openings)?,
        reports: row.reports.into_iter().map(ReportId::from_uuid).collect(),
    })
}

fn hold_of(row: legal_hold::Model) -> Result<LegalHold, PortError> {
    Ok(LegalHold {
        id: HoldId::from_uuid(row.id),
        subject: subject_of(HOLDS, &row.kind, row.subject)?,
        matter: row.matter,
        placed_at: row.placed_at,
        placed_by: row.placed_by.map(MemberId::from_uuid),
        released_at: row.released_at,
        released_by: row.released_by.map(MemberId::from_uuid),
    })
}

impl PgWork {
    async fn of_subject(&self, sql: &'static str, subject: Uuid) -> Result<u64, PortError> {
        let values = [self.tx.scope().tenant().uuid().into(), subject.into()];
        let done = self.tx.execute_raw(TenantTx::statement(sql, values)).await;
        done.map(|done| done.rows_affected()).map_err(|e| orm_error(PORT, e))
    }

    async fn call(&self, sql: &'static str, values: Vec<sea_orm::Value>) -> Result<(), PortError> {
        self.tx.execute_raw(TenantTx::statement(sql, values)).await.map(drop).map_err(|e| orm_error(PORT, e))
    }
}

#[async_trait]
impl SubjectStore for PgWork {
    async fn lock_subject(&mut self, subject: Uuid) -> Result<(), PortError> {
        // Whoever tells of left changes holds them, and wants subjects' keys after.
        self.hold_left_changes().await?;
        self.lock_subject_alone(subject).await
    }

    async fn has_subject(&mut self, subject: Subject) -> Result<bool, PortError> {
        let sql = match subject.kind {
            SubjectKind::Member => HAS_MEMBER,
            SubjectKind::Account => HAS_ACCOUNT,
        };
        let values = [self.tx.scope().tenant().uuid().into(), subject.id.into()];
        let row = self.tx.query_one_raw(TenantTx::statement(sql, values)).await;
        row.map(|row| row.is_some()).map_err(|e| orm_error(PORT, e))
    }

    async fn forget_subject(&mut self, subject: Subject) -> Result<(), PortError> {
        let all: &[&'static str] = match subject.kind {
            SubjectKind::Member => &OF_MEMBER,
            SubjectKind::Account => &OF_ACCOUNT,
        };
        for sql in all {
            self.of_subject(sql, subject.id).await?;
        }
        Ok(())
    }

    async fn count_openings(&mut self, subject: Uuid) -> Result<u64, PortError> {
        let row = self.tx.query_one_raw(TenantTx::statement(COUNT, [self.tenant(), subject.into()])).await;
        let row = row.map_err(|e| orm_error(PORT, e))?;
        let count = row.map(|row| row.try_get("", "openings")).transpose().map_err(|e| orm_error(PORT, e))?;
        unsigned(PORT, count.unwrap_or_default())
    }

    async fn add_erasure(&mut self, erasure: &Erasure) -> Result<(), PortError> {
        const NOTE: &str = "SELECT compliance.note_erasure($1)";
        const LEFT: &str = "SELECT compliance.forget_left_changes($1)";
        let subject = erasure.subject.id;
        let row = erasure::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            subject,
            kind: erasure.subject.kind.as_str().to_owned(),
            basis: erasure.basis.as_str().to_owned(),
            erased_at: erasure.at,
            erased_by: erasure.by.map(MemberId::uuid),
            openings: signed(ERASURES, erasure.openings)?,
            reports: erasure.reports.iter().map(|report| report.uuid()).collect(),
        };
        let added = erasure::Entity::insert(row.into_active_model().reset_all());
        added.exec_without_returning(&self.tx).await.map_err(|e| orm_error(ERASURES, e))?;
        // Only now: the database lets nobody take away what opens events of whoever is not erased.
        self.of_subject(OPENINGS, subject).await?;
        self.of_subject(KEY, subject).await?;
        self.erased.insert(subject);
        self.call(LEFT, vec![subject.into()]).await?;
        self.call(NOTE, vec![subject.into()]).await
    }

    async fn erasures_of(&mut self, subjects: &[Uuid]) -> Result<Vec<Erasure>, PortError> {
        let some = self.tx.scoped::<erasure::Entity>();
        let some = some.filter(erasure::Column::Subject.eq_any(subjects.iter().copied()));
        let rows = some.rows(&self.tx).await.map_err(|e| orm_error(ERASURES, e))?;
        rows.into_iter().map(erasure_of).collect()
    }

    async fn erasures(&mut self, page: PageRequest) -> Result<Page<Erasure>, PortError> {
        let all = self.tx.scoped::<erasure::Entity>();
        let rows =
            keyset(all, erasure::Column::ErasedAt, erasure::Column::Subject, page).rows(&self.tx).await;
        let erasures = rows.map_err(|e| orm_error(ERASURES, e))?.into_iter().map(erasure_of);
        Ok(Page::of_read(erasures.collect::<Result<_, _>>()?, &page))
    }

    async fn erasure_kept(&mut self, subject: Uuid) -> Result<(), PortError> {
        self.call("SELECT compliance.erasure_kept($1)", vec![subject.into()]).await
    }

    async fn add_hold(&mut self, hold: &LegalHold) -> Result<(), PortError> {
        let row = legal_hold::Model {
            tenant_id: self.tx.scope().tenant().uuid(),
            id: hold.id.uuid(),
            subject: hold.subject.id,
            kind: hold.subject.kind.as_str().to_owned(),
            matter: hold.matter.clone(),
            placed_at: hold.placed_at,
            placed_by: hold.placed_by.map(MemberId::uuid),
            released_at: hold.released_at,
            released_by: hold.released_by.map(MemberId::uuid),
        };
        let added = legal_hold::Entity::insert(row.into_active_model().reset_all());
        added.exec_without_returning(&self.tx).await.map(drop).map_err(|e| orm_error(HOLDS, e))
    }

    async fn lock_hold(&mut self, id: HoldId) -> Result<Option<LegalHold>, PortError> {
        let one = self.tx.scoped::<legal_hold::Entity>().filter(legal_hold::Column::Id.eq(id.uuid()));
        let row = one.lock_exclusive().one(&self.tx).await.map_err(|e| orm_error(HOLDS, e))?;
        row.map(hold_of).transpose()
    }

    async fn hold(&mut self, id: HoldId) -> Result<Option<LegalHold>, PortError> {
        let one = self.tx.scoped::<legal_hold::Entity>().filter(legal_hold::Column::Id.eq(id.uuid()));
        let row = one.one(&self.tx).await.map_err(|e| orm_error(HOLDS, e))?;
        row.map(hold_of).transpose()
    }

    async fn update_hold(&mut self, hold: &LegalHold) -> Result<(), PortError> {
        use sea_orm::sea_query::Expr;
        let updated = legal_hold::Entity::update_many()
            .col_expr(legal_hold::Column::ReleasedAt, Expr::value(hold.released_at))
            .col_expr(legal_hold::Column::ReleasedBy, Expr::value(hold.released_by.map(MemberId::uuid)))
            .filter(legal_hold::Column::TenantId.eq(self.tx.scope().tenant().uuid()))
            .filter(legal_hold::Column::Id.eq(hold.id.uuid()))
            .exec(&self.tx)
            .await
            .map_err(|e| orm_error(HOLDS, e))?;
        one_changed(HOLDS, updated.rows_affected)
    }

    async fn is_held(&mut self, subject: Uuid) -> Result<bool, PortError> {
        let on = self.tx.scoped::<legal_hold::Entity>().filter(legal_hold::Column::Subject.eq(subject));
        let in_force = on.filter(legal_hold::Column::ReleasedAt.is_null()).one(&self.tx).await;
        in_force.map(|hold| hold.is_some()).map_err(|e| orm_error(HOLDS, e))
    }

    async fn is_anything_held(&mut self) -> Result<bool, PortError> {
        let all = self.tx.scoped::<legal_hold::Entity>();
        let in_force = all.filter(legal_hold::Column::ReleasedAt.is_null()).one(&self.tx).await;
        in_force.map(|hold| hold.is_some()).map_err(|e| orm_error(HOLDS, e))
    }

    async fn holds(&mut self, page: PageRequest) -> Result<Page<LegalHold>, PortError> {
        let all = self.tx.scoped::<legal_hold::Entity>();
        let rows =
            keyset(all, legal_hold::Column::PlacedAt, legal_hold::Column::Id, page).rows(&self.tx).await;
        let holds = rows.map_err(|e| orm_error(HOLDS, e))?.into_iter().map(hold_of);
        Ok(Page::of_read(holds.collect::<Result<_, _>>()?, &page))
    }

    async fn disclosing_reports(&mut self) -> Result<Vec<ReportId>, PortError> {
        self.tx.hold("compliance.reports").await.map_err(|e| orm_error(PORT, e))?;
        let states = [ReportState::Making, ReportState::Ready].map(ReportState::as_str);
        let alive = self.tx.scoped::<report::Entity>().filter(report::Column::State.is_in(states));
        let alive = alive.order_by_asc(report::Column::Id);
        let rows = alive.rows(&self.tx).await.map_err(|e| orm_error(PORT, e))?;
        let disclosing = rows.into_iter().filter(|row| !row.disclosed.is_empty());
        Ok(disclosing.map(|row| ReportId::from_uuid(row.id)).collect())
    }

    async fn keep_tenant_out(&mut self, is_kept_out: bool) -> Result<bool, PortError> {
        let sql = if is_kept_out { KEEP_OUT } else { LET_IN };
        let done = self.tx.execute_raw(TenantTx::statement(sql, [self.tenant()])).await;
        // One that is closed is so when it is taken back.
        self.call("SELECT identity.keep_out_of_closed($1)", vec![is_kept_out.into()]).await?;
        done.map(|done| done.rows_affected() > 0).map_err(|e| orm_error(PORT, e))
    }

    async fn rewrap_subject_keys(
        &mut self,
        epoch: i32,
        after: Option<Uuid>,
        most: u32,
    ) -> Result<Rewrapped, PortError> {
        self.rewrap_older_keys(epoch, after, most).await
    }

    async fn destroy_epochs(
        &mut self,
        epoch: i32,
        now: Timestamp,
        emptied_before: Timestamp,
    ) -> Result<u32, PortError> {
        let scope = self.tx.scope();
        let tenant = || sea_orm::Value::from(scope.tenant().uuid());
        self.call(EMPTIED, vec![tenant(), epoch.into(), now.into()]).await?;
        let spent = TenantTx::statement(SPENT, [tenant(), epoch.into(), emptied_before.into()]);
        let spent = self.tx.query_all_raw(spent).await.map_err(|e| orm_error(PORT, e))?;
        for row in &spent {
            let month: i32 = row.try_get("", "epoch").map_err(|e| orm_error(PORT, e))?;
            let object: Uuid = row.try_get("", "object_id").map_err(|e| orm_error(PORT, e))?;
            // Before it is said to be gone: said too late, it is thrown away once more.
            self.shared.subjects.destroy_epoch(&scope, object).await?;
            self.call(DESTROYED, vec![tenant(), month.into(), now.into()]).await?;
        }
        u32::try_from(spent.len()).map_err(|e| PortError::lasting(PORT, e))
    }

    async fn daily_done(&mut self, task: &'static str, next_due: Timestamp) -> Result<(), PortError> {
        self.call("SELECT compliance.daily_done($1, $2)", vec![task.into(), next_due.into()]).await
    }
}

/// What is to be written down and whose turn it is, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgSubjectSchedule {
    db: Db,
}

impl PgSubjectSchedule {
    /// Looks on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ErasureSchedule for PgSubjectSchedule {
    async fn unkept(&self, most: u32) -> Result<(Vec<(TenantScope, Uuid)>, f64), PortError> {
        let rows: Vec<(Uuid, Uuid, f64)> =
            sqlx::query_as("SELECT tenant, subject, oldest_s FROM compliance.erasures_to_keep($1)")
                .bind(i32::try_from(most).unwrap_or(i32::MAX))
                .fetch_all(self.db.pool())
                .await
                .map_err(|e| port_error(PORT, e))?;
        let oldest_s = rows.first().map_or(0.0, |(_, _, oldest_s)| *oldest_s);
        let scope = |tenant| TenantScope::of(TenantId::from_uuid(tenant));
        Ok((rows.into_iter().map(|(tenant, subject, _)| (scope(tenant), subject)).collect(), oldest_s))
    }
}

#[async_trait]
impl DailySchedule for PgSubjectSchedule {
    async fn claim_daily(
        &self,
        task: &'static str,
        now: Timestamp,
        most: u32,
        lease: TimeDelta,
    ) -> Result<Vec<TenantScope>, PortError> {
        let tenants: Vec<(Uuid,)> =
            sqlx::query_as("SELECT tenant FROM compliance.claim_daily($1, $2, $3, $4)")
                .bind(task)
                .bind(now)
                .bind(i32::try_from(most).unwrap_or(i32::MAX))
                .bind(lease)
                .fetch_all(self.db.pool())
                .await
                .map_err(|e| port_error(PORT, e))?;
        Ok(tenants.into_iter().map(|(tenant,)| TenantScope::of(TenantId::from_uuid(tenant))).collect())
    }
}
