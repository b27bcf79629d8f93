//! Why a bundle cannot be written, or a file of one is not in its form.

use audit_log::{jcs::JcsError, merkle::MerkleError};

use crate::leaf::LeafFault;

/// A file, or a part of one, is not in its one form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not the JSON that was to be there.
    #[error("{what} is not what it should be: {why}")]
    Json {
        /// Which file or part.
        what: &'static str,
        /// What the reader says; names fields, never values.
        why: String,
    },
    /// Right in what it says, and written in another way than the one.
    #[error("{what} is not in its one form")]
    OtherForm {
        /// Which file or part.
        what: &'static str,
    },
    /// A line that is not what the format has there.
    #[error("line {line} of {what} is malformed")]
    Line {
        /// Which file.
        what: &'static str,
        /// Which, from 1.
        line: u64,
    },
    /// A query larger or deeper than may be.
    #[error("the query is too large: {0}")]
    QueryTooLarge(&'static str),
    /// A query with a part that makes no sense.
    #[error("the query is malformed: {0}")]
    Query(&'static str),
    /// Not a time in its one spelling.
    #[error("is not a time like 2026-07-01T00:00:00.000000Z")]
    Time,
    /// DER that is not the structure that was to be there.
    #[error("{what} is not what it should be in DER")]
    Der {
        /// Which structure.
        what: &'static str,
    },
    /// Strict JSON refused.
    #[error(transparent)]
    Strict(#[from] JcsError),
}

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The caller's writer, reader or spool failed.
    #[error("reading or writing failed")]
    Io(#[from] std::io::Error),
    /// The zip could not be written.
    #[error("the zip could not be written")]
    Zip(#[from] rawzip::Error),
    /// A part is not in its form.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A leaf that is none.
    #[error("leaf {index}: {fault}")]
    Leaf {
        /// Its index.
        index: u64,
        /// What is wrong.
        fault: LeafFault,
    },
    /// A segment does not begin where the last ended, or has too many leaves or none.
    #[error("a segment of {leaves} leaves from {first} cannot follow leaf {end}")]
    SegmentOrder {
        /// Where it begins.
        first: u64,
        /// How many it has.
        leaves: u64,
        /// Where the range ends.
        end: u64,
    },
    /// A row that does not come after the last, or lies outside the range so far.
    #[error("row {index} is out of order or outside the range")]
    RowOrder {
        /// Its index.
        index: u64,
    },
    /// A row that the query does not ask for.
    #[error("row {index} is not what the query asks for")]
    RowUnasked {
        /// Its index.
        index: u64,
    },
    /// A commitment of a row that should be opened or erased and is neither, or the other way round.
    #[error("row {index} does not show {field} as it should")]
    RowOpening {
        /// Its index.
        index: u64,
        /// Which field.
        field: &'static str,
    },
    /// An erasure names an event whose proof was not given.
    #[error("the proof of erasure {0} is missing")]
    ErasureProof(u64),
    /// Leaves do not make the tree that was signed.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
    /// The range does not end at the checkpoint, or folds into another root.
    #[error("the leaves are not those of the checkpoint")]
    OtherTree,
    /// The checkpoint cannot be read.
    #[error("a head is malformed")]
    Head,
    /// The signature or the timestamp could not be had.
    #[error("signing failed")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
}
