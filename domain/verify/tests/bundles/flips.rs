//! No byte of a bundle can be changed.

use proptest::{prelude::*, test_runner::TestRunner};
use report_bundle::names;

use super::kit::{Bundle, KeyKind, Maker, Memory, Pki, Seal};

fn flipped(pki: &Pki, bundle: &Bundle, files: &Memory, (name, at, with): (&str, usize, u8)) -> bool {
    let mut other = files.files.clone();
    other.get_mut(name).expect("there")[at] ^= with;
    bundle.judge(pki, &Memory::new(other)).is_err()
}

/// Changes bytes of the files that the sums do not list, each in the ways that `ways` gives for it.
fn check_seal(kind: KeyKind, seal: Seal, ways: impl Fn(usize, u8) -> Vec<u8>) {
    let pki = Pki::new(kind);
    let bundle = Maker::new().make(&pki, seal);
    let files = bundle.files();
    for name in [names::SUMS, names::SIGNATURE, names::TIMESTAMP] {
        let Some(bytes) = files.files.get(name) else { continue };
        for (at, byte) in bytes.iter().enumerate() {
            for with in ways(at, *byte) {
                assert!(flipped(&pki, &bundle, &files, (name, at, with)), "{kind:?} {name} {at} {with:#x}");
            }
        }
    }
}

/// A bit of each byte, another from one byte to the next.
fn a_bit(at: usize, _: u8) -> Vec<u8> {
    vec![1 << (at % 8)]
}

#[test]
fn every_byte_of_a_stamped_seal_is_vouched_for() {
    check_seal(KeyKind::P256, Seal::Stamped, a_bit);
}

#[test]
fn every_byte_of_a_seal_without_timestamp_is_vouched_for() {
    check_seal(KeyKind::P256, Seal::Signed, a_bit);
}

#[test]
fn one_way_to_name_rsa_is_not_changed_for_another() {
    // rsaEncryption ends in 0x01 and sha256WithRSAEncryption in 0x0b: each would be a right name for the signature.
    check_seal(
        KeyKind::Rsa,
        Seal::Stamped,
        |_, byte| if byte == 0x01 || byte == 0x0b { vec![0x0a] } else { vec![] },
    );
}

#[test]
fn any_flipped_byte_of_any_file_is_refused() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let files = bundle.files();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(600));
    let place = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1..=u8::MAX);
    runner
        .run(&place, |(file, at, with)| {
            let (name, bytes) = files.files.iter().nth(file.index(files.files.len())).expect("there");
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            prop_assert!(flipped(&pki, &bundle, &files, (name, at, with)), "{} {} {:#x}", name, at, with);
            Ok(())
        })
        .expect("refused");
}

#[test]
fn any_file_that_is_cut_or_continued_is_refused() {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let files = bundle.files();
    for (name, bytes) in &files.files {
        let cut = bytes.len().saturating_sub(1);
        for other in [bytes[..cut].to_vec(), [&bytes[..], b"\0"].concat(), [&bytes[..], b"\n"].concat()] {
            let mut all = files.files.clone();
            all.insert(name.clone(), other);
            assert!(bundle.judge(&pki, &Memory::new(all)).is_err(), "{name}");
        }
        let mut all = files.files.clone();
        all.remove(name);
        let without = bundle.judge(&pki, &Memory::new(all));
        // A timestamp may be missing, and that is said.
        let said =
            |verdict: &matricula_verify::Verdict| verdict.remarks.iter().any(|r| r.contains("no timestamp"));
        assert!(without.as_ref().map_or(true, |verdict| name == names::TIMESTAMP && said(verdict)), "{name}");
    }
}
