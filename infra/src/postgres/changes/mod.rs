//! What changed in rows: triggers note it in the transaction, the events of the transaction commit to it, and what opens those
//! commitments is kept sealed.
//!
//! A change is told of by the event whose target it concerns; what concerns none by one that tells of no rows yet; and what is
//! left over by a `change_rows`. No event speaks about two persons' rows, so that what opens one can be taken away without the
//! other's.

mod noted;

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::SecondsFormat;
use domain::{
    compliance::{
        actions::CHANGE_ROWS,
        compose,
        event::{AuditEvent, EventParty},
        log::{commitment::Commitment, merkle::Hash},
        ports::{ChangeSchedule, ChangeStore, Opening},
    },
    kernel::{
        action::Scope,
        clock::Timestamp,
        fault::PortError,
        ids::{ComplianceId, EventId, TenantId},
        outbox::{Outcome, Party, Record},
        scope::TenantScope,
    },
};
use sea_orm::{ConnectionTrait as _, QueryResult, Value as Bound};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    error::{orm_error, port_error},
    inventory::holding,
    openings::{Kept, KeptOpening, KeptValue},
    pool::Db,
    scope::TenantTx,
    work::PgWork,
};
use noted::{Change, read};

const PORT: &str = "postgres.audit_openings";

/// About how many bytes of changes an event tells of: more than that no spreadsheet shows in a cell.
const GROUP_BYTES: usize = 16 * 1024;

/// Writes events and what opens them in one go. $1 tenant; $2 to $10 columns of events, $11 to $14 of openings.
const TELL: &str = "
    WITH told AS (
        INSERT INTO compliance.audit_outbox
            (tenant_id, event_id, stream, compliance_id, type, outcome, actor_id, target_id, occurred_at, leaf)
        SELECT $1, e, s, c, t, o, nullif(a, '00000000-0000-0000-0000-000000000000'),
            nullif(g, '00000000-0000-0000-0000-000000000000'), w, l
        FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::uuid[], $9::timestamptz[],
            $10::bytea[]) AS r (e, s, c, t, o, a, g, w, l)
    )
    INSERT INTO compliance.audit_openings (tenant_id, event_id, subject, sealed, sealed_under)
    SELECT $1, e, nullif(s, '00000000-0000-0000-0000-000000000000'), x, u
    FROM unnest($11::uuid[], $12::uuid[], $13::bytea[], $14::text[]) AS r (e, s, x, u)";

/// What one event tells of.
#[derive(Default)]
struct Group {
    event: Option<usize>,
    subject: Option<Uuid>,
    tables: BTreeSet<String>,
    diff: Vec<Value>,
    before: Vec<Value>,
    bytes: usize,
}

fn lasting(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::lasting(PORT, error)
}

/// What is told together: of one person, by one event, and not more than fits.
fn grouped(changes: Vec<Change>, events: &[AuditEvent]) -> Vec<Group> {
    let is_about = |event: &AuditEvent, change: &Change| {
        let target = event.target.as_ref().and_then(|target| target.id);
        is_fit(event) && target.is_some_and(|id| change.ids.contains(&id) || change.subject == Some(id))
    };
    let mut groups: Vec<Group> = Vec::new();
    let mut newest = HashMap::new();
    for change in changes {
        let event = events.iter().position(|event| is_about(event, &change));
        let of = (event, change.subject);
        let known = newest.get(&of).and_then(|at: &usize| groups.get(*at));
        if known.is_none_or(|group| group.bytes + change.bytes > GROUP_BYTES) {
            newest.insert(of, groups.len());
            groups.push(Group { event, subject: change.subject, ..Group::default() });
        }
        let Some(group) = newest.get(&of).and_then(|at| groups.get_mut(*at)) else { continue };
        group.bytes += change.bytes;
        group.tables.insert(change.table);
        group.diff.push(change.diff);
        group.before.extend(change.before);
    }
    groups
}

/// Whether an event tells of something done, and of no rows yet.
fn is_fit(event: &AuditEvent) -> bool {
    event.outcome == Outcome::Success && event.diff_commit.is_none()
}

impl PgWork {
    /// Writes what was recorded, with commitments to what changed.
    pub(super) async fn tell_log(&mut self) -> Result<(), PortError> {
        let mut events = std::mem::take(&mut self.events);
        let mut kept = std::mem::take(&mut self.openings);
        // What was told before somebody was erased in this transaction.
        kept.retain(|kept| kept.subject.is_none_or(|subject| !self.erased.contains(&subject)));
        let notes = self.take_notes().await?;
        if !notes.is_empty() {
            let mut committed = events.clone();
            match self.commit_to(&mut committed, &notes, None).await {
                Ok(new) => {
                    events = committed;
                    kept.extend(new);
                }
                // What is left lies open until it is told: not of whom this is to forget.
                Err(fault) if !self.erased.is_empty() => return Err(fault),
                // What platforms answered can't be asked again: it is written now, and committed to when keys are there.
                Err(fault) => {
                    tracing::warn!(port = fault.port, error = %fault.source, "what changed is told to the log later");
                    self.leave_notes(&notes).await?;
                }
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        self.write_events(&events, &kept).await
    }

    /// What was noted so far, a piece at a time.
    async fn take_notes(&self) -> Result<Vec<String>, PortError> {
        const TAKE: &str = "SELECT notes FROM compliance.take_changes() AS notes";
        let rows = self.tx.query_all_raw(TenantTx::statement(TAKE, [])).await;
        rows.map_err(|e| orm_error(PORT, e))?.iter().map(|row| column(row, "notes")).collect()
    }

    /// Puts notes back where the trigger finds them at the end of the transaction, with who made the changes.
    async fn leave_notes(&self, notes: &[String]) -> Result<(), PortError> {
        const LEAVE: &str = "SELECT set_config('app.changes_' || p.place - 1, p.notes, true),
                set_config('app.changes_at', (p.place - 1)::text, true), set_config('app.changed_by', $2, true)
            FROM unnest($1::text[]) WITH ORDINALITY AS p (notes, place) ORDER BY p.place";
        let by = By {
            compliance_id: self.origin.compliance_id.uuid(),
            kind: self.origin.actor.kind.to_owned(),
            id: self.origin.actor.id,
        };
        let by = serde_json::to_string(&by).map_err(lasting)?;
        let left = self.tx.execute_raw(TenantTx::statement(LEAVE, [notes.to_vec().into(), by.into()])).await;
        left.map(drop).map_err(|e| orm_error(PORT, e))
    }

    /// Has events commit to what the notes say: first those that are about it, then those that are not taken, and then such as
    /// are added for it. `late` is told with it.
    async fn commit_to(
        &self,
        events: &mut Vec<AuditEvent>,
        notes: &[String],
        late: Option<&Late>,
    ) -> Result<Vec<Kept>, PortError> {
        let mut changes = Vec::new();
        for piece in notes {
            changes.extend(read(piece)?);
        }
        let subjects: BTreeSet<Uuid> = changes.iter().filter_map(|change| change.subject).collect();
        let keys = self.subject_keys(&subjects).await?;
        for change in &mut changes {
            if change.subject.is_some_and(|subject| !keys.contains_key(&subject)) {
                change.forget();
            }
        }
        let mut groups = grouped(changes, events);
        groups.sort_by_key(|group| group.event.is_none());
        let mut kept = Vec::with_capacity(groups.len());
        for group in groups {
            let ((diff, before), opening) = self.opening(&group.diff, &group.before, late)?;
            let about = group.event.filter(|at| events.get(*at).is_some_and(is_fit));
            let spare = || group.event.is_none().then(|| events.iter().position(is_fit)).flatten();
            let at = about.or_else(spare);
            let at = at.unwrap_or_else(|| {
                let record = Record { target: None, ..Record::success(CHANGE_ROWS, Party::ANONYMOUS) };
                events.push(self.composed(&record));
                events.len() - 1
            });
            let Some(event) = events.get_mut(at) else { continue };
            (event.diff_commit, event.prev_state_commit, event.subject) = (Some(diff), before, group.subject);
            add_scopes(event, &group.tables);
            let (id, subject) = (event.event_id, group.subject);
            kept.push(self.keep_opening(id, subject, &keys, &opening).await?);
        }
        Ok(kept)
    }

    fn opening(
        &self,
        diff: &[Value],
        before: &[Value],
        late: Option<&Late>,
    ) -> Result<((Commitment, Option<Commitment>), KeptOpening), PortError> {
        let mut value = json!({ "rows": diff });
        if let Some(Late { role, at }) = late {
            value["role"] = role.as_str().into();
            value["changed_at"] = at.to_rfc3339_opts(SecondsFormat::Micros, true).into();
        }
        let commit = |value: Value| {
            let salt = self.shared.entropy.bytes32();
            let commitment = Commitment::to(&value, &salt).map_err(lasting)?;
            Ok::<_, PortError>((commitment, KeptValue { salt: Hash(salt).to_hex(), value }))
        };
        let (diff, kept) = commit(value)?;
        let before = (!before.is_empty()).then(|| commit(json!({ "rows": before }))).transpose()?.unzip();
        Ok(((diff, before.0), KeptOpening { diff: kept, prev_state: before.1 }))
    }

    pub(super) fn composed(&self, record: &Record) -> AuditEvent {
        let id = EventId::new(&*self.shared.ids);
        compose(self.tx.scope(), &self.origin, record, id, self.shared.clock.now())
    }

    async fn write_events(&self, events: &[AuditEvent], kept: &[Kept]) -> Result<(), PortError> {
        let mut leaves = Vec::with_capacity(events.len());
        for event in events {
            leaves.push(event.to_leaf().map_err(|e| PortError::lasting("postgres.audit_outbox", e))?);
        }
        let party = |party: Option<&EventParty>| party.and_then(|party| party.id).unwrap_or_default();
        let of = |id: fn(&AuditEvent) -> Uuid| events.iter().map(id).collect::<Vec<_>>();
        let word = |word: fn(&AuditEvent) -> &str| {
            events.iter().map(|event| word(event).to_owned()).collect::<Vec<String>>()
        };
        let values: [Bound; 14] = [
            self.tx.scope().tenant().uuid().into(),
            of(|event| event.event_id.uuid()).into(),
            word(|event| event.stream.as_str()).into(),
            of(|event| event.compliance_id.uuid()).into(),
            word(|event| &event.type_name).into(),
            word(|event| event.outcome.as_str()).into(),
            events.iter().map(|event| party(Some(&event.actor))).collect::<Vec<_>>().into(),
            events.iter().map(|event| party(event.target.as_ref())).collect::<Vec<_>>().into(),
            events.iter().map(|event| event.occurred_at).collect::<Vec<Timestamp>>().into(),
            leaves.into(),
            kept.iter().map(|kept| kept.event.uuid()).collect::<Vec<_>>().into(),
            kept.iter().map(|kept| kept.subject.unwrap_or_default()).collect::<Vec<_>>().into(),
            kept.iter().map(|kept| kept.sealed.clone()).collect::<Vec<_>>().into(),
            kept.iter().map(|kept| kept.under.to_owned()).collect::<Vec<String>>().into(),
        ];
        let told = self.tx.execute_raw(TenantTx::statement(TELL, values)).await;
        told.map(drop).map_err(|e| orm_error("postgres.audit_outbox", e))
    }
}

/// Marks an event with the regimes that the rows it tells of matter to.
fn add_scopes(event: &mut AuditEvent, tables: &BTreeSet<String>) {
    let scopes = tables.iter().filter_map(|table| holding(table)).flat_map(super::inventory::Holding::scopes);
    let mut words: BTreeSet<String> = scopes.map(|scope: &Scope| scope.as_str().to_owned()).collect();
    words.extend(std::mem::take(&mut event.compliance_scope));
    event.compliance_scope = words.into_iter().collect();
}

/// What is told of changes later than they were made: by which login of the database, and when. The event is of when it is told,
/// so that it stands where whoever asks for a time looks for it.
struct Late {
    role: String,
    at: Timestamp,
}

/// Who made changes that are told later.
#[derive(Serialize, Deserialize)]
struct By {
    compliance_id: Uuid,
    kind: String,
    id: Option<Uuid>,
}

impl PgWork {
    /// Left changes are one's at a time.
    pub(super) async fn hold_left_changes(&self) -> Result<(), PortError> {
        self.tx.hold("compliance.left_changes").await.map_err(|e| orm_error(PORT, e))
    }
}

#[async_trait]
impl ChangeStore for PgWork {
    async fn openings(&mut self, events: &[EventId]) -> Result<Vec<(EventId, Opening)>, PortError> {
        self.open_kept(events).await
    }

    async fn tell_left_changes(&mut self, most: u32) -> Result<u32, PortError> {
        const TAKE: &str = "SELECT at, role, told_by, changes FROM compliance.take_left_changes($1)";
        self.hold_left_changes().await?;
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let rows = self.tx.query_all_raw(TenantTx::statement(TAKE, [most.into()])).await;
        let rows = rows.map_err(|e| orm_error(PORT, e))?;
        for row in &rows {
            let by: Option<Value> = column(row, "told_by")?;
            // What can't be read was not ours.
            let by = by.and_then(|by| serde_json::from_value::<By>(by).ok());
            let late = Late { role: column(row, "role")?, at: column(row, "at")? };
            let changes: String = column(row, "changes")?;
            let mut events = Vec::new();
            let kept = self.commit_to(&mut events, &[changes], Some(&late)).await?;
            for event in &mut events {
                match &by {
                    Some(by) => {
                        event.compliance_id = ComplianceId::from_uuid(by.compliance_id);
                        event.actor = EventParty { kind: by.kind.clone(), id: by.id };
                    }
                    None => event.actor = EventParty { kind: "database".to_owned(), id: None },
                }
            }
            self.events.extend(events);
            self.openings.extend(kept);
        }
        u32::try_from(rows.len()).map_err(lasting)
    }
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T, PortError> {
    row.try_get("", name).map_err(|e| orm_error(PORT, e))
}

/// Where changes were left behind, on a pool of the application's own role.
#[derive(Clone, Debug)]
pub struct PgChangeSchedule {
    db: Db,
}

impl PgChangeSchedule {
    /// Looks on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ChangeSchedule for PgChangeSchedule {
    async fn with_left_changes(&self, most: u32) -> Result<Vec<(TenantScope, f64)>, PortError> {
        let tenants: Vec<(Uuid, f64)> =
            sqlx::query_as("SELECT tenant, oldest_s FROM compliance.tenants_with_left_changes($1)")
                .bind(i32::try_from(most).unwrap_or(i32::MAX))
                .fetch_all(self.db.pool())
                .await
                .map_err(|e| port_error(PORT, e))?;
        let scope = |tenant| TenantScope::of(TenantId::from_uuid(tenant));
        Ok(tenants.into_iter().map(|(tenant, oldest_s)| (scope(tenant), oldest_s)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{noted::tests::noted, *};

    #[test]
    fn what_is_told_together_is_about_one_person_and_fits() {
        let long = "x".repeat(10_000);
        let lines = [
            noted("a.b", Some(1), &json!({ "v": "1" })),
            noted("a.c", Some(2), &json!({ "v": "2" })),
            noted("a.b", Some(1), &json!({ "v": long })),
            noted("a.b", Some(1), &json!({ "v": long })),
        ];
        let groups = grouped(read(&lines.join("\n")).unwrap(), &[]);
        let shape: Vec<_> = groups.iter().map(|group| (group.subject, group.diff.len())).collect();
        let (one, two) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        assert_eq!(shape, [(one, 2), (two, 1), (one, 1)]);
    }
}
