//! How long and how often keys are used, and how they go.

use std::sync::{Arc, atomic::Ordering};

use domain::compliance::ports::KeyCustody as _;
use domain::kernel::{fault::Retry, ids::TenantId, secret::Vault as _};
use futures_util::future::join_all;
use infra::{
    envelope::{Envelope, EnvelopeSettings, KEY_TTL_MAX_S, KeyStore as _, Purpose, Ticks as _},
    system::System,
};
use uuid::Uuid;

use crate::world::{EMAIL, World, is_lasting, sealed_hash, tenant};

#[tokio::test]
async fn the_busiest_key_is_unwrapped_again_in_time() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"hot").await.unwrap();
    let mut unwraps = world.probe.unwraps();
    let mut unwrapped_at_s = 0;
    let first = unwraps;
    for now_s in 1..=20 * 60 {
        world.ticks.advance_s(1);
        assert_eq!(vault.open(&tenant(1), EMAIL, &sealed).await.unwrap().expose(), b"hot");
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        if world.probe.unwraps() != unwraps {
            unwraps = world.probe.unwraps();
            unwrapped_at_s = now_s;
        }
        assert!(now_s - unwrapped_at_s <= 15 * 60, "at {now_s} s the key is from {unwrapped_at_s} s");
    }
    assert!(unwraps > first, "it lived on by being used");
    assert!(unwraps <= first + 2, "{unwraps} unwraps are too many for 20 minutes");
}

#[tokio::test]
async fn without_its_provider_a_key_ends_on_time_however_busy() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"hot").await.unwrap();
    world.ticks.advance_s(100);
    let other = vault.seal(&tenant(2), EMAIL, b"fresh").await.unwrap();
    world.probe.down.store(true, Ordering::SeqCst);
    for now_s in 100..KEY_TTL_MAX_S {
        assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok(), "at {now_s} s");
        world.ticks.advance_s(1);
        tokio::task::yield_now().await;
    }
    // One second on for the rest the provider is given after it failed.
    for _ in 0..3 {
        let refused = vault.open(&tenant(1), EMAIL, &sealed).await.unwrap_err();
        assert_eq!(refused.retry, Retry::MayHelp);
        assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_err());
        assert!(vault.open(&tenant(2), EMAIL, &other).await.is_ok(), "others are not affected");
        world.ticks.advance_s(1);
    }
    world.probe.down.store(false, Ordering::SeqCst);
    world.ticks.advance_s(2);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok(), "and it comes back");
}

#[tokio::test]
async fn a_key_in_use_is_fetched_again_in_the_background_once() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let before = world.probe.unwraps();
    world.ticks.advance_s(KEY_TTL_MAX_S - 30);
    let scope = tenant(1);
    join_all((0..100).map(|_| vault.open(&scope, EMAIL, &sealed))).await;
    // The fetch is a task of its own on this one thread; it needs a few turns.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.probe.unwraps(), before + 1, "a hundred readers, one fetch");
    world.ticks.advance_s(60);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    assert_eq!(world.probe.unwraps(), before + 1, "the new key was there already");
}

#[tokio::test]
async fn a_key_is_used_so_many_times_and_no_more() {
    let world = World::new();
    let vault = world.replica_with(|settings| settings.key_messages_max = 10);
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let before = world.probe.unwraps();
    for _ in 0..9 {
        vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    }
    assert_eq!(world.probe.unwraps(), before);
    let sealed = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 1, "the eleventh");
    for _ in 0..10 {
        vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
    }
    assert_eq!(world.probe.unwraps(), before + 2, "opening counts as well");
}

#[tokio::test]
async fn a_key_is_used_for_so_many_bytes_and_no_more() {
    let world = World::new();
    let vault = world.replica_with(|settings| settings.key_bytes_max = 1_000);
    vault.seal(&tenant(1), EMAIL, &[0; 999]).await.unwrap();
    let before = world.probe.unwraps();
    vault.seal(&tenant(1), EMAIL, &[0; 999]).await.unwrap();
    assert_eq!(world.probe.unwraps(), before, "one byte was left");
    vault.seal(&tenant(1), EMAIL, &[0; 1]).await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 1);
}

#[tokio::test]
async fn rotation_changes_what_seals_and_keeps_what_was_sealed() {
    let world = World::new();
    let (vault, other) = (world.replica(), world.replica());
    let old = vault.seal(&tenant(1), EMAIL, b"old").await.unwrap();
    let hash = sealed_hash(&vault).await;
    other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    let new = vault.seal(&tenant(1), EMAIL, b"new").await.unwrap();
    assert_eq!((&old.0[2..6], &new.0[2..6]), ([0, 0, 0, 1].as_slice(), [0, 0, 0, 2].as_slice()));
    let row = world.store.newest_data_key(&tenant(1), Purpose::Fields).await.unwrap().unwrap();
    assert_eq!((row.version, row.kek_version), (2, 2));
    for vault in [&vault, &other] {
        assert_eq!(vault.open(&tenant(1), EMAIL, &old).await.unwrap().expose(), b"old");
        assert_eq!(vault.open(&tenant(1), EMAIL, &new).await.unwrap().expose(), b"new");
        assert_eq!(sealed_hash(vault).await, hash, "indexes go on matching");
    }
    // A value can't be passed off as sealed by another version of the key.
    let mut swapped = new.clone();
    swapped.0[2..6].copy_from_slice(&[0, 0, 0, 1]);
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &swapped).await));

    // The other replica only reads for a while, and still notices when its key has come to its end.
    for _ in 0..KEY_TTL_MAX_S + 10 {
        world.ticks.advance_s(1);
        other.open(&tenant(1), EMAIL, &old).await.unwrap();
        tokio::task::yield_now().await;
    }
    let sealed = other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(sealed.0[2..6], [0, 0, 0, 2]);
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

#[tokio::test]
async fn sweeping_wipes_what_nobody_asks_for_any_more() {
    let world = World::new();
    let vault = world.replica();
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    world.ticks.advance_s(10);
    vault.seal(&tenant(2), EMAIL, b"x").await.unwrap();
    world.ticks.advance_s(KEY_TTL_MAX_S - 10);
    assert_eq!(world.ticks.elapsed().as_secs(), KEY_TTL_MAX_S);
    assert_eq!(vault.tenants_held(), 2);
    vault.sweep();
    assert_eq!(vault.tenants_held(), 1);
    world.ticks.advance_s(10);
    vault.sweep();
    assert_eq!(vault.tenants_held(), 0);
}

#[tokio::test]
async fn the_sweeper_ends_with_its_envelope() {
    let world = World::new();
    let vault = world.replica();
    let sweeper = tokio::spawn(vault.sweeper());
    drop(vault);
    sweeper.await.unwrap();
}

#[tokio::test]
async fn evicted_keys_are_fetched_again_and_a_closed_vault_fetches_none() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.seal(&tenant(2), EMAIL, b"x").await.unwrap();
    vault.evict(TenantId::from_uuid(Uuid::from_u128(1)));
    assert_eq!(vault.tenants_held(), 1);
    vault.evict_all();
    assert_eq!(vault.tenants_held(), 0);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    vault.close();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &sealed).await));
    assert!(is_lasting(vault.seal(&tenant(1), EMAIL, b"x").await));
    assert!(is_lasting(vault.rotate(&tenant(1), None).await));
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

#[tokio::test]
async fn uses_are_counted_whichever_way_a_key_was_fetched() {
    let world = World::new();
    let sealed = world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let vault = world.replica_with(|settings| settings.key_messages_max = 10);
    let before = world.probe.unwraps();
    for _ in 0..6 {
        // Fetched by its version ...
        vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
    }
    for _ in 0..4 {
        // ... and as the newest.
        vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    }
    assert_eq!(world.probe.unwraps(), before + 1);
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 2, "the eleventh use of one key");
}

#[tokio::test]
async fn a_newer_key_is_taken_up_when_the_old_one_is_fetched_again() {
    let world = World::new();
    let (vault, other) = (world.replica(), world.replica());
    other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    world.ticks.advance_s(KEY_TTL_MAX_S - 30);
    let sealed = other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(sealed.0[2..6], [0, 0, 0, 1]);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let sealed = other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(sealed.0[2..6], [0, 0, 0, 2], "before the old one has come to its end");
}
