//! Many callers, many replicas, and a provider that is away, slow or wrong.

use std::sync::{Arc, atomic::Ordering};

use domain::kernel::{fault::Retry, secret::Vault as _};
use futures_util::future::join_all;
use infra::envelope::{KEY_TTL_MAX_S, KeyStore as _, Purpose};

use crate::world::{EMAIL, World, is_lasting, sealed_hash, tenant};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_who_want_a_key_ask_for_it_once() {
    let world = World::new();
    world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let (before, reads) = (world.probe.unwraps(), world.store.reads());
    let vault = Arc::new(world.replica());
    let storm = (0..10_000).map(|_| {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move { vault.seal(&tenant(1), EMAIL, b"x").await.is_ok() })
    });
    assert!(join_all(storm).await.into_iter().all(|sealed| sealed.unwrap()));
    assert_eq!(world.probe.unwraps(), before + 1);
    assert_eq!(world.store.reads(), reads + 2, "the data key's row and the tenant key's");

    world.ticks.advance_s(KEY_TTL_MAX_S);
    world.probe.down.store(true, Ordering::SeqCst);
    let storm = (0..10_000).map(|_| {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move { vault.seal(&tenant(1), EMAIL, b"x").await.is_ok() })
    });
    assert!(join_all(storm).await.into_iter().all(|sealed| !sealed.unwrap()));
    assert_eq!(world.probe.unwraps(), before + 2, "a provider that is down is left alone for a while");
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
async fn a_provider_that_gives_another_key_is_found_out() {
    let world = World::new();
    let sealed = world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    world.probe.another_key.store(true, Ordering::SeqCst);
    let vault = world.replica();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &sealed).await));
    assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_err());
    // A new tenant: nothing may be sealed, or stored, under a key that can't be had again.
    assert!(is_lasting(vault.seal(&tenant(2), EMAIL, b"x").await));
    assert_eq!(world.store.newest_tenant_key(&tenant(2)).await.unwrap(), None);
    world.probe.another_key.store(false, Ordering::SeqCst);
    world.ticks.advance_s(2);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_on() {
    let world = World::new();
    let vault = world.replica_with(|settings| settings.provider_timeout_ms = 1);
    world.probe.hangs.store(true, Ordering::SeqCst);
    let refused = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap_err();
    assert_eq!(refused.retry, Retry::MayHelp);
    world.probe.hangs.store(false, Ordering::SeqCst);
    world.ticks.advance_s(2);
    assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_ok());
}

#[tokio::test]
async fn keys_of_another_provider_are_not_tried() {
    let world = World::new();
    let sealed = world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    *world.probe.name.lock().unwrap() = "another";
    let before = world.probe.unwraps();
    let error = world.replica().open(&tenant(1), EMAIL, &sealed).await.unwrap_err();
    let text = error.source.to_string();
    assert!(text.contains("probe") && text.contains("another"), "{text}");
    assert_eq!(world.probe.unwraps(), before);
}

#[tokio::test]
async fn sweeping_does_not_forget_that_the_provider_failed() {
    let world = World::new();
    let vault = world.replica();
    world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    world.probe.down.store(true, Ordering::SeqCst);
    let before = world.probe.unwraps();
    for _ in 0..3 {
        assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_err());
        vault.sweep();
    }
    assert_eq!(world.probe.unwraps(), before + 1);
}
