//! Attack 37: ciphertexts moved between rows, columns, tenants and key versions, changed, put together from two,
//! downgraded, stripped of the commitment, or made to open under two keys.
//!
//! That a two-key ciphertext is refused under either key where the other is committed to, before anything is decrypted,
//! takes keys of one's choosing: `infra/src/envelope/vectors.rs` does it, and holds the cipher to Wycheproof as well.
//! That tenant and version are bound in even under one data key is shown in `infra/src/envelope/message.rs`.

use domain::{
    compliance::ports::KeyCustody as _,
    kernel::secret::{Place, Sealed, Vault as _},
};
use infra::envelope::{DataKeyRow, KeyStore as _, Purpose};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{EMAIL, World, bytes, is_lasting, tenant};

/// Where the parts of a sealed value are: suite and form, key version, salt, commitment, and from there on ciphertext
/// and tag.
const VERSION: std::ops::Range<usize> = 2..6;
const SALT: std::ops::Range<usize> = 6..38;
const COMMITMENT: std::ops::Range<usize> = 38..70;
const TAG_LEN: usize = 16;

#[tokio::test]
async fn a_value_opens_in_its_place_and_nowhere_else() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"ada@example.com").await.unwrap();
    assert_eq!(vault.open(&tenant(1), EMAIL, &sealed).await.unwrap().expose(), b"ada@example.com");

    // The other tenant has keys too, so that it is not their absence that refuses.
    vault.seal(&tenant(2), EMAIL, b"x").await.unwrap();
    assert!(is_lasting(vault.open(&tenant(2), EMAIL, &sealed).await), "tenant");
    for (what, elsewhere) in [
        ("row", Place { row: Uuid::from_u128(6), ..EMAIL }),
        ("column", Place { column: "name", ..EMAIL }),
        ("table", Place { table: "identity.invitations", ..EMAIL }),
        ("column and table run together", Place { table: "identity.member", column: "semail", ..EMAIL }),
    ] {
        assert!(is_lasting(vault.open(&tenant(1), elsewhere, &sealed).await), "{what}");
    }
    assert!(is_lasting(vault.open_platform(EMAIL, &sealed).await), "platform");
}

#[tokio::test]
async fn no_changed_or_cut_value_opens() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(sealed) = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(changed)).await), "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(
            is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(sealed[..len].to_vec())).await),
            "cut to {len}"
        );
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(longer)).await));
}

#[tokio::test]
async fn two_seals_of_one_text_have_nothing_in_common() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(one) = vault.seal(&tenant(1), EMAIL, b"same text").await.unwrap();
    let Sealed(two) = vault.seal(&tenant(1), EMAIL, b"same text").await.unwrap();
    // Suite, form and key version are alike.
    for part in [SALT, COMMITMENT, COMMITMENT.end..one.len()] {
        assert_ne!(one[part.clone()], two[part]);
    }
}

#[tokio::test]
async fn the_platforms_secrets_are_sealed_like_a_tenants() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal_platform(EMAIL, b"signing key").await.unwrap();
    assert_eq!(world.replica().open_platform(EMAIL, &sealed).await.unwrap().expose(), b"signing key");
    let elsewhere = Place { row: Uuid::from_u128(6), ..EMAIL };
    assert!(is_lasting(vault.open_platform(elsewhere, &sealed).await));
    // Not even under the platform's own tenant id: the purpose is another.
    assert!(is_lasting(vault.open(&tenant(0xff), EMAIL, &sealed).await));
}

#[tokio::test]
async fn wrapped_keys_cannot_be_moved() {
    let world = World::new();
    let vault = world.replica();
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    let kek = world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap();
    let dek = world.store.newest_data_key(&tenant(1), Purpose::Fields).await.unwrap().unwrap();

    // To another tenant, with the tenant key and without.
    world.store.add_tenant_key(&tenant(2), kek.clone()).await.unwrap();
    assert!(is_lasting(vault.seal(&tenant(2), EMAIL, b"x").await));
    vault.seal(&tenant(3), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(3), None).await.unwrap();
    let moved = DataKeyRow { version: 3, ..dek.clone() };
    world.store.add_data_key(&tenant(3), Purpose::Fields, moved.clone()).await.unwrap();
    assert!(is_lasting(vault.seal(&tenant(3), EMAIL, b"x").await));

    // To another version and another purpose of its own tenant.
    world.store.add_data_key(&tenant(1), Purpose::Fields, moved).await.unwrap();
    assert!(is_lasting(vault.seal(&tenant(1), EMAIL, b"x").await));
    world.store.add_data_key(&tenant(1), Purpose::Index, dek).await.unwrap();
    assert!(is_lasting(vault.keyed_hash(&tenant(1), "label", b"x").await));
}

#[tokio::test]
async fn a_value_of_one_key_version_does_not_open_as_of_another() {
    let world = World::new();
    let vault = world.replica();
    let old = vault.seal(&tenant(1), EMAIL, b"old").await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    let new = vault.seal(&tenant(1), EMAIL, b"new").await.unwrap();
    assert_eq!((&old.0[VERSION], &new.0[VERSION]), (&[0, 0, 0, 1][..], &[0, 0, 0, 2][..]));
    for (value, of) in [(&old, 2), (&new, 1), (&new, 3), (&new, 0), (&new, u32::MAX)] {
        let mut moved = value.clone();
        moved.0[VERSION].copy_from_slice(&u32::to_be_bytes(of));
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &moved).await), "as of version {of}");
    }
}

#[tokio::test]
async fn two_values_of_one_place_cannot_be_put_together_into_a_third() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(one) = vault.seal(&tenant(1), EMAIL, b"one text").await.unwrap();
    let Sealed(two) = vault.seal(&tenant(1), EMAIL, b"two text").await.unwrap();
    let tag = one.len() - TAG_LEN..one.len();
    let parts = [SALT, COMMITMENT, COMMITMENT.end..tag.start, tag];
    for chosen in 1..15_u8 {
        let mut mixed = one.clone();
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0) {
            assert_ne!(one[part.clone()], two[part.clone()], "part {at} is no part");
            mixed[part.clone()].copy_from_slice(&two[part.clone()]);
        }
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(mixed)).await), "parts {chosen:04b}");
    }
}

#[tokio::test]
async fn no_suite_and_no_form_opens_but_the_one_there_is() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(sealed) = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
    assert_eq!(sealed[..2], [1, 1]);
    for other in (0..=u16::MAX).filter(|other| *other != 0x0101) {
        let mut changed = sealed.clone();
        changed[..2].copy_from_slice(&other.to_be_bytes());
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(changed)).await), "{other:04x}");
    }
}

#[tokio::test]
async fn a_value_without_its_commitment_does_not_open() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(sealed) = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
    let stripped = [&sealed[..COMMITMENT.start], &sealed[COMMITMENT.end..]].concat();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(stripped)).await));
    for blank in [0, 0xff] {
        let mut blanked = sealed.clone();
        blanked[COMMITMENT].fill(blank);
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(blanked)).await), "all {blank:02x}");
    }
    let mut repeated = sealed.clone();
    repeated[COMMITMENT].copy_from_slice(&sealed[SALT]);
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(repeated)).await), "the salt in its place");
}

#[tokio::test]
async fn a_two_key_ciphertext_does_not_open_behind_a_header_of_ours() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(sealed) = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
    let file: Value = serde_json::from_str(include_str!("../vectors/gcm_two_key_ciphertexts.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let body = bytes(case, "ciphertext_and_tag");
        let ours = [&sealed[..COMMITMENT.end], &body].concat();
        assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(ours)).await), "case {}", case["id"]);
        // Either of its keys where our commitment is.
        for key in ["key1", "key2"] {
            let theirs = [&sealed[..COMMITMENT.start], &bytes(case, key), &body].concat();
            assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(theirs)).await), "case {}", case["id"]);
        }
    }
}
