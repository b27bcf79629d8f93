//! The audit log's core against public vectors, an independent definition of the tree, and hostile input.

mod jcs;
mod merkle;
mod naive;
mod notes;
mod proofs;
mod tiles;
mod vectors;
