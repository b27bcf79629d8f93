//! Growing a tree, given only the partial tiles at its right edge.

use super::{TILE_WIDTH, Tile, TileError, TileId};
use crate::merkle::{CompactRange, Hash, MerkleError, Node, node_hash};

/// What a tree grew by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The tiles that are new or wider than before, level by level, in order. A partial tile that was widened
    /// twice is there once.
    pub tiles: Vec<Tile>,
    /// The root of the grown tree.
    pub root: Hash,
    /// How many leaves it has now.
    pub size: u64,
}

/// The partial tiles of the tree of `size` leaves: all that is needed to grow it and to know its root. At
/// most eight.
pub fn edge_tiles(size: u64) -> Vec<TileId> {
    (0..=7)
        .filter_map(|level| {
            let hashes = size >> (8 * u32::from(level));
            TileId::of_tree(level, hashes / u64::from(TILE_WIDTH), size)
        })
        .collect()
}

/// The root of the tree of `size` leaves, from exactly its [`edge_tiles`] in any order. For checking what a
/// store gave against the last signed root before building on it.
///
/// # Errors
/// `EdgeMissing`, `NotAtEdge`.
pub fn edge_root(size: u64, edge: &[Tile]) -> Result<Hash, TileError> {
    Edge::open(size, edge)?.root()
}

/// Grows the tree of `old_size` leaves, whose [`edge_tiles`] are `edge` in any order, by `leaf_hashes`.
///
/// # Errors
/// `EdgeMissing` and `NotAtEdge` when the edge is not that of a tree of `old_size` leaves; `TooManyLeaves`.
pub fn append(old_size: u64, edge: &[Tile], leaf_hashes: &[Hash]) -> Result<Appended, TileError> {
    let mut edge = Edge::open(old_size, edge)?;
    let size = u64::try_from(leaf_hashes.len())
        .ok()
        .and_then(|more| old_size.checked_add(more))
        .ok_or(MerkleError::TooManyLeaves)?;
    for hash in leaf_hashes {
        edge.push(*hash)?;
    }
    let root = edge.root()?;
    Ok(Appended { tiles: edge.into_changed()?, root, size })
}

/// One level's rightmost tile while it grows.
struct Level {
    index: u64,
    hashes: Vec<Hash>,
    grown: bool,
    filled: Vec<Tile>,
}

/// The right edge of a tree, lowest level first.
struct Edge(Vec<Level>);

impl Edge {
    fn open(size: u64, tiles: &[Tile]) -> Result<Self, TileError> {
        let ids = edge_tiles(size);
        if let Some(stray) = tiles.iter().find(|tile| !ids.contains(&tile.id())) {
            return Err(TileError::NotAtEdge(stray.id()));
        }
        let mut levels = Vec::with_capacity(8);
        for level in 0..=7_u8 {
            let hashes = size >> (8 * u32::from(level));
            let hashes_then = match ids.iter().find(|id| id.level() == level) {
                Some(id) => {
                    let tile = tiles.iter().find(|tile| tile.id() == *id);
                    tile.ok_or(TileError::EdgeMissing(*id))?.hashes().to_vec()
                }
                None => Vec::new(),
            };
            let index = hashes / u64::from(TILE_WIDTH);
            levels.push(Level { index, hashes: hashes_then, grown: false, filled: Vec::new() });
        }
        Ok(Self(levels))
    }

    /// Appends a leaf hash; a tile it fills moves aside and its root goes one level up.
    fn push(&mut self, leaf_hash: Hash) -> Result<(), TileError> {
        let mut carried = leaf_hash;
        for (number, level) in (0..=7_u8).zip(&mut self.0) {
            level.hashes.push(carried);
            level.grown = true;
            if level.hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let full = std::mem::take(&mut level.hashes);
            carried = full_root(&full);
            level.filled.push(Tile::new(number, level.index, full)?);
            level.index += 1;
        }
        Ok(())
    }

    /// The hashes at the edge are complete subtrees, largest at the top level.
    fn root(&self) -> Result<Hash, TileError> {
        let mut range = CompactRange::starting_at(0);
        for (number, level) in (0..=7_u8).zip(&self.0).rev() {
            let first = level.index * u64::from(TILE_WIDTH);
            for (index, hash) in (first..=u64::MAX).zip(&level.hashes) {
                range.append_subtree(Node { height: 8 * number, index }, *hash)?;
            }
        }
        Ok(range.root()?)
    }

    fn into_changed(self) -> Result<Vec<Tile>, TileError> {
        let mut changed = Vec::new();
        for (number, level) in (0..=7_u8).zip(self.0) {
            changed.extend(level.filled);
            if level.grown && !level.hashes.is_empty() {
                changed.push(Tile::new(number, level.index, level.hashes)?);
            }
        }
        Ok(changed)
    }
}

/// The hash one level up of a full tile's hashes, or of any `2^n` of them.
pub(super) fn full_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().unwrap_or(Hash::EMPTY_ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_is_the_partial_tiles() {
        let paths = |size| edge_tiles(size).into_iter().map(TileId::path).collect::<Vec<_>>();
        assert_eq!(paths(0), Vec::<String>::new());
        assert_eq!(paths(256), ["tile/1/000.p/1"]);
        // The example of tlog-tiles.
        assert_eq!(paths(70_000), ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
        assert_eq!(edge_tiles(u64::MAX).len(), 8);
    }

    #[test]
    fn a_wrong_edge_is_refused() {
        let hash = Hash([7; 32]);
        let tile = |level, index, width| Tile::new(level, index, vec![hash; width]).expect("a tile");
        let one = tile(0, 0, 1);
        assert_eq!(append(1, &[], &[hash]), Err(TileError::EdgeMissing(one.id())));
        for stray in [tile(0, 0, 2), tile(0, 1, 1), tile(1, 0, 1), tile(0, 0, 256)] {
            assert_eq!(
                append(1, &[one.clone(), stray.clone()], &[hash]),
                Err(TileError::NotAtEdge(stray.id()))
            );
        }
        assert_eq!(edge_root(0, std::slice::from_ref(&one)), Err(TileError::NotAtEdge(one.id())));
        assert_eq!(edge_root(0, &[]), Ok(Hash::EMPTY_ROOT));
    }

    #[test]
    fn the_last_leaf_a_number_can_count_is_the_last() {
        let edge: Vec<_> = edge_tiles(u64::MAX)
            .into_iter()
            .map(|id| {
                Tile::new(id.level(), id.index(), vec![Hash([1; 32]); usize::from(id.width())]).expect("edge")
            })
            .collect();
        assert!(edge_root(u64::MAX, &edge).is_ok());
        assert_eq!(append(u64::MAX, &edge, &[Hash([1; 32])]), Err(MerkleError::TooManyLeaves.into()));
    }
}
