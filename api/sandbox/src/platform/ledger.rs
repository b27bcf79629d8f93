//! The ledger of effects: what was really done, however the call that did it was answered.

use serde_json::{Value, json};

use super::calendar;

/// One effect.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    /// From 1, in the order of doing.
    pub(crate) number: i64,
    /// `post`, `comment`, `pin`, `upload`, `takedown`, ...
    pub(crate) kind: &'static str,
    pub(crate) at_ms: i64,
    pub(crate) wall_ms: i64,
    /// The number of the call that did it.
    pub(crate) call: i64,
    /// SHA-256 of the call without its tokens: two calls with the same one asked for the same.
    pub(crate) request_fingerprint: String,
    /// SHA-256 of what was done (user, media, text): two effects with the same one are a double.
    pub(crate) content_fingerprint: String,
    pub(crate) client_key: String,
    pub(crate) user: String,
    /// Identifiers of what came of it.
    pub(crate) made: Value,
}

impl Effect {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "number": self.number, "kind": self.kind, "at_ms": self.at_ms, "at": calendar::instant(self.at_ms),
            "wall_ms": self.wall_ms, "wall": calendar::instant(self.wall_ms), "call": self.call,
            "request_fingerprint": self.request_fingerprint, "content_fingerprint": self.content_fingerprint,
            "client_key": self.client_key, "user": self.user, "made": self.made,
        })
    }
}
