//! Naming complete subtrees.

use std::fmt;

/// A complete subtree: the `2^height` leaves from `index * 2^height` on. Shown as `height/index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// 0 for a leaf; at most 63.
    pub height: u8,
    /// Which one of its height, from 0.
    pub index: u64,
}

impl Node {
    /// The leaf at `index`.
    pub const fn leaf(index: u64) -> Self {
        Self { height: 0, index }
    }

    /// Whether `right` is what this node is hashed with, from the right.
    pub(super) const fn pairs_with(self, right: Self) -> bool {
        self.height == right.height && self.index.is_multiple_of(2) && right.index == self.index + 1
    }

    /// The node above.
    pub(super) const fn parent(self) -> Self {
        Self { height: self.height + 1, index: self.index / 2 }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.height, self.index)
    }
}

/// The fewest complete subtrees that make up the leaves `begin..end`, in order. At most 126 of them.
pub fn complete_subtrees(begin: u64, end: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut at = begin;
    while at < end {
        // The largest subtree that starts here: bounded by the alignment of `at` and by what is left.
        let height = at.trailing_zeros().min((end - at).ilog2());
        nodes.push(Node { height: u8::try_from(height).unwrap_or(63), index: at >> height });
        at += 1 << height;
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(begin: u64, end: u64, expected: &[(u8, u64)]) {
        let nodes: Vec<_> = complete_subtrees(begin, end).iter().map(|n| (n.height, n.index)).collect();
        assert_eq!(nodes, expected, "{begin}..{end}");
    }

    #[test]
    fn ranges_split_into_the_largest_subtrees() {
        check(0, 0, &[]);
        check(5, 3, &[]);
        check(0, 1, &[(0, 0)]);
        check(0, 7, &[(2, 0), (1, 2), (0, 6)]);
        check(3, 9, &[(0, 3), (2, 1), (0, 8)]);
        check(0, 1 << 63, &[(63, 0)]);
        check(u64::MAX - 1, u64::MAX, &[(0, u64::MAX - 1)]);
        assert_eq!(complete_subtrees(0, u64::MAX).len(), 64);
        assert_eq!(complete_subtrees(1, u64::MAX).len(), 126);
    }
}
