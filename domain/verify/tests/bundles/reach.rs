//! What shows that a range reaches over its period, and what does not.

use audit_log::proof::LogProof;
use matricula_verify::{Demands, KeptHead, Refusal, Step, Verdict, verify};
use report_bundle::{
    names,
    query::{Kind, Period, Query},
};
use serde_json::json;

use super::kit::{
    Bundle, END_SEEN_S, KeyKind, Log, Maker, Memory, Pki, Seal, demands, edit_manifest, leaf, reseal, time,
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

impl Scene {
    fn judge(&self, files: &Memory, demands: &Demands) -> Result<Verdict, Refusal> {
        verify(files, &self.bundle.anchors(&self.pki), demands, &mut |_, _| ())
    }

    /// The bundle with another tenant's checkpoint at the end of the range.
    fn ending_in(&self, note: String) -> Memory {
        let mut files = self.bundle.files().files;
        files.insert(names::CHECKPOINT.to_owned(), note.into_bytes());
        reseal(&self.pki, files)
    }
}

fn with_heads(heads: &[(&str, String, Option<&str>)]) -> Demands {
    let kept = |(name, note, at): &(&str, String, Option<&str>)| KeptHead {
        name: (*name).to_owned(),
        note: note.clone().into_bytes(),
        seen_at: at.map(time),
    };
    Demands { heads: heads.iter().map(kept).collect(), ..demands() }
}

#[test]
fn a_platforms_fresh_checkpoint_does_not_show_that_the_tenants_is_fresh() {
    let scene = scene();
    // Only the platform's checkpoint is cosigned, long after the period: the keeper may have logged an old head.
    let files = scene.ending_in(scene.maker.log.note(190));
    let verdict = scene.judge(&files, &demands()).expect("verified");
    assert!(!verdict.is_complete);
    assert!(
        verdict.remarks.iter().any(|remark| remark.contains("ends behind the period")),
        "{:?}",
        verdict.remarks
    );
}

#[test]
fn witnesses_must_have_seen_the_end_late_enough_and_be_enough() {
    let scene = scene();
    let until = 1_785_513_600;
    assert_eq!(time("2026-07-31T16:00:00.000000Z").seconds(), until);
    let until = until.unsigned_abs();
    let [first, second] = [&scene.maker.witnesses[0], &scene.maker.witnesses[1]];
    let plain = scene.maker.log.note(190);
    for (seen, complete) in [
        (Some((until + 6, until + 6)), true),
        (Some((until + 5, END_SEEN_S)), false),
        (Some((END_SEEN_S, until)), false),
        (None, false),
    ] {
        let note = match seen {
            Some((a, b)) => second.cosign(&first.cosign(&plain, a), b),
            None => first.cosign(&plain, END_SEEN_S),
        };
        let verdict = scene.judge(&scene.ending_in(note), &demands()).expect("verified");
        assert_eq!(verdict.is_complete, complete, "{seen:?}");
    }
    // Whoever checks may know that it takes longer.
    let note = scene.maker.cosigned(plain, until + 60);
    let patient = |lateness_s| Demands { lateness_s: Some(lateness_s), ..demands() };
    for (lateness_s, complete) in [(60, true), (61, false), (u64::MAX, false), (5, false)] {
        let verdict = scene.judge(&scene.ending_in(note.clone()), &patient(lateness_s)).expect("verified");
        assert_eq!(verdict.is_complete, complete, "{lateness_s}");
        // Events of the range came six seconds after they happened.
        let late = verdict.remarks.iter().any(|remark| remark.contains("came later than --lateness allows"));
        assert_eq!(late, lateness_s == 5, "{:?}", verdict.remarks);
    }
    let unsaid = Demands { lateness_s: None, ..demands() };
    let verdict = scene.judge(&scene.bundle.files(), &unsaid).expect("verified");
    assert!(!verdict.is_complete);
    assert!(
        verdict.remarks.iter().any(|remark| remark.contains("its keeper says 5 s")),
        "{:?}",
        verdict.remarks
    );
}

#[test]
fn a_cosignature_of_something_else_or_of_later_shows_nothing_of_the_tenants_checkpoint() {
    let scene = scene();
    let [first, second] = [&scene.maker.witnesses[0], &scene.maker.witnesses[1]];
    let plain = scene.maker.log.note(190);
    let once = first.cosign(&plain, END_SEEN_S);
    let moved = |note: &str| {
        let cosigned = second.cosign(note, END_SEEN_S);
        format!("{once}{}\n", cosigned.lines().last().expect("a cosignature"))
    };
    let honest = second.cosign(&once, END_SEEN_S);
    assert!(scene.judge(&scene.ending_in(honest), &demands()).expect("verified").is_complete);
    for (note, what) in [
        (moved(&scene.maker.log.note(189)), "of another size"),
        (moved(&scene.maker.admin.note(5)), "of another log"),
    ] {
        let refusal = scene.judge(&scene.ending_in(note), &demands()).expect_err(what);
        assert_eq!(refusal.step, Step::Heads, "{what}");
    }
    for (note, what) in [
        (second.cosign(&once, 4_070_908_800), "from the future"),
        (first.cosign(&once, END_SEEN_S + 1), "of one witness twice"),
    ] {
        let verdict = scene.judge(&scene.ending_in(note), &demands()).expect(what);
        assert!(!verdict.is_complete, "{what}");
    }
}

#[test]
fn witnesses_must_have_seen_the_beginning_early_enough() {
    let scene = scene();
    let since = time("2026-06-30T16:00:00.000000Z").seconds().unsigned_abs();
    let before = LogProof::parse(
        &String::from_utf8(scene.bundle.files().files[names::PLATFORM_PROOF_BEFORE].clone()).expect("UTF-8"),
    );
    let before = before.expect("a proof");
    // The platform's log as it was then.
    let plain = Log::new(scene.maker.platform.origin(), 3, scene.maker.platform.leaves[..2].to_vec()).note(2);
    for (seen_s, complete) in [(since - 1, true), (since, false), (since + 1, false)] {
        let checkpoint = scene.maker.cosigned(plain.clone(), seen_s);
        let mut files = scene.bundle.files().files;
        let proof = LogProof { checkpoint, ..before.clone() };
        files.insert(names::PLATFORM_PROOF_BEFORE.to_owned(), proof.to_string().into_bytes());
        let verdict = scene.judge(&reseal(&scene.pki, files), &demands()).expect("verified");
        assert_eq!(verdict.is_complete, complete, "{seen_s}: {:?}", verdict.remarks);
    }
}

#[test]
fn reports_that_ask_for_nobody_or_for_something_of_their_own_are_told() {
    let mut scene = scene();
    let Query::And(parts) = scene.maker.query.clone() else { unreachable!("a named query") };
    let Query::Period(period) = parts[0] else { unreachable!("a period") };
    for member in ["0199C3A0-0000-7000-8000-000000000003", "x"] {
        let mut maker = Maker::new();
        maker.log = Log::new(&maker.log.origin().replace("/iam", "/access"), 1, maker.log.leaves);
        let event = |number: u64| leaf(number, json!({"stream": "access"}));
        maker.log.leaves = (0..200).map(event).collect();
        (maker.stream, maker.kind, maker.erased) = ("access", "data_access", None);
        maker.query = Kind::DataAccess { member: member.to_owned() }.query(period);
        let bundle = maker.make(&scene.pki, Seal::Signed);
        assert_eq!(bundle.refused(&scene.pki, &bundle.files()), Step::Query, "{member}");
        // Whose policy does not know that log looks at no query.
        assert_eq!(scene.bundle.refused(&scene.pki, &bundle.files()), Step::Heads, "{member}");
    }
    scene.maker.query = Query::And(parts);
    let mut files = scene.bundle.files().files;
    edit_manifest(&mut files, |manifest| manifest.kind = "custom".to_owned());
    files.insert(names::SUMMARY.to_owned(), html_of(&files));
    let files = reseal(&scene.pki, files);
    let meant = Demands { kind: Some("custom".to_owned()), ..demands() };
    let refused = |demands: &Demands| scene.judge(&files, demands).map(|verdict| verdict.is_complete);
    assert_eq!(refused(&demands()), Ok(false));
    assert_eq!(refused(&meant), Ok(true));
}

/// The page for people, of the manifest as it is but for lengths, which it does not tell.
fn html_of(files: &std::collections::BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let manifest = report_bundle::manifest::Manifest::parse(&files[names::MANIFEST]).expect("a manifest");
    report_bundle::summary::html(&manifest).into_bytes()
}

#[test]
fn a_period_that_ends_within_a_second_ends_with_it() {
    let mut scene = scene();
    let Query::And(parts) = &mut scene.maker.query else { unreachable!("a named query") };
    let (since, until) = (time("2026-06-30T16:00:00.000000Z"), time("2026-07-31T16:00:00.000001Z"));
    parts[0] = Query::Period(Period { since: Some(since), until: Some(until) });
    scene.bundle = scene.maker.make(&scene.pki, Seal::Signed);
    for (seen_s, complete) in [(1_785_513_606, false), (1_785_513_607, true)] {
        let files = scene.ending_in(scene.maker.cosigned(scene.maker.log.note(190), seen_s));
        assert_eq!(scene.judge(&files, &demands()).expect("verified").is_complete, complete, "{seen_s}");
    }
}

#[test]
fn questions_without_end_or_beginning_are_told() {
    let mut scene = scene();
    scene.maker.query = Query::Types(vec!["reset_password".to_owned()]);
    scene.bundle = scene.maker.make(&scene.pki, Seal::Signed);
    let verdict = scene.judge(&scene.bundle.files(), &demands()).expect("verified");
    assert!(!verdict.is_complete);
    for remark in ["the question has no end", "begins before the period", "asks for something else"] {
        assert!(
            verdict.remarks.iter().any(|found| found.contains(remark)),
            "{remark}: {:?}",
            verdict.remarks
        );
    }
}

#[test]
fn heads_that_were_kept_show_both_ends() {
    let mut scene = scene();
    // Nobody cosigns.
    scene.maker.platform_heads = false;
    scene.bundle = scene.maker.make(&scene.pki, Seal::Signed);
    scene.bundle.policy =
        format!("log {}\nlog {}\nquorum none\n", scene.maker.log.vkey(), scene.maker.admin.vkey());
    let files = scene.bundle.files();
    let log = &scene.maker.log;
    let (early, late) = ("2026-06-30T16:00:00.000000Z", "2026-08-01T00:00:00.000000Z");
    for (heads, complete, what) in [
        (vec![("a", log.note(13), Some(early)), ("b", log.note(190), Some(late))], true, "both ends"),
        (vec![("a", log.note(20), Some(early)), ("b", log.note(150), Some(late))], true, "within"),
        (vec![("b", log.note(190), Some(late))], false, "the end alone"),
        (vec![("a", log.note(13), Some(early)), ("b", log.note(190), None)], false, "without a time"),
        (
            vec![("a", log.note(13), Some(early)), ("b", log.note(190), Some("2026-07-31T16:00:04.000000Z"))],
            false,
            "too early",
        ),
        (
            vec![("a", log.note(13), Some("2026-06-30T16:00:00.000001Z")), ("b", log.note(190), Some(late))],
            false,
            "too late",
        ),
        (vec![("a", log.note(12), Some(early)), ("b", log.note(190), Some(late))], false, "before the range"),
        (vec![("a", log.note(13), Some(early)), ("b", log.note(191), Some(late))], false, "behind the range"),
    ] {
        let verdict = scene.judge(&files, &with_heads(&heads)).expect("verified");
        assert_eq!(verdict.is_complete, complete, "{what}: {:?}", verdict.remarks);
        let beyond = what.ends_with("the range");
        assert_eq!(
            verdict.remarks.iter().any(|remark| remark.contains("was not compared")),
            beyond,
            "{what}"
        );
        assert!(!verdict.remarks.iter().any(|remark| remark.contains("nobody else")), "{what}");
    }
}

#[test]
fn a_log_that_was_another_when_the_head_was_kept_is_found_out() {
    let mut scene = scene();
    let kept: Vec<_> = [13, 14, 100, 190].map(|size| (size, scene.maker.log.note(size))).into();
    // The keeper takes an event away that stood there, and signs everything anew.
    scene.maker.log.leaves[12] = leaf(12, json!({"type": "sign_out"}));
    scene.bundle = scene.maker.make(&scene.pki, Seal::Signed);
    let files = scene.bundle.files();
    assert!(scene.judge(&files, &demands()).is_ok(), "it looks right");
    for (size, note) in kept {
        let refusal = scene.judge(&files, &with_heads(&[("kept", note, None)])).expect_err("refused");
        let step = if [13, 190].contains(&size) { Step::Heads } else { Step::Range };
        assert_eq!(refusal.step, step, "{size}: {refusal}");
        assert!(refusal.why.contains("kept"), "{refusal}");
    }
    for threads in [1, 2, 100] {
        let mut demands = with_heads(&[("kept", scene.maker.log.note(100), None)]);
        demands.threads = threads;
        assert!(scene.judge(&files, &demands).is_ok(), "{threads} threads");
    }
    // A log that had more once, says whoever checks.
    let shrunk = [
        ("a", scene.maker.log.note(100), Some("2026-07-02T00:00:00.000000Z")),
        ("b", scene.maker.log.note(99), Some("2026-07-03T00:00:00.000000Z")),
    ];
    let refusal = scene.judge(&files, &with_heads(&shrunk)).expect_err("refused");
    assert!(refusal.step == Step::Heads && refusal.why.contains("shrank"), "{refusal}");
    // A head of another log, or of nobody.
    let others = [scene.maker.admin.note(3), "x".to_owned(), String::new()];
    for note in others {
        let refusal = scene.judge(&files, &with_heads(&[("kept", note, None)])).expect_err("refused");
        assert_eq!(refusal.step, Step::Heads);
    }
}
