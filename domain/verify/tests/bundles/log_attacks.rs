//! What somebody does to leaves, proofs and heads, with all keys but those that are demanded: everything is hashed and
//! signed anew by the report's signer.

use std::collections::BTreeMap;

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{Hash, leaf_hash, node_hash},
    note::NoteSigner,
    proof::LogProof,
};
use matricula_verify::{Anchors, Refusal, Step};
use report_bundle::{
    heads::{platform_leaf, write_hashes},
    manifest::Range,
    names,
    query::Query,
    writer::SegmentBuilder,
};
use serde_json::json;

use super::kit::{
    Bundle, END_SEEN_S, KeyKind, Log, Maker, Pki, Seal, TENANT, Witness, commit, edit_manifest, erasure,
    leaf, reseal, uuid, value_of,
};

struct Scene {
    pki: Pki,
    maker: Maker,
    bundle: Bundle,
}

fn scene() -> Scene {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let bundle = maker.make(&pki, Seal::Signed);
    Scene { pki, maker, bundle }
}

type Files = BTreeMap<String, Vec<u8>>;

impl Scene {
    fn meddled(&self, meddle: impl FnOnce(&mut Files)) -> Step {
        self.refusal_of(meddle).step
    }

    /// The same, with its reason.
    fn refusal_of(&self, meddle: impl FnOnce(&mut Files)) -> Refusal {
        let mut files = self.bundle.files().files;
        meddle(&mut files);
        self.bundle.judge(&self.pki, &reseal(&self.pki, files)).expect_err("refused")
    }

    /// The step at which it is refused with another text for a file.
    fn with(&self, name: &str, text: impl Into<Vec<u8>>) -> Step {
        self.refusal(name, text).step
    }

    fn refusal(&self, name: &str, text: impl Into<Vec<u8>>) -> Refusal {
        self.refusal_of(|files| drop(files.insert(name.to_owned(), text.into())))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bundle.files().files[name].clone()).expect("UTF-8")
    }
}

fn segment(first: u64, leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut segment = SegmentBuilder::new(first);
    for leaf in leaves {
        segment.push(leaf).expect("in memory");
    }
    segment.finish().expect("in memory").1
}

/// Changes a text in one place.
fn swap_at(text: &str, at: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    bytes
}

#[test]
fn a_bit_of_a_leaf_is_flipped() {
    let scene = scene();
    let name = names::segment(13);
    for (at, step) in [(20, Step::Range), (21, Step::Range)] {
        let mut leaves = scene.maker.log.leaves[13..190].to_vec();
        // A digit of the device's hash: still a leaf, and not the one that was signed.
        let text = String::from_utf8(leaves[at].clone()).expect("UTF-8");
        leaves[at] = text.replacen("\"device_fp\":\"0", "\"device_fp\":\"1", 1).into_bytes();
        assert_ne!(leaves[at], text.as_bytes());
        assert_eq!(scene.with(&name, segment(13, &leaves)), step, "{at}");
    }
}

#[test]
fn a_text_of_a_leaf_is_in_the_other_normal_form() {
    let pki = Pki::new(KeyKind::P256);
    for (signed, shown) in [("caf\u{e9}", "cafe\u{301}"), ("cafe\u{301}", "caf\u{e9}")] {
        let mut maker = Maker::new();
        maker.log.leaves[20] = leaf(20, json!({ "reason": signed }));
        let bundle = maker.make(&pki, Seal::Signed);
        assert!(bundle.judge(&pki, &bundle.files()).is_ok());
        maker.log.leaves[20] = leaf(20, json!({ "reason": shown }));
        let step = bundle.meddled(&pki, |files| {
            files.insert(names::segment(13), segment(13, &maker.log.leaves[13..190]));
        });
        assert_eq!(step, Step::Range, "{signed}");
    }
}

#[test]
fn a_hash_of_a_root_boundary_or_proof_is_another() {
    let scene = scene();
    let boundary = scene.text(names::BOUNDARY);
    assert_eq!(scene.with(names::BOUNDARY, swap_at(&boundary, 3)), Step::Heads);
    let consistency = scene.text(names::CONSISTENCY);
    assert_eq!(scene.with(names::CONSISTENCY, swap_at(&consistency, 3)), Step::Heads);
    for name in [names::CHECKPOINT, names::CHECKPOINT_BEFORE] {
        let note = scene.text(name);
        let root = note.lines().nth(2).expect("a root");
        let at = note.find(root).expect("there");
        assert_eq!(scene.with(name, swap_at(&note, at)), Step::Heads, "{name}");
        assert_eq!(scene.with(name, swap_at(&note, note.len() - 10)), Step::Heads, "the signature of {name}");
    }
    for name in [names::PLATFORM_PROOF, names::PLATFORM_PROOF_BEFORE] {
        let proof = LogProof::parse(&scene.text(name)).expect("a proof");
        let mut hashes = proof.hashes.clone();
        hashes[0] = Hash([0; 32]);
        let other = LogProof { hashes, ..proof.clone() };
        assert_eq!(scene.with(name, other.to_string()), Step::Heads, "a hash of {name}");
        let other = LogProof { index: proof.index - 1, ..proof.clone() };
        assert_eq!(scene.with(name, other.to_string()), Step::Heads, "the index of {name}");
        let other = LogProof { extra: Some(vec![0; 32]), ..proof.clone() };
        assert_eq!(scene.with(name, other.to_string()), Step::Heads, "the salt of {name}");
        let other = LogProof { extra: None, ..proof };
        assert_eq!(scene.with(name, other.to_string()), Step::Heads, "no salt in {name}");
    }
}

#[test]
fn the_range_is_said_to_be_another() {
    let scene = scene();
    let said = |range: Range| scene.meddled(|files| edit_manifest(files, |manifest| manifest.range = range));
    assert_eq!(said(Range { first: 13, end: 191 }), Step::Heads);
    assert_eq!(said(Range { first: 13, end: 189 }), Step::Heads);
    assert_eq!(said(Range { first: 12, end: 190 }), Step::Heads);
    assert_eq!(said(Range { first: 0, end: 190 }), Step::Heads);
}

#[test]
fn a_leaf_is_two_hashes_in_place_of_what_they_are_of() {
    // Without separate prefixes, an inner node would pass for a leaf of 64 bytes.
    let scene = scene();
    let leaves = &scene.maker.log.leaves;
    let pair = [leaf_hash(&leaves[14]).0, leaf_hash(&leaves[15]).0].concat();
    assert_ne!(leaf_hash(&pair), node_hash(&leaf_hash(&leaves[14]), &leaf_hash(&leaves[15])));
    let mut forged = leaves[13..190].to_vec();
    forged.splice(1..3, [pair]);
    assert_eq!(scene.with(&names::segment(13), segment(13, &forged)), Step::Leaves);
}

#[test]
fn proofs_are_of_impossible_sizes() {
    let scene = scene();
    let proof = LogProof::parse(&scene.text(names::PLATFORM_PROOF)).expect("a proof");
    let with = |proof: &LogProof| scene.with(names::PLATFORM_PROOF, proof.to_string());
    for (index, hashes) in [
        (3, proof.hashes.clone()),
        (u64::MAX, proof.hashes.clone()),
        (1 << 63, proof.hashes.clone()),
        (proof.index, vec![Hash([0; 32]); 64]),
        (proof.index, Vec::new()),
    ] {
        assert_eq!(with(&LogProof { index, hashes, ..proof.clone() }), Step::Heads, "{index}");
    }
    // A head of an empty tree has nothing in it.
    let empty = Log::new(scene.maker.platform.origin(), 3, Vec::new());
    let note = scene.maker.witnesses.iter().fold(empty.note(0), |note, w| w.cosign(&note, 1_785_672_000));
    assert_eq!(with(&LogProof { checkpoint: note, index: 0, ..proof.clone() }), Step::Heads);
    let hash = "A".repeat(43) + "=\n";
    let lines = |count: usize| proof.to_string().replacen("\n\n", &format!("\n{}\n", hash.repeat(count)), 1);
    assert_eq!(
        scene.with(names::PLATFORM_PROOF, lines(65)),
        Step::Heads,
        "more hashes than any tree has levels"
    );
}

/// A checkpoint that the log has signed, whatever it has in it.
fn claimed(log: &Log, seed: u8, size: u64, root: Hash) -> String {
    let signer = NoteSigner::from_seed(log.origin(), &[seed; 32]).expect("a plain name");
    let checkpoint = Checkpoint::new(log.origin(), size, root).expect("a plain origin");
    checkpoint.sign(&signer).expect("its own").to_text()
}

#[test]
fn a_head_is_of_a_tree_that_no_log_can_have() {
    let scene = scene();
    let platform = &scene.maker.platform;
    let proof = LogProof::parse(&scene.text(names::PLATFORM_PROOF)).expect("a proof");
    let hashes = vec![Hash([7; 32]); 63];
    for (size, count, why) in [
        (1 << 63, 63, "leads to root"),
        (1 << 63, 62, "62 hashes instead of 63"),
        (1 << 63, 64, "64 hashes instead of 63"),
        ((1 << 63) + 1, 63, "63 hashes instead of 64"),
        (u64::MAX, 63, "63 hashes instead of 64"),
    ] {
        let note = scene.maker.cosigned(claimed(platform, 3, size, Hash([9; 32])), END_SEEN_S);
        let hashes = hashes.iter().copied().cycle().take(count).collect();
        let other = LogProof { hashes, checkpoint: note, ..proof.clone() };
        let refusal = scene.refusal(names::PLATFORM_PROOF, other.to_string());
        assert!(refusal.step == Step::Heads && refusal.why.contains(why), "{size} {count}: {refusal}");
    }
    // Of a tenant's log: the range says how many leaves there are, and JSON cannot say so many.
    let log = &scene.maker.log;
    let note = claimed(log, 1, 1 << 63, Hash([9; 32]));
    let step = scene.meddled(|files| {
        files.insert(names::CHECKPOINT.to_owned(), note.clone().into_bytes());
        files.insert(names::CONSISTENCY.to_owned(), write_hashes(hashes.clone()).into_bytes());
    });
    assert_eq!(step, Step::Heads);
    let step = scene.meddled(|files| {
        files.insert(names::CHECKPOINT.to_owned(), note.into_bytes());
        let manifest = String::from_utf8(files[names::MANIFEST].clone()).expect("UTF-8");
        let larger = manifest.replace("\"end\":190", "\"end\":9223372036854775808");
        assert_ne!(larger, manifest);
        files.insert(names::MANIFEST.to_owned(), larger.into_bytes());
    });
    assert_eq!(step, Step::Manifest);
    let most = (1 << 53) - 1;
    for count in [52, 63, 104] {
        let refusal = scene.refusal_of(|files| {
            let note = claimed(log, 1, most, Hash([9; 32]));
            files.insert(names::CHECKPOINT.to_owned(), note.into_bytes());
            files
                .insert(names::CONSISTENCY.to_owned(), write_hashes(vec![Hash([7; 32]); count]).into_bytes());
            edit_manifest(files, |manifest| manifest.range = Range { first: 13, end: most });
        });
        assert!(
            refusal.step == Step::Heads && refusal.why.starts_with(names::CONSISTENCY),
            "{count}: {refusal}"
        );
    }
}

#[test]
fn consistency_is_claimed_where_there_is_none() {
    let scene = scene();
    let log = &scene.maker.log;
    assert_eq!(scene.with(names::CONSISTENCY, ""), Step::Heads, "an empty proof between two sizes");
    let linear: Vec<_> = log.leaves[13..120].iter().map(|leaf| leaf_hash(leaf)).collect();
    assert_eq!(scene.with(names::CONSISTENCY, write_hashes(linear)), Step::Heads, "a long linear proof");
    assert_eq!(
        scene.with(names::CONSISTENCY, write_hashes(log.consistency(12, 190))),
        Step::Heads,
        "of another size"
    );
    let newer = log.note(191);
    assert_eq!(scene.with(names::CHECKPOINT_BEFORE, newer), Step::Heads, "the earlier head is the later");
    let without = scene.meddled(|files| {
        files.remove(names::CHECKPOINT_BEFORE);
    });
    assert_eq!(without, Step::Heads, "a proof from nothing");
}

#[test]
fn two_heads_of_one_size_have_two_roots() {
    // The log shows the auditor a tree in which one event never was. Its own key signs both; the witnesses saw one.
    let mut scene = scene();
    let honest = scene.maker.log.checkpoint(190);
    scene.maker.log.leaves[15] = leaf(15, json!({"type": "sign_out"}));
    let forked = scene.maker.log.checkpoint(190);
    assert!(honest.forks_from(&forked));
    let shown = {
        let honest_platform = scene.text(names::PLATFORM_PROOF);
        let bundle = scene.maker.make(&scene.pki, Seal::Signed);
        let mut files = bundle.files().files;
        files.insert(names::PLATFORM_PROOF.to_owned(), honest_platform.into_bytes());
        reseal(&scene.pki, files)
    };
    assert_eq!(scene.bundle.refused(&scene.pki, &shown), Step::Heads);
}

#[test]
fn a_platforms_two_heads_of_one_size_have_two_roots() {
    let scene = scene();
    let platform = &scene.maker.platform;
    let salt_of = |name: &str| {
        LogProof::parse(&scene.text(name)).ok().and_then(|proof| proof.extra).expect("a proof with a salt")
    };
    // The beginning is shown in the tree that the end is shown in, or in another that is as large.
    let begun_in = |leaves: Vec<Vec<u8>>| {
        let log = Log::new(platform.origin(), 3, leaves);
        let note = scene.maker.cosigned(log.note(3), 1_782_820_800);
        let mut files = scene.bundle.files().files;
        let proof = log.proof(1, &salt_of(names::PLATFORM_PROOF_BEFORE), &note);
        files.insert(names::PLATFORM_PROOF_BEFORE.to_owned(), proof.into_bytes());
        scene.bundle.judge(&scene.pki, &reseal(&scene.pki, files))
    };
    assert!(begun_in(platform.leaves.clone()).is_ok());
    let mut forked = platform.leaves.clone();
    forked[0] = b"another".to_vec();
    let refusal = begun_in(forked).expect_err("refused");
    assert!(refusal.step == Step::Heads && refusal.why.contains("forked"), "{refusal}");
}

#[test]
fn the_log_of_erasures_has_two_roots_at_one_size() {
    let scene = scene();
    let proof = |maker: &Maker, index: usize| {
        let note = maker.cosigned(maker.admin.note(5), END_SEEN_S);
        maker.admin.proof(index, &maker.admin.leaves[index], &note)
    };
    let mut other = Maker::new();
    let mut fields = erasure();
    fields["target"]["id"] = json!(uuid(6));
    other.admin.leaves[4] = leaf(4, fields);
    // Each leads to a head that the log has signed and witnesses have cosigned.
    let refusal = scene.refusal(&names::erasure_proof(4), proof(&other, 4));
    assert!(refusal.step == Step::Erasures && refusal.why.contains("forked"), "{refusal}");
    let alone = scene.refusal_of(|files| {
        files.insert(names::erasure_proof(3), proof(&other, 3).into_bytes());
        files.insert(names::erasure_proof(4), proof(&other, 4).into_bytes());
    });
    assert!(alone.step == Step::Erasures && alone.why.contains("no row needs"), "{alone}");
}

#[test]
fn a_report_of_the_log_of_erasures_has_one_head_and_its_proofs_another() {
    let pki = Pki::new(KeyKind::P256);
    let made = |first: serde_json::Value, proven_at: usize| {
        let mut maker = Maker::new();
        let event = |number: u64| {
            let (commitment, _) = commit(number, &value_of(number));
            let odd = json!({"stream": "admin", "diff_commit": commitment, "subject": uuid(number % 7)});
            leaf(number, if number.is_multiple_of(2) { json!({"stream": "admin"}) } else { odd })
        };
        let mut leaves: Vec<_> = (0..20).map(event).collect();
        leaves[3] = leaf(3, erasure());
        (maker.stream, maker.kind, maker.query) = ("admin", "custom", Query::everything());
        (maker.first, maker.end) = (4, 20);
        maker.log = Log::new(maker.admin.origin(), 2, leaves.clone());
        maker.admin.leaves = leaves;
        maker.admin.leaves.truncate(proven_at);
        maker.admin.leaves[0] = leaf(0, first);
        let mut bundle = maker.make(&pki, Seal::Signed);
        // One log, and not two lines of one key.
        let line = format!("log {}\n", maker.log.vkey());
        bundle.policy = bundle.policy.replacen(&line, "", 1);
        bundle.judge(&pki, &bundle.files())
    };
    // Of the range's end, and of a size within it.
    for (proven_at, step, why) in [(20, Step::Erasures, "forked"), (11, Step::Range, "do not fold")] {
        let verdict = made(json!({"stream": "admin"}), proven_at).expect("verified");
        assert!(verdict.manifest.erasures > 0);
        let other = json!({"stream": "admin", "outcome": "denied", "type": "sign_out"});
        let refusal = made(other, proven_at).expect_err("refused");
        assert!(refusal.step == step && refusal.why.contains(why), "{proven_at}: {refusal}");
    }
}

#[test]
fn the_log_calls_itself_something_else() {
    let scene = scene();
    for (origin, step) in [
        (format!("audit.example.com/t/{TENANT}/iam/"), Step::Manifest),
        (format!("audit.example.com/t/{}/iam", TENANT.to_uppercase()), Step::Manifest),
        (format!("Audit.example.com/t/{TENANT}/iam"), Step::Heads),
        (format!("audit.еxample.com/t/{TENANT}/iam"), Step::Heads),
        (format!("other.example.com/t/{TENANT}/iam"), Step::Heads),
    ] {
        // The same leaves under the same key, by another name: a reader that starts afresh would believe it.
        let mut maker = Maker::new();
        maker.log = Log::new(&origin, 1, maker.log.leaves.clone());
        let bundle = maker.make(&scene.pki, Seal::Signed);
        assert_eq!(scene.bundle.refused(&scene.pki, &bundle.files()), step, "{origin}");
    }
    // The manifest says one name and the head another.
    let head = scene.maker.log.note(190);
    let other =
        Log::new(&format!("other.example.com/t/{TENANT}/iam"), 1, scene.maker.log.leaves.clone()).note(190);
    assert_ne!(head, other);
    assert_eq!(scene.with(names::CHECKPOINT, other), Step::Heads);
}

#[test]
fn notes_are_spelled_in_another_way() {
    let scene = scene();
    let note = scene.text(names::CHECKPOINT);
    let line = note.lines().last().expect("a signature").to_owned();
    let unknown = line.replacen('A', "B", 1);
    for (bad, what) in [
        (note.replace('\n', "\r\n"), "CRLF"),
        (note.trim_end().to_owned(), "no last newline"),
        (note.replace('—', "-"), "another dash"),
        (format!("{note}\n"), "a blank line behind"),
        (format!("{note}\n{line}\n"), "a signature after a blank line"),
        (format!("{note}{}", format!("{line}\n").repeat(100)), "101 signatures"),
        (note.replace("iam\n190", "iam\n0190"), "a leading zero"),
        (note.replace("iam\n190", "iam\n+190"), "a sign"),
        (note.replacen('=', "", 1), "no padding"),
        (note.replace("\n\n", "\n\u{1}\n\n"), "a control character"),
        (note.replace(&line, &line.replace(' ', "  ")), "two spaces"),
        (note.replace(&line, &unknown), "another signature under a known name"),
    ] {
        assert_ne!(bad, note, "{what}");
        assert_eq!(scene.with(names::CHECKPOINT, bad), Step::Heads, "{what}");
    }
    // Sixteen more signatures by others do no harm.
    let others = (0..16)
        .fold(note.clone(), |note, seed| Witness::new("other.example.org", 100 + seed).cosign(&note, 7));
    let files = {
        let mut files = scene.bundle.files().files;
        files.insert(names::CHECKPOINT.to_owned(), others.into_bytes());
        reseal(&scene.pki, files)
    };
    assert!(scene.bundle.judge(&scene.pki, &files).is_ok());
}

#[test]
fn a_log_of_the_same_name_under_another_key_is_not_believed_for_the_policy_it_brings_along() {
    let scene = scene();
    let mut maker = Maker::new();
    maker.log = Log::new(scene.maker.log.origin(), 99, scene.maker.log.leaves.clone());
    let forged = maker.make(&scene.pki, Seal::Signed);
    assert!(forged.judge(&scene.pki, &forged.files()).is_ok(), "by its own policy");
    assert_ne!(forged.files().files[names::POLICY], scene.bundle.files().files[names::POLICY]);
    assert_eq!(scene.bundle.refused(&scene.pki, &forged.files()), Step::Heads);
}

#[test]
fn witnesses_are_counted_as_they_must_be() {
    let scene = scene();
    let proof = LogProof::parse(&scene.text(names::PLATFORM_PROOF)).expect("a proof");
    let note = scene.maker.platform.note(3);
    let [first, second] = [&scene.maker.witnesses[0], &scene.maker.witnesses[1]];
    let seen = 1_785_672_000;
    let with = |checkpoint: String| {
        scene.with(names::PLATFORM_PROOF, LogProof { checkpoint, ..proof.clone() }.to_string())
    };
    assert_eq!(with(note.clone()), Step::Heads, "nobody");
    assert_eq!(with(first.cosign(&note, seen)), Step::Heads, "one of two");
    assert_eq!(with(first.cosign(&first.cosign(&note, seen), seen + 1)), Step::Heads, "one twice");
    let future = 4_070_908_800;
    assert_eq!(with(second.cosign(&first.cosign(&note, seen), future)), Step::Heads, "one from the future");
    let stranger = Witness::new("w2.example.org", 99);
    assert_eq!(
        with(stranger.cosign(&first.cosign(&note, seen), seen)),
        Step::Heads,
        "another under a known name"
    );
    // A cosignature moved from another size, and from another log.
    let smaller =
        Log::new(scene.maker.platform.origin(), 3, scene.maker.platform.leaves[..2].to_vec()).note(2);
    let elsewhere = Log::new("audit.example.net/platform", 3, scene.maker.platform.leaves.clone()).note(3);
    for other in [smaller, elsewhere] {
        let other = second.cosign(&other, seen);
        let moved = other.lines().last().expect("a cosignature");
        assert_eq!(with(format!("{}{moved}\n", first.cosign(&note, seen))), Step::Heads, "a moved one");
    }
    // A witness key that is the log's, or listed twice, is no policy at all.
    let root = scene.pki.folder.read("root.pem");
    for (keys, why) in [([3, 12], "is listed already"), ([11, 11], "line 3: the key is listed already")] {
        let line = |(seed, n): (&u8, u32)| {
            format!("witness w{n} {}\n", Witness::new(&format!("w{n}.example.org"), *seed).vkey())
        };
        let witnesses = keys.iter().zip(1..).map(line).collect::<Vec<_>>().concat();
        let policy =
            format!("log {}\n{witnesses}group both all w1 w2\nquorum both\n", scene.maker.platform.vkey());
        let fault = Anchors::new(&root, None, &policy).expect_err("no policy");
        assert!(fault.to_string().contains(why), "{keys:?}: {fault}");
    }
}

#[test]
fn a_platforms_log_is_demanded_and_left_out() {
    let scene = scene();
    let step = scene.meddled(|files| {
        files.remove(names::PLATFORM_PROOF);
    });
    assert_eq!(step, Step::Heads);
    // A tenant's log does not pass for a platform's.
    let mut own = Log::new(scene.maker.log.origin(), 1, Vec::new());
    own.leaves = vec![platform_leaf(&[9; 32], &scene.maker.log.checkpoint(190).to_string())];
    let note = scene.maker.witnesses.iter().fold(own.note(1), |note, w| w.cosign(&note, 1_785_672_000));
    assert_eq!(scene.with(names::PLATFORM_PROOF, own.proof(0, &[9; 32], &note)), Step::Heads);
}

#[test]
fn what_is_one_tenants_is_shown_as_anothers() {
    let scene = scene();
    let other = uuid(0xbb);
    // The whole bundle of another tenant, whose log the policy knows as well.
    let step = scene.meddled(|files| {
        edit_manifest(files, |manifest| {
            manifest.tenant_id.clone_from(&other);
            manifest.origin = format!("audit.example.com/t/{other}/iam");
        });
    });
    assert_eq!(step, Step::Manifest, "not the tenant that was asked about");
    let step =
        scene.meddled(|files| edit_manifest(files, |manifest| manifest.origin = format!("x/t/{other}/iam")));
    assert_eq!(step, Step::Manifest, "the log of another");
    // Another tenant's head over the same leaves.
    let theirs = Log::new(&format!("audit.example.com/t/{other}/iam"), 8, scene.maker.log.leaves.clone());
    assert_eq!(scene.with(names::CHECKPOINT, theirs.note(190)), Step::Heads);
    // Another tenant's event among ours, in a log that we signed.
    let mut maker = Maker::new();
    maker.log.leaves[100] = leaf(100, json!({"tenant_id": other}));
    let bundle = maker.make(&scene.pki, Seal::Signed);
    assert_eq!(scene.bundle.refused(&scene.pki, &bundle.files()), Step::Leaves);
    // Another stream's event.
    maker.log.leaves[100] = leaf(100, json!({"stream": "access"}));
    let bundle = maker.make(&scene.pki, Seal::Signed);
    assert_eq!(scene.bundle.refused(&scene.pki, &bundle.files()), Step::Leaves);
    // Another tenant's erasure.
    let mut maker = Maker::new();
    let mut theirs = erasure();
    theirs["tenant_id"] = json!(other);
    maker.admin.leaves[3] = leaf(3, theirs);
    let bundle = maker.make(&scene.pki, Seal::Signed);
    assert_eq!(scene.bundle.refused(&scene.pki, &bundle.files()), Step::Erasures);
}

#[test]
fn a_matching_event_is_left_out_together_with_its_leaf() {
    let scene = scene();
    let mut leaves = scene.maker.log.leaves[13..190].to_vec();
    leaves.remove(2);
    let step = scene.meddled(|files| {
        files.insert(names::segment(13), segment(13, &leaves));
        let csv = String::from_utf8(files[names::REPORT].clone()).expect("UTF-8");
        let lines: String = csv.split_inclusive("\r\n").filter(|line| !line.starts_with("15,")).collect();
        assert!(lines.len() < csv.len());
        files.insert(names::REPORT.to_owned(), lines.into_bytes());
    });
    assert_eq!(step, Step::Range);
    // Another in its place, or the last one, or two swapped.
    let mut swapped = scene.maker.log.leaves[13..190].to_vec();
    swapped.swap(2, 4);
    assert_eq!(scene.with(&names::segment(13), segment(13, &swapped)), Step::Range);
    assert_eq!(scene.with(&names::segment(13), segment(13, &scene.maker.log.leaves[13..189])), Step::Range);
    let gap = scene.meddled(|files| {
        files.insert(names::segment(13), segment(13, &scene.maker.log.leaves[13..100]));
        files.insert(names::segment(101), segment(101, &scene.maker.log.leaves[101..190]));
    });
    assert_eq!(gap, Step::Range);
    let over = scene.meddled(|files| {
        files.insert(names::segment(189), segment(189, &scene.maker.log.leaves[189..190]));
    });
    assert_eq!(over, Step::Range, "a leaf twice");
}

#[test]
fn leaves_are_not_what_leaves_are() {
    let pki = Pki::new(KeyKind::P256);
    for (bad, what) in [
        (&b"{\"a\":1,\"a\":1}"[..], "a name twice"),
        (b"{\"v\":1.0}", "a fraction"),
        (b"{\"v\":9007199254740992}", "a number too large"),
        (b"{\"v\": 1}", "a space"),
        (b"\xef\xbb\xbf{}", "a byte order mark"),
        (b"{\"v\":\"\\ud800\"}", "half a character"),
        (b"[]", "no object"),
        (b"{}", "nothing"),
    ] {
        let mut maker = Maker::new();
        let good = maker.make(&pki, Seal::Signed);
        // The log has signed even this.
        maker.log.leaves[50] = bad.to_vec();
        let heads = maker.heads();
        let step = good.meddled(&pki, |files| {
            files.insert(names::CHECKPOINT.to_owned(), heads.checkpoint.clone().into_bytes());
            files.insert(
                names::PLATFORM_PROOF.to_owned(),
                heads.platform_proof.clone().expect("made").into_bytes(),
            );
            files.remove(names::CONSISTENCY);
            files.insert(names::segment(13), segment(13, &maker.log.leaves[13..190]));
        });
        assert_eq!(step, Step::Leaves, "{what}");
    }
}

#[test]
fn a_leaf_has_no_more_bytes_than_an_entry_of_a_bundle_of_a_tiled_log() {
    let pki = Pki::new(KeyKind::P256);
    let filled = |bytes: usize| {
        let empty = leaf(52, json!({ "reason": "" })).len();
        leaf(52, json!({ "reason": "x".repeat(bytes - empty) }))
    };
    let mut maker = Maker::new();
    maker.log.leaves[52] = filled(65_535);
    let good = maker.make(&pki, Seal::Signed);
    assert!(good.judge(&pki, &good.files()).is_ok());
    maker.log.leaves[52] = filled(65_536);
    let heads = maker.heads();
    let step = good.meddled(&pki, |files| {
        files.insert(names::CHECKPOINT.to_owned(), heads.checkpoint.into_bytes());
        files.insert(names::PLATFORM_PROOF.to_owned(), heads.platform_proof.expect("made").into_bytes());
        files.remove(names::CONSISTENCY);
        files.insert(names::segment(13), segment(13, &maker.log.leaves[13..190]));
    });
    assert_eq!(step, Step::Leaves);
}

#[test]
fn a_segment_is_more_than_one_gzip_or_inflates_to_too_much() {
    let scene = scene();
    let name = names::segment(13);
    let good = scene.bundle.files().files[&name].clone();
    assert_eq!(scene.with(&name, [&good[..], &good[..]].concat()), Step::Leaves, "two members");
    assert_eq!(scene.with(&name, [&good[..], b"x"].concat()), Step::Leaves, "bytes behind");
    assert_eq!(scene.with(&name, &good[..good.len() - 4]), Step::Leaves, "cut");
    let mut bomb = SegmentBuilder::new(13);
    bomb.push(&vec![b' '; 50 << 20]).expect("in memory");
    let bomb = bomb.finish().expect("in memory").1;
    assert!(bomb.len() < 1 << 20);
    assert_eq!(scene.with(&name, bomb), Step::Leaves, "a line of 50 MiB");
}
