//! What opens where, and what does not open at all.

use domain::compliance::ports::KeyCustody as _;
use domain::kernel::secret::{Place, Sealed, Vault as _};
use infra::envelope::{DataKeyRow, KeyStore as _, Purpose};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::{EMAIL, World, is_lasting, sealed_hash, tenant};

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
    // The commitment left out: suite, format, version, salt, then the text.
    let stripped = [&sealed[..38], &sealed[70..]].concat();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &Sealed(stripped)).await));
}

#[tokio::test]
async fn two_seals_of_one_text_have_nothing_in_common() {
    let world = World::new();
    let vault = world.replica();
    let Sealed(one) = vault.seal(&tenant(1), EMAIL, b"same text").await.unwrap();
    let Sealed(two) = vault.seal(&tenant(1), EMAIL, b"same text").await.unwrap();
    // Salt, commitment and text; suite, format and key version are alike.
    assert_ne!(one[6..38], two[6..38]);
    assert_ne!(one[38..70], two[38..70]);
    assert_ne!(one[70..], two[70..]);
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
async fn keyed_hashes_are_of_one_tenant_and_one_label() {
    let world = World::new();
    let vault = world.replica();
    let hash = sealed_hash(&vault).await;
    assert_eq!(hash, sealed_hash(&vault).await, "remembered");
    assert_eq!(hash, sealed_hash(&world.replica()).await, "on every replica");
    for (tenant_id, label, value) in [
        (2, "label", "value"),
        (1, "labe", "lvalue"),
        (1, "labelv", "alue"),
        (1, "label", "value "),
        (1, "", "labelvalue"),
    ] {
        let other = vault.keyed_hash(&tenant(tenant_id), label, value.as_bytes()).await.unwrap();
        assert_ne!(hash, other, "{tenant_id} {label} {value}");
    }
    for n in 0..200 {
        vault.keyed_hash(&tenant(1), &format!("label {n}"), b"value").await.unwrap();
    }
    assert_eq!(hash, sealed_hash(&vault).await, "however many labels there are");
}

#[tokio::test]
async fn nothing_is_printed() {
    let world = World::new();
    let vault = world.replica();
    let mut sealed = vault.seal(&tenant(1), EMAIL, b"secret words").await.unwrap();
    assert_eq!(format!("{vault:?} {:?}", world.probe.inner), "Envelope(..) LocalKeyring(..)");
    sealed.0[80] ^= 1;
    let error = vault.open(&tenant(1), EMAIL, &sealed).await.unwrap_err();
    let shown = format!("{error} {error:?} {}", error.source);
    assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_sealed_opens_again(
        text in prop::collection::vec(any::<u8>(), 0..2_000),
        tenant_id in any::<u128>(),
        row in any::<u128>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let place = Place { row: Uuid::from_u128(row), ..EMAIL };
            let sealed = world.replica().seal(&tenant(tenant_id), place, &text).await.unwrap();
            assert_eq!(sealed.0.len(), text.len() + 86);
            let opened = world.replica().open(&tenant(tenant_id), place, &sealed).await.unwrap();
            assert_eq!(opened.expose(), text);
        });
    }
}
