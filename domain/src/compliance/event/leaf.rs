//! From event to leaf.

use chrono::{Datelike as _, SecondsFormat, Timelike as _};
use serde_json::{Map, Value};

use super::{AuditEvent, EventParty, LEAF_MAX_BYTES, LEAF_VERSION, LeafError};
use crate::{
    compliance::log::{jcs::canonical, merkle},
    kernel::clock::Timestamp,
};

/// What `ip_hash` is made with.
pub(super) const IP_HASH_ALG: &str = "HMAC-SHA-256";

impl AuditEvent {
    /// The leaf: canonical JSON (RFC 8785) of the fields that are there.
    ///
    /// # Errors
    /// `TooLong`, `Time`, `Misplaced`; `Json` when a number is beyond 2^53 - 1.
    pub fn to_leaf(&self) -> Result<Vec<u8>, LeafError> {
        let leaf = canonical(&Value::Object(self.to_fields()?))?;
        if leaf.len() > LEAF_MAX_BYTES { Err(LeafError::TooLong { bytes: leaf.len() }) } else { Ok(leaf) }
    }

    /// The hash of the leaf, as it goes into the tree.
    ///
    /// # Errors
    /// Those of [`AuditEvent::to_leaf`].
    pub fn leaf_hash(&self) -> Result<merkle::Hash, LeafError> {
        Ok(merkle::leaf_hash(&self.to_leaf()?))
    }

    fn to_fields(&self) -> Result<Map<String, Value>, LeafError> {
        let mut fields = Fields::default();
        fields.put("v", LEAF_VERSION);
        fields.put("stream", self.stream.as_str());
        fields.put("event_id", self.event_id.uuid().to_string());
        fields.put("compliance_id", self.compliance_id.uuid().to_string());
        fields.put("tenant_id", self.tenant_id.uuid().to_string());
        fields.put("class_uid", self.class_uid);
        fields.put("activity_id", self.activity_id);
        fields.put("type", self.type_name.as_str());
        fields.put("outcome", self.outcome.as_str());
        fields.put("occurred_at", time_text("occurred_at", self.occurred_at)?);
        fields.put("recorded_at", time_text("recorded_at", self.recorded_at)?);
        fields.put("actor", party(&self.actor));
        fields.put_some("target", self.target.as_ref().map(party));
        fields.put_some("session_id", self.session_id.map(|id| id.to_string()));
        fields.put_some("device_fp", self.device_fp.as_deref());
        fields.put_some("subject", self.subject.map(|id| id.to_string()));
        fields.put_some("diff_commit", self.diff_commit.map(|commitment| commitment.to_string()));
        fields.put_some("prev_state_commit", self.prev_state_commit.map(|commitment| commitment.to_string()));
        fields.put_some("reason", self.reason.as_deref());
        fields.put_words("compliance_scope", &self.compliance_scope);
        self.put_origin(&mut fields);
        self.put_request(&mut fields)?;
        Ok(fields.0)
    }

    fn put_origin(&self, fields: &mut Fields) {
        if let Some(auth) = &self.auth {
            let mut inner = Fields::default();
            inner.put("mfa_state", auth.mfa.as_str());
            inner.put_words("factors", &auth.factors);
            fields.put("auth", inner.0);
        }
        if let Some(geo) = &self.geo {
            let mut inner = Fields::default();
            inner.put("country", geo.country.as_str());
            inner.put_some("region", geo.region.as_deref());
            inner.put("source", geo.source.as_str());
            inner.put("db_version", geo.db_version);
            fields.put("geo", inner.0);
        }
        if let Some(ip) = &self.ip_hash {
            let mut inner = Fields::default();
            inner.put("alg", IP_HASH_ALG);
            inner.put("key_epoch", ip.key_epoch.as_str());
            inner.put("value", ip.value.as_str());
            fields.put("ip_hash", inner.0);
        }
        if let Some(api) = &self.api {
            let mut inner = Fields::default();
            inner.put("operation", api.operation.as_str());
            inner.put_some("schema_version", api.schema_version.as_deref());
            fields.put("api", inner.0);
        }
    }

    fn put_request(&self, fields: &mut Fields) -> Result<(), LeafError> {
        use crate::kernel::outbox::Stream;
        let Some(request) = &self.request else { return Ok(()) };
        if self.stream != Stream::Access {
            return Err(LeafError::Misplaced);
        }
        fields.put("method", request.method.as_str());
        fields.put("route", request.route.as_str());
        fields.put("status", request.status);
        fields.put("duration_us", request.duration_us);
        fields.put_some("client_ref", request.client_ref.as_deref());
        Ok(())
    }
}

/// An object being filled.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn put_words(&mut self, name: &str, words: &[String]) {
        if !words.is_empty() {
            self.put(name, words);
        }
    }
}

fn party(party: &EventParty) -> Map<String, Value> {
    let mut fields = Fields::default();
    fields.put("kind", party.kind.as_str());
    fields.put_some("id", party.id.map(|id| id.to_string()));
    fields.0
}

/// RFC 3339 with `Z` and exactly six digits. Nothing is rounded: what does not fit is refused.
pub(super) fn time_text(field: &'static str, at: Timestamp) -> Result<String, LeafError> {
    // Nanoseconds of a billion and more are how a leap second is told, which stores cannot keep.
    let whole = at.nanosecond().is_multiple_of(1000) && at.nanosecond() < 1_000_000_000;
    if whole && (0..=9999).contains(&at.year()) {
        Ok(at.to_rfc3339_opts(SecondsFormat::Micros, true))
    } else {
        Err(LeafError::Time { field })
    }
}
