//! What somebody does to a report, with the signer's key: everything is hashed and signed anew.

use std::collections::BTreeMap;

use matricula_verify::{Demands, Step, container::Container as _, verify};
use report_bundle::{
    csv, names,
    opening::{Disclosure, Field, Shown, parse_line, value_of_cell, write_line},
    query::Query,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::kit::{
    Bundle, KeyKind, Maker, Pki, Seal, about, commit, demands, edit_manifest, erasure, ip_hash, leaf, uuid,
    value_of,
};

type Files = BTreeMap<String, Vec<u8>>;

fn scene() -> (Pki, Bundle) {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Signed);
    (pki, bundle)
}

fn text(files: &Files, name: &str) -> String {
    String::from_utf8(files[name].clone()).expect("UTF-8")
}

/// Lines as RFC 4180 has them: a quoted cell may hold line ends.
fn csv_lines(csv: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut quoted = false;
    for piece in csv.split_inclusive("\r\n") {
        quoted ^= piece.matches('"').count() % 2 == 1;
        lines.last_mut().expect("one").push_str(piece);
        if !quoted {
            lines.push(String::new());
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[test]
fn rows_are_dropped_added_reordered_doubled_or_changed() {
    let (pki, bundle) = scene();
    let csv = csv_lines(&text(&bundle.files().files, names::REPORT));
    assert_eq!(csv.len(), 90);
    let with = |lines: &[String], rows: i64| {
        let lines = lines.concat();
        bundle.meddled(&pki, |files| {
            assert_ne!(files[names::REPORT], lines.as_bytes());
            files.insert(names::REPORT.to_owned(), lines.into_bytes());
            edit_manifest(files, |manifest| {
                manifest.rows = manifest.rows.checked_add_signed(rows).expect("some");
            });
        })
    };
    let edited = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = csv.clone();
        edit(&mut lines);
        lines
    };
    let change = |line: usize, from: &'static str, to: &'static str| {
        edited(&move |lines| lines[line] = lines[line].replacen(from, to, 1))
    };
    for (lines, rows, what) in [
        (edited(&|lines| drop(lines.remove(5))), -1, "dropped"),
        (edited(&|lines| drop(lines.pop())), -1, "the last dropped"),
        (edited(&|lines| lines.insert(5, csv[7].replacen("27,", "26,", 1))), 1, "added"),
        (edited(&|lines| lines.push(csv[89].clone())), 1, "added behind"),
        (edited(&|lines| lines.swap(5, 6)), 0, "reordered"),
        (edited(&|lines| lines.insert(5, csv[5].clone())), 1, "doubled"),
        (change(5, "success", "denied"), 0, "an outcome"),
        (change(0, "event_id,occurred_at", "occurred_at,event_id"), 0, "the columns' order"),
        (change(0, "operator", "actor"), 0, "a heading"),
        (edited(&|lines| drop(lines.remove(0))), 0, "no headings"),
        (edited(&|lines| lines.push("x".to_owned())), 0, "something behind"),
        (edited(&|lines| lines.push("\r\n".to_owned())), 0, "a line end behind"),
        (edited(&|lines| lines.insert(0, "\u{feff}".to_owned())), 0, "a byte order mark"),
        (edited(&|lines| lines[89] = lines[89].trim_end().to_owned()), 0, "no last line end"),
        (edited(&|lines| lines.iter_mut().for_each(|l| *l = l.replace("\r\n", "\n"))), 0, "LF"),
        (change(5, ",", ", "), 0, "a space"),
        (change(5, "2026-07", "\"2026-07"), 0, "a quote"),
        (csv[..1].to_vec(), -89, "all dropped"),
    ] {
        assert_eq!(with(&lines, rows), Step::Rows, "{what}");
    }
}

#[test]
fn a_period_has_what_happened_at_its_beginning_and_not_what_happened_at_its_end() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let instants = [
        ("2026-06-30T15:59:59.999999Z", false),
        ("2026-06-30T16:00:00.000000Z", true),
        ("2026-07-31T15:59:59.999999Z", true),
        ("2026-07-31T16:00:00.000000Z", false),
    ];
    let places = [21_u64, 25, 33, 37];
    for ((instant, _), number) in instants.iter().zip(places) {
        maker.log.leaves[usize::try_from(number).expect("small")] =
            leaf(number, json!({ "occurred_at": instant, "recorded_at": instant }));
    }
    maker.disclosed = Vec::new();
    maker.erased = None;
    let bundle = maker.make(&pki, Seal::Signed);
    assert!(bundle.judge(&pki, &bundle.files()).is_ok());
    let csv = csv_lines(&text(&bundle.files().files, names::REPORT));
    let row = |number: u64| csv.iter().position(|line| line.starts_with(&format!("{number},")));
    for ((instant, is_in), number) in instants.iter().zip(places) {
        assert_eq!(row(number).is_some(), *is_in, "{instant}");
    }
    // A row that is just outside is added, and one that is just inside is left out.
    let with = |lines: Vec<String>, rows: i64| {
        bundle.meddled(&pki, |files| {
            files.insert(names::REPORT.to_owned(), lines.concat().into_bytes());
            edit_manifest(files, |manifest| {
                manifest.rows = manifest.rows.checked_add_signed(rows).expect("some");
            });
        })
    };
    for number in [25, 33] {
        let mut lines = csv.clone();
        lines.remove(row(number).expect("a row"));
        assert_eq!(with(lines, -1), Step::Rows, "{number}");
    }
    for (number, (instant, _)) in [21, 37].into_iter().zip([instants[0], instants[3]]) {
        let mut lines = csv.clone();
        let at = row(number + 4).or_else(|| row(number + 2)).expect("a row behind");
        let like = &csv[at];
        let cells: Vec<_> = like.splitn(4, ',').collect();
        lines.insert(at, format!("{number},{},{instant},{}", uuid(number), cells[3]));
        assert_eq!(with(lines, 1), Step::Rows, "{number}");
    }
}

#[test]
fn the_query_or_the_counts_are_others() {
    let (pki, bundle) = scene();
    let with = |edit: &dyn Fn(&mut report_bundle::manifest::Manifest)| {
        bundle.meddled(&pki, |files| edit_manifest(files, edit))
    };
    assert_eq!(with(&|m| m.query = Query::everything()), Step::Rows);
    assert_eq!(with(&|m| m.query = Query::Types(vec!["reset_password".to_owned()])), Step::Rows);
    assert_eq!(with(&|m| m.rows += 1), Step::Counts);
    assert_eq!(with(&|m| m.late -= 1), Step::Counts);
    assert_eq!(with(&|m| m.max_lateness_s = 0), Step::Rows, "then more rows would be late");
    assert_eq!(with(&|m| m.kind = "sign_ins ".to_owned()), Step::Query, "a name that no report has");
    assert_eq!(with(&|m| m.kind = "exports".to_owned()), Step::Query, "the name of a report of another log");
    assert_eq!(with(&|m| m.signer.subject = "CN=somebody".to_owned()), Step::Manifest);
    assert_eq!(with(&|m| m.disclosures += 1), Step::Counts);
    assert_eq!(with(&|m| m.erasures = 0), Step::Counts);
    assert_eq!(with(&|m| m.stream = "admin".to_owned()), Step::Manifest);
    assert_eq!(with(&|m| m.signer.certificate_sha256 = "00".repeat(32)), Step::Manifest);
    let raw = |from: &str, to: &str| {
        bundle.meddled(&pki, |files| {
            let manifest = text(files, names::MANIFEST).replacen(from, to, 1);
            files.insert(names::MANIFEST.to_owned(), manifest.into_bytes());
        })
    };
    assert_eq!(raw("matricula-report/1", "matricula-report/2"), Step::Manifest);
    assert_eq!(raw("\"rows\":", "\"rows\": "), Step::Manifest);
    assert_eq!(raw("\"rows\":", "\"rows\":1,\"rows\":"), Step::Manifest);
    let columns = bundle.meddled(&pki, |files| {
        files.insert(
            names::COLUMNS.to_owned(),
            text(files, names::COLUMNS).replace("UUID", "number").into_bytes(),
        );
    });
    assert_eq!(columns, Step::Columns);
    for name in [names::SUMMARY, names::VERIFY] {
        let step = bundle.meddled(&pki, |files| {
            files.insert(name.to_owned(), text(files, name).replace("89", "12").into_bytes());
        });
        assert_eq!(step, Step::Counts, "{name} tells people something else");
    }
}

#[test]
fn values_are_disclosed_that_were_not_there_or_are_held_back() {
    let (pki, bundle) = scene();
    let lines: Vec<String> =
        text(&bundle.files().files, names::DISCLOSURES).lines().map(ToOwned::to_owned).collect();
    let with = |lines: Vec<String>| {
        bundle.meddled(&pki, |files| {
            let all = lines.iter().fold(String::new(), |all, line| all + line + "\n");
            files.insert(names::DISCLOSURES.to_owned(), all.into_bytes());
        })
    };
    let edited = |edit: &dyn Fn(&mut Disclosure)| {
        let mut other = lines.clone();
        let mut line: Disclosure = parse_line("d", other[4].as_bytes()).expect("a line");
        edit(&mut line);
        other[4] = String::from_utf8(write_line("d", &line).expect("has a form")).expect("UTF-8");
        other
    };
    assert_eq!(with(edited(&|line| line.value = json!("viewer"))), Step::Disclosures, "another value");
    assert_eq!(with(edited(&|line| line.salt = "00".repeat(32))), Step::Disclosures, "another salt");
    assert_eq!(with(edited(&|line| line.salt = "x".to_owned())), Step::Disclosures, "no salt");
    assert_eq!(with(edited(&|line| line.field = Field::PrevStateCommit)), Step::Disclosures, "another field");
    assert_eq!(with(edited(&|line| line.index += 1)), Step::Disclosures, "another row");
    assert_eq!(with(lines[1..].to_vec()), Step::Disclosures, "the first held back");
    assert_eq!(with(lines[..lines.len() - 1].to_vec()), Step::Disclosures, "the last held back");
    assert_eq!(with([&lines[..], &lines[..1]].concat()), Step::Disclosures, "one too many");
    let swapped = [&lines[1..2], &lines[..1], &lines[2..]].concat();
    assert_eq!(with(swapped), Step::Disclosures, "another order");
    assert_eq!(
        with(edited(&|_| ()).into_iter().map(|line| line + " ").collect()),
        Step::Disclosures,
        "another form"
    );
    // Held back, and said to be no longer disclosed: then the CSV shows too much.
    let step = bundle.meddled(&pki, |files| edit_manifest(files, |manifest| manifest.disclosed.clear()));
    assert_eq!(step, Step::Rows);
}

#[test]
fn what_another_tenant_disclosed_opens_nothing_of_ours() {
    let (pki, bundle) = scene();
    let ours = text(&bundle.files().files, names::DISCLOSURES);
    let (first, rest) = ours.split_once('\n').expect("some");
    let line: Disclosure = parse_line("d", first.as_bytes()).expect("a line");
    // Each opens the commitment of an event that is as far on in their log as ours is.
    let theirs = |value: &Value, index: u64| {
        let (commitment, salt) = commit(1_000_000 + index, value);
        let salt = audit_log::merkle::Hash(salt).to_hex();
        let theirs = Disclosure { index, salt, value: value.clone(), ..line.clone() };
        assert_eq!(theirs.opens(&commitment), Ok(true));
        String::from_utf8(write_line("d", &theirs).expect("has a form")).expect("UTF-8") + "\n"
    };
    let with = |disclosures: String, shown: &Value| {
        let cell = |value: &Value| {
            let cell = Shown::Opened { salt: [0; 32], value: value.clone() }.cell().expect("has a form");
            format!("\"{}\"", csv::neutral(&cell).replace('"', "\"\""))
        };
        bundle.meddled(&pki, |files| {
            let report = text(files, names::REPORT).replacen(&cell(&line.value), &cell(shown), 1);
            assert_eq!(report != text(files, names::REPORT), *shown != line.value);
            files.insert(names::REPORT.to_owned(), report.into_bytes());
            files.insert(names::DISCLOSURES.to_owned(), disclosures.into_bytes());
        })
    };
    // The very same value: the salt alone is theirs, and the row is right.
    let same = theirs(&line.value, line.index) + rest;
    assert_eq!(with(same, &line.value), Step::Disclosures);
    let value = json!({"role": {"from": "owner", "to": "viewer"}});
    let other = theirs(&value, line.index) + rest;
    assert_eq!(with(other, &value), Step::Disclosures, "the row shows it");
    let more = ours.clone() + &theirs(&line.value, 199);
    assert_eq!(with(more, &line.value), Step::Disclosures, "of a row that is theirs alone");
}

#[test]
fn a_value_in_the_other_normal_form_is_another_value() {
    let (pki, bundle) = scene();
    // What is committed to has the letter in both.
    for (from, to) in [("\u{e9}", "e\u{301}"), ("e\u{301}", "\u{e9}")] {
        for (respelled, step) in [
            (&[names::DISCLOSURES][..], Step::Disclosures),
            (&[names::REPORT], Step::Rows),
            (&[names::DISCLOSURES, names::REPORT], Step::Disclosures),
        ] {
            let found = bundle.meddled(&pki, |files| {
                for name in respelled {
                    let other = text(files, name).replace(from, to);
                    assert_ne!(other, text(files, name));
                    files.insert((*name).to_owned(), other.into_bytes());
                }
            });
            assert_eq!(found, step, "{from} {respelled:?}");
        }
    }
}

#[test]
fn values_are_said_to_be_erased_that_are_not() {
    let (pki, bundle) = scene();
    // A row about somebody else, in place of what is disclosed.
    let hide = |by: u64| {
        move |files: &mut Files| {
            let disclosed = text(files, names::DISCLOSURES);
            let (first, rest) = disclosed.split_once('\n').expect("some");
            let line: Disclosure = parse_line("d", first.as_bytes()).expect("a line");
            let erased = format!("{{\"by\":{by},\"field\":\"diff_commit\",\"index\":{}}}\n", line.index);
            let erasures = text(files, names::ERASURES);
            files.insert(names::DISCLOSURES.to_owned(), rest.to_owned().into_bytes());
            let mut all: Vec<String> = erasures.split_inclusive('\n').map(ToOwned::to_owned).collect();
            all.push(erased);
            all.sort_by_key(|line| {
                let value: Value = serde_json::from_str(line).expect("JSON");
                value["index"].as_u64()
            });
            files.insert(names::ERASURES.to_owned(), all.concat().into_bytes());
        }
    };
    assert_eq!(bundle.meddled(&pki, hide(3)), Step::Erasures, "by the erasure of another subject");
    assert_eq!(bundle.meddled(&pki, hide(2)), Step::Erasures, "by an event that has no proof");
    let without = bundle.meddled(&pki, |files| drop(files.remove(&names::erasure_proof(3))));
    assert_eq!(without, Step::Erasures, "without the proof");
    let renamed = bundle.meddled(&pki, |files| {
        let proof = files.remove(&names::erasure_proof(3)).expect("there");
        files.insert(names::erasure_proof(4), proof);
    });
    assert_eq!(renamed, Step::Erasures, "by another index");
    for (field, value) in [
        ("type", json!("sign_in")),
        ("outcome", json!("denied")),
        ("stream", json!("data")),
        ("target", json!({"kind": "member", "id": uuid(4)})),
        ("recorded_at", json!("2026-07-01T00:00:00.000000Z")),
        ("target", json!({"kind": "member"})),
    ] {
        let mut fields = erasure();
        fields[field] = value.clone();
        let mut maker = Maker::new();
        maker.admin.leaves[3] = leaf(3, fields);
        let other = maker.make(&pki, Seal::Signed);
        assert_eq!(other.refused(&pki, &other.files()), Step::Erasures, "{field} {value}");
    }
}

#[test]
fn what_a_row_tells_of_an_actor_is_not_gone_with_the_target() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    // Somebody who did things, and to whom none of the rows was done.
    let mut fields = erasure();
    fields["target"]["id"] = json!(uuid(8));
    maker.admin.leaves[3] = leaf(3, fields);
    let bundle = maker.make(&pki, Seal::Signed);
    assert_eq!(bundle.refused(&pki, &bundle.files()), Step::Erasures);
}

#[test]
fn whose_values_are_gone_is_who_the_event_says_they_were() {
    let pki = Pki::new(KeyKind::P256);
    let of = |subject: u64, erased_at: &str| {
        let mut maker = Maker::new();
        for number in (3..200).step_by(14) {
            maker.log.leaves[usize::try_from(number).expect("small")] = about(number, subject);
        }
        let mut fields = erasure();
        fields["recorded_at"] = json!(erased_at);
        maker.admin.leaves[3] = leaf(3, fields);
        maker.make(&pki, Seal::Signed)
    };
    let good = of(3, "2026-08-01T00:00:00.000000Z");
    assert!(good.judge(&pki, &good.files()).is_ok());
    let other = of(4, "2026-08-01T00:00:00.000000Z");
    assert_eq!(other.refused(&pki, &other.files()), Step::Erasures, "of the target, and not of the subject");
    // What was written down after the erasure is not explained by it, but for what clocks differ.
    let early = of(3, "2026-07-01T00:00:00.000000Z");
    assert_eq!(early.refused(&pki, &early.files()), Step::Erasures);
}

#[test]
fn a_proof_rides_along_that_no_row_needs() {
    let pki = Pki::new(KeyKind::P256);
    let mut maker = Maker::new();
    let mut fields = erasure();
    fields["target"]["id"] = json!(uuid(6));
    maker.admin.leaves[4] = leaf(4, fields);
    let bundle = maker.make(&pki, Seal::Signed);
    assert!(bundle.judge(&pki, &bundle.files()).is_ok());
    let step = bundle.meddled(&pki, |files| {
        let note = maker.admin.note(5);
        let proof = maker.admin.proof(4, &maker.admin.leaves[4], &note);
        files.insert(names::erasure_proof(4), proof.into_bytes());
    });
    assert_eq!(step, Step::Erasures);
}

#[test]
fn a_report_over_an_erased_subject_shows_by_what() {
    let (pki, bundle) = scene();
    let verdict = bundle.judge(&pki, &bundle.files()).expect("verified");
    let csv = text(&bundle.files().files, names::REPORT);
    let erased = csv_lines(&csv).iter().filter(|line| line.contains("[erased: 3]")).count();
    assert_eq!(u64::try_from(erased).ok(), Some(verdict.manifest.erasures));
    assert!(erased > 0);
}

#[test]
fn formulas_are_values_in_the_signed_report_and_can_be_read_back() {
    let pki = Pki::new(KeyKind::P256);
    let formulas = [
        "=1+1", "+1", "-1", "@x", "\tx", "\rx", ",=1", "\"=1", "＝1", "＋1", "－1", "＠x", "'x", " =1", ";=1",
    ];
    let mut maker = Maker::new();
    (maker.disclosed, maker.erased) = (Vec::new(), None);
    for (number, formula) in formulas.iter().enumerate() {
        let number = u64::try_from(number).expect("small");
        maker.log.leaves[usize::try_from(13 + 2 * number).expect("small")] =
            leaf(13 + 2 * number, json!({"type": "reset_password", "reason": formula}));
    }
    let bundle = maker.make(&pki, Seal::Signed);
    assert!(bundle.judge(&pki, &bundle.files()).is_ok());
    let report = text(&bundle.files().files, names::REPORT);
    let lines = csv_lines(&report);
    for (line, formula) in lines[1..].iter().zip(formulas) {
        // Four cells follow `reason`, twelve stand before it, and no other of these rows is quoted.
        let before = line.rsplitn(5, ',').last().expect("a cell");
        let reason = before.splitn(13, ',').last().expect("a cell");
        let quoted = reason.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
        let cell = quoted.map_or_else(|| reason.to_owned(), |inner| inner.replace("\"\"", "\""));
        assert!(cell.starts_with('\''), "{line:?}");
        assert_eq!(csv::plain(&cell), formula);
    }
    // Whoever takes the apostrophe away has another report.
    let step = bundle.meddled(&pki, |files| {
        files.insert(names::REPORT.to_owned(), report.replacen("'=1+1", "=1+1", 1).into_bytes());
    });
    assert_eq!(step, Step::Rows);
    // A disclosed value that is a formula.
    let bundle = Maker::new().make(&pki, Seal::Signed);
    let report = text(&bundle.files().files, names::REPORT);
    let disclosed = text(&bundle.files().files, names::DISCLOSURES);
    let line = disclosed.lines().map(|line| parse_line::<Disclosure>("d", line.as_bytes()).expect("a line"));
    let line = line.into_iter().find(|line| line.value.is_string()).expect("one is a text");
    assert_eq!(line.value, value_of(line.index));
    let cell = Shown::Opened { salt: [0; 32], value: line.value.clone() }.cell().expect("has a form");
    let cell = csv::neutral(&cell);
    assert!(cell.starts_with('\''), "{cell}");
    let shown = format!("\"{}\"", cell.replace('"', "\"\""));
    assert!(report.contains(&shown), "{shown}");
    assert_eq!(value_of_cell(&cell), Some(line.value));
}

#[test]
fn addresses_cannot_be_guessed_or_followed() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Signed);
    let report = text(&bundle.files().files, names::REPORT);
    // Every address of the networks that the events came from, in the spellings a plain hash would be of. (All 2^32
    // would take hours here; the one that counts is among these.)
    for host in 0..=255_u32 {
        let address = [203, 0, 113, host];
        let octets = address.map(|part| u8::try_from(part).expect("a byte"));
        let dotted = address.map(|part| part.to_string()).join(".");
        let mapped = format!("::ffff:{dotted}");
        for spelling in [dotted.as_bytes(), mapped.as_bytes(), &octets, format!("\"{dotted}\"").as_bytes()] {
            let hash = audit_log::merkle::Hash(Sha256::digest(spelling).into()).to_hex();
            assert!(!report.contains(&hash), "{dotted}");
        }
        let own = ip_hash(b"tenant key", &dotted);
        assert_ne!(own, ip_hash(b"another tenant's key", &dotted));
        assert_ne!(own, ip_hash(b"the next quarter's key", &dotted));
    }
    assert!(report.contains(&ip_hash(b"tenant key", "203.0.113.13")), "the keyed hash is what is there");
    // A leaf that says of itself that its hash is plain is none.
    let mut maker = Maker::new();
    let plain = json!({"ip_hash": {"alg": "SHA-256", "key_epoch": "none", "value": "00"}});
    let good = maker.make(&pki, Seal::Signed);
    maker.log.leaves[60] = leaf(60, plain);
    let heads = maker.heads();
    let step = good.meddled(&pki, |files| {
        let mut segment = report_bundle::writer::SegmentBuilder::new(13);
        maker.log.leaves[13..190].iter().for_each(|leaf| segment.push(leaf).expect("in memory"));
        files.insert(names::segment(13), segment.finish().expect("in memory").1);
        files.insert(names::CHECKPOINT.to_owned(), heads.checkpoint.clone().into_bytes());
        files.insert(
            names::PLATFORM_PROOF.to_owned(),
            heads.platform_proof.clone().expect("made").into_bytes(),
        );
        files.remove(names::CONSISTENCY);
    });
    assert_eq!(step, Step::Leaves);
}

#[test]
fn leaves_may_not_inflate_to_more_than_is_allowed() {
    let (pki, bundle) = scene();
    let files = bundle.files();
    let total: u64 = files.files().values().sum();
    let limited = Demands { inflated_max_bytes: total + 10, ..demands() };
    let refusal = verify(&files, &bundle.anchors(&pki), &limited, &mut |_, _| ()).expect_err("refused");
    assert_eq!(refusal.step, Step::Leaves);
}
