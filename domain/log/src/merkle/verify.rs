//! Checking proofs. The walk is that of RFC 9162 sections 2.1.3.2 and 2.1.4.2, written so that the one right
//! length of a proof is known beforehand: an over-long proof is refused unread.

use super::{Hash, MerkleError, node_hash};

/// Checks that the leaf with hash `leaf` is at `index` in the tree of `size` leaves with `root`.
///
/// # Errors
/// `IndexOutside` (also for size 0), `ProofLength`, `WrongRoot`.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: Hash,
) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::IndexOutside { index, size });
    }
    let inner = inner_hashes(index, size);
    let want = inner + border_hashes(index, inner);
    if proof.len() != want {
        return Err(MerkleError::ProofLength { want, got: proof.len() });
    }
    let (inner, border) = proof.split_at(inner);
    let got = climb_border(climb(leaf, index, inner), border);
    if got == root { Ok(()) } else { Err(MerkleError::WrongRoot { want: root, got }) }
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`.
/// Trees of one size must have one root and need an empty proof.
///
/// # Errors
/// `SizesReversed`, `EmptyOldTree`, `ProofLength`, `WrongOldRoot`, `WrongRoot`.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: Hash,
    new_root: Hash,
) -> Result<(), MerkleError> {
    if old > new {
        return Err(MerkleError::SizesReversed { old, new });
    }
    if old == 0 {
        return Err(MerkleError::EmptyOldTree);
    }
    if old == new {
        return match proof.len() {
            0 if old_root == new_root => Ok(()),
            0 => Err(MerkleError::WrongRoot { want: new_root, got: old_root }),
            got => Err(MerkleError::ProofLength { want: 0, got }),
        };
    }
    // The walk starts at the largest complete subtree that ends where the old tree ends. When that is the
    // whole old tree its hash is the old root, else it is the first of the proof.
    let shift = old.trailing_zeros();
    let whole = old.is_power_of_two();
    let all_inner = inner_hashes(old - 1, new);
    let inner = all_inner - usize::try_from(shift).unwrap_or(0);
    let want = usize::from(!whole) + inner + border_hashes(old - 1, all_inner);
    if proof.len() != want {
        return Err(MerkleError::ProofLength { want, got: proof.len() });
    }
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !whole => (*first, rest),
        _ => (old_root, proof),
    };
    let (inner, border) = rest.split_at(inner);
    let index = (old - 1) >> shift;
    let got_old = climb_border(climb_left(seed, index, inner), border);
    if got_old != old_root {
        return Err(MerkleError::WrongOldRoot { want: old_root, got: got_old });
    }
    let got = climb_border(climb(seed, index, inner), border);
    if got == new_root { Ok(()) } else { Err(MerkleError::WrongRoot { want: new_root, got }) }
}

/// How many levels the path of leaf `index` climbs before it runs along the right edge of the tree.
fn inner_hashes(index: u64, size: u64) -> usize {
    usize::try_from(64 - (index ^ (size - 1)).leading_zeros()).unwrap_or(64)
}

/// How many subtrees hang to the left of the path once it runs along the right edge.
fn border_hashes(index: u64, inner: usize) -> usize {
    let edge = u32::try_from(inner).ok().and_then(|inner| index.checked_shr(inner)).unwrap_or(0);
    usize::try_from(edge.count_ones()).unwrap_or(0)
}

/// Up through siblings on the side that each bit of `index` tells.
fn climb(seed: Hash, index: u64, siblings: &[Hash]) -> Hash {
    siblings.iter().enumerate().fold(seed, |hash, (level, sibling)| {
        if bit(index, level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    })
}

/// Up through left siblings only: what the tree looked like when nothing was to the right yet.
fn climb_left(seed: Hash, index: u64, siblings: &[Hash]) -> Hash {
    siblings.iter().enumerate().fold(
        seed,
        |hash, (level, sibling)| {
            if bit(index, level) { node_hash(sibling, &hash) } else { hash }
        },
    )
}

/// Up along the right edge, where every sibling is on the left.
fn climb_border(seed: Hash, siblings: &[Hash]) -> Hash {
    siblings.iter().fold(seed, |hash, sibling| node_hash(sibling, &hash))
}

fn bit(index: u64, level: usize) -> bool {
    u32::try_from(level).ok().and_then(|level| index.checked_shr(level)).is_some_and(|rest| rest & 1 == 1)
}
