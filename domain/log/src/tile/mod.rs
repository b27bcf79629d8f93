//! Tiles: how a tree is stored (C2SP tlog-tiles). Height 8, so a tile holds up to 256 neighbouring hashes of
//! one level, and each hash of a higher level is the root of a full tile below.
//!
//! Invariants: a tile's hashes are a prefix of those the tile will have when it is wider; a full tile never
//! changes; a tree's root and every proof follow from its tiles alone.
//!
//! Absent on purpose: fetching. A caller asks which tiles a proof needs, gets them, and hands them in as a
//! [`TileSet`].

mod append;
mod bundle;
mod id;
mod set;

pub use append::{Appended, append, edge_root, edge_tiles};
pub use bundle::{ENTRY_MAX_BYTES, bundle_bytes, bundle_path, parse_bundle};
pub use id::{TILE_WIDTH, Tile, TileId};
pub use set::{TileSet, tiles_for_consistency, tiles_for_inclusion, tiles_for_root, tiles_for_subtrees};

use super::merkle::MerkleError;

/// Why tiles cannot be read, named or grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// No tree has such a tile.
    #[error("there is no tile of width {width} at level {level}, index {index}")]
    NoSuchTile {
        /// Level, from 0.
        level: u8,
        /// Index within the level.
        index: u64,
        /// Hashes in it.
        width: u16,
    },
    /// The text is not a tile's path.
    #[error("is not the path of a tile")]
    BadPath,
    /// A tile's content does not have the length its width asks for.
    #[error("tile {id} has {got} bytes instead of {want}")]
    Length {
        /// Which tile.
        id: TileId,
        /// How many bytes it must have.
        want: usize,
        /// How many it has.
        got: usize,
    },
    /// A tile of the tree's right edge was not given.
    #[error("tile {0} of the right edge is missing")]
    EdgeMissing(TileId),
    /// A tile was given that is not at the right edge of a tree of that size.
    #[error("tile {0} is not at the right edge")]
    NotAtEdge(TileId),
    /// An entry is longer than its two-byte length can tell.
    #[error("entry {position} has {bytes} bytes, more than {ENTRY_MAX_BYTES}")]
    EntryTooLong {
        /// Which entry of the bundle, from 0.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// A bundle does not hold exactly the entries it should.
    #[error("the bundle ends or goes on where entry {position} of {want} should end")]
    BundleCount {
        /// How far it could be read, in entries.
        position: usize,
        /// How many it should hold.
        want: u16,
    },
    /// The tree itself.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}
