//! Leaves as a report sees them: their clear fields, found without building a tree of values for each.
//!
//! Invariants: what is read is canonical JSON and nothing else, so a name is there once and a value has one spelling,
//! and comparing spellings is comparing values; the fields that every report needs are there and of their type.
//!
//! Absent on purpose: what events mean beyond that. Fields that this version does not know are let through: the tree
//! vouches for them, and no column shows them.

mod layout;
mod scan;

use std::{borrow::Cow, ops::Range};

use audit_log::jcs::JcsError;

use crate::{opening::Field, time::Time};
use layout::Layouts;
use scan::Found;

pub use scan::canonical_text;

/// The version of leaves that this version of the format reads.
pub const LEAF_VERSION: &[u8] = b"1";

/// The longest leaf, in bytes (C2SP tlog-tiles: what an entry's two bytes of length can say).
pub const LEAF_MAX_BYTES: usize = audit_log::tile::ENTRY_MAX_BYTES;

/// How `ip_hash` must have been made: with a key. Without one, every address can be tried.
const IP_HASH_ALG: &[u8] = b"\"HMAC-SHA-256\"";

/// Objects that a column shows a part or two of: what is between them is not in the first.
const PAIRS: [(&str, &str, Option<&str>, u8); 5] = [
    ("actor", "kind", Some("id"), b':'),
    ("target", "kind", Some("id"), b':'),
    ("geo", "country", Some("region"), b'/'),
    ("auth", "mfa_state", None, 0),
    ("ip_hash", "key_epoch", Some("value"), b':'),
];

/// The longest part of those, in bytes as it is written.
const SHOWN_MAX_BYTES: usize = 258;

/// Why bytes are no leaf that a report can show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafFault {
    /// Longer than [`LEAF_MAX_BYTES`].
    #[error("the leaf has {0} bytes")]
    TooLong(usize),
    /// Not JSON that has a canonical form.
    #[error("the leaf is not strict JSON: {0}")]
    Strict(#[from] JcsError),
    /// JSON, and not in canonical form.
    #[error("the leaf is not in canonical form")]
    NotCanonical,
    /// Not an object.
    #[error("the leaf is not an object")]
    NotObject,
    /// A leaf of another version.
    #[error("the leaf is of another version")]
    Version,
    /// A field that must be there is not, or one is of another type or cannot be shown.
    #[error("{0} is missing or malformed")]
    Field(&'static str),
}

/// Reads leaves, one after another, in the same memory.
#[derive(Debug, Default)]
pub struct LeafReader {
    layouts: Layouts,
}

/// From where to where in the text, in bytes.
type Span = (u32, u32);

/// The same, to slice with.
fn range((from, to): Span) -> Range<usize> {
    usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX)
}

/// A member of the leaf or of an object in it, as positions in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    /// Position in the list of the member whose object this one stands in; `NO_PARENT` for the leaf's own.
    parent: u32,
    /// The name, without quotes.
    name: Span,
    /// The value, as it is written.
    value: Span,
}

const NO_PARENT: u32 = u32::MAX;

/// A leaf whose form was checked.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'l> {
    bytes: &'l [u8],
    members: &'l [Member],
    tenant_id: &'l [u8],
    stream: &'l [u8],
    occurred_at: Time,
    recorded_at: Time,
}

impl LeafReader {
    /// Reads a leaf.
    ///
    /// # Errors
    /// Those of [`LeafFault`].
    pub fn read<'l>(&'l mut self, bytes: &'l [u8]) -> Result<Leaf<'l>, LeafFault> {
        if bytes.len() > LEAF_MAX_BYTES {
            return Err(LeafFault::TooLong(bytes.len()));
        }
        let at = if let Some(at) = self.layouts.find(bytes) {
            at
        } else {
            let mut found = Found::default();
            if !scan::scan(bytes, &mut found) {
                return Err(scan::why(bytes));
            }
            if bytes.first() != Some(&b'{') {
                return Err(LeafFault::NotObject);
            }
            self.layouts.keep(bytes, found)
        };
        let layout = self.layouts.get(at);
        Leaf::checked(bytes, &layout.members, &layout.known)
    }
}

impl<'l> Leaf<'l> {
    /// The bytes.
    pub const fn bytes(&self) -> &'l [u8] {
        self.bytes
    }

    fn checked(bytes: &'l [u8], members: &'l [Member], known: &Known) -> Result<Self, LeafFault> {
        let fields = Fields { bytes, members };
        let value = |span: Option<Span>| span.map(|span| fields.slice(span));
        if value(known.version) != Some(LEAF_VERSION) {
            return Err(LeafFault::Version);
        }
        let text =
            |span, name| value(span).filter(|value| value.starts_with(b"\"")).ok_or(LeafFault::Field(name));
        text(known.event_id, "event_id")?;
        text(known.compliance_id, "compliance_id")?;
        let tenant_id = text(known.tenant_id, "tenant_id")?;
        let stream = text(known.stream, "stream")?;
        text(known.type_name, "type")?;
        text(known.outcome, "outcome")?;
        text(known.actor_kind, "actor")?;
        if known.ip_hash.is_some() && value(known.ip_hash_alg) != Some(IP_HASH_ALG) {
            return Err(LeafFault::Field("ip_hash"));
        }
        let (occurred, recorded) = (value(known.occurred_at), value(known.recorded_at));
        let occurred_at = time(occurred, "occurred_at")?;
        // As a rule it was written down when it happened.
        let recorded_at = if recorded == occurred { occurred_at } else { time(recorded, "recorded_at")? };
        Ok(Self { bytes, members, tenant_id, stream, occurred_at, recorded_at })
    }

    /// Whose it is, as it is written.
    pub const fn tenant_id(&self) -> &'l [u8] {
        self.tenant_id
    }

    /// Which log it is of, as it is written.
    pub const fn stream(&self) -> &'l [u8] {
        self.stream
    }

    /// Checks what columns show: texts that say what they are of, and pairs whose first part cannot be taken for both.
    ///
    /// # Errors
    /// `Field`.
    pub fn check_shown(&self) -> Result<(), LeafFault> {
        let text = |path: &[&[u8]], name: &'static str| match self.get(path) {
            Some(value) if !value.starts_with(b"\"") => Err(LeafFault::Field(name)),
            found => Ok(found),
        };
        for name in
            ["device_fp", "reason", "subject", Field::DiffCommit.in_leaf(), Field::PrevStateCommit.in_leaf()]
        {
            text(&[name.as_bytes()], name)?;
        }
        for (name, first, second, between) in PAIRS {
            let Some(whole) = self.get(&[name.as_bytes()]) else { continue };
            let fault = LeafFault::Field(name);
            let first = text(&[name.as_bytes(), first.as_bytes()], name)?.ok_or_else(|| fault.clone())?;
            let second =
                second.map(|second| text(&[name.as_bytes(), second.as_bytes()], name)).transpose()?.flatten();
            let long = [Some(first), second].into_iter().flatten().any(|value| value.len() > SHOWN_MAX_BYTES);
            if !whole.starts_with(b"{") || first.contains(&between) || long {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// Whether it was written down later than so many seconds after it happened.
    pub fn is_late(&self, max_lateness_s: u64) -> bool {
        // As a rule it was written down when it happened.
        if self.recorded_at <= self.occurred_at {
            return false;
        }
        let passed = self.recorded_at.micros().saturating_sub(self.occurred_at.micros());
        passed > i64::try_from(max_lateness_s).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }

    /// When it happened.
    pub const fn occurred_at(&self) -> Time {
        self.occurred_at
    }

    /// When it was written down.
    pub const fn recorded_at(&self) -> Time {
        self.recorded_at
    }

    /// The value at a path of names, as it is written; `None` when there is none. Names are as they are written too,
    /// without quotes.
    pub fn get(&self, path: &[&[u8]]) -> Option<&'l [u8]> {
        Fields { bytes: self.bytes, members: self.members }.get(path)
    }

    /// The text at a path; `None` when there is none, or what is there is no text.
    pub fn text(&self, path: &[&str]) -> Option<Cow<'l, str>> {
        let value = match path {
            [name] => self.get(&[name.as_bytes()]),
            [outer, name] => self.get(&[outer.as_bytes(), name.as_bytes()]),
            _ => None,
        }?;
        unquote(value)
    }

    /// The commitment in a field, in hexadecimal; `None` when there is none.
    pub fn commitment(&self, field: Field) -> Option<Cow<'l, str>> {
        self.text(&[field.in_leaf()])
    }
}

/// Where what every leaf is asked for is written.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    version: Option<Span>,
    event_id: Option<Span>,
    compliance_id: Option<Span>,
    tenant_id: Option<Span>,
    stream: Option<Span>,
    type_name: Option<Span>,
    outcome: Option<Span>,
    actor_kind: Option<Span>,
    ip_hash: Option<Span>,
    ip_hash_alg: Option<Span>,
    occurred_at: Option<Span>,
    recorded_at: Option<Span>,
}

fn time(value: Option<&[u8]>, name: &'static str) -> Result<Time, LeafFault> {
    let inner = value.unwrap_or_default().strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    inner.and_then(|text| Time::parse(text).ok()).ok_or(LeafFault::Field(name))
}

/// Looking fields up.
#[derive(Clone, Copy)]
struct Fields<'l> {
    bytes: &'l [u8],
    members: &'l [Member],
}

impl<'l> Fields<'l> {
    fn get(self, path: &[&[u8]]) -> Option<&'l [u8]> {
        let mut parent = NO_PARENT;
        let mut value = None;
        for name in path {
            let from = if parent == NO_PARENT { 0 } else { usize::try_from(parent).ok()? + 1 };
            let (position, member) = self
                .members
                .iter()
                .enumerate()
                .skip(from)
                .find(|(_, member)| member.parent == parent && self.slice(member.name) == *name)?;
            parent = u32::try_from(position).ok()?;
            value = Some(member.value);
        }
        value.map(|span| self.slice(span))
    }

    /// What every leaf is asked for, in one look at all members: each has one name once.
    fn known(self) -> Known {
        let mut known = Known::default();
        let (mut actor, mut ip_hash) = (NO_PARENT, NO_PARENT);
        for (position, member) in (0..).zip(self.members) {
            let (name, value) = (self.slice(member.name), Some(member.value));
            if member.parent == NO_PARENT {
                match name {
                    b"v" => known.version = value,
                    b"event_id" => known.event_id = value,
                    b"compliance_id" => known.compliance_id = value,
                    b"tenant_id" => known.tenant_id = value,
                    b"stream" => known.stream = value,
                    b"type" => known.type_name = value,
                    b"outcome" => known.outcome = value,
                    b"occurred_at" => known.occurred_at = value,
                    b"recorded_at" => known.recorded_at = value,
                    b"actor" => actor = position,
                    b"ip_hash" => (ip_hash, known.ip_hash) = (position, value),
                    _ => {}
                }
            } else if member.parent == actor && name == b"kind" {
                known.actor_kind = value;
            } else if member.parent == ip_hash && name == b"alg" {
                known.ip_hash_alg = value;
            }
        }
        known
    }

    fn slice(self, span: Span) -> &'l [u8] {
        self.bytes.get(range(span)).unwrap_or_default()
    }
}

/// The text that a JSON text spells; `None` when it is of another type.
fn unquote(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice(value).ok().map(Cow::Owned);
    }
    str::from_utf8(inner).ok().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &[u8] = br#"{"actor":{"id":"a","kind":"member"},"compliance_id":"c","event_id":"e","list":[{"kind":"x"}],"occurred_at":"2026-07-01T00:00:00.000000Z","outcome":"success","recorded_at":"2026-07-01T00:00:00.000001Z","stream":"iam","target":{"kind":"a\"b"},"tenant_id":"t","type":"sign_in","v":1}"#;

    #[test]
    fn fields_are_found_where_they_are_and_nowhere_else() {
        let mut reader = LeafReader::default();
        let leaf = reader.read(LEAF).expect("a leaf");
        assert_eq!(leaf.text(&["actor", "kind"]).as_deref(), Some("member"));
        assert_eq!(leaf.text(&["target", "kind"]).as_deref(), Some("a\"b"));
        assert_eq!(leaf.text(&["target", "id"]), None);
        assert_eq!(leaf.text(&["list", "kind"]), None);
        assert_eq!(leaf.text(&["kind"]), None);
        assert_eq!(leaf.text(&["v"]), None);
        assert_eq!(leaf.get(&[b"v"]), Some(&b"1"[..]));
        assert_eq!(leaf.recorded_at().micros() % 10, 1);
    }

    #[test]
    fn what_a_column_cannot_show_is_refused() {
        let text = str::from_utf8(LEAF).expect("UTF-8");
        let mut reader = LeafReader::default();
        let good = text.replace("\"kind\":\"a\\\"b\"", "\"kind\":\"ab\"");
        assert_eq!(reader.read(good.as_bytes()).expect("a leaf").check_shown(), Ok(()));
        for (from, to, field) in [
            ("\"kind\":\"member\"", "\"kind\":\"mem:ber\"", "actor"),
            ("\"id\":\"a\"", "\"id\":1", "actor"),
            ("{\"kind\":\"ab\"}", "{\"id\":\"ab\"}", "target"),
            ("{\"kind\":\"ab\"}", "\"ab\"", "target"),
            ("{\"kind\":\"ab\"}", "{\"kind\":7}", "target"),
            ("\"event_id\":\"e\"", "\"event_id\":\"e\",\"geo\":{\"region\":\"GD\"}", "geo"),
            ("\"event_id\":\"e\"", "\"event_id\":\"e\",\"geo\":{\"country\":\"C/N\"}", "geo"),
            ("\"list\"", "\"ip_hash\":{\"alg\":\"HMAC-SHA-256\",\"value\":\"x\"},\"list\"", "ip_hash"),
            ("\"recorded_at\"", "\"reason\":[],\"recorded_at\"", "reason"),
            ("\"event_id\"", "\"device_fp\":{},\"event_id\"", "device_fp"),
            ("\"event_id\"", "\"diff_commit\":false,\"event_id\"", "diff_commit"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            let leaf = reader.read(bad.as_bytes()).expect(&bad);
            assert_eq!(leaf.check_shown(), Err(LeafFault::Field(field)), "{bad}");
        }
        let long = good.replace("\"id\":\"a\"", &format!("\"id\":\"{}\"", "a".repeat(257)));
        assert!(reader.read(long.as_bytes()).expect("a leaf").check_shown().is_err());
    }

    #[test]
    fn leaves_that_a_report_cannot_show_are_refused() {
        let text = str::from_utf8(LEAF).expect("UTF-8");
        let mut reader = LeafReader::default();
        for (bad, fault) in [
            (text.replace("\"v\":1", "\"v\":2"), LeafFault::Version),
            (text.replace("\"outcome\":\"success\"", "\"outcome\":1"), LeafFault::Field("outcome")),
            (text.replace(".000001Z", ".00001Z"), LeafFault::Field("recorded_at")),
            (text.replace("\"v\":1", "\"v\": 1"), LeafFault::NotCanonical),
            ("[]".to_owned(), LeafFault::NotObject),
            (
                text.replace("\"list\"", "\"ip_hash\":{\"alg\":\"SHA-256\"},\"list\""),
                LeafFault::Field("ip_hash"),
            ),
        ] {
            assert_eq!(reader.read(bad.as_bytes()).err(), Some(fault), "{bad}");
        }
        let twice = text.replace("\"v\":1", "\"v\":1,\"v\":1");
        assert!(matches!(reader.read(twice.as_bytes()), Err(LeafFault::Strict(JcsError::Duplicate { .. }))));
    }
}
