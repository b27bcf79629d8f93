//! Checking proofs: public vectors, and everything that must not verify.

use audit_log::merkle::{
    CompactRange, Hash, MerkleError, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    naive,
    vectors::{hashes_hex, hex, json, list, number, text},
};

/// A hash in base64; `None` for the placeholders of other lengths some refusal cases have.
fn hash(value: &Value) -> Option<Hash> {
    Hash::from_slice(&STANDARD.decode(value.as_str()?).ok()?).ok()
}

fn proof(case: &Value) -> Option<Vec<Hash>> {
    list(case, "proof").iter().map(hash).collect()
}

#[test]
fn public_inclusion_cases() {
    let file = json(include_str!("../vectors/merkle/inclusion.json"));
    let (mut accepted, mut refused) = (0, 0);
    for case in list(&file, "cases") {
        let verdict = || {
            let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
            verify_inclusion(leaf, number(case, "leafIdx"), number(case, "treeSize"), &proof(case)?, root)
                .ok()
        };
        let wanted = case["wantErr"] == false;
        assert_eq!(verdict().is_some(), wanted, "{}", text(case, "file"));
        if wanted { accepted += 1 } else { refused += 1 }
    }
    assert_eq!((accepted, refused), (6, 92));
}

#[test]
fn public_consistency_cases() {
    let file = json(include_str!("../vectors/merkle/consistency.json"));
    let (mut accepted, mut refused) = (0, 0);
    for case in list(&file, "cases") {
        // Its roots are placeholders that are not hashes at all.
        if text(case, "file").ends_with("/sizes-are-equal-one-and-proof-is-empty.json") {
            continue;
        }
        let verdict = || {
            let (old, new) = (number(case, "size1"), number(case, "size2"));
            verify_consistency(old, new, &proof(case)?, hash(&case["root1"])?, hash(&case["root2"])?).ok()
        };
        let wanted = case["wantErr"] == false;
        assert_eq!(verdict().is_some(), wanted, "{}", text(case, "file"));
        if wanted { accepted += 1 } else { refused += 1 }
    }
    assert_eq!((accepted, refused), (5, 92));
}

#[test]
fn reference_tree() {
    let file = json(include_str!("../vectors/merkle/reference_tree.json"));
    let leaves: Vec<_> =
        list(&file, "leaves_hex").iter().map(|leaf| leaf_hash(&hex(leaf.as_str().expect("hex")))).collect();
    assert_eq!(leaves, hashes_hex(&file, "leaf_hashes_hex"));
    let roots = hashes_hex(&file, "roots_hex");
    assert_eq!(roots.len(), 9);
    let mut range = CompactRange::starting_at(0);
    for size in 0..=8 {
        assert_eq!(range.root(), Ok(roots[size]));
        assert_eq!(naive::root(&leaves[..size]), roots[size]);
        if let Some(leaf) = leaves.get(size) {
            range.append_leaf(*leaf).expect("in order");
        }
    }
    let at = |case: &Value, name: &str| usize::try_from(number(case, name)).expect("small");
    assert_eq!((list(&file, "inclusion").len(), list(&file, "consistency").len()), (36, 36));
    for case in list(&file, "inclusion") {
        let (index, size) = (at(case, "index"), at(case, "size"));
        let proof = hashes_hex(case, "proof_hex");
        assert_eq!(naive::path(index, &leaves[..size]), proof);
        let verdict =
            verify_inclusion(leaves[index], number(case, "index"), number(case, "size"), &proof, roots[size]);
        assert_eq!(verdict, Ok(()));
    }
    for case in list(&file, "consistency") {
        let (old, new) = (at(case, "size1"), at(case, "size2"));
        let proof = hashes_hex(case, "proof_hex");
        assert_eq!(naive::consistency(old, &leaves[..new]), proof);
        let (old_size, new_size) = (number(case, "size1"), number(case, "size2"));
        assert_eq!(verify_consistency(old_size, new_size, &proof, roots[old], roots[new]), Ok(()));
    }
}

#[test]
fn sizes_and_lengths_that_cannot_be_are_refused_unhashed() {
    let hash = leaf_hash(b"x");
    let outside = |index, size| Err(MerkleError::IndexOutside { index, size });
    for (index, size) in [(0, 0), (1, 1), (300, 300), (u64::MAX, u64::MAX), (1 << 63, 1 << 63)] {
        assert_eq!(verify_inclusion(hash, index, size, &[], hash), outside(index, size));
    }
    // As many hashes as there are leaves, or as a `u64` has bits, whatever the tree.
    for (index, size, want) in
        [(0, 1, 0), (0, 8, 3), (7, 8, 3), (4, 5, 1), (0, 1 << 63, 63), (u64::MAX - 1, u64::MAX, 63)]
    {
        for got in [0, 1, 62, 64, 65, 100_000] {
            let verdict = verify_inclusion(hash, index, size, &vec![hash; got], hash);
            let refused = Err(MerkleError::ProofLength { want, got });
            assert!(verdict == refused || got == want, "{index} {size} {got}: {verdict:?}");
        }
    }
    assert_eq!(verify_consistency(9, 8, &[], hash, hash), Err(MerkleError::SizesReversed { old: 9, new: 8 }));
    for new in [0, 1, 8, u64::MAX] {
        assert_eq!(verify_consistency(0, new, &[], hash, hash), Err(MerkleError::EmptyOldTree));
    }
    let other = leaf_hash(b"y");
    assert_eq!(
        verify_consistency(8, 8, &[], hash, other),
        Err(MerkleError::WrongRoot { want: other, got: hash })
    );
    for (old, new, want) in [(8, 8, 0), (1, 2, 1), (3, 7, 4), (1, 1 << 63, 63), (u64::MAX - 1, u64::MAX, 64)]
    {
        for got in [0, 1, 64, 65, 100_000] {
            let verdict = verify_consistency(old, new, &vec![hash; got], hash, hash);
            let refused = Err(MerkleError::ProofLength { want, got });
            assert!(verdict == refused || got == want, "{old} {new} {got}: {verdict:?}");
        }
    }
}

/// What a leaf and the hashes beside its way up lead to.
fn climbed(leaf: Hash, index: u64, path: &[Hash]) -> Hash {
    let sides = (0..64).map(|level| index >> level & 1 == 1);
    path.iter().zip(sides).fold(leaf, |hash, (sibling, is_right)| {
        if is_right { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    })
}

#[test]
fn proofs_in_a_tree_of_2_to_the_63_lead_to_its_root_and_to_no_other() {
    let (leaf, size) = (leaf_hash(b"x"), 1 << 63);
    let path: Vec<_> = (0..63_u8).map(|level| leaf_hash(&[level])).collect();
    for index in [0, 1, 1 << 32, 1 << 62, size - 1] {
        let root = climbed(leaf, index, &path);
        assert_eq!(verify_inclusion(leaf, index, size, &path, root), Ok(()));
        let wrong = Err(MerkleError::WrongRoot { want: leaf, got: root });
        assert_eq!(verify_inclusion(leaf, index, size, &path, leaf), wrong, "{index}");
    }
    // The tree of one leaf has that leaf's hash as its root.
    let root = climbed(leaf, 0, &path);
    assert_eq!(verify_consistency(1, size, &path, leaf, root), Ok(()));
    let forked = Err(MerkleError::WrongRoot { want: leaf, got: root });
    assert_eq!(verify_consistency(1, size, &path, leaf, leaf), forked);
    let forked = Err(MerkleError::WrongRoot { want: root, got: leaf });
    assert_eq!(verify_consistency(size, size, &[], leaf, root), forked, "two roots of one size");
    let long = Err(MerkleError::ProofLength { want: 0, got: 63 });
    assert_eq!(verify_consistency(size, size, &path, leaf, leaf), long);
}

#[test]
fn sizes_at_the_ends_of_what_a_number_holds_are_walked_and_lead_nowhere() {
    let hash = leaf_hash(b"x");
    let sizes = [1, 2, 3, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    for (old, new) in sizes.iter().flat_map(|old| sizes.map(|new| (*old, new))).filter(|(old, new)| old < new)
    {
        let walked: Vec<_> = (0..=66)
            .filter(|count| match verify_consistency(old, new, &vec![hash; *count], hash, hash) {
                Err(MerkleError::ProofLength { got, .. }) => got != *count,
                Err(MerkleError::WrongRoot { .. } | MerkleError::WrongOldRoot { .. }) => true,
                verdict => unreachable!("{old} {new} {count}: {verdict:?}"),
            })
            .collect();
        assert_eq!(walked.len(), 1, "{old} {new}: one length is right, and not {walked:?}");
    }
}

#[test]
fn a_leaf_made_of_two_node_hashes_is_not_their_parent() {
    let leaves = naive::leaves(4);
    let root = naive::root(&leaves);
    let (left, right) = (node_hash(&leaves[0], &leaves[1]), node_hash(&leaves[2], &leaves[3]));
    // The content a careless verifier would hash to the root, or to the left half, of a smaller tree.
    let forged = leaf_hash(&[left.0, right.0].concat());
    assert!(verify_inclusion(forged, 0, 1, &[], root).is_err());
    let half = leaf_hash(&[leaves[0].0, leaves[1].0].concat());
    assert!(verify_inclusion(half, 0, 2, &[right], root).is_err());
    // The inner node itself does lead to the root: only hashing leaves as leaves keeps it out.
    assert_eq!(verify_inclusion(left, 0, 2, &[right], root), Ok(()));
}

#[test]
fn a_proof_for_one_size_does_not_lead_to_another_sizes_root() {
    let leaves = naive::leaves(40);
    let roots: Vec<_> = (0..=40).map(|size| naive::root(&leaves[..size])).collect();
    for size in 1..=40_u64 {
        let at = usize::try_from(size).expect("small");
        let proof = naive::path(0, &leaves[..at]);
        let old_proof = naive::consistency(1, &leaves[..at]);
        for other in (1..=40_u64).filter(|other| *other != size) {
            let root = roots[usize::try_from(other).expect("small")];
            assert!(verify_inclusion(leaves[0], 0, other, &proof, root).is_err(), "{size} as {other}");
            assert!(verify_consistency(1, other, &old_proof, roots[1], root).is_err(), "{size} as {other}");
        }
    }
}

/// Every hash that differs from `hash` in one bit.
fn flipped(hash: Hash) -> impl Iterator<Item = Hash> {
    (0..256).map(move |bit| {
        let mut other = hash;
        other.0[bit / 8] ^= 1 << (bit % 8);
        other
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_flipped_bit_breaks_an_inclusion_proof(size in 1_u64..200, pick in any::<prop::sample::Index>()) {
        let leaves = naive::leaves(size);
        let index = pick.index(leaves.len());
        let (leaf, at, root) = (leaves[index], u64::try_from(index).expect("small"), naive::root(&leaves));
        let proof = naive::path(index, &leaves);
        prop_assert_eq!(verify_inclusion(leaf, at, size, &proof, root), Ok(()));
        for other in flipped(leaf) {
            prop_assert!(verify_inclusion(other, at, size, &proof, root).is_err());
        }
        for other in flipped(root) {
            prop_assert!(verify_inclusion(leaf, at, size, &proof, other).is_err());
        }
        for position in 0..proof.len() {
            for other in flipped(proof[position]) {
                let mut proof = proof.clone();
                proof[position] = other;
                prop_assert!(verify_inclusion(leaf, at, size, &proof, root).is_err());
            }
            let mut shorter = proof.clone();
            shorter.remove(position);
            prop_assert!(verify_inclusion(leaf, at, size, &shorter, root).is_err());
        }
        for bit in 0..64 {
            prop_assert!(verify_inclusion(leaf, at ^ (1 << bit), size, &proof, root).is_err());
        }
    }

    #[test]
    fn any_flipped_bit_breaks_a_consistency_proof(new in 2_u64..200, pick in any::<prop::sample::Index>()) {
        let leaves = naive::leaves(new);
        let split = 1 + pick.index(leaves.len() - 1);
        let old = u64::try_from(split).expect("small");
        let (old_root, new_root) = (naive::root(&leaves[..split]), naive::root(&leaves));
        let proof = naive::consistency(split, &leaves);
        prop_assert_eq!(verify_consistency(old, new, &proof, old_root, new_root), Ok(()));
        for (one, other) in flipped(old_root).zip(flipped(new_root)) {
            prop_assert!(verify_consistency(old, new, &proof, one, new_root).is_err());
            prop_assert!(verify_consistency(old, new, &proof, old_root, other).is_err());
        }
        for position in 0..proof.len() {
            for other in flipped(proof[position]) {
                let mut proof = proof.clone();
                proof[position] = other;
                prop_assert!(verify_consistency(old, new, &proof, old_root, new_root).is_err());
            }
        }
        for bit in 0..64 {
            prop_assert!(verify_consistency(old ^ (1 << bit), new, &proof, old_root, new_root).is_err());
        }
    }
}
