//! From leaf to event.

use chrono::NaiveDateTime;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    AuditEvent, EventApi, EventAuth, EventParty, EventRequest, LEAF_MAX_BYTES, LEAF_VERSION, LeafError,
    leaf::IP_HASH_ALG,
};
use crate::{
    compliance::log::{commitment::Commitment, jcs::parse_strict},
    kernel::{
        clock::Timestamp,
        ids::{ComplianceId, EventId, TenantId},
        outbox::{Geo, IpHash, Mfa, Outcome, Stream},
    },
};

impl AuditEvent {
    /// Reads a leaf and takes nothing but what [`AuditEvent::to_leaf`] writes.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `UnknownVersion`, `Missing`, `Malformed`, `Unknown`, `Misplaced`, `NotCanonical`.
    pub fn from_leaf(leaf: &[u8]) -> Result<Self, LeafError> {
        if leaf.len() > LEAF_MAX_BYTES {
            return Err(LeafError::TooLong { bytes: leaf.len() });
        }
        let Value::Object(fields) = parse_strict(leaf)? else {
            return Err(LeafError::Malformed("leaf".to_owned()));
        };
        let mut fields = Fields::new("", fields);
        let version = fields.number("v")?;
        if version != LEAF_VERSION {
            return Err(LeafError::UnknownVersion(version));
        }
        let event = read_event(&mut fields)?;
        fields.finish()?;
        // Order, spacing, escapes, the spelling of times and ids, empty lists: all that can be written in two
        // ways is caught by writing it in the one.
        if event.to_leaf()? == leaf { Ok(event) } else { Err(LeafError::NotCanonical) }
    }
}

fn read_event(fields: &mut Fields) -> Result<AuditEvent, LeafError> {
    Ok(AuditEvent {
        stream: fields.word("stream", Stream::parse)?,
        event_id: EventId::from_uuid(fields.word("event_id", uuid)?),
        compliance_id: ComplianceId::from_uuid(fields.word("compliance_id", uuid)?),
        tenant_id: TenantId::from_uuid(fields.word("tenant_id", uuid)?),
        class_uid: fields.number("class_uid")?,
        activity_id: fields.number("activity_id")?,
        type_name: fields.text("type")?,
        outcome: fields.word("outcome", Outcome::parse)?,
        occurred_at: fields.word("occurred_at", time)?,
        recorded_at: fields.word("recorded_at", time)?,
        actor: fields.inner("actor", party)?.ok_or_else(|| fields.missing("actor"))?,
        target: fields.inner("target", party)?,
        session_id: fields.optional("session_id", |f, name| f.word(name, uuid))?,
        auth: fields.inner("auth", |auth| {
            Ok(EventAuth { mfa: auth.word("mfa_state", Mfa::parse)?, factors: auth.words("factors")? })
        })?,
        device_fp: fields.optional("device_fp", Fields::text)?,
        geo: fields.inner("geo", |geo| {
            Ok(Geo {
                country: geo.text("country")?,
                region: geo.optional("region", Fields::text)?,
                source: geo.text("source")?,
                db_version: geo.number("db_version")?,
            })
        })?,
        ip_hash: fields.inner("ip_hash", |ip| {
            ip.word("alg", |alg| (alg == IP_HASH_ALG).then_some(()))?;
            Ok(IpHash { key_epoch: ip.text("key_epoch")?, value: ip.text("value")? })
        })?,
        api: fields.inner("api", |api| {
            Ok(EventApi {
                operation: api.text("operation")?,
                schema_version: api.optional("schema_version", Fields::text)?,
            })
        })?,
        subject: fields.optional("subject", |f, name| f.word(name, uuid))?,
        diff_commit: fields.optional("diff_commit", |f, name| f.word(name, commitment))?,
        prev_state_commit: fields.optional("prev_state_commit", |f, name| f.word(name, commitment))?,
        reason: fields.optional("reason", Fields::text)?,
        compliance_scope: fields.words("compliance_scope")?,
        request: request(fields)?,
    })
}

/// The request's fields stand among the leaf's own; `method` tells whether they are there.
fn request(fields: &mut Fields) -> Result<Option<EventRequest>, LeafError> {
    fields.optional("method", |fields, method| {
        Ok(EventRequest {
            method: fields.text(method)?,
            route: fields.text("route")?,
            status: fields.number("status")?,
            duration_us: fields.number("duration_us")?,
            client_ref: fields.optional("client_ref", Fields::text)?,
        })
    })
}

fn party(fields: &mut Fields) -> Result<EventParty, LeafError> {
    Ok(EventParty {
        kind: fields.text("kind")?,
        id: fields.optional("id", |fields, name| fields.word(name, uuid))?,
    })
}

fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

fn commitment(text: &str) -> Option<Commitment> {
    Commitment::parse_hex(text).ok()
}

fn time(text: &str) -> Option<Timestamp> {
    // The format below takes any number of digits, or none.
    if text.len() != "0000-00-00T00:00:00.000000Z".len() {
        return None;
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.6fZ").ok()?;
    Some(local.and_utc())
}

/// An object being emptied: what is left at the end is unknown.
struct Fields {
    /// The name of the object and a dot; empty for the leaf itself.
    prefix: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn new(prefix: &str, rest: Map<String, Value>) -> Self {
        Self { prefix: prefix.to_owned(), rest }
    }

    fn missing(&self, name: &str) -> LeafError {
        LeafError::Missing(format!("{}{name}", self.prefix))
    }

    fn malformed(&self, name: &str) -> LeafError {
        LeafError::Malformed(format!("{}{name}", self.prefix))
    }

    fn take(&mut self, name: &str) -> Result<Value, LeafError> {
        self.rest.remove(name).ok_or_else(|| self.missing(name))
    }

    fn text(&mut self, name: &str) -> Result<String, LeafError> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.malformed(name))
            }
        }
    }

    fn word<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, LeafError> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| self.malformed(name))
    }

    fn words(&mut self, name: &str) -> Result<Vec<String>, LeafError> {
        let words = self.rest.remove(name).unwrap_or_else(|| Value::Array(Vec::new()));
        let words = words.as_array().ok_or_else(|| self.malformed(name))?;
        words
            .iter()
            .map(|word| word.as_str().map(str::to_owned).ok_or_else(|| self.malformed(name)))
            .collect()
    }

    fn number<N: TryFrom<u64>>(&mut self, name: &str) -> Result<N, LeafError> {
        let number = self.take(name)?.as_u64().and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.malformed(name))
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self, &str) -> Result<T, LeafError>,
    ) -> Result<Option<T>, LeafError> {
        if self.rest.contains_key(name) { read(self, name).map(Some) } else { Ok(None) }
    }

    fn inner<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, LeafError>,
    ) -> Result<Option<T>, LeafError> {
        match self.rest.remove(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                let mut inner = Self::new(&format!("{}{name}.", self.prefix), fields);
                let value = read(&mut inner)?;
                inner.finish()?;
                Ok(Some(value))
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                Err(self.malformed(name))
            }
        }
    }

    fn finish(&self) -> Result<(), LeafError> {
        match self.rest.keys().next() {
            Some(name) => Err(LeafError::Unknown(format!("{}{name}", self.prefix))),
            None => Ok(()),
        }
    }
}
