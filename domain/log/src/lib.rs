//! The formats of the audit log: leaves as a tree, the tree's heads as signed notes, proofs. A crate of its own, so that
//! who checks a log needs no more of the product than this.
//!
//! Vocabulary: a *leaf* is the canonical JSON of one event; its *leaf hash* goes into the tree; a *tile* is 256
//! neighbouring hashes of one level, the unit of storage; a *checkpoint* says which root a log had at which size;
//! a *note* is a signed text; a *cosignature* is a witness's statement that a checkpoint only ever grew; a
//! *commitment* stands in a leaf for a personal value that is kept elsewhere and may be erased.
//!
//! Formats are public, so that a tenant can check its log with other people's tools: RFC 6962 (tree), RFC 8785
//! (canonical JSON, without floats), and the C2SP documents tlog-tiles, signed-note, tlog-checkpoint,
//! tlog-cosignature, tlog-witness, tlog-policy and tlog-proof.
//!
//! Invariants:
//! - Proofs are hashed only once their length is known to be right. No input makes a check panic or overflow, and
//!   the work it causes is bounded by its length, which is capped.
//! - A signature by a known key that does not verify condemns the whole note.
//!
//! Absent on purpose: what an event says, which is the domain's; storage, clocks and randomness; any way to change a leaf, or to remove one unsaid; ECDSA and ML-DSA
//! signatures, whose lines are read and passed over as those of unknown keys.

pub mod anchor;
pub mod checkpoint;
pub mod commitment;
pub mod jcs;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod proof;
pub mod prune;
pub mod sha256;
pub mod tile;
pub mod trust;
pub mod witness;
