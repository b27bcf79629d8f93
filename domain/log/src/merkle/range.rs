//! Hashing a tree leaf by leaf while keeping only its complete subtrees.

use super::{
    Hash, MerkleError, Node,
    hash::{node_hash, node_hashes},
};

/// The height of the largest subtree that is hashed at once.
const BATCH_HEIGHT_MAX: u32 = 12;

/// The leaves `begin..end` as the hashes of their largest complete subtrees: at most 126 hashes, however many
/// leaves. Appending anything gives the same range as appending its leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactRange {
    begin: u64,
    end: u64,
    nodes: Vec<(Node, Hash)>,
}

impl CompactRange {
    /// No leaves, about to grow from `begin`. Only a range from 0 has a root.
    pub const fn starting_at(begin: u64) -> Self {
        Self { begin, end: begin, nodes: Vec::new() }
    }

    /// The range `begin..end` from the hashes of [`super::complete_subtrees`], in that order.
    ///
    /// # Errors
    /// `Apart` when it would end before it begins, `ProofLength` when there are more or fewer hashes than
    /// subtrees.
    pub fn from_hashes(begin: u64, end: u64, hashes: &[Hash]) -> Result<Self, MerkleError> {
        if end < begin {
            return Err(MerkleError::Apart { end, begin });
        }
        let nodes = super::complete_subtrees(begin, end);
        if nodes.len() != hashes.len() {
            return Err(MerkleError::ProofLength { want: nodes.len(), got: hashes.len() });
        }
        Ok(Self { begin, end, nodes: nodes.into_iter().zip(hashes.iter().copied()).collect() })
    }

    /// The first leaf.
    pub const fn begin(&self) -> u64 {
        self.begin
    }

    /// One past the last leaf; the tree's size when the range begins at 0.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// The hashes of the complete subtrees, in order.
    pub fn hashes(&self) -> impl DoubleEndedIterator<Item = Hash> + ExactSizeIterator + '_ {
        self.nodes.iter().map(|(_, hash)| *hash)
    }

    /// Appends one leaf.
    ///
    /// # Errors
    /// `TooManyLeaves`.
    pub fn append_leaf(&mut self, leaf_hash: Hash) -> Result<(), MerkleError> {
        self.append_subtree(Node::leaf(self.end), leaf_hash)
    }

    /// Appends leaves, by hashing many inner nodes at once: the same as [`Self::append_leaf`] of each.
    ///
    /// # Errors
    /// `TooManyLeaves`.
    pub fn append_leaves(&mut self, leaf_hashes: &[Hash]) -> Result<(), MerkleError> {
        let mut rest = leaf_hashes;
        while !rest.is_empty() {
            // The largest subtree that begins here, is whole, and is worth it.
            let fits = rest.len().ilog2().min(BATCH_HEIGHT_MAX);
            let height = self.end.trailing_zeros().min(fits);
            let (mine, behind) = rest.split_at(1 << height);
            let mut hashes = mine.to_vec();
            while hashes.len() > 1 {
                hashes = node_hashes(&hashes);
            }
            let node = Node { height: u8::try_from(height).unwrap_or_default(), index: self.end >> height };
            for hash in hashes {
                self.append_subtree(node, hash)?;
            }
            rest = behind;
        }
        Ok(())
    }

    /// Appends a complete subtree, which must begin where the range ends.
    ///
    /// # Errors
    /// `Apart` when it begins elsewhere, `TooManyLeaves`.
    pub fn append_subtree(&mut self, node: Node, hash: Hash) -> Result<(), MerkleError> {
        let leaves = 1_u64.checked_shl(node.height.into()).ok_or(MerkleError::TooManyLeaves)?;
        let begin = node.index.checked_mul(leaves).ok_or(MerkleError::TooManyLeaves)?;
        if begin != self.end {
            return Err(MerkleError::Apart { end: self.end, begin });
        }
        self.end = self.end.checked_add(leaves).ok_or(MerkleError::TooManyLeaves)?;
        let (mut node, mut hash) = (node, hash);
        while let Some((left, left_hash)) = self.nodes.pop_if(|(left, _)| left.pairs_with(node)) {
            hash = node_hash(&left_hash, &hash);
            node = left.parent();
        }
        self.nodes.push((node, hash));
        Ok(())
    }

    /// Appends the range that begins where this one ends.
    ///
    /// # Errors
    /// `Apart` when it begins elsewhere.
    pub fn append_range(&mut self, other: &Self) -> Result<(), MerkleError> {
        if other.begin != self.end {
            return Err(MerkleError::Apart { end: self.end, begin: other.begin });
        }
        other.nodes.iter().try_for_each(|(node, hash)| self.append_subtree(*node, *hash))
    }

    /// The root of the tree.
    ///
    /// # Errors
    /// `NotFromStart` when the range does not begin at leaf 0.
    pub fn root(&self) -> Result<Hash, MerkleError> {
        if self.begin != 0 {
            return Err(MerkleError::NotFromStart { begin: self.begin });
        }
        Ok(fold(self.hashes()).unwrap_or(Hash::EMPTY_ROOT))
    }
}

/// Hashes neighbouring subtrees, largest first, into the one above them all; `None` when there are none.
pub(super) fn fold(hashes: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    hashes.rev().reduce(|right, left| node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::super::leaf_hash;
    use super::*;

    fn range(begin: u64, end: u64) -> CompactRange {
        let mut range = CompactRange::starting_at(begin);
        for i in begin..end {
            range.append_leaf(leaf_hash(&i.to_be_bytes())).expect("in order");
        }
        range
    }

    #[test]
    fn neighbouring_ranges_join_into_the_range_of_their_leaves() {
        for a in 0..20 {
            for b in a..20 {
                for c in b..20 {
                    let mut joined = range(a, b);
                    joined.append_range(&range(b, c)).expect("neighbours");
                    assert_eq!(joined, range(a, c), "{a} {b} {c}");
                    let hashes: Vec<_> = joined.hashes().collect();
                    assert_eq!(CompactRange::from_hashes(a, c, &hashes), Ok(joined));
                }
            }
        }
    }

    #[test]
    fn leaves_at_once_are_leaves_one_by_one() {
        let hashes: Vec<_> = (0..9_000_u64).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        for (begin, end) in
            [(0, 0), (0, 1), (0, 9_000), (1, 9_000), (7, 8), (255, 515), (4_096, 8_192), (4_095, 8_999)]
        {
            let mut range = CompactRange::starting_at(begin);
            let at = |index: u64| usize::try_from(index).expect("small");
            range.append_leaves(&hashes[at(begin)..at(end)]).expect("in order");
            let mut wanted = CompactRange::starting_at(begin);
            hashes[at(begin)..at(end)].iter().for_each(|hash| wanted.append_leaf(*hash).expect("in order"));
            assert_eq!(range, wanted, "{begin} to {end}");
        }
    }

    #[test]
    fn gaps_and_overflow_are_refused() {
        assert_eq!(range(0, 3).append_range(&range(4, 5)), Err(MerkleError::Apart { end: 3, begin: 4 }));
        assert_eq!(range(2, 3).root(), Err(MerkleError::NotFromStart { begin: 2 }));
        let odd = Node { height: 1, index: 1 };
        assert_eq!(
            range(0, 3).append_subtree(odd, Hash([0; 32])),
            Err(MerkleError::Apart { end: 3, begin: 2 })
        );
        let mut last = CompactRange::starting_at(u64::MAX);
        assert_eq!(last.append_leaf(Hash([0; 32])), Err(MerkleError::TooManyLeaves));
        let huge = Node { height: 64, index: 0 };
        assert_eq!(range(0, 0).append_subtree(huge, Hash([0; 32])), Err(MerkleError::TooManyLeaves));
        let one = [Hash([0; 32])];
        let fault = MerkleError::ProofLength { want: 2, got: 1 };
        assert_eq!(CompactRange::from_hashes(0, 3, &one), Err(fault));
        assert_eq!(CompactRange::from_hashes(5, 3, &[]), Err(MerkleError::Apart { end: 3, begin: 5 }));
    }
}
