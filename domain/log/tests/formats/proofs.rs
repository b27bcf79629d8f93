//! The golden log: checkpoints with witnesses, a consistency proof, proof files, and their forgeries.

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{Hash, MerkleError, leaf_hash, verify_consistency},
    note::VerifierKey,
    policy::{LogPolicy, PolicyError, TrustedCheckpoint},
    proof::{LogProof, LogProofError},
    tile::{TileSet, append},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors::{json, list, number, text};

fn golden() -> Value {
    json(include_str!("../vectors/tlog/golden_log.json"))
}

fn origin(file: &Value) -> &str {
    text(file, "log_vkey").split('+').next().expect("a name")
}

fn policy(file: &Value, quorum: u64) -> LogPolicy {
    let log = VerifierKey::parse(text(file, "log_vkey")).expect("a good key");
    let witnesses = list(file, "witness_vkeys")
        .iter()
        .map(|key| VerifierKey::parse(key.as_str().expect("a text")).expect("a good key"))
        .collect();
    let quorum = usize::try_from(quorum).expect("small");
    LogPolicy::new(origin(file), vec![log], witnesses, quorum).expect("a sound policy")
}

fn leaf(index: u64) -> Vec<u8> {
    format!(r#"{{"seq":{index},"type":"user.password_reset","v":1}}"#).into_bytes()
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|index| leaf_hash(&leaf(index))).collect()
}

fn open(file: &Value, name: &str) -> TrustedCheckpoint {
    policy(file, 2).open(text(file, name).as_bytes(), None).expect("both witnesses")
}

#[test]
fn both_checkpoints_and_the_proof_between_them() {
    let file = golden();
    let (old, new) = (open(&file, "checkpoint_200"), open(&file, "checkpoint_300"));
    assert_eq!((old.checkpoint.size(), new.checkpoint.size()), (200, number(&file, "size")));
    let witnesses: Vec<_> = new.cosigned.iter().map(|cosigned| cosigned.witness.name()).collect();
    assert_eq!(witnesses, ["witness.example.org/w1", "witness.example.net/w2"]);
    assert!(old.cosigned.iter().zip(&new.cosigned).all(|(old, new)| old.at_s < new.at_s));

    let grown = append(0, &[], &leaves(300)).expect("an empty tree");
    assert_eq!(grown.root, new.checkpoint.root());
    let proof = list(&file, "consistency_200_300_base64")
        .iter()
        .map(|hash| Hash::parse_base64(hash.as_str().expect("a text")).expect("a hash"))
        .collect::<Vec<_>>();
    assert_eq!(TileSet::new(grown.tiles).consistency_proof(200, 300), Ok(proof.clone()));
    let (old, new) = (old.checkpoint, new.checkpoint);
    assert_eq!(verify_consistency(200, 300, &proof, old.root(), new.root()), Ok(()));
    assert!(verify_consistency(200, 300, &proof, new.root(), old.root()).is_err());
}

#[test]
fn the_proof_file_is_made_and_verified() {
    let file = golden();
    let golden = text(&file, "tlog_proof_index_137");
    let tiles = TileSet::new(append(0, &[], &leaves(300)).expect("an empty tree").tiles);
    let proof = LogProof {
        extra: None,
        index: 137,
        hashes: tiles.inclusion_proof(137, 300).expect("all tiles at hand"),
        checkpoint: text(&file, "checkpoint_300").to_owned(),
    };
    assert_eq!(proof.to_string(), golden);
    assert_eq!(LogProof::parse(golden), Ok(proof.clone()));
    let policy = policy(&file, 2);
    let trusted = proof.verify(&leaf(137), &policy, None).expect("leaf 137 is there");
    assert_eq!(trusted.checkpoint.size(), 300);
    for other in [leaf(136), leaf(138), b"".to_vec()] {
        let verdict = proof.verify(&other, &policy, None);
        assert!(matches!(verdict, Err(LogProofError::Merkle(MerkleError::WrongRoot { .. }))), "{verdict:?}");
    }
}

#[test]
fn bad_checkpoints() {
    let file = golden();
    let cases = list(&file, "negative_checkpoints");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let policy = policy(&file, number(case, "policy_quorum"));
        let verdict = policy.open(text(case, "checkpoint").as_bytes(), None);
        let name = text(case, "name");
        if text(case, "expect").starts_with("accept-signature") {
            let forked = verdict.expect(name).checkpoint;
            let other = open(&file, "checkpoint_300").checkpoint;
            assert!(forked.forks_from(&other) && other.forks_from(&forked), "{name}");
            assert!(!other.forks_from(&other));
            assert!(!forked.forks_from(&open(&file, "checkpoint_200").checkpoint));
        } else {
            let fault = verdict.expect_err(name);
            assert!(fault.to_string().starts_with(why(name)), "{name}: {fault}");
        }
    }
}

/// What the refusal of each of the bad checkpoints and proofs begins with.
fn why(name: &str) -> &'static str {
    match name {
        "split-view: same size, other root, valid log signature, no witness"
        | "log key used as witness key (type 0x04 line from log key not in policy)" => {
            "0 witnesses have cosigned"
        }
        "cosignature pasted from size 200 onto size 300" => "the signature by witness.example.org/w1",
        "leading zero in tree size, validly signed" => "the size of the checkpoint",
        "31-byte root hash, validly signed" => "the root of the checkpoint",
        "other tenant's origin, validly signed by the same key" => {
            "the checkpoint is of audit.example.com/t/2222"
        }
        "empty extension line" => "the checkpoint is not three or more lines",
        "index +1" => "the proof leads to root",
        "index with leading zero" => "line 2 is malformed",
        "index >= size" => "index 300 is outside a tree of 300 leaves",
        "dropped proof hash" => "the proof has 8 hashes instead of 9",
        "extra proof hash" => "the proof has 10 hashes instead of 9",
        "wrong version line" => "the first line is not",
        "proof against older checkpoint" => "the proof has 9 hashes instead of 8",
        _ => unreachable!("a case that nobody has looked at: {name}"),
    }
}

#[test]
fn bad_proofs() {
    let file = golden();
    let cases = list(&file, "negative_proofs");
    assert_eq!(cases.len(), 7);
    for case in cases {
        let name = text(case, "name");
        let verdict = LogProof::parse(text(case, "proof"))
            .and_then(|proof| proof.verify(&leaf(137), &policy(&file, 2), None));
        let fault = verdict.expect_err(name);
        assert!(fault.to_string().starts_with(why(name)), "{name}: {fault}");
    }
}

#[test]
fn a_proof_of_one_tenant_says_nothing_about_another() {
    let file = golden();
    let proof = LogProof::parse(text(&file, "tlog_proof_index_137")).expect("a good proof");
    let log = VerifierKey::parse(text(&file, "log_vkey")).expect("a good key");
    for other in [origin(&file).replace("1111-1111", "2222-2222"), format!("{}/", origin(&file))] {
        let policy = LogPolicy::new(&other, vec![log.clone()], Vec::new(), 0).expect("a sound policy");
        let refused = LogProofError::Policy(PolicyError::OtherOrigin(origin(&file).to_owned()));
        assert_eq!(proof.verify(&leaf(137), &policy, None), Err(refused), "{other}");
    }
}

/// A root of a size it is not of: the proof alone may lead there, so the signature has to tell.
#[test]
fn a_relabelled_size_is_caught_by_the_signature() {
    let file = golden();
    let golden = text(&file, "tlog_proof_index_137");
    let policy = policy(&file, 0);
    for size in 256..=512 {
        let relabelled = golden.replace("\n300\n", &format!("\n{size}\n"));
        let proof = LogProof::parse(&relabelled).expect("the form is right");
        assert_eq!(proof.verify(&leaf(137), &policy, None).is_ok(), size == 300, "{size}");
    }
    let note = text(&file, "checkpoint_300");
    let (body, _) = note.split_once("\n\n").expect("a signed note");
    assert!(Checkpoint::parse(&format!("{body}\n")).is_ok());
}

proptest! {
    #[test]
    fn whatever_is_read_has_one_spelling(at in any::<prop::sample::Index>(), edit in any::<Option<char>>()) {
        let file = golden();
        let mut chars: Vec<_> = text(&file, "tlog_proof_index_137").chars().collect();
        let at = at.index(chars.len());
        match edit {
            Some(c) => chars[at] = c,
            None => drop(chars.remove(at)),
        }
        let edited: String = chars.into_iter().collect();
        if let Ok(read) = LogProof::parse(&edited) {
            prop_assert_eq!(read.to_string(), edited);
        }
    }
}
