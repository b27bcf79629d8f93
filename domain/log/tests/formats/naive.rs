//! RFC 6962 sections 2.1 to 2.1.2 written down word for word, to compare with.

use audit_log::merkle::{Hash, leaf_hash, node_hash};

/// The leaf hashes of leaves `0..size`, all different.
pub(crate) fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|i| leaf_hash(format!("leaf {i}").as_bytes())).collect()
}

fn split(size: usize) -> usize {
    let mut k = 1;
    while k * 2 < size {
        k *= 2;
    }
    k
}

/// MTH(D\[n\]).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D\[n\]).
pub(crate) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if m < k { (self::path(m, left), root(right)) } else { (self::path(m - k, right), root(left)) };
    path.push(sibling);
    path
}

/// PROOF(m, D\[n\]).
pub(crate) fn consistency(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(m, leaves, true)
}

fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if m <= k {
        (subproof(m, left, known), root(right))
    } else {
        (subproof(m - k, right, false), root(left))
    };
    proof.push(sibling);
    proof
}
