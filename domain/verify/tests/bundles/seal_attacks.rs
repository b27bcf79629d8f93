//! What somebody does to sums, signatures, timestamps and certificates.

use std::collections::BTreeMap;

use der::{
    Any, Decode as _, Encode as _,
    asn1::{OctetString, SetOfVec},
};
use matricula_verify::{Anchors, Demands, Step, verify};
use report_bundle::{
    cms::{ContentInfo, RawSigner as _},
    names, tsp,
    writer::Timestamper as _,
};

use super::kit::{
    Bundle, KeyKind, Maker, Memory, Pki, SIGNER_USAGE, Seal, TSA_USAGE, demands, openssl, sign_sums, time,
};

fn scene() -> (Pki, Bundle) {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    (pki, bundle)
}

/// The step at which other sums are refused, signed by the signer.
fn with_sums(pki: &Pki, bundle: &Bundle, sums: impl FnOnce(String) -> String) -> Step {
    let files = bundle.files().files;
    let text = String::from_utf8(files[names::SUMS].clone()).expect("UTF-8");
    let other = sums(text.clone());
    assert_ne!(other, text);
    bundle.refused(pki, &sign_sums(pki, files, other))
}

#[test]
fn sums_are_written_in_another_way() {
    let (pki, bundle) = scene();
    let double = |text: String| {
        let line = text.lines().next().expect("a line").to_owned();
        format!("{line}\n{text}")
    };
    assert_eq!(with_sums(&pki, &bundle, double), Step::Sums, "a file twice");
    let omit = |text: String| text.split_inclusive('\n').skip(1).collect();
    assert_eq!(with_sums(&pki, &bundle, omit), Step::Sums, "a file not listed");
    let more = |text: String| text.replace("  report.csv", "  range/99999999999999999998.jsonl.gz\n");
    assert_eq!(with_sums(&pki, &bundle, more), Step::Sums, "a file that is not there");
    for (from, to) in [
        ("  report.csv", "  ./report.csv"),
        ("  report.csv", " *report.csv"),
        ("  report.csv", "   report.csv"),
        ("\n", "\r\n"),
        ("  report.csv", "  ../report.csv"),
    ] {
        assert_eq!(with_sums(&pki, &bundle, |text| text.replace(from, to)), Step::Sums, "{from:?} {to:?}");
    }
    assert_eq!(with_sums(&pki, &bundle, |text| text.to_uppercase()), Step::Sums);
    assert_eq!(with_sums(&pki, &bundle, |text| text.trim_end().to_owned()), Step::Sums);
    let reorder = |text: String| {
        let mut lines: Vec<_> = text.split_inclusive('\n').collect();
        lines.reverse();
        lines.concat()
    };
    assert_eq!(with_sums(&pki, &bundle, reorder), Step::Sums);
}

/// The step at which another signature, made by openssl over the sums, is refused.
fn with_openssl(pki: &Pki, bundle: &Bundle, how: &str) -> Step {
    let mut files = bundle.files().files;
    pki.folder.write("SHA256SUMS", &files[names::SUMS]);
    let (done, said) = openssl(
        pki.folder.path(),
        &format!(
            "cms -sign -in SHA256SUMS -signer signer.pem -inkey signer.key -outform DER -out other.p7s {how}"
        ),
    );
    assert!(done, "{said}");
    files.insert(names::SIGNATURE.to_owned(), pki.folder.read("other.p7s"));
    files.remove(names::TIMESTAMP);
    match bundle.judge(pki, &Memory::new(files)) {
        Ok(_) => Step::Counts,
        Err(refusal) => refusal.step,
    }
}

#[test]
fn signatures_are_made_in_another_way() {
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let pki = Pki::new(kind);
        let bundle = Maker::new().make(&pki, Seal::Signed);
        let good = "-cades -binary -nosmimecap -md sha256";
        // Of the two forms of an ECDSA signature openssl takes either, and one is ours.
        let mut steps = (0..40).map(|_| with_openssl(&pki, &bundle, good));
        assert!(steps.any(|step| step == Step::Counts), "stock openssl signs as well as we do");
        for (how, what) in [
            ("-binary -nosmimecap -md sha256", "no ESS signing certificate"),
            ("-cades -binary -nosmimecap -md sha1", "SHA-1"),
            ("-cades -binary -nosmimecap -md sha512", "another digest"),
            ("-cades -nosmimecap -md sha256", "text mode: CRLF is signed"),
            ("-cades -binary -nosmimecap -md sha256 -nodetach", "the content inside"),
            ("-cades -binary -nosmimecap -md sha256 -keyid", "a signer by key identifier"),
            ("-cades -binary -nosmimecap -md sha256 -nocerts", "no certificate"),
            ("-binary -nosmimecap -md sha256 -noattr", "no attributes"),
            ("-cades -binary -nosmimecap -md sha256 -signer tsa.pem -inkey tsa.key", "two signers"),
        ] {
            assert_eq!(with_openssl(&pki, &bundle, how), Step::Signature, "{kind:?} {what}");
        }
    }
    let pki = Pki::new(KeyKind::Rsa);
    let bundle = Maker::new().make(&pki, Seal::Signed);
    let pss = "-cades -binary -nosmimecap -md sha256 -keyopt rsa_padding_mode:pss";
    assert_eq!(with_openssl(&pki, &bundle, pss), Step::Signature, "another padding");
    let rides = "-cades -binary -nosmimecap -md sha256 -certfile tsa.pem";
    assert_eq!(with_openssl(&pki, &bundle, rides), Step::Chain, "a certificate rides along");
}

#[test]
fn an_ecdsa_signature_is_in_the_other_of_its_two_forms() {
    let (pki, bundle) = scene();
    let mut files = bundle.files().files;
    files.remove(names::TIMESTAMP);
    let mut info = ContentInfo::parse(names::SIGNATURE, &files[names::SIGNATURE]).expect("the one form");
    let mut signer = info.content.signers.get(0).expect("one").clone();
    let low = p256::ecdsa::Signature::from_der(signer.signature.as_bytes()).expect("a signature");
    assert_eq!(low.normalize_s(), low, "the writer takes the lower");
    let high = p256::ecdsa::Signature::from_scalars(low.r(), -low.s()).expect("in range");
    signer.signature = OctetString::new(high.to_der().as_bytes()).expect("short");
    info.content.signers = SetOfVec::try_from(vec![signer]).expect("one");
    files.insert(names::SIGNATURE.to_owned(), info.write(names::SIGNATURE).expect("has a form"));
    let refusal = bundle.judge(&pki, &Memory::new(files)).expect_err("refused");
    assert!(refusal.step == Step::Signature && refusal.why.contains("two forms"), "{refusal}");
}

#[test]
fn a_signature_is_over_sums_that_were_written_anew() {
    // The same hashes, in JSON or with other line ends, are not the bytes that were signed.
    let (pki, bundle) = scene();
    let mut files = bundle.files().files;
    let text = String::from_utf8(files[names::SUMS].clone()).expect("UTF-8");
    let signed = sign_sums(&pki, files.clone(), text.replace('\n', "\r\n"));
    files.insert(names::SIGNATURE.to_owned(), signed.files[names::SIGNATURE].clone());
    files.remove(names::TIMESTAMP);
    assert_eq!(bundle.refused(&pki, &Memory::new(files.clone())), Step::Signature);
    // JSON that says the same in another spelling is another file.
    files = bundle.files().files;
    let manifest = String::from_utf8(files[names::MANIFEST].clone()).expect("UTF-8");
    files.insert(names::MANIFEST.to_owned(), manifest.replace(',', ", ").into_bytes());
    assert_eq!(bundle.refused(&pki, &Memory::new(files)), Step::Hashes);
}

fn refused_with(signer: &str) -> Step {
    let pki = Pki::with(KeyKind::P256, signer, TSA_USAGE);
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    match bundle.judge(&pki, &bundle.files()) {
        Ok(_) => Step::Counts,
        Err(refusal) => refusal.step,
    }
}

#[test]
fn certificates_are_for_something_else() {
    assert_eq!(refused_with(SIGNER_USAGE), Step::Counts);
    let email = format!("{SIGNER_USAGE}extendedKeyUsage=emailProtection\n");
    assert_eq!(refused_with(&email), Step::Counts, "what openssl asks for");
    let both = format!("{SIGNER_USAGE}extendedKeyUsage=1.3.6.1.5.5.7.3.36,emailProtection\n");
    assert_eq!(refused_with(&both), Step::Counts, "for documents as well");
    for (signer, what) in [
        ("keyUsage=critical,digitalSignature\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\n", "for documents alone"),
        ("keyUsage=critical,digitalSignature\nnameConstraints=permitted;DNS:example.com\n", "constraints"),
        ("keyUsage=critical,keyEncipherment\n", "no digitalSignature"),
        ("keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE\n", "an issuer"),
        ("basicConstraints=critical,CA:FALSE\n", "no usage"),
        ("keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n", "a web server"),
        (
            "keyUsage=critical,digitalSignature\n1.2.3.4=critical,DER:0500\n",
            "something critical that nobody knows",
        ),
    ] {
        assert_eq!(refused_with(signer), Step::Chain, "{what}");
    }
}

#[test]
fn a_signers_certificate_was_not_good_when_it_was_stamped_or_is_signed_over_sha_1() {
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let mut pki = Pki::new(kind);
        for (how, step, why) in [
            ("-md sha256", None, ""),
            ("-md sha1", Some(Step::Chain), "no root that was given has issued"),
            ("-startdate 20200101000000Z -enddate 20200201000000Z", Some(Step::Chain), "had expired"),
            ("-startdate 20900101000000Z -enddate 20900201000000Z", Some(Step::Chain), "was not valid yet"),
        ] {
            pki.certify("signer", "root", (SIGNER_USAGE, how));
            let bundle = Maker::new().make(&pki, Seal::Stamped);
            // What whoever checks says of the time does not count where an authority has said it.
            for at in ["2020-01-15T00:00:00.000000Z", "2090-01-15T00:00:00.000000Z"] {
                let demands = Demands { at: time(at), at_given: true, ..demands() };
                let refusal = verify(&bundle.files(), &bundle.anchors(&pki), &demands, &mut |_, _| ()).err();
                assert_eq!(refusal.as_ref().map(|refusal| refusal.step), step, "{kind:?} {how}: {refusal:?}");
                assert!(refusal.is_none_or(|refusal| refusal.why.contains(why)), "{kind:?} {how}");
            }
        }
    }
}

#[test]
fn an_authoritys_certificate_is_signed_over_sha_1() {
    for kind in [KeyKind::P256, KeyKind::Rsa] {
        let mut pki = Pki::new(kind);
        for (how, step) in [("-md sha256", None), ("-md sha1", Some(Step::Timestamp))] {
            pki.certify("tsa", "tsa-root", (TSA_USAGE, how));
            let bundle = Maker::new().make(&pki, Seal::Stamped);
            let refusal = bundle.judge(&pki, &bundle.files()).err();
            assert_eq!(refusal.as_ref().map(|refusal| refusal.step), step, "{kind:?} {how}: {refusal:?}");
        }
    }
}

#[test]
fn an_authority_may_do_something_else_as_well() {
    let pki = Pki::new(KeyKind::P256);
    let others = [
        ("not-critical", "keyUsage=critical,digitalSignature\nextendedKeyUsage=timeStamping\n"),
        (
            "two-usages",
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping,emailProtection\n",
        ),
        ("no-usage", "keyUsage=critical,digitalSignature\n"),
    ];
    // Before the stamp, so that they are good then.
    for (name, usage) in [("as-good", TSA_USAGE)].into_iter().chain(others) {
        pki.issue(name, "tsa-root", usage);
    }
    let bundle = Maker::new().make(&pki, Seal::Stamped);
    let files = bundle.files().files;
    let good = tsp::parse(&files[names::TIMESTAMP]).expect("a token");
    pki.folder.write("tst", &good.content);
    let resigned = |name: &str| {
        // Without openssl's `ts`, which will not stamp with such a certificate.
        let (signed, said) = openssl(
            pki.folder.path(),
            &format!(
                "cms -sign -cades -binary -nosmimecap -nodetach -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 \
                 -in tst -signer {name}.pem -inkey {name}.key -outform DER -out {name}.token"
            ),
        );
        assert!(signed, "{said}");
        let status = Any::from_der(&[0x30, 0x03, 0x02, 0x01, 0x00]).expect("granted");
        let token = Any::from_der(&pki.folder.read(&format!("{name}.token"))).expect("a token");
        let answer = vec![status, token].to_der().expect("an answer");
        let kept = tsp::keep(&answer, &files[names::SIGNATURE], pki.nonce()).expect("kept");
        let mut files = files.clone();
        files.insert(names::TIMESTAMP.to_owned(), kept);
        bundle.judge(&pki, &Memory::new(files))
    };
    let verdict = resigned("as-good");
    assert!(verdict.is_ok(), "a token that is signed anew is a token: {:?}", verdict.err());
    for (name, _) in others {
        let refusal = resigned(name).expect_err(name);
        assert_eq!(refusal.step, Step::Timestamp, "{name}");
        assert!(refusal.to_string().contains("may not stamp times"), "{name}: {refusal}");
    }
}

#[test]
fn an_authority_of_certificates_for_something_else_stamps() {
    // openssl refuses to stamp with a certificate that is not for it, so the good one is taken and its root is not:
    // the report's own root has not issued any authority.
    let (pki, bundle) = scene();
    let root = pki.folder.read("root.pem");
    let anchors = Anchors::new(&root, Some(&root), &bundle.policy).expect("anchors");
    let refusal = verify(&bundle.files(), &anchors, &demands(), &mut |_, _| ()).expect_err("refused");
    assert_eq!(refusal.step, Step::Timestamp);
    // And the other way round, a time-stamping authority does not sign reports.
    let tsa = pki.folder.read("tsa-root.pem");
    let anchors = Anchors::new(&tsa, Some(&tsa), &bundle.policy).expect("anchors");
    let refusal = verify(&bundle.files(), &anchors, &demands(), &mut |_, _| ()).expect_err("refused");
    assert_eq!(refusal.step, Step::Chain);
}

#[test]
fn a_timestamp_is_over_something_else_or_nothing() {
    let (pki, bundle) = scene();
    let files = bundle.files().files;
    let with = |stamp: Vec<u8>| {
        let mut files = files.clone();
        files.insert(names::TIMESTAMP.to_owned(), stamp);
        bundle.refused(&pki, &Memory::new(files))
    };
    let stamp = |data: &[u8]| {
        let request = tsp::request(data, pki.nonce()).expect("a request");
        pki.stamp(&request).expect("an answer")
    };
    let kept = |data: &[u8]| tsp::keep(&stamp(data), data, pki.nonce()).expect("kept");
    assert_eq!(with(kept(b"other")), Step::Timestamp, "other data");
    assert_eq!(with(kept(&files[names::SUMS])), Step::Timestamp, "the sums");
    assert_eq!(with(Vec::new()), Step::Timestamp, "nothing");
    let whole = stamp(&files[names::SIGNATURE]);
    assert!(tsp::keep(&whole, &files[names::SIGNATURE], 1).is_err(), "another's nonce");
    assert!(tsp::keep(&whole, b"other", pki.nonce()).is_err(), "other data");
    // The bundle of another day, with a timestamp that is right for it.
    let other = Maker::new().make(&pki, Seal::Stamped).files().files;
    if other[names::SIGNATURE] != files[names::SIGNATURE] {
        assert_eq!(with(other[names::TIMESTAMP].clone()), Step::Timestamp);
    }
}

#[test]
fn an_authority_of_the_same_name_that_nobody_gave_is_not_believed() {
    let (pki, bundle) = scene();
    let mut files = bundle.files().files;
    let other = Pki::new(KeyKind::P256);
    let signature = files[names::SIGNATURE].clone();
    let request = tsp::request(&signature, other.nonce()).expect("a request");
    let answer = other.stamp(&request).expect("an answer");
    let stamp = tsp::keep(&answer, &signature, other.nonce()).expect("kept");
    files.insert(names::TIMESTAMP.to_owned(), stamp);
    assert_eq!(bundle.refused(&pki, &Memory::new(files)), Step::Timestamp);
}

#[test]
fn a_signer_has_expired_or_is_not_yet_valid_and_nobody_says_when_it_signed() {
    let (pki, bundle) = scene();
    let mut files: BTreeMap<_, _> = bundle.files().files;
    files.remove(names::TIMESTAMP);
    let files = Memory::new(files);
    for at in ["2099-01-01T00:00:00.000000Z", "2001-01-01T00:00:00.000000Z"] {
        let demands = Demands { at: time(at), at_given: true, ..demands() };
        let refusal = verify(&files, &bundle.anchors(&pki), &demands, &mut |_, _| ()).expect_err("refused");
        assert_eq!(refusal.step, Step::Chain, "{at}");
    }
}

#[test]
fn a_root_that_the_bundle_brings_along_is_not_believed() {
    let (pki, honest) = scene();
    // Somebody else's authority, by the same names, and its root in the signature.
    let mut forger = Pki::new(KeyKind::P256);
    forger.add_certificate("root");
    let other = Maker::new().make(&forger, Seal::Signed);
    assert_eq!(honest.refused(&pki, &other.files()), Step::Chain);
    // Nor is one beside the files.
    let mut files = honest.files().files;
    files.insert("root.pem".to_owned(), forger.folder.read("root.pem"));
    let step = honest.refused(&pki, &Memory::new(files));
    assert_eq!(step, Step::Container);
    assert_eq!(forger.certificates().len(), 2);
}

#[test]
fn an_intermediate_is_taken_when_it_may_issue() {
    for (intermediate, expected) in [
        ("keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE,pathlen:0\n", Step::Counts),
        ("keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:TRUE\n", Step::Chain),
        ("keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:FALSE\n", Step::Chain),
        ("keyUsage=critical,keyCertSign\n", Step::Chain),
        (
            "keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE\nextendedKeyUsage=emailProtection\n",
            Step::Counts,
        ),
        (
            "keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE\nextendedKeyUsage=serverAuth\n",
            Step::Chain,
        ),
        (
            "keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE\npolicyConstraints=requireExplicitPolicy:0\n",
            Step::Chain,
        ),
        (
            "keyUsage=critical,keyCertSign\nbasicConstraints=critical,CA:TRUE\nnameConstraints=permitted;email:example.com\n",
            Step::Chain,
        ),
    ] {
        let mut pki = Pki::new(KeyKind::P256);
        pki.issue("middle", "root", intermediate);
        pki.reissue_signer("middle");
        let bundle = Maker::new().make(&pki, Seal::Stamped);
        let step = bundle.judge(&pki, &bundle.files()).map_or_else(|refusal| refusal.step, |_| Step::Counts);
        assert_eq!(step, expected, "{intermediate}");
    }
}
