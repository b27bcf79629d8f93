//! Growing trees tile by tile, and proving from tiles.

use std::collections::BTreeMap;

use audit_log::{
    merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion},
    tile::{
        Tile, TileError, TileId, TileSet, append, edge_root, edge_tiles, tiles_for_consistency,
        tiles_for_inclusion, tiles_for_root,
    },
};
use proptest::prelude::*;

use crate::{
    naive,
    vectors::{hashes_hex, json, list, number},
};

/// A store that keeps every width of every tile it is given, as a mirror in object storage would.
#[derive(Default)]
struct Store {
    size: u64,
    tiles: BTreeMap<TileId, Tile>,
}

impl Store {
    fn grow(&mut self, leaves: &[Hash]) -> Hash {
        let edge = self.read(&edge_tiles(self.size));
        let grown = append(self.size, &edge, leaves).expect("the right edge");
        assert_eq!(grown.size, self.size + u64::try_from(leaves.len()).expect("small"));
        for tile in grown.tiles {
            let written = self.tiles.insert(tile.id(), tile.clone());
            assert_eq!(written, None, "{} is written once", tile.id());
        }
        self.size = grown.size;
        grown.root
    }

    fn read(&self, ids: &[TileId]) -> Vec<Tile> {
        ids.iter().map(|id| self.tiles.get(id).expect("every named tile exists").clone()).collect()
    }

    /// The widest of each tile: what a store that overwrites has.
    fn widest(&self) -> TileSet {
        TileSet::new(self.tiles.values().cloned())
    }
}

/// All tiles of the tree, by their definition in tlog-tiles: hash `i` of tile `n` at level `l` is the root of
/// the `256^l` leaves from `(n * 256 + i) * 256^l` on.
fn tiles_by_definition(leaves: &[Hash]) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for level in 0..3 {
        let span = 256_usize.pow(u32::from(level));
        let row: Vec<_> = leaves.chunks_exact(span).map(naive::root).collect();
        for (index, hashes) in (0..).zip(row.chunks(256)) {
            tiles.push(Tile::new(level, index, hashes.to_vec()).expect("at most 256"));
        }
    }
    tiles
}

#[test]
fn large_reference_tree() {
    let file = json(include_str!("../vectors/merkle/reference_tree.json"));
    let tree = &file["large_tree"];
    let leaves: Vec<_> = (0..70_000).map(|i: u64| leaf_hash(i.to_string().as_bytes())).collect();
    let mut sizes: Vec<(u64, Hash)> = tree["roots_hex"]
        .as_object()
        .expect("roots by size")
        .iter()
        .map(|(size, root)| {
            let root = Hash::parse_hex(root.as_str().expect("hex")).expect("a hash");
            (size.parse().expect("a size"), root)
        })
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes.len(), 13);
    let mut store = Store::default();
    for (size, root) in &sizes {
        let from = usize::try_from(store.size).expect("small");
        let to = usize::try_from(*size).expect("small");
        assert_eq!(store.grow(&leaves[from..to]), *root, "size {size}");
        assert_eq!(edge_root(*size, &store.read(&edge_tiles(*size))), Ok(*root));
    }
    let root_of = |size| sizes.iter().find(|(known, _)| *known == size).expect("a known size").1;
    let widest = store.widest();
    assert_eq!((list(tree, "inclusion").len(), list(tree, "consistency").len()), (7, 7));
    for case in list(tree, "inclusion") {
        let (index, size) = (number(case, "index"), number(case, "size"));
        let proof = hashes_hex(case, "proof_hex");
        let needed = TileSet::new(store.read(&tiles_for_inclusion(index, size).expect("in the tree")));
        for tiles in [&needed, &widest] {
            assert_eq!(tiles.inclusion_proof(index, size), Ok(proof.clone()));
        }
        let leaf = leaves[usize::try_from(index).expect("small")];
        assert_eq!(verify_inclusion(leaf, index, size, &proof, root_of(size)), Ok(()));
    }
    for case in list(tree, "consistency") {
        let (old, new) = (number(case, "size1"), number(case, "size2"));
        let proof = hashes_hex(case, "proof_hex");
        let needed = TileSet::new(store.read(&tiles_for_consistency(old, new).expect("sizes in order")));
        for tiles in [&needed, &widest] {
            assert_eq!(tiles.consistency_proof(old, new), Ok(proof.clone()));
        }
        assert_eq!(verify_consistency(old, new, &proof, root_of(old), root_of(new)), Ok(()));
    }
}

#[test]
fn tiles_asked_for_are_few_and_those_of_the_size_asked_for() {
    let paths = |ids: Vec<TileId>| ids.into_iter().map(TileId::path).collect::<Vec<_>>();
    let of = |index, size| paths(tiles_for_inclusion(index, size).expect("in the tree"));
    assert_eq!(of(0, 1), Vec::<String>::new());
    assert_eq!(of(0, 2), ["tile/0/000.p/2"]);
    assert_eq!(of(255, 256), ["tile/0/000"]);
    assert_eq!(of(12_345, 70_000), ["tile/0/048", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17"]);
    // One tile a level and the right edge, in a tree no store could hold.
    assert!(tiles_for_inclusion(1 << 62, u64::MAX).expect("in the tree").len() <= 16);
    assert_eq!(paths(tiles_for_consistency(256, 512).expect("in order")), ["tile/1/000.p/2"]);
    assert_eq!(paths(tiles_for_root(70_000)), ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    assert!(tiles_for_inclusion(5, 5).is_err());
    assert!(tiles_for_consistency(5, 4).is_err());
    assert!(tiles_for_consistency(0, 4).is_err());
}

#[test]
fn a_missing_or_narrow_tile_is_named_not_guessed() {
    let mut store = Store::default();
    store.grow(&naive::leaves(600));
    let tiles = store.read(&tiles_for_inclusion(3, 600).expect("in the tree"));
    for left_out in 0..tiles.len() {
        let mut fewer = tiles.clone();
        fewer.remove(left_out);
        assert!(TileSet::new(fewer).inclusion_proof(3, 600).is_err());
    }
    let narrow = Tile::new(0, 0, naive::leaves(3)).expect("three hashes");
    assert!(TileSet::new([narrow.clone()]).root(4).is_err());
    assert_eq!(TileSet::new([narrow]).root(3), Ok(naive::root(&naive::leaves(3))));
}

#[test]
fn an_edge_of_another_size_is_refused() {
    let leaves = naive::leaves(300);
    let mut store = Store::default();
    store.grow(&leaves[..257]);
    let edge = store.read(&edge_tiles(257));
    store.grow(&leaves[257..]);
    assert!(matches!(append(300, &edge, &leaves), Err(TileError::NotAtEdge(_))));
    assert!(matches!(append(258, &edge, &leaves), Err(TileError::NotAtEdge(_))));
    assert!(matches!(append(257, &edge[..1], &leaves), Err(TileError::EdgeMissing(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_split_into_batches_gives_the_same_tree(
        batches in prop::collection::vec(0_u64..400, 0..6),
    ) {
        let leaves = naive::leaves(batches.iter().sum());
        let mut store = Store::default();
        let mut rest = leaves.as_slice();
        for batch in batches {
            let (now, later) = rest.split_at(usize::try_from(batch).expect("small"));
            let root = store.grow(now);
            rest = later;
            let so_far = &leaves[..leaves.len() - rest.len()];
            prop_assert_eq!(root, naive::root(so_far));
            prop_assert_eq!(store.widest().root(store.size), Ok(root));
        }
        let defined = tiles_by_definition(&leaves);
        let widest = store.widest();
        let kept: Vec<_> = widest.tiles().cloned().collect();
        prop_assert_eq!(&kept, &defined);
        let at_once = append(0, &[], &leaves).expect("an empty tree");
        prop_assert_eq!(at_once.tiles, defined);
    }

    #[test]
    fn proofs_from_only_the_tiles_asked_for_are_those_of_the_rfc(
        size in 1_u64..1500,
        pick in any::<prop::sample::Index>(),
        grown_by in 0_u64..300,
    ) {
        let leaves = naive::leaves(size + grown_by);
        let mut store = Store::default();
        let then = usize::try_from(size).expect("small");
        let old_root = store.grow(&leaves[..then]);
        let new_root = store.grow(&leaves[then..]);
        let index = pick.index(then);
        let at = u64::try_from(index).expect("small");

        let tiles = TileSet::new(store.read(&tiles_for_inclusion(at, size).expect("in the tree")));
        let proof = tiles.inclusion_proof(at, size).expect("all tiles at hand");
        prop_assert_eq!(&proof, &naive::path(index, &leaves[..then]));
        prop_assert_eq!(verify_inclusion(leaves[index], at, size, &proof, old_root), Ok(()));

        let new = size + grown_by;
        let tiles = TileSet::new(store.read(&tiles_for_consistency(size, new).expect("in order")));
        let proof = tiles.consistency_proof(size, new).expect("all tiles at hand");
        prop_assert_eq!(&proof, &naive::consistency(then, &leaves));
        prop_assert_eq!(verify_consistency(size, new, &proof, old_root, new_root), Ok(()));
    }
}

proptest! {
    #[test]
    fn paths_come_back(level in 0_u8..=8, index in any::<u64>(), shift in 0_u32..64, width in 0_u16..=257) {
        if let Ok(id) = TileId::new(level, index >> shift, width) {
            prop_assert_eq!(TileId::parse_path(&id.path()), Ok(id));
            prop_assert_eq!((id.level(), id.index(), id.width()), (level, index >> shift, width));
        } else {
            let last = (u128::from(index >> shift) * 256 + u128::from(width)) << (8 * u32::from(level));
            prop_assert!(level > 7 || width == 0 || width > 256 || last > u128::from(u64::MAX));
        }
    }

    #[test]
    fn no_text_makes_reading_a_path_panic(path in "(tile/)?[0-9x/.p+-]{0,40}") {
        if let Ok(id) = TileId::parse_path(&path) {
            prop_assert_eq!(id.path(), path);
        }
    }
}
