//! Signed notes, checkpoints and policies against vectors and forgeries.

use audit_log::{
    checkpoint::{Checkpoint, CheckpointError},
    merkle::{Hash, leaf_hash},
    note::{Note, NoteError, NoteSignature, NoteSigner, VerifierKey, VerifierKind},
    policy::{LogPolicy, PolicyError},
    tile::{Tile, append, bundle_bytes, bundle_path, edge_tiles, parse_bundle},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

use crate::{
    naive,
    vectors::{json, list, text},
};

#[test]
fn notes_to_accept_and_to_refuse() {
    let file = json(include_str!("../vectors/tlog/signed_note.json"));
    let (mut accepted, mut refused) = (0, 0);
    for case in list(&file, "notes") {
        let name = text(case, "name");
        let keys: Result<Vec<_>, _> =
            list(case, "vkeys").iter().map(|key| VerifierKey::parse(key.as_str().expect("a text"))).collect();
        let keys = keys.expect("the keys of notes are good");
        let parsed = Note::parse(text(case, "note").as_bytes());
        let verdict = parsed.as_ref().map_err(Clone::clone).and_then(|note| note.verify(&keys));
        if text(case, "expect") == "accept" {
            assert_eq!(verdict.map(|verified| verified.len()), Ok(keys.len()), "{name}");
            assert_eq!(parsed.map(|note| note.to_text()).as_deref(), Ok(text(case, "note")), "{name}");
            accepted += 1;
        } else {
            assert_eq!(verdict, Err(why(name)), "{name}");
            refused += 1;
        }
    }
    assert_eq!((accepted, refused), (3, 19));
}

/// Why each of the notes to refuse is refused.
fn why(name: &str) -> NoteError {
    match name {
        "no-known-key" | "name-mismatch" | "keyid-mismatch" => NoteError::NoKnownSignature,
        "101-signatures" => NoteError::TooManySignatures { count: 101 },
        "corrupt-known-signature" | "text-tampered" | "extra-blank-line-before-signatures" => {
            NoteError::BadSignature { name: "PeterNeumann".to_owned() }
        }
        "text-only" | "no-signature-block" | "missing-final-newline" | "space-in-key-name" | "empty-note" => {
            NoteError::Malformed
        }
        "control-char-in-text" => NoteError::ControlCharacter { code: 1 },
        "crlf-line-endings" => NoteError::ControlCharacter { code: 13 },
        "trailing-unsigned-line" => NoteError::BadSignatureLine { line: 2 },
        "hyphen-instead-of-em-dash"
        | "valid-signature-moved-above-text-line"
        | "base64-no-padding"
        | "base64url-alphabet" => NoteError::BadSignatureLine { line: 1 },
        _ => unreachable!("a case that nobody has looked at: {name}"),
    }
}

#[test]
fn a_name_with_a_space_is_refused_in_a_note_that_ends_as_it_must() {
    let file = json(include_str!("../vectors/tlog/signed_note.json"));
    let case =
        list(&file, "notes").iter().find(|case| case["name"] == "space-in-key-name").expect("the case");
    // The vector's last line has no end, and would be refused for that alone.
    let note = format!("{}\n", text(case, "note"));
    assert_eq!(Note::parse(note.as_bytes()), Err(NoteError::BadSignatureLine { line: 1 }));
}

#[test]
fn bad_verifier_keys() {
    let file = json(include_str!("../vectors/tlog/signed_note.json"));
    let bad = list(&file, "bad_vkeys");
    assert_eq!(bad.len(), 5);
    for case in bad {
        assert!(VerifierKey::parse(text(case, "vkey")).is_err(), "{}", text(case, "why"));
    }
    let good = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(VerifierKey::parse(good).map(|key| key.to_string()).as_deref(), Ok(good));
    for bad in [
        "",
        "+",
        "++",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert!(VerifierKey::parse(bad).is_err(), "{bad:?}");
    }
}

/// 101 signatures are over our cap, and refused for it before any is verified; 17 and 64 are not.
#[test]
fn the_cap_on_signatures_is_ours() {
    let file = json(include_str!("../vectors/tlog/signed_note.json"));
    let case = list(&file, "notes").iter().find(|case| case["name"] == "101-signatures").expect("the case");
    let note = text(case, "note");
    assert_eq!(Note::parse(note.as_bytes()), Err(NoteError::TooManySignatures { count: 101 }));
    let keys = [VerifierKey::parse(list(case, "vkeys")[0].as_str().expect("a text")).expect("a good key")];
    let (head, lines) = note.rsplit_once("\n\n").expect("a signed note");
    for count in [16, 17, 64] {
        let fewer: String = lines.lines().take(count).flat_map(|line| [line, "\n"]).collect();
        let note = Note::parse(format!("{head}\n\n{fewer}").as_bytes()).expect("within the cap");
        assert_eq!(note.signatures().len(), count);
        assert_eq!(note.verify(&keys).map(|verified| verified.len()), Ok(1), "one key, however often");
    }
}

#[test]
fn tessera_log_is_rebuilt_byte_for_byte() {
    let file = json(include_str!("../vectors/tlog/tessera_log_fixture.json"));
    let origin = "example.com/log/testdata";
    let key = VerifierKey::parse(text(&file, "vkey")).expect("a good key");
    let policy = LogPolicy::new(origin, vec![key], Vec::new(), 0).expect("a log and no witness");
    let entries: Vec<_> = list(&file, "entries_utf8").iter().map(|e| e.as_str().expect("a text")).collect();
    assert_eq!((entries.len(), file["tiles_base64"].as_object().map(serde_json::Map::len)), (15, Some(30)));
    let (mut size, mut edge) = (0, Vec::new());
    let mut root = Hash::EMPTY_ROOT;
    for grown in 0..=entries.len() {
        let note = text(&file["checkpoints"], &grown.to_string());
        let head = policy.open(note.as_bytes(), None).expect("signed by the log").checkpoint;
        assert_eq!((head.size(), head.root()), (size, root));
        assert_eq!(Checkpoint::new(origin, size, root).map(|own| own.to_string()), Ok(head.to_string()));
        let Some(entry) = entries.get(grown) else { break };

        let appended = append(size, &edge, &[leaf_hash(entry.as_bytes())]).expect("the right edge");
        (size, root) = (appended.size, appended.root);
        let [tile] = appended.tiles.as_slice() else { unreachable!("one tile holds all 15") };
        let content = |path: &str| STANDARD.decode(text(&file["tiles_base64"], path)).expect("base64");
        assert_eq!(tile.to_bytes(), content(&tile.id().path()));
        let bundle = content(&bundle_path(tile.id()).expect("level 0"));
        assert_eq!(bundle_bytes(&entries[..=grown]).as_ref(), Ok(&bundle));
        let read = parse_bundle(&bundle, tile.id().width()).expect("as many entries as hashes");
        let hashes: Vec<_> = read.into_iter().map(leaf_hash).collect();
        assert_eq!(hashes, tile.hashes());
        edge = appended.tiles;
        assert_eq!(edge.iter().map(Tile::id).collect::<Vec<_>>(), edge_tiles(size));
    }
    assert_eq!(size, 15);
}

const ORIGIN: &str = "audit.example.com/t/11111111-1111-4111-8111-111111111111/iam";

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(ORIGIN, size, naive::root(&naive::leaves(size))).expect("a plain origin")
}

fn log_signer() -> NoteSigner {
    NoteSigner::from_seed(ORIGIN, &[1; 32]).expect("a plain name")
}

struct Witness(SigningKey, VerifierKey);

impl Witness {
    fn new(name: &str, seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let verifier = VerifierKey::new(name, VerifierKind::Cosignature, key.verifying_key().as_bytes());
        Self(key, verifier.expect("a plain name"))
    }

    /// The line of a cosignature by this witness, over `text` at `at_s`.
    fn cosign(&self, text: &str, at_s: u64) -> NoteSignature {
        let signature = self.0.sign(format!("cosignature/v1\ntime {at_s}\n{text}").as_bytes());
        let bytes = [&at_s.to_be_bytes()[..], &signature.to_bytes()].concat();
        NoteSignature { name: self.1.name().to_owned(), key_id: self.1.id(), bytes }
    }
}

/// A checkpoint note signed by the log with these lines added.
fn note(size: u64, lines: impl IntoIterator<Item = NoteSignature>) -> Vec<u8> {
    let mut note = checkpoint(size).sign(&log_signer()).expect("its own key");
    for line in lines {
        note.add_signature(line).expect("room");
    }
    note.to_text().into_bytes()
}

fn policy(witnesses: &[&Witness], quorum: usize) -> LogPolicy {
    let witnesses = witnesses.iter().map(|witness| witness.1.clone()).collect();
    LogPolicy::new(ORIGIN, vec![log_signer().verifier().clone()], witnesses, quorum).expect("a sound policy")
}

#[test]
fn one_witness_twice_is_one_witness() {
    let (one, two) = (Witness::new("one.example", 2), Witness::new("two.example", 3));
    let policy = policy(&[&one, &two], 2);
    let text = checkpoint(5).to_string();
    let twice = note(5, [one.cosign(&text, 100), one.cosign(&text, 101), one.cosign(&text, 100)]);
    assert_eq!(policy.open(&twice, None), Err(PolicyError::NoQuorum { quorum: 2, got: 1 }));
    let both = note(5, [one.cosign(&text, 100), two.cosign(&text, 7), one.cosign(&text, 101)]);
    let trusted = policy.open(&both, None).expect("both witnesses");
    assert_eq!(trusted.checkpoint, checkpoint(5));
    let seen: Vec<_> = trusted.cosigned.iter().map(|c| (c.witness.name(), c.at_s)).collect();
    assert_eq!(seen, [("one.example", 101), ("two.example", 7)]);
    // A cosignature does not name its maker: one key under two names must not count twice.
    let alias = Witness::new("alias.example", 2);
    let keys = vec![one.1.clone(), alias.1.clone()];
    let log = vec![log_signer().verifier().clone()];
    assert_eq!(LogPolicy::new(ORIGIN, log, keys, 2), Err(PolicyError::SameKey("alias.example".to_owned())));
}

#[test]
fn a_log_is_not_its_own_witness() {
    let own = Witness::new(ORIGIN, 1);
    let log = vec![log_signer().verifier().clone()];
    assert_eq!(
        LogPolicy::new(ORIGIN, log.clone(), vec![own.1.clone()], 1),
        Err(PolicyError::SameKey(ORIGIN.to_owned()))
    );
    let witness = Witness::new("one.example", 2);
    let forged = note(5, [own.cosign(&checkpoint(5).to_string(), 100)]);
    assert_eq!(policy(&[&witness], 1).open(&forged, None), Err(PolicyError::NoQuorum { quorum: 1, got: 0 }));
    // Nor can a witness speak for the log, or one kind of key stand for the other.
    let text = checkpoint(5).to_string();
    let cosigned_only = format!("{text}\n— {}", line(&witness.cosign(&text, 100)));
    let opened = policy(&[&witness], 1).open(cosigned_only.as_bytes(), None);
    assert_eq!(opened, Err(PolicyError::NotSignedByLog));
    assert_eq!(LogPolicy::new(ORIGIN, vec![witness.1.clone()], Vec::new(), 0), Err(PolicyError::NoLogKey));
    assert_eq!(LogPolicy::new(ORIGIN, Vec::new(), Vec::new(), 0), Err(PolicyError::NoLogKey));
    let plain = log_signer().verifier().clone();
    assert_eq!(
        LogPolicy::new(ORIGIN, log.clone(), vec![plain], 1),
        Err(PolicyError::NotAWitness(ORIGIN.to_owned()))
    );
    let unreachable = PolicyError::Unreachable { quorum: 2, witnesses: 1 };
    assert_eq!(LogPolicy::new(ORIGIN, log, vec![witness.1], 2), Err(unreachable));
}

fn line(signature: &NoteSignature) -> String {
    let encoded = STANDARD.encode([&signature.key_id[..], &signature.bytes].concat());
    format!("{} {encoded}\n", signature.name)
}

#[test]
fn cosignatures_do_not_travel() {
    let witness = Witness::new("one.example", 2);
    let policy = policy(&[&witness], 1);
    let bad = || Err(PolicyError::from(NoteError::BadSignature { name: "one.example".to_owned() }));
    let text = checkpoint(5).to_string();
    // From another size, or another origin, or another time.
    let other_size = witness.cosign(&checkpoint(4).to_string(), 100);
    assert_eq!(policy.open(&note(5, [other_size]), None), bad());
    let other_origin = witness.cosign(&text.replace("/iam\n", "/admin\n"), 100);
    assert_eq!(policy.open(&note(5, [other_origin]), None), bad());
    let mut other_time = witness.cosign(&text, 100);
    other_time.bytes[7] ^= 1;
    assert_eq!(policy.open(&note(5, [other_time]), None), bad());
    // A plain signature where a cosignature belongs, and a time no clock can show.
    let plain = witness.0.sign(text.as_bytes()).to_bytes().to_vec();
    let plain = NoteSignature { bytes: plain, ..witness.cosign(&text, 100) };
    assert_eq!(policy.open(&note(5, [plain]), None), bad());
    assert_eq!(policy.open(&note(5, [witness.cosign(&text, 1 << 63)]), None), bad());
    assert!(policy.open(&note(5, [witness.cosign(&text, (1 << 63) - 1)]), None).is_ok());
}

#[test]
fn cosignatures_from_the_future_do_not_count() {
    let witness = Witness::new("one.example", 2);
    let policy = policy(&[&witness], 1);
    let signed = note(5, [witness.cosign(&checkpoint(5).to_string(), 1_000)]);
    assert_eq!(policy.open(&signed, Some(999)), Err(PolicyError::NoQuorum { quorum: 1, got: 0 }));
    assert!(policy.open(&signed, Some(1_000)).is_ok());
}

#[test]
fn another_logs_checkpoint_is_not_this_ones() {
    let policy = policy(&[], 0);
    assert!(policy.open(&note(5, []), None).is_ok());
    for other in [
        ORIGIN.replace("1111-1111", "2222-2222"),
        ORIGIN.replace("/iam", "/admin"),
        ORIGIN.replace("/iam", "/IAM"),
        format!("{ORIGIN}/"),
        ORIGIN.replace("audit", "аudit"),
        ORIGIN.replace("example", "exam\u{200b}ple"),
    ] {
        // Even when signed by the very same key under the expected name.
        let text = checkpoint(5).to_string().replace(ORIGIN, &other);
        let note = Note::sign(text, &log_signer()).expect("a plain text");
        assert_eq!(
            policy.open(note.to_text().as_bytes(), None),
            Err(PolicyError::OtherOrigin(other.clone()))
        );
        // And its own key is nobody known here.
        let signer = NoteSigner::from_seed(&other, &[1; 32]).expect("a plain name");
        let own = Checkpoint::new(&other, 5, checkpoint(5).root()).and_then(|c| c.sign(&signer));
        assert_eq!(
            policy.open(own.expect("its own key").to_text().as_bytes(), None),
            Err(NoteError::NoKnownSignature.into())
        );
    }
}

#[test]
fn either_key_will_do_while_one_is_being_changed() {
    let old = NoteSigner::from_seed(ORIGIN, &[8; 32]).expect("a plain name");
    let keys = vec![log_signer().verifier().clone(), old.verifier().clone()];
    let policy = LogPolicy::new(ORIGIN, keys, Vec::new(), 0).expect("two keys of one log");
    for signer in [old, log_signer()] {
        let note = checkpoint(5).sign(&signer).expect("its own key").to_text();
        assert_eq!(policy.open(note.as_bytes(), None).map(|trusted| trusted.checkpoint), Ok(checkpoint(5)));
    }
}

#[test]
fn any_flipped_bit_of_a_signed_checkpoint_is_seen() {
    let policy = policy(&[], 0);
    let good = note(5, []);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(policy.open(&bad, None).is_err(), "bit {bit}");
    }
    for cut in 0..good.len() {
        assert!(policy.open(&good[..cut], None).is_err(), "cut at {cut}");
    }
    let crlf = String::from_utf8(good).expect("UTF-8").replace('\n', "\r\n");
    assert_eq!(
        policy.open(crlf.as_bytes(), None),
        Err(PolicyError::Checkpoint(CheckpointError::Note(NoteError::ControlCharacter { code: 13 })))
    );
}

proptest! {
    #[test]
    fn whatever_is_read_has_one_spelling(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<Option<char>>()), 1..4),
        noise in "[\\n a—+=A/]{0,40}",
    ) {
        let mut chars: Vec<_> = String::from_utf8(note(5, [])).expect("UTF-8").chars().collect();
        for (at, edit) in edits {
            let at = at.index(chars.len());
            match edit {
                Some(c) => chars[at] = c,
                None => drop(chars.remove(at)),
            }
        }
        for text in [chars.into_iter().collect(), noise] {
            if let Ok(read) = Note::parse(text.as_bytes()) {
                prop_assert_eq!(read.to_text(), text);
                if let Ok(checkpoint) = Checkpoint::parse(read.text()) {
                    prop_assert_eq!(checkpoint.to_string(), read.text());
                }
            }
        }
    }
}
