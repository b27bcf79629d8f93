//! `compliance.audit_openings`: what opens the commitments of events, sealed. What is about one person is sealed under that
//! person's own key, so that it is gone with the key.
//!
//! Who tells of rows about a person holds a shared lock on that person's name until the transaction ends, and who erases an
//! exclusive one: what is told before an erasure is sealed under the key that it takes away. Of what is told after it nothing is
//! kept but that there was a change.

use std::collections::{BTreeSet, HashMap};

use domain::{
    compliance::{
        erasure::epoch_of,
        log::merkle::Hash,
        ports::{Opened, Opening, Rewrapped},
    },
    kernel::{
        fault::{PortError, Retry},
        ids::EventId,
        secret::Place,
    },
};
use sea_orm::{ConnectionTrait as _, QueryResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{error::orm_error, scope::TenantTx, work::PgWork};
use crate::envelope::SubjectVault;

const PORT: &str = "postgres.audit_openings";
const KEYS_PORT: &str = "postgres.subject_keys";
const TABLE: &str = "compliance.audit_openings";
const COLUMN: &str = "sealed";
const UNDER_TENANT: &str = "tenant";
const UNDER_SUBJECT: &str = "subject";

/// $1 tenant, $2 subjects.
const LOCK: &str = "
    SELECT pg_advisory_xact_lock_shared(hashtextextended('compliance.subject:' || $1::text || ':' || s::text, 0))
    FROM unnest($2::uuid[]) AS s";
const LOCK_ALONE: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('compliance.subject:' || $1::text || ':' || $2::text, 0))";
const KEYS: &str = "
    SELECT s.subject, e.object_id, k.wrapped,
        EXISTS (SELECT FROM compliance.erasures AS g WHERE g.tenant_id = $1 AND g.subject = s.subject) AS is_erased
    FROM unnest($2::uuid[]) AS s (subject)
    LEFT JOIN compliance.subject_keys AS k ON k.tenant_id = $1 AND k.subject = s.subject
    LEFT JOIN compliance.subject_epochs AS e ON e.tenant_id = $1 AND e.epoch = k.epoch";
const ADD_KEY: &str = "
    INSERT INTO compliance.subject_keys (tenant_id, subject, epoch, wrapped) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";
const EPOCH: &str = "
    SELECT object_id FROM compliance.subject_epochs
    WHERE tenant_id = $1 AND epoch = $2 AND destroyed_at IS NULL";
const ADD_EPOCH: &str = "
    INSERT INTO compliance.subject_epochs (tenant_id, epoch, object_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const OLDER_KEYS: &str = "
    SELECT k.subject, e.object_id, k.wrapped FROM compliance.subject_keys AS k
    JOIN compliance.subject_epochs AS e ON e.tenant_id = k.tenant_id AND e.epoch = k.epoch
    WHERE k.tenant_id = $1 AND k.epoch < $2 AND k.subject > $4 ORDER BY k.subject LIMIT $3 FOR UPDATE OF k SKIP LOCKED";
const REWRAP: &str = "
    UPDATE compliance.subject_keys SET epoch = $3, wrapped = $4 WHERE tenant_id = $1 AND subject = $2";
const OPENINGS: &str = "
    SELECT o.event_id, o.subject, o.sealed, o.sealed_under, e.object_id, k.wrapped
    FROM compliance.audit_openings AS o
    LEFT JOIN compliance.subject_keys AS k ON k.tenant_id = $1 AND k.subject = o.subject AND o.sealed_under = 'subject'
    LEFT JOIN compliance.subject_epochs AS e ON e.tenant_id = $1 AND e.epoch = k.epoch
    WHERE o.tenant_id = $1 AND o.event_id = ANY ($2)";

type Key = Zeroizing<[u8; 32]>;

/// Keys of those that have one; who is not here is erased.
pub(super) type SubjectKeys = HashMap<Uuid, Key>;

/// What opens an event, sealed.
pub(super) struct Kept {
    pub(super) event: EventId,
    pub(super) subject: Option<Uuid>,
    pub(super) sealed: Vec<u8>,
    pub(super) under: &'static str,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptValue {
    pub(super) salt: String,
    pub(super) value: Value,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptOpening {
    pub(super) diff: KeptValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prev_state: Option<KeptValue>,
}

fn lasting(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::lasting(PORT, error)
}

fn opened(kept: KeptValue) -> Result<Opened, PortError> {
    let salt = Hash::parse_hex(&kept.salt).map_err(lasting)?.0;
    Ok(Opened { salt, value: kept.value })
}

fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T, PortError> {
    row.try_get("", name).map_err(|e| orm_error(PORT, e))
}

const fn place(event: EventId) -> Place {
    Place { table: TABLE, column: COLUMN, row: event.uuid() }
}

impl PgWork {
    async fn rows_of(
        &self,
        sql: &'static str,
        values: Vec<sea_orm::Value>,
    ) -> Result<Vec<QueryResult>, PortError> {
        let rows = self.tx.query_all_raw(TenantTx::statement(sql, values)).await;
        rows.map_err(|e| orm_error(KEYS_PORT, e))
    }

    async fn done(&self, sql: &'static str, values: Vec<sea_orm::Value>) -> Result<u64, PortError> {
        let done = self.tx.execute_raw(TenantTx::statement(sql, values)).await;
        done.map(|done| done.rows_affected()).map_err(|e| orm_error(KEYS_PORT, e))
    }

    pub(super) async fn lock_subject_alone(&self, subject: Uuid) -> Result<(), PortError> {
        self.done(LOCK_ALONE, vec![self.tenant(), subject.into()]).await.map(drop)
    }

    /// The keys of persons, made where there are none; those of whoever is erased are left out. Nobody is erased until the
    /// transaction ends.
    pub(super) async fn subject_keys(&self, subjects: &BTreeSet<Uuid>) -> Result<SubjectKeys, PortError> {
        if subjects.is_empty() {
            return Ok(SubjectKeys::new());
        }
        let all: Vec<Uuid> = subjects.iter().copied().collect();
        self.rows_of(LOCK, vec![self.tenant(), all.clone().into()]).await?;
        let (scope, vault) = (self.tx.scope(), &self.shared.subjects);
        let mut keys = SubjectKeys::new();
        for row in self.rows_of(KEYS, vec![self.tenant(), all.into()]).await? {
            let subject: Uuid = column(&row, "subject")?;
            let wrapped: Option<Vec<u8>> = column(&row, "wrapped")?;
            let is_erased: bool = column(&row, "is_erased")?;
            match (wrapped, is_erased) {
                (_, true) => {}
                (Some(wrapped), false) => {
                    let key = vault.unwrap(&scope, column(&row, "object_id")?, subject, &wrapped).await?;
                    keys.insert(subject, key);
                }
                (None, false) => drop(keys.insert(subject, self.make_subject_key(subject).await?)),
            }
        }
        Ok(keys)
    }

    async fn make_subject_key(&self, subject: Uuid) -> Result<Key, PortError> {
        let (scope, vault) = (self.tx.scope(), &self.shared.subjects);
        let epoch = epoch_of(self.shared.clock.now());
        let object = self.epoch_object(epoch).await?;
        let (key, wrapped) = vault.make_key(&scope, object, subject).await?;
        let values = vec![self.tenant(), subject.into(), epoch.into(), wrapped.into()];
        if self.done(ADD_KEY, values).await? == 1 {
            return Ok(key);
        }
        // Somebody else was first, and has committed.
        let found = self.rows_of(KEYS, vec![self.tenant(), vec![subject].into()]).await?;
        let row = found.first().ok_or_else(|| lasting("a key just added is not there"))?;
        let wrapped: Vec<u8> = column(row, "wrapped")?;
        vault.unwrap(&scope, column(row, "object_id")?, subject, &wrapped).await
    }

    /// What the key of a month is called, made when there is none.
    async fn epoch_object(&self, epoch: i32) -> Result<Uuid, PortError> {
        let found = async || -> Result<Option<Uuid>, PortError> {
            let rows = self.rows_of(EPOCH, vec![self.tenant(), epoch.into()]).await?;
            rows.first().map(|row| column(row, "object_id")).transpose()
        };
        if let Some(object) = found().await? {
            return Ok(object);
        }
        let object = self.shared.ids.next_uuid();
        let (scope, vault) = (self.tx.scope(), &self.shared.subjects);
        // Before the row, which others follow to it.
        vault.make_epoch(&scope, object).await?;
        if self.done(ADD_EPOCH, vec![self.tenant(), epoch.into(), object.into()]).await? == 1 {
            return Ok(object);
        }
        vault.destroy_epoch(&scope, object).await?;
        found().await?.ok_or_else(|| lasting("the key of this month was destroyed"))
    }

    pub(super) async fn rewrap_older_keys(
        &self,
        epoch: i32,
        after: Option<Uuid>,
        most: u32,
    ) -> Result<Rewrapped, PortError> {
        let (most, after) = (i64::from(most), after.unwrap_or(Uuid::nil()));
        let older = vec![self.tenant(), epoch.into(), most.into(), after.into()];
        let older = self.rows_of(OLDER_KEYS, older).await?;
        let mut turn = Rewrapped::default();
        if older.is_empty() {
            return Ok(turn);
        }
        let (scope, vault) = (self.tx.scope(), &self.shared.subjects);
        let object = self.epoch_object(epoch).await?;
        for row in &older {
            let (subject, wrapped): (Uuid, Vec<u8>) = (column(row, "subject")?, column(row, "wrapped")?);
            turn.last = Some(subject);
            let key = match vault.unwrap(&scope, column(row, "object_id")?, subject, &wrapped).await {
                Err(fault) if fault.retry == Retry::Useless => {
                    turn.stuck += 1;
                    continue;
                }
                key => key?,
            };
            let wrapped = vault.wrap(&scope, object, subject, &key).await?;
            self.done(REWRAP, vec![self.tenant(), subject.into(), epoch.into(), wrapped.into()]).await?;
        }
        Ok(turn)
    }

    /// Seals what opens an event: under the subject's key, or the tenant's when it is about nobody, or says nothing of somebody
    /// who was erased.
    pub(super) async fn keep_opening(
        &self,
        event: EventId,
        subject: Option<Uuid>,
        keys: &SubjectKeys,
        opening: &KeptOpening,
    ) -> Result<Kept, PortError> {
        let plain = Zeroizing::new(serde_json::to_vec(opening).map_err(lasting)?);
        let (sealed, under) = match subject.and_then(|subject| keys.get(&subject)) {
            Some(key) => {
                let scope = self.tx.scope();
                (self.shared.subjects.seal(&scope, key, place(event), &plain)?, UNDER_SUBJECT)
            }
            None => (self.seal(TABLE, COLUMN, event.uuid(), &plain).await?, UNDER_TENANT),
        };
        // Of somebody who was erased it says nothing, and is nobody's.
        let subject = subject.filter(|subject| keys.contains_key(subject));
        Ok(Kept { event, subject, sealed, under })
    }

    /// What opens these events; those whose values are gone are left out.
    pub(super) async fn open_kept(&self, events: &[EventId]) -> Result<Vec<(EventId, Opening)>, PortError> {
        let ids: Vec<_> = events.iter().map(|event| event.uuid()).collect();
        let rows = self.rows_of(OPENINGS, vec![self.tenant(), ids.into()]).await?;
        let mut openings = Vec::with_capacity(rows.len());
        for row in rows {
            let (event, sealed): (Uuid, Vec<u8>) = (column(&row, "event_id")?, column(&row, COLUMN)?);
            let under: String = column(&row, "sealed_under")?;
            let opening = if under == UNDER_SUBJECT {
                let wrapped: Option<Vec<u8>> = column(&row, "wrapped")?;
                let subject: Option<Uuid> = column(&row, "subject")?;
                let Some((wrapped, subject)) = wrapped.zip(subject) else { continue };
                let (scope, vault) = (self.tx.scope(), &self.shared.subjects);
                let key = vault.unwrap(&scope, column(&row, "object_id")?, subject, &wrapped).await?;
                SubjectVault::open(&scope, &key, place(EventId::from_uuid(event)), &sealed)?
            } else {
                self.open(TABLE, COLUMN, event, sealed).await?
            };
            let kept: KeptOpening = serde_json::from_slice(opening.expose()).map_err(lasting)?;
            let (diff, prev_state) = (opened(kept.diff)?, kept.prev_state.map(opened).transpose()?);
            openings.push((EventId::from_uuid(event), Opening { diff, prev_state }));
        }
        Ok(openings)
    }
}
