//! What an operation costs, in points.
//!
//! An object is 1, a scalar 0, a connection 2 + page size x the cost of one item, a mutation 10. `@cost(weight:)`
//! replaces the field's own part, `@listSize(assumedSize:)` the page size where the client gives none. Of an
//! interface or union the dearest concrete type counts. Only the chosen operation counts, and what `@skip` and
//! `@include` leave of it.
//!
//! Invariants: sums saturate; the requested cost is computed before anything runs; the actual cost is never more.
//!
//! Absent on purpose: buckets. The transport says what an operation costs, [`crate::Host`] who pays.

pub(crate) mod actual;
pub(crate) mod directives;
pub(crate) mod requested;
pub(crate) mod type_map;

/// Cost of a connection besides its items: the connection and its page information.
pub(crate) const CONNECTION: u64 = 2;
/// Cost of one object.
pub(crate) const OBJECT: u64 = 1;
/// Cost of a root field of a mutation, its payload object included.
pub(crate) const MUTATION: u64 = 10;
/// Cost of `__schema` with everything below it.
const SCHEMA: u64 = 100;
/// Cost of `__type` with everything below it.
const TYPE: u64 = 10;
/// Items of a connection when the client names no size and neither does the schema.
pub(crate) const PAGE_SIZE: u64 = 20;
/// Items of a plain list without `@listSize`: such lists hold parts of their parent, not pages of entities. A list
/// chosen by an argument `ids` has as many items as that argument.
pub(crate) const LIST_SIZE: u64 = 1;

/// What a field that no type declares costs: the introspection fields have a flat price.
pub(crate) fn introspection(name: &str) -> u64 {
    match name {
        "__schema" => SCHEMA,
        "__type" => TYPE,
        _ => 0,
    }
}
