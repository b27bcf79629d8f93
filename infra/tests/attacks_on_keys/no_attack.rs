//! What holds when nobody attacks: all that is sealed opens, replicas agree, and settings are what they say.

use std::sync::Arc;

use domain::kernel::{
    ids::TenantId,
    secret::{Place, Vault as _},
};
use futures_util::future::join_all;
use infra::{
    envelope::{Envelope, EnvelopeSettings, KEY_TTL_MAX_S, KeyStore as _, Purpose},
    system::System,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::{EMAIL, World, sealed_hash, tenant};

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
async fn only_so_many_tenants_are_held_and_the_idle_make_room() {
    let world = World::new();
    let vault = world.replica_with(|settings| settings.tenants_max = 3);
    for n in 1..=3 {
        vault.seal(&tenant(n), EMAIL, b"x").await.unwrap();
        world.ticks.advance_s(1);
    }
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    world.ticks.advance_s(1);
    vault.seal(&tenant(4), EMAIL, b"x").await.unwrap();
    assert_eq!(vault.tenants_held(), 3);
    let before = world.probe.unwraps();
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(world.probe.unwraps(), before, "tenant 1 was used since");
    vault.seal(&tenant(2), EMAIL, b"x").await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 1, "tenant 2 made room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_that_start_together_agree_on_the_keys() {
    let world = World::new();
    let replicas: Vec<_> = (0..16).map(|_| Arc::new(world.replica())).collect();
    let sealing = replicas.iter().map(|vault| {
        let vault = Arc::clone(vault);
        tokio::spawn(async move {
            let hash = vault.keyed_hash(&tenant(1), "label", b"value").await.unwrap();
            (vault.seal(&tenant(1), EMAIL, b"x").await.unwrap(), hash)
        })
    });
    let sealed: Vec<_> = join_all(sealing).await.into_iter().map(|done| done.unwrap()).collect();
    for vault in &replicas {
        for (sealed, hash) in &sealed {
            assert_eq!(vault.open(&tenant(1), EMAIL, sealed).await.unwrap().expose(), b"x");
            assert_eq!(*hash, sealed_hash(vault).await);
        }
    }
    assert_eq!(world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap().version, 1);
    assert_eq!(world.store.newest_data_key(&tenant(1), Purpose::Fields).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn the_sweeper_ends_with_its_envelope() {
    let world = World::new();
    let vault = world.replica();
    let sweeper = tokio::spawn(vault.sweeper());
    drop(vault);
    sweeper.await.unwrap();
}

#[test]
fn settings_out_of_range_are_refused() {
    let good = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
    for bad in [
        EnvelopeSettings { key_ttl_s: 0, ..good },
        EnvelopeSettings { key_ttl_s: KEY_TTL_MAX_S + 1, ..good },
        EnvelopeSettings { key_messages_max: 0, ..good },
        EnvelopeSettings { key_messages_max: (1 << 20) + 1, ..good },
        EnvelopeSettings { key_bytes_max: (64 << 30) + 1, ..good },
        EnvelopeSettings { tenants_max: 0, ..good },
        EnvelopeSettings { provider_timeout_ms: 0, ..good },
    ] {
        let world = World::new();
        let made = Envelope::new(world.probe, world.store, Arc::new(System), world.ticks, bad);
        assert!(made.is_err(), "{bad:?}");
    }
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
