//! How large a request may be, checked before validation because the library's own passes over fragments take
//! exponential time.
//!
//! Invariants: every check here is linear in the size of the document; nothing after it sees a document whose
//! expansion is larger than [`Limits::expanded_selections`].
//!
//! Absent on purpose: batching, which has no limit because it is refused.

pub(crate) mod lexer;
pub(crate) mod survey;

use std::time::Duration;

/// Bounds on one request. `Default` has the published numbers.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most bytes of a request body.
    pub body_bytes: usize,
    /// Most bytes of a body from callers for whom [`crate::Host::allow_large_body`] holds.
    pub large_body_bytes: usize,
    /// Most lexical tokens of a document, as the GraphQL specification counts them.
    pub tokens: usize,
    /// Most selections after fragments are expanded, over the whole document.
    pub expanded_selections: u64,
    /// Most nested fields. Introspection is measured by its lists instead, since the standard introspection query
    /// is fifteen fields deep.
    pub depth: u32,
    /// Most aliases of one operation, fragments expanded.
    pub aliases: u64,
    /// Most root fields of one operation, fragments expanded.
    pub root_fields: usize,
    /// Most directives on one field, spread or operation.
    pub directives: usize,
    /// Most points one request may ask for.
    pub cost: u64,
    /// Most entries of `errors`; the rest is counted in the log.
    pub errors: usize,
    /// Longest execution of a query or mutation.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            large_body_bytes: 1024 * 1024,
            tokens: 5_000,
            expanded_selections: 10_000,
            depth: 12,
            aliases: 30,
            root_fields: 20,
            directives: 10,
            cost: 1_000,
            errors: 20,
            deadline: Duration::from_secs(10),
        }
    }
}

/// Most nested brackets of any kind in the text, and most nested selection sets after expansion. The parser and the
/// library's visitors recurse once per level; 32 is also the library's own bound, and legal documents need 16 or so.
pub(crate) const NESTING_MAX: u32 = 32;
