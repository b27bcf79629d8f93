//! No byte of a bundle can be changed.

use matricula_verify::Step;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use proptest::{prelude::*, test_runner::TestRunner};
use report_bundle::{
    cms::{RawSigner, SignatureAlgorithm, SignatureRequest},
    names, sums,
};

use super::kit::{Bundle, KeyKind, Maker, Memory, Pki, Seal, openssl, reseal};

/// The step at which the bundle is refused with a byte of a file flipped; `None` when it is not.
fn flipped(pki: &Pki, bundle: &Bundle, files: &Memory, (name, at, with): (&str, usize, u8)) -> Option<Step> {
    let mut other = files.files.clone();
    other.get_mut(name).expect("there")[at] ^= with;
    bundle.judge(pki, &Memory::new(other)).err().map(|refusal| refusal.step)
}

/// The step at which it must be.
fn expected(files: &Memory, (name, at, with): (&str, usize, u8)) -> Step {
    let mut other = files.files[name].clone();
    other[at] ^= with;
    match name {
        // Sums that are still sums, of the same files, are only not those that were signed.
        names::SUMS if listed(&other).is_some_and(|other| Some(other) == listed(&files.files[name])) => {
            Step::Signature
        }
        names::SUMS => Step::Sums,
        names::SIGNATURE => Step::Signature,
        names::TIMESTAMP => Step::Timestamp,
        _ => Step::Hashes,
    }
}

/// The files that sums list, if they are sums.
fn listed(text: &[u8]) -> Option<Vec<String>> {
    Some(sums::parse(text).ok()?.into_keys().collect())
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
                let flip = (name, at, with);
                let step = flipped(&pki, &bundle, &files, flip);
                assert_eq!(step, Some(expected(&files, flip)), "{kind:?} {name} {at} {with:#x}");
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
            let flip = (name.as_str(), at, with);
            let step = flipped(&pki, &bundle, &files, flip);
            prop_assert_eq!(step, Some(expected(&files, flip)), "{} {} {:#x}", name, at, with);
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
            let step = match name.as_str() {
                names::SUMS => Step::Sums,
                names::SIGNATURE => Step::Signature,
                names::TIMESTAMP => Step::Timestamp,
                _ => Step::Hashes,
            };
            assert_eq!(bundle.refused(&pki, &Memory::new(all)), step, "{name}");
        }
        let mut all = files.files.clone();
        all.remove(name);
        let without = bundle.judge(&pki, &Memory::new(all)).map_err(|refusal| refusal.step);
        if name == names::TIMESTAMP {
            // It may be missing, and that is said.
            assert!(without.expect("verified").remarks.iter().any(|remark| remark.contains("no timestamp")));
            continue;
        }
        let is_always_there = names::REQUIRED.contains(&name.as_str()) || name == names::SIGNATURE;
        let step = if is_always_there { Step::Container } else { Step::Sums };
        assert_eq!(without.err(), Some(step), "{name}");
    }
}

/// The signer's key in memory: openssl's start would be most of the time that all these flips take.
struct Owner<'p> {
    pki: &'p Pki,
    key: SigningKey,
}

impl<'p> Owner<'p> {
    fn of(pki: &'p Pki) -> Self {
        let (done, said) = openssl(pki.folder.path(), "ec -in signer.key -outform DER -out signer.key.der");
        assert!(done, "{said}");
        let der = pki.folder.read("signer.key.der");
        // RFC 5915 section 3: a version, then the number, 32 bytes of it.
        let (tag, key) = (&der[5..7], &der[7..39]);
        assert_eq!(tag, [0x04, 0x20]);
        Self { pki, key: SigningKey::from_slice(key).expect("a key") }
    }
}

impl RawSigner for Owner<'_> {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.pki.algorithm()
    }

    fn certificates(&self) -> &[Vec<u8>] {
        self.pki.certificates()
    }

    fn sign(
        &self,
        request: SignatureRequest<'_>,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let signature: Signature = self.key.sign(request.message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// What of a file may be another although the bundle is sealed by who made it, and why that does no harm.
#[derive(Clone, Copy)]
enum Spared {
    Nothing,
    /// Whose cosignature it is. Then it is nobody's who is known, and what it showed is not shown: the verdict says this.
    Cosigner(&'static str),
    /// All of it: nobody is to believe the policy that a bundle brings along, and nobody reads it.
    Everything,
}

/// Whether the byte belongs to the name or to the key's identifier of a witness's line.
fn names_a_cosigner(text: &[u8], at: usize) -> bool {
    let before = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = text[before..].split(|byte| *byte == b'\n').next().expect("one");
    let Some(signed) = line.strip_prefix("— ".as_bytes()).filter(|line| line.starts_with(b"w")) else {
        return false;
    };
    let name = signed.iter().position(|byte| *byte == b' ').expect("a name");
    // Four bytes are the first six characters, of the sixth two bits.
    let meant = line.len() - signed.len()..line.len() - signed.len() + name + 1 + 6;
    meant.contains(&(at - before))
}

/// Flips a bit of each byte of a file, and has the owner of the signer's key seal the bundle anew.
fn check_resealed(name: &str, step: Step, spared: Spared) {
    let pki = Pki::new(KeyKind::P256);
    let owner = Owner::of(&pki);
    let mut maker = Maker::new();
    // As few leaves as there can be with an erased value and a disclosed one.
    (maker.first, maker.end) = (13, 20);
    let bundle = maker.make(&pki, Seal::Signed);
    let files = bundle.files().files;
    let good = bundle.judge(&pki, &reseal(&owner, files.clone())).expect("verified");
    assert!(good.is_complete && good.manifest.erasures > 0 && good.manifest.disclosures > 0);
    let mut let_through = 0;
    for at in 0..files[name].len() {
        let mut other = files.clone();
        // The highest bit would leave no text.
        other.get_mut(name).expect("there")[at] ^= 1 << (at % 7);
        let verdict = match bundle.judge(&pki, &reseal(&owner, other)) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                assert_eq!(refusal.step, step, "{name} {at}: {refusal}");
                continue;
            }
        };
        let_through += 1;
        let is_harmless = match spared {
            Spared::Nothing => false,
            Spared::Cosigner(remark) => {
                names_a_cosigner(&files[name], at)
                    && !verdict.is_complete
                    && verdict.remarks.iter().any(|said| said.contains(remark))
            }
            Spared::Everything => {
                verdict.is_complete && verdict.remarks == good.remarks && verdict.manifest == good.manifest
            }
        };
        assert!(is_harmless, "{name} {at} is let through: {:?}", verdict.remarks);
    }
    match spared {
        Spared::Nothing => assert_eq!(let_through, 0, "{name}"),
        Spared::Cosigner(_) => assert!(let_through > 0, "{name} is spared in nothing"),
        Spared::Everything => assert_eq!(let_through, files[name].len(), "{name}"),
    }
}

#[test]
fn every_byte_of_a_tenants_heads_is_vouched_for_by_others_than_the_signer() {
    check_resealed(names::CHECKPOINT, Step::Heads, Spared::Cosigner("ends behind the period"));
    check_resealed(names::CHECKPOINT_BEFORE, Step::Heads, Spared::Nothing);
    check_resealed(names::CONSISTENCY, Step::Heads, Spared::Nothing);
    check_resealed(names::BOUNDARY, Step::Heads, Spared::Nothing);
}

#[test]
fn every_byte_of_a_platforms_heads_is_vouched_for_by_others_than_the_signer() {
    check_resealed(names::PLATFORM_PROOF, Step::Heads, Spared::Nothing);
    let begins = Spared::Cosigner("begins before the period");
    check_resealed(names::PLATFORM_PROOF_BEFORE, Step::Heads, begins);
}

#[test]
fn every_byte_of_an_erasures_proof_is_vouched_for_by_others_than_the_signer() {
    let seen = Spared::Cosigner("witnesses have not seen it");
    check_resealed(&names::erasure_proof(3), Step::Erasures, seen);
}

#[test]
fn no_byte_of_the_policy_that_a_bundle_brings_along_is_believed() {
    check_resealed(names::POLICY, Step::Heads, Spared::Everything);
}

#[test]
fn all_files_of_heads_and_erasures_are_flipped() {
    let pki = Pki::new(KeyKind::P256);
    let there: Vec<_> = Maker::new().make(&pki, Seal::Signed).files().files.into_keys().collect();
    let there: Vec<_> =
        there.iter().filter(|name| name.starts_with("heads/") || name.starts_with("erasures/")).collect();
    assert_eq!(
        there,
        [
            names::erasure_proof(3).as_str(),
            names::CHECKPOINT,
            names::CHECKPOINT_BEFORE,
            names::CONSISTENCY,
            names::POLICY,
            names::PLATFORM_PROOF,
            names::PLATFORM_PROOF_BEFORE,
        ]
    );
}
