//! What it takes to say that two answers are alike: a schema, documents to send to it, and the comparison.
//!
//! Shared by the tests of this crate and those of the transport: what holds between the two executors has to hold at
//! every door, with the same documents and no more differences than are listed.

pub(crate) mod documents;
pub(crate) mod generator;
pub(crate) mod schema;
pub(crate) mod told;
