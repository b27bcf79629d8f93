//! Naming tiles.

use std::fmt::{self, Write as _};

use super::TileError;
use crate::merkle::{Hash, Node};

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;

/// The highest level a tree of fewer than 2^64 leaves has.
const LEVEL_MAX: u8 = 7;

/// Which tile, and how much of it. Shown as its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

impl TileId {
    /// Tile `index` (from 0) of `level` (0 to 7), with `width` hashes (1 to 256; less than 256 is a partial
    /// tile).
    ///
    /// # Errors
    /// `NoSuchTile` when a number is out of range or the tile would reach past leaf 2^64 - 2.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let fault = TileError::NoSuchTile { level, index, width };
        if level > LEVEL_MAX || width == 0 || width > TILE_WIDTH {
            return Err(fault);
        }
        let leaves_before = (u128::from(index) * u128::from(TILE_WIDTH) + u128::from(width)) << (8 * level);
        if leaves_before > u128::from(u64::MAX) { Err(fault) } else { Ok(Self { level, index, width }) }
    }

    /// The tile that holds the hash of `node` or the hashes to make it from, as wide as it is in the tree of
    /// `size` leaves; `None` when that tree does not have the node.
    pub(super) fn holding(node: Node, size: u64) -> Option<Self> {
        let level = node.height / 8;
        let first = node.index.checked_shl(u32::from(node.height % 8))?;
        Self::of_tree(level, first / u64::from(TILE_WIDTH), size)
    }

    /// The tile as wide as it is in the tree of `size` leaves; `None` when that tree does not have it.
    pub(super) fn of_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let before = index.checked_mul(u64::from(TILE_WIDTH))?;
        let width = u16::try_from(hashes.checked_sub(before)?.min(u64::from(TILE_WIDTH))).ok()?;
        Self::new(level, index, width).ok()
    }

    /// The level: 0 holds leaf hashes.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The index within the level.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes, 1 to 256.
    pub const fn width(self) -> u16 {
        self.width
    }

    /// Whether it has all its hashes and will never change.
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The path, as `tile/0/x001/x234/067` or, partial, `tile/1/000.p/17`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, index_path(self.index, self.width))
    }

    /// Reads a path, which has one spelling only.
    ///
    /// # Errors
    /// `BadPath`, `NoSuchTile`.
    pub fn parse_path(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::BadPath)?;
        let (level, rest) = rest.split_once('/').ok_or(TileError::BadPath)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| TileError::BadPath)?),
            None => (rest, TILE_WIDTH),
        };
        let index = index.split('/').try_fold(0_u64, |index, part| {
            let digits = part.strip_prefix('x').unwrap_or(part).parse::<u64>().ok()?;
            index.checked_mul(1000)?.checked_add(digits)
        });
        let level = level.parse().map_err(|_| TileError::BadPath)?;
        let id = Self::new(level, index.ok_or(TileError::BadPath)?, width)?;
        // Signs, missing zeros and misplaced `x` all come out spelled otherwise.
        if id.path() == path { Ok(id) } else { Err(TileError::BadPath) }
    }
}

/// The end of a tile's or bundle's path: the index in groups of three digits, and the width when partial.
pub(super) fn index_path(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH {
        // Writing to a string cannot fail.
        let _ = write!(text, ".p/{width}");
    }
    text
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// A tile and its hashes, as many as the id's width says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    id: TileId,
    hashes: Vec<Hash>,
}

impl Tile {
    /// A tile of as many hashes as given, 1 to 256.
    ///
    /// # Errors
    /// `NoSuchTile`.
    pub fn new(level: u8, index: u64, hashes: Vec<Hash>) -> Result<Self, TileError> {
        let width = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
        Ok(Self { id: TileId::new(level, index, width)?, hashes })
    }

    /// Reads a tile's content: 32 bytes for each hash and nothing else.
    ///
    /// # Errors
    /// `Length`.
    pub fn from_bytes(id: TileId, bytes: &[u8]) -> Result<Self, TileError> {
        let (hashes, stray) = bytes.as_chunks::<32>();
        if hashes.len() != usize::from(id.width) || !stray.is_empty() {
            return Err(TileError::Length { id, want: usize::from(id.width) * 32, got: bytes.len() });
        }
        Ok(Self { id, hashes: hashes.iter().map(|hash| Hash(*hash)).collect() })
    }

    /// The content, as [`Tile::from_bytes`] reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Which tile.
    pub const fn id(&self) -> TileId {
        self.id
    }

    /// The hashes, in order.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for (level, index, width, path) in [
            (0, 0, 256, "tile/0/000"),
            (1, 0, 17, "tile/1/000.p/17"),
            (0, 1_234_067, 256, "tile/0/x001/x234/067"),
            (3, 1000, 1, "tile/3/x001/000.p/1"),
        ] {
            let id = TileId::new(level, index, width);
            assert_eq!(id.map(TileId::path).as_deref(), Ok(path));
            assert_eq!(TileId::parse_path(path), id);
        }
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001",
            "tile/00/000",
            "tile/+0/000",
            "tile/0/+00",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/017",
            "tile/0/000.p/+7",
            "tile/0/000/",
            "/tile/0/000",
            "tile/8/000",
            "tile/-1/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/000.p/1.p/1",
            "tile/entries/000",
        ] {
            assert!(TileId::parse_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tiles_past_the_last_leaf_do_not_exist() {
        assert!(TileId::new(7, 0, 255).is_ok());
        assert!(TileId::new(7, 0, 256).is_err());
        assert!(TileId::new(0, u64::MAX / 256, 255).is_ok());
        assert!(TileId::new(0, u64::MAX / 256, 256).is_err());
        assert!(TileId::new(1, u64::MAX, 1).is_err());
    }

    #[test]
    fn content_must_fill_the_width() {
        let tile = Tile::new(0, 0, vec![Hash([1; 32]), Hash([2; 32])]).expect("two hashes");
        assert_eq!(Tile::from_bytes(tile.id(), &tile.to_bytes()), Ok(tile.clone()));
        for length in [0, 32, 63, 65, 96] {
            let fault = TileError::Length { id: tile.id(), want: 64, got: length };
            assert_eq!(Tile::from_bytes(tile.id(), &vec![0; length]), Err(fault));
        }
        assert!(Tile::new(0, 0, Vec::new()).is_err());
        assert!(Tile::new(0, 0, vec![Hash([0; 32]); 257]).is_err());
    }
}
