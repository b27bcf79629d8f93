//! The primitives as the envelope uses them, held against published vectors.

use aws_lc_rs::{aead::Nonce, hkdf, hmac};
use proptest::prelude::*;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{derive::extract, message::Derived};

fn vectors(text: &str) -> Vec<(Value, Value)> {
    let file: Value = serde_json::from_str(text).unwrap();
    let mut cases = Vec::new();
    for group in file["testGroups"].as_array().unwrap() {
        for case in group["tests"].as_array().unwrap() {
            cases.push((group.clone(), case.clone()));
        }
    }
    cases
}

fn bytes(case: &Value, name: &str) -> Vec<u8> {
    let hex = case[name].as_str().unwrap_or_else(|| panic!("{name} is missing"));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn with_commitment(key: &[u8], commitment: u8) -> Derived {
    let mut derived = Zeroizing::new([commitment; 64]);
    derived[..32].copy_from_slice(key);
    Derived(derived)
}

fn nonce(case: &Value, name: &str) -> Nonce {
    Nonce::try_assume_unique_for_key(&bytes(case, name)).unwrap()
}

#[test]
fn aes_256_gcm() {
    let (mut good, mut bad, mut refused) = (0, 0, 0);
    for (group, case) in vectors(include_str!("../../tests/vectors/aes_gcm_test.json")) {
        if group["ivSize"] != 96 {
            assert!(Nonce::try_assume_unique_for_key(&bytes(&case, "iv")).is_err(), "case {}", case["tcId"]);
            refused += 1;
        }
        if (&group["keySize"], &group["ivSize"], &group["tagSize"]) != (&256.into(), &96.into(), &128.into())
        {
            continue;
        }
        let id = &case["tcId"];
        let key = with_commitment(&bytes(&case, "key"), 7);
        let (aad, text, tag) = (bytes(&case, "aad"), bytes(&case, "msg"), bytes(&case, "tag"));
        let body = [bytes(&case, "ct"), tag.clone()].concat();
        let opened = key.decrypt(&[7; 32], nonce(&case, "iv"), &aad, &body);
        if case["result"] == "valid" {
            assert_eq!(*opened.unwrap(), text, "case {id}");
            let mut sealed = text.clone();
            let made = key.encrypt(nonce(&case, "iv"), &aad, &mut sealed).unwrap();
            assert_eq!([sealed.as_slice(), made.as_ref()].concat(), body, "case {id}");
            good += 1;
        } else {
            assert!(opened.is_err(), "case {id}");
            bad += 1;
        }
    }
    assert_eq!((good, bad), (39, 27), "cases of the one form that is used");
    assert_eq!(refused, 119, "nonces of other lengths");
}

#[test]
fn hkdf_sha_512() {
    let mut seen = 0;
    for (_, case) in vectors(include_str!("../../tests/vectors/hkdf_sha512_test.json")) {
        if case["result"] != "valid" {
            continue;
        }
        let expected = bytes(&case, "okm");
        let len = expected.len().min(64);
        let info = [bytes(&case, "info"), vec![1]].concat();
        let block = extract(&bytes(&case, "salt"), &bytes(&case, "ikm")).unwrap().expand(&info).unwrap();
        assert_eq!(block[..len], expected[..len], "case {}", case["tcId"]);
        seen += 1;
    }
    assert_eq!(seen, 80);
}

#[test]
fn hmac_sha_256() {
    let mut seen = 0;
    for (group, case) in vectors(include_str!("../../tests/vectors/hmac_sha256_test.json")) {
        let tag = bytes(&case, "tag");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(&case, "key"));
        let made = super::data_key::sign(&key, &bytes(&case, "msg")).unwrap();
        let same = made[..tag.len()] == tag[..];
        assert_eq!(same, case["result"] == "valid", "case {} of {}", case["tcId"], group["tagSize"]);
        seen += 1;
    }
    assert_eq!(seen, 174);
}

/// Each ciphertext opens under two keys. The commitment is what keeps the second key out.
#[test]
fn two_key_ciphertexts_open_under_the_key_committed_to_only() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/gcm_two_key_ciphertexts.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let keys = [with_commitment(&bytes(case, "key1"), 1), with_commitment(&bytes(case, "key2"), 2)];
        let commitments = [[1; 32], [2; 32]];
        let texts = [bytes(case, "plaintext_under_key1"), bytes(case, "plaintext_under_key2")];
        let (aad, body) = (bytes(case, "aad"), bytes(case, "ciphertext_and_tag"));
        for (mine, other) in [(0, 1), (1, 0)] {
            let opened = keys[mine].decrypt(&commitments[mine], nonce(case, "nonce"), &aad, &body).unwrap();
            assert_eq!(*opened, texts[mine], "the cipher itself takes both keys");
            assert!(
                keys[other].decrypt(&commitments[mine], nonce(case, "nonce"), &aad, &body).is_err(),
                "case {}: key {} where key {} is committed to",
                case["id"],
                other + 1,
                mine + 1
            );
        }
    }
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

proptest! {
    /// The library's own HKDF and the one written out over HMAC are the same function.
    #[test]
    fn expanding_one_block_is_what_the_library_does(
        salt in prop::collection::vec(any::<u8>(), 0..200),
        secret in prop::collection::vec(any::<u8>(), 0..200),
        info in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut expected = [0; 64];
        let parts = [info.as_slice()];
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, &salt).extract(&secret);
        prk.expand(&parts, Len(64)).unwrap().fill(&mut expected).unwrap();
        let block = extract(&salt, &secret).unwrap().expand(&[info.as_slice(), &[1]].concat()).unwrap();
        prop_assert_eq!(&*block, &expected);
    }
}
