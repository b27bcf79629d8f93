//! Bundles that are right, and what is said of them.

use std::{fs, io::Cursor, process::Command};

use matricula_verify::{
    Anchors, Demands, Step,
    container::{Container, Directory, Zip},
    verify,
};
use report_bundle::{
    cms::RawSigner as _,
    names,
    query::{FieldIs, Query, Scalar},
    writer::{BundleWriter, ReadyFile, ReadySegment, SegmentBuilder},
};
use serde_json::{Value, json};

use super::kit::{Bundle, Folder, KeyKind, Maker, Pki, Seal, demands, leaf, now, time};

fn verified(pki: &Pki, bundle: &Bundle) -> matricula_verify::Verdict {
    let zip = Zip::in_memory(bundle.zip.clone()).expect("a zip");
    bundle.judge(pki, &zip).expect("verified")
}

#[test]
fn a_report_is_verified_as_zip_and_as_directory_and_what_is_left_to_be_believed_is_said() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let verdict = verified(&pki, &bundle);
    assert_eq!((verdict.manifest.rows, verdict.leaves), (89, 177));
    assert_eq!(verdict.signer, "CN=signer,O=Example");
    assert!(verdict.is_complete);
    assert_eq!(verdict.remarks, Vec::<String>::new());
    // Nobody but its keeper has seen the log that says what was erased.
    let mut maker = Maker::new();
    let other = maker.make(&pki, Seal::Stamped);
    let mut files = other.files().files;
    let note = maker.admin.note(maker.admin.leaves.len());
    let proof = maker.admin.proof(3, &maker.admin.leaves[3], &note);
    files.insert(names::erasure_proof(3), proof.into_bytes());
    let verdict = other.judge(&pki, &super::kit::reseal(&pki, files)).expect("verified");
    assert!(!verdict.is_complete);
    assert!(verdict.remarks.iter().any(|remark| remark.contains("witnesses have not seen it")));
    let folder = Folder::new();
    bundle.files().files.iter().for_each(|(name, bytes)| folder.write(name, bytes));
    let directory = Directory::open(folder.path()).expect("a directory");
    let verdict = bundle.judge(&pki, &directory).expect("verified");
    assert_eq!(verdict.manifest.late, 13);
    assert!(verdict.manifest.erasures > 0 && verdict.manifest.disclosures > 0);
}

#[test]
fn steps_are_told_in_order() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let mut steps = Vec::new();
    verify(&bundle.files(), &bundle.anchors(&pki), &demands(), &mut |step, _| steps.push(step))
        .expect("verified");
    assert_eq!(steps, Step::ALL);
}

#[test]
fn rsa_keys_sign_and_stamp_as_well() {
    let pki = Pki::new(KeyKind::Rsa);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    assert_eq!(verified(&pki, &bundle).manifest.rows, 89);
}

#[test]
fn a_report_without_rows_is_verified() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    (maker.query, maker.erased) = (Query::Types(vec!["never".to_owned()]), None);
    let bundle = maker.make(&pki, Seal::Signed);
    let verdict = verified(&pki, &bundle);
    assert_eq!(verdict.manifest.rows, 0);
    let said = "it is called password_resets and asks for something else";
    assert!(verdict.remarks.iter().any(|remark| remark.contains(said)), "{:?}", verdict.remarks);
    let csv = &bundle.files().files[names::REPORT];
    assert_eq!(csv.split(|byte| *byte == b'\n').count(), 2, "headings alone");
}

#[test]
fn a_range_without_leaves_is_verified() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    (maker.first, maker.end, maker.erased) = (13, 13, None);
    let bundle = maker.make(&pki, Seal::Signed);
    assert_eq!(verified(&pki, &bundle).leaves, 0);
}

#[test]
fn a_range_from_the_first_leaf_with_every_row_is_verified() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    (maker.first, maker.end, maker.query) = (0, 200, Query::everything());
    let bundle = maker.make(&pki, Seal::Signed);
    assert_eq!(verified(&pki, &bundle).manifest.rows, 200);
}

#[test]
fn values_that_are_not_disclosed_are_withheld() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    (maker.disclosed, maker.erased) = (Vec::new(), None);
    let bundle = maker.make(&pki, Seal::Signed);
    assert_eq!(verified(&pki, &bundle).manifest.disclosures, 0);
    let csv = String::from_utf8(bundle.files().files[names::REPORT].clone()).expect("UTF-8");
    assert_eq!(csv.matches("[withheld]").count(), 89);
    assert!(!csv.contains("HYPERLINK"));
}

#[test]
fn a_query_over_a_clear_field_finds_its_rows() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let denied = Query::Outcomes(vec!["denied".to_owned()]);
    let field = FieldIs { path: vec!["geo".to_owned(), "db_version".to_owned()], is: Scalar::Number(3) };
    maker.query = Query::And(vec![denied, Query::Field(field)]);
    let bundle = maker.make(&pki, Seal::Signed);
    // Every fifth of [13, 190).
    assert_eq!(verified(&pki, &bundle).manifest.rows, 35);
}

#[test]
fn what_nobody_vouches_for_is_said() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    maker.platform_heads = false;
    let mut bundle = maker.make(&pki, Seal::Signed);
    bundle.policy = format!("log {}\nlog {}\nquorum none\n", maker.log.vkey(), maker.admin.vkey());
    let verdict = verified(&pki, &bundle);
    assert!(!verdict.is_complete);
    let remarks = verdict.remarks.join("\n");
    for remark in
        ["has no timestamp", "begins before the period", "ends behind the period", "nobody else has seen"]
    {
        assert!(remarks.contains(remark), "{remark} in {remarks}");
    }
}

#[test]
fn a_period_that_crosses_a_change_of_the_logs_key_is_verified() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let origin = maker.log.origin().to_owned();
    let newer = super::kit::Log::new(&origin, 9, maker.log.leaves.clone());
    let old = maker.log.vkey();
    // The earlier head is by the old key, the later one by the new.
    let before = maker.log.note(maker.first);
    maker.log = newer;
    let mut bundle = maker.make(&pki, Seal::Signed);
    let mut files = bundle.files().files;
    files.insert(names::CHECKPOINT_BEFORE.to_owned(), before.into_bytes());
    bundle.policy = format!("log {old}\n{}", bundle.policy);
    let files = super::kit::reseal(&pki, files);
    assert_eq!(bundle.judge(&pki, &files).map(|verdict| verdict.manifest.rows), Ok(89));
    // Whoever knows one key of the two sees a log that it does not know.
    bundle.policy = maker.policy();
    assert_eq!(bundle.refused(&pki, &files), Step::Heads);
}

#[test]
fn a_period_that_crosses_a_change_of_the_schema_is_verified() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    (maker.disclosed, maker.erased) = (Vec::new(), None);
    for number in (13..190).step_by(2) {
        let version = if number < 100 { "1.4" } else { "2.0" };
        let api = json!({"type": "reset_password", "api": {"operation": "resetPassword", "schema_version": version}});
        maker.log.leaves[number] = leaf(u64::try_from(number).expect("small"), api);
    }
    let bundle = maker.make(&pki, Seal::Signed);
    assert_eq!(verified(&pki, &bundle).manifest.rows, 89);
}

#[test]
fn a_timestamp_outlives_the_signers_certificate() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let (root, tsa) = (pki.folder.read("root.pem"), pki.folder.read("tsa-root.pem"));
    let later = Demands { at: time("2099-01-01T00:00:00.000000Z"), at_given: true, ..demands() };
    let judge = |tsa: Option<&[u8]>, later: &Demands| {
        let anchors = Anchors::new(&root, tsa, &bundle.policy).expect("anchors");
        verify(&bundle.files(), &anchors, later, &mut |_, _| ()).map_err(|refusal| refusal.step)
    };
    assert!(judge(Some(&tsa), &later).is_ok());
    assert_eq!(judge(None, &later).err(), Some(Step::Chain), "an expired signer without a timestamp");
    let demanded = Demands { timestamp: true, ..demands() };
    assert_eq!(judge(None, &demanded).err(), Some(Step::Timestamp));
}

#[test]
fn an_authority_that_does_not_answer_leaves_a_bundle_without_timestamp() {
    struct Away;
    impl report_bundle::writer::Timestamper for Away {
        fn nonce(&self) -> u64 {
            1
        }
        fn stamp(&self, _: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
            Ok(b"\x30\x05\x30\x03\x02\x01\x02".to_vec())
        }
    }
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    maker.query = Query::Types(vec!["never".to_owned()]);
    let spools = [Cursor::new(vec![]), Cursor::new(vec![]), Cursor::new(vec![])];
    let mut writer = BundleWriter::new(Vec::new(), spools, maker.head()).expect("begun");
    for number in maker.first..maker.end {
        writer.push_leaf(&maker.log.leaves[number]).expect("a leaf");
    }
    let sealing = writer.close(&maker.heads(), pki.certificates()).expect("closed");
    let sealed = sealing.seal_with(&pki, Some(&Away), now()).expect("sealed");
    assert!(sealed.without_timestamp.is_some());
    let bundle = Bundle { zip: sealed.out, policy: maker.policy() };
    assert!(verified(&pki, &bundle).remarks.iter().any(|remark| remark.contains("no timestamp")));
}

#[test]
fn segments_made_before_give_the_same_report() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let spools = [Cursor::new(vec![]), Cursor::new(vec![]), Cursor::new(vec![])];
    let mut writer = BundleWriter::new(Vec::new(), spools, maker.head()).expect("begun");
    // The first by leaves, then two made before, then leaves again.
    for cut in [(13, 20, false), (20, 64, true), (64, 150, true), (150, 190, false)] {
        let (from, to, ready) = cut;
        if !ready {
            maker.log.leaves[from..to].iter().for_each(|leaf| {
                writer.push_leaf(leaf).expect("a leaf");
            });
            continue;
        }
        let first = u64::try_from(from).expect("small");
        let mut segment = SegmentBuilder::new(first);
        maker.log.leaves[from..to].iter().for_each(|leaf| segment.push(leaf).expect("in memory"));
        let (_, gzip) = segment.finish().expect("in memory");
        let subtrees = maker.log.subtrees(from, to);
        let leaves = u64::try_from(to - from).expect("small");
        let ready =
            ReadySegment { first, leaves, subtrees: &subtrees, file: ReadyFile::Here(&mut gzip.as_slice()) };
        writer.push_segment(ready).expect("follows");
    }
    for number in (13..190_u64).filter(|number| number % 2 == 1) {
        let leaf = &maker.log.leaves[usize::try_from(number).expect("small")];
        writer.push_row(number, leaf, &maker.shown(number)).expect("a row");
    }
    let note = maker.admin.note(maker.admin.leaves.len());
    writer.push_erasure_proof(3, &maker.admin.proof(3, &maker.admin.leaves[3], &note)).expect("added");
    let sealing = writer.close(&maker.heads(), pki.certificates()).expect("closed");
    let sealed = sealing.seal_with(&pki, None, now()).expect("sealed");
    let bundle = Bundle { zip: sealed.out, policy: maker.policy() };
    assert_eq!(verified(&pki, &bundle).manifest.rows, 89);
    let whole = maker.make(&pki, Seal::Signed);
    assert_eq!(bundle.files().files[names::REPORT], whole.files().files[names::REPORT]);
}

#[test]
fn the_writer_refuses_what_the_verifier_would() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let heads = maker.heads();
    let begin = |maker: &Maker| {
        let spools = [Cursor::new(vec![]), Cursor::new(vec![]), Cursor::new(vec![])];
        BundleWriter::new(Vec::new(), spools, maker.head()).expect("begun")
    };
    let mut writer = begin(&maker);
    for number in maker.first..maker.end {
        writer.push_leaf(&maker.log.leaves[number]).expect("a leaf");
    }
    assert!(writer.push_leaf(b"{}").is_err(), "no leaf");
    let leaf = |number: usize| maker.log.leaves[number].clone();
    assert!(writer.push_row(190, &leaf(190), &[None, None]).is_err(), "outside the range");
    assert!(writer.push_row(14, &leaf(14), &[None, None]).is_err(), "not asked for");
    assert!(writer.push_row(15, &leaf(15), &[None, None]).is_err(), "not disclosed");
    assert!(writer.push_row(17, &leaf(17), &maker.shown(15)).is_err(), "another's value");
    writer.push_row(25, &leaf(25), &maker.shown(25)).expect("a row");
    assert!(writer.push_row(25, &leaf(25), &maker.shown(25)).is_err(), "twice");
    writer.push_row(31, &leaf(31), &maker.shown(31)).expect("an erased row");
    assert!(writer.close(&heads, pki.certificates()).is_err(), "no proof of the erasure");
    let mut writer = begin(&maker);
    writer.push_leaf(&leaf(13)).expect("a leaf");
    assert!(writer.close(&heads, pki.certificates()).is_err(), "another size");
}

#[test]
fn the_program_says_what_it_found_and_exits_with_it() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let bundle = maker.make(&pki, Seal::Stamped);
    let folder = &pki.folder;
    folder.write("report.zip", &bundle.zip);
    folder.write("policy", &bundle.policy);
    let run = |arguments: &str| {
        let words = arguments.split(' ').filter(|word| !word.is_empty());
        let run = Command::new(env!("CARGO_BIN_EXE_matricula-verify"))
            .args(words)
            .current_dir(folder.path())
            .output();
        let run = run.expect("runs");
        (run.status.code(), String::from_utf8(run.stdout).expect("UTF-8"))
    };
    let bare = "--root root.pem --tsa-root tsa-root.pem --policy policy";
    let (code, said) = run(&format!("{bare} report.zip"));
    assert_eq!(code, Some(4), "nobody said how late events may come: {said}");
    assert!(said.contains("--lateness; its keeper says 5 s"), "{said}");
    assert_eq!(run(&format!("{bare} --lateness 4 report.zip")).0, Some(4), "some came later than that");
    let given = &format!("{bare} --lateness 6");
    let (code, said) = run(&format!("{given} report.zip"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok    range") && said.contains("VERIFIED: report"), "{said}");
    let (code, said) = run(&format!("{given} --json --require-timestamp report.zip"));
    let json: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &json["verified"], &json["rows"]), (Some(0), &Value::from(true), &Value::from(89)));
    let other = "--tenant 0199c3a0-0000-7000-8000-0000000000bb";
    let (code, said) = run(&format!("{given} {other} --json report.zip"));
    let json: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &json["failed"]["step"]), (Some(16), &Value::from("manifest")));
    assert_eq!(run(&format!("{given} --stream iam --signer CN=signer,O=Example report.zip")).0, Some(0));
    assert_eq!(run(&format!("{given} --stream admin report.zip")).0, Some(16));
    assert_eq!(run(&format!("{given} --signer CN=other,O=Example report.zip")).0, Some(16));
    let period =
        "--kind password_resets --since 2026-06-30T16:00:00.000000Z --until 2026-07-31T16:00:00.000000Z";
    assert_eq!(run(&format!("{given} {period} report.zip")).0, Some(0));
    for other in
        ["--kind sign_ins", "--since 2026-06-30T16:00:00.000001Z", "--until 2026-08-31T16:00:00.000000Z"]
    {
        assert_eq!(run(&format!("{given} {period} {other} report.zip")).0, Some(18), "{other}");
    }
    // A year is too long: then nothing shows that the range reaches far enough.
    let late = format!("{bare} --lateness 31536000");
    let (code, said) = run(&format!("{late} report.zip"));
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("VERIFIED, NOT SHOWN TO BE WHOLE: report"), "{said}");
    assert_eq!(run(&format!("{late} --allow-incomplete report.zip")).0, Some(0));
    folder.write("kept", maker.log.note(150));
    assert_eq!(run(&format!("{late} --head kept@2027-09-01T00:00:00.000000Z report.zip")).0, Some(0));
    assert_eq!(run(&format!("{given} --head policy report.zip")).0, Some(17));
    // The root of the time-stamping authority is none of the signer's.
    let (code, said) = run("--root tsa-root.pem --policy policy report.zip");
    assert_eq!(code, Some(14), "{said}");
    assert!(said.ends_with("NOT VERIFIED\n"), "{said}");
    assert_eq!(run("--root root.pem report.zip").0, Some(2));
    assert_eq!(run(&format!("{given} --nonsense report.zip")).0, Some(2));
    assert_eq!(run(&format!("{given} nothing.zip")).0, Some(3));
    assert_eq!(run("--root policy --policy policy report.zip").0, Some(3));
    fs::write(folder.path().join("report.zip"), b"no zip").expect("written");
    assert_eq!(run(&format!("{given} report.zip")).0, Some(10));
    assert!(run("--help").1.contains("20 range"));
}

#[test]
fn a_zip_made_by_somebody_else_of_the_same_files_is_verified() {
    use std::io::Write as _;
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let mut zip = rawzip::ZipArchiveWriter::new(Vec::new());
    zip.new_dir("heads/").create().expect("a folder");
    for (name, bytes) in bundle.files().files {
        let (mut entry, config) = zip
            .new_file(name.as_str())
            .compression_method(rawzip::CompressionMethod::DEFLATE)
            .start()
            .expect("begun");
        let mut writer =
            config.wrap(flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best()));
        writer.write_all(&bytes).expect("written");
        let (deflate, descriptor) = writer.finish().expect("ended");
        deflate.finish().expect("ended");
        entry.finish(descriptor).expect("ended");
    }
    let zip = Zip::in_memory(zip.finish().expect("ended")).expect("a zip");
    assert_eq!(zip.files().len(), bundle.files().files.len());
    assert!(bundle.judge(&pki, &zip).is_ok());
}
