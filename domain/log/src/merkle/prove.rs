//! Making roots and proofs (RFC 6962 sections 2.1, 2.1.1 and 2.1.2) from the hashes of complete subtrees.

use super::{Hash, MerkleError, Node, complete_subtrees, range::fold};

/// The root of the tree of `size` leaves. `node` gives the hash of a subtree, `None` when it has none.
///
/// # Errors
/// `MissingNode`.
pub fn root(size: u64, mut node: impl FnMut(Node) -> Option<Hash>) -> Result<Hash, MerkleError> {
    if size == 0 { Ok(Hash::EMPTY_ROOT) } else { range_hash((0, size), &mut node) }
}

/// The proof that leaf `index` is in the tree of `size` leaves: hashes from the leaf's sibling up to the root's
/// child. `node` gives the hash of a subtree, `None` when it has none.
///
/// # Errors
/// `IndexOutside`, `MissingNode`.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    mut node: impl FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>, MerkleError> {
    inclusion_ranges(index, size)?.into_iter().map(|range| range_hash(range, &mut node)).collect()
}

/// The proof that the tree of `new` leaves begins with that of `old` leaves; empty when the sizes are equal.
/// `node` gives the hash of a subtree, `None` when it has none.
///
/// # Errors
/// `SizesReversed`, `EmptyOldTree`, `MissingNode`.
pub fn consistency_proof(
    old: u64,
    new: u64,
    mut node: impl FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>, MerkleError> {
    consistency_ranges(old, new)?.into_iter().map(|range| range_hash(range, &mut node)).collect()
}

/// The subtrees [`inclusion_proof`] will ask for, for sources that must fetch first.
///
/// # Errors
/// `IndexOutside`.
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Node>, MerkleError> {
    Ok(nodes_of(inclusion_ranges(index, size)?))
}

/// The subtrees [`consistency_proof`] will ask for, for sources that must fetch first.
///
/// # Errors
/// `SizesReversed`, `EmptyOldTree`.
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<Node>, MerkleError> {
    Ok(nodes_of(consistency_ranges(old, new)?))
}

/// Leaves from and up to before.
type Leaves = (u64, u64);

fn nodes_of(ranges: Vec<Leaves>) -> Vec<Node> {
    ranges.into_iter().flat_map(|(begin, end)| complete_subtrees(begin, end)).collect()
}

fn range_hash(
    (begin, end): Leaves,
    node: &mut impl FnMut(Node) -> Option<Hash>,
) -> Result<Hash, MerkleError> {
    let nodes = complete_subtrees(begin, end);
    let hashes = nodes
        .iter()
        .map(|n| node(*n).ok_or(MerkleError::MissingNode(*n)))
        .collect::<Result<Vec<_>, MerkleError>>()?;
    fold(hashes.into_iter()).ok_or(MerkleError::MissingNode(Node::leaf(begin)))
}

/// Where a tree of `size` (at least 2) leaves splits: the largest power of two below it.
const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The sibling ranges on the way from the leaf up: PATH(m, D[n]) of RFC 6962 section 2.1.1, unrolled.
fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Leaves>, MerkleError> {
    if index >= size {
        return Err(MerkleError::IndexOutside { index, size });
    }
    let (mut begin, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((begin, middle));
            begin = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The ranges of PROOF(m, D[n]) of RFC 6962 section 2.1.2, unrolled. The older root is left out where the
/// verifier knows it.
fn consistency_ranges(old: u64, new: u64) -> Result<Vec<Leaves>, MerkleError> {
    if old > new {
        return Err(MerkleError::SizesReversed { old, new });
    }
    if old == 0 {
        return Err(MerkleError::EmptyOldTree);
    }
    let (mut begin, mut end) = (0, new);
    let mut ranges = Vec::new();
    while old != end {
        let middle = begin + split(end - begin);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((begin, middle));
            begin = middle;
        }
    }
    if begin != 0 {
        ranges.push((begin, end));
    }
    ranges.reverse();
    Ok(ranges)
}
