//! Answers of an async-graphql schema, written as JSON text instead of collected as values.
//!
//! async-graphql resolves each field of each object in a boxed future and collects the results in maps, which are
//! then serialised. Here plain fields of plain objects are written straight into the answer's text, and a field that
//! needs a store is asked for once for all objects at the same place in the answer. Schema, introspection, validation
//! and everything not written here stay async-graphql's own, of which one exact version is pinned: this crate uses
//! items it hides from its documentation.
//!
//! - `#[derive(SimpleObject, Output)]` makes an object writable; on an enum `#[derive(Enum, Output)]`.
//! - `#[output::fields]` on an `impl` block adds computed fields (`fn f(&self) -> V`) and batched ones
//!   (`async fn f(parents: &[&Self], ctx: &Context<'_>, ..) -> Result<Vec<V>, E>`, one outcome a parent, in order).
//!   The derive is told by `#[graphql(complex)]` and `#[output(fields)]`.
//! - [`Written`] around what an ordinary resolver returns is where writing begins.
//!
//! | Module | Holds |
//! | --- | --- |
//! | `plan` | what of an object is to be written: fragments expanded, same keys merged |
//! | `value`, `leaf` | how values are written |
//! | `object`, `batch` | objects, and their fields a level at a time |
//! | `writer` | the text so far, and where in the answer it stands |
//! | `written` | the way in from async-graphql, and back to it |
//! | `recent` | values sent to many readers, written once for each selection |
//! | `ledger` | leave to write, and how often each place was written |
//! | `json` | the text of a whole answer |
//!
//! # Invariants
//! - Writing needs leave: a [`Ledger`] in the request's data. Without one the same types run on async-graphql alone, so
//!   a transport that can't write [`async_graphql::Value::Binary`] as finished text never sees any.
//! - What can't be written as async-graphql would answer it is left to async-graphql, list by list: a directive on a
//!   field, a field the derive was not told of, the same key twice outside written objects.
//! - A batched field is resolved before anything is written, so its errors are known at their place: a failed outcome
//!   nulls the nearest nullable value around it and is reported with its whole path.
//! - Nothing outlives a request but the texts of a shared value, which live as long as that value and hold nothing of
//!   any request.
//!
//! # Absent on purpose
//! A cache of plans: planning costs a few microseconds and depends on variables. Interfaces and unions: their concrete
//! type is not known until they are resolved, so they stay async-graphql's, as do their lists. Per-field hooks of
//! async-graphql's extensions: a batched field opens one span for all parents.

mod batch;
mod json;
mod leaf;
mod ledger;
mod object;
mod plan;
mod recent;
mod value;
mod writer;
mod written;

pub use batch::{Answered, Found, Values};
pub use json::write_value;
pub use leaf::write_enum;
pub use ledger::{Count, Ledger};
pub use object::{Call, Fields, Handle, Object, level_object, no_call, nothing, plan_object, write_object};
pub use output_derive::{Output, fields};
pub use plan::{AstField, Plan, Planned, Planner, Unplannable};
pub use recent::{Recent, Shared};
pub use value::{Level, Output, SelectionContext};
pub use writer::{Failed, Writer, Wrote};
pub use written::{Single, Written};
