//! Proofs from tiles.

use std::collections::{BTreeMap, BTreeSet};

use super::{Tile, TileError, TileId, append::full_root};
use crate::merkle::{
    Hash, MerkleError, Node, complete_subtrees, consistency_nodes, consistency_proof, inclusion_nodes,
    inclusion_proof, root,
};

/// The tiles that prove leaf `index` in the tree of `size` leaves.
///
/// # Errors
/// `IndexOutside`.
pub fn tiles_for_inclusion(index: u64, size: u64) -> Result<Vec<TileId>, TileError> {
    tiles_holding(inclusion_nodes(index, size)?, size)
}

/// The tiles that prove that the tree of `new` leaves begins with that of `old` leaves.
///
/// # Errors
/// `SizesReversed`, `EmptyOldTree`.
pub fn tiles_for_consistency(old: u64, new: u64) -> Result<Vec<TileId>, TileError> {
    tiles_holding(consistency_nodes(old, new)?, new)
}

/// The tiles that give the root of the tree of `size` leaves. Unlike [`super::edge_tiles`] they may be asked
/// for when the tree has long grown on.
pub fn tiles_for_root(size: u64) -> Vec<TileId> {
    tiles_holding(complete_subtrees(0, size), size).unwrap_or_default()
}

/// The tiles that give the hashes of the complete subtrees of leaves `begin..end`, in the tree of `size` leaves.
///
/// # Errors
/// `MissingNode` when the tree does not reach so far.
pub fn tiles_for_subtrees(begin: u64, end: u64, size: u64) -> Result<Vec<TileId>, TileError> {
    tiles_holding(complete_subtrees(begin, end), size)
}

fn tiles_holding(nodes: Vec<Node>, size: u64) -> Result<Vec<TileId>, TileError> {
    let tiles: Result<BTreeSet<_>, MerkleError> = nodes
        .into_iter()
        .map(|node| TileId::holding(node, size).ok_or(MerkleError::MissingNode(node)))
        .collect();
    Ok(tiles?.into_iter().collect())
}

/// Tiles at hand. A wider tile serves where a narrower one was asked for: its hashes begin with those.
#[derive(Clone, Debug, Default)]
pub struct TileSet(BTreeMap<(u8, u64), Tile>);

impl TileSet {
    /// The tiles at hand, in any order. Of two widths of one tile the wider is kept.
    pub fn new(tiles: impl IntoIterator<Item = Tile>) -> Self {
        let mut set = Self::default();
        set.extend(tiles);
        set
    }

    /// The hash of a complete subtree; `None` when its tile is not at hand or not wide enough.
    pub fn node(&self, node: Node) -> Option<Hash> {
        let within = node.height % 8;
        let first = node.index.checked_shl(u32::from(within))?;
        let tile = self.0.get(&(node.height / 8, first / 256))?;
        let begin = usize::try_from(first % 256).ok()?;
        Some(full_root(tile.hashes().get(begin..begin + (1 << within))?))
    }

    /// The proof that leaf `index` is in the tree of `size` leaves.
    ///
    /// # Errors
    /// `IndexOutside`, `MissingNode`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, MerkleError> {
        inclusion_proof(index, size, |node| self.node(node))
    }

    /// The proof that the tree of `new` leaves begins with that of `old` leaves.
    ///
    /// # Errors
    /// `SizesReversed`, `EmptyOldTree`, `MissingNode`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, MerkleError> {
        consistency_proof(old, new, |node| self.node(node))
    }

    /// The root of the tree of `size` leaves.
    ///
    /// # Errors
    /// `MissingNode`.
    pub fn root(&self, size: u64) -> Result<Hash, MerkleError> {
        root(size, |node| self.node(node))
    }

    /// The tiles, level by level.
    pub fn tiles(&self) -> impl Iterator<Item = &Tile> {
        self.0.values()
    }
}

impl Extend<Tile> for TileSet {
    fn extend<I: IntoIterator<Item = Tile>>(&mut self, tiles: I) {
        for tile in tiles {
            let place = (tile.id().level(), tile.id().index());
            if self.0.get(&place).is_none_or(|kept| kept.id().width() < tile.id().width()) {
                self.0.insert(place, tile);
            }
        }
    }
}
