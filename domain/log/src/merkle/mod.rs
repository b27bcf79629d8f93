//! RFC 6962 Merkle trees over SHA-256.
//!
//! Invariants: leaves and inner nodes are hashed under different prefixes, so neither can pass for the other;
//! sizes and indexes are `u64` and no sum of them wraps; a proof has exactly one right length, checked before
//! anything is hashed.
//!
//! Absent on purpose: a tree in memory. Hashes come from wherever the caller keeps them, asked for as [`Node`]s.

mod hash;
mod node;
mod prove;
mod range;
mod verify;

pub use hash::{Hash, HashFault, leaf_hash, leaf_hashes, node_hash};
pub use node::{Node, complete_subtrees};
pub use prove::{consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof, root};
pub use range::CompactRange;
pub use verify::{verify_consistency, verify_inclusion};

/// Why a proof cannot be made or does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// The leaf is not in a tree of that size.
    #[error("index {index} is outside a tree of {size} leaves")]
    IndexOutside {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The older tree is larger than the newer.
    #[error("the older tree has {old} leaves, more than the newer's {new}")]
    SizesReversed {
        /// Size of the older tree.
        old: u64,
        /// Size of the newer tree.
        new: u64,
    },
    /// Everything is consistent with the empty tree, so no proof says anything. Whoever starts from nothing
    /// (a witness, a first visit) decides that for itself.
    #[error("the older tree is empty, which proves nothing")]
    EmptyOldTree,
    /// A proof between these sizes has another length.
    #[error("the proof has {got} hashes instead of {want}")]
    ProofLength {
        /// How many it must have.
        want: usize,
        /// How many it has.
        got: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to root {got} instead of {want}")]
    WrongRoot {
        /// The root that was to be proven.
        want: Hash,
        /// The root the proof leads to.
        got: Hash,
    },
    /// The consistency proof leads to another older root.
    #[error("the proof leads to the older root {got} instead of {want}")]
    WrongOldRoot {
        /// The older root that was to be proven.
        want: Hash,
        /// The older root the proof leads to.
        got: Hash,
    },
    /// The source of hashes does not have one that is needed.
    #[error("the hash of subtree {0} is missing")]
    MissingNode(Node),
    /// A range can only be continued where it ends.
    #[error("a range that ends at {end} cannot be continued at {begin}")]
    Apart {
        /// Where the range ends.
        end: u64,
        /// Where the continuation begins.
        begin: u64,
    },
    /// Only a range that begins at the first leaf has a root.
    #[error("a range that begins at {begin} has no root")]
    NotFromStart {
        /// Where the range begins.
        begin: u64,
    },
    /// More leaves than a `u64` can count.
    #[error("a tree cannot have more than 2^64 - 1 leaves")]
    TooManyLeaves,
}
