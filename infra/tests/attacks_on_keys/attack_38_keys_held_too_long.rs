//! Attack 38: a key that lives on by being used, a clock that is set back, a machine that sleeps, one cache for two
//! tenants, and ten thousand requests for a key at once.
//!
//! No test sets this machine's clock or sends it to sleep. What is tested in their stead: the envelope is given no wall
//! clock to ask; the ticks it runs on are the clock that counts sleep and that nobody can set; and when those jump,
//! keys have come to their end.

use std::{sync::Arc, time::Duration};

use domain::kernel::{clock::Clock as _, fault::Retry, secret::Vault as _};
use futures_util::future::join_all;
use infra::{
    envelope::{Envelope, KEY_TTL_MAX_S, SWEEP_EVERY_S, SystemTicks, Ticks as _},
    system::System,
};

use crate::world::{Behaves, EMAIL, World, background, tenant};

/// Longest that a key may be in memory after it was unwrapped.
const AGE_MAX_S: u64 = 900;

/// Ten thousand who want to seal at once, on all threads: how many did.
async fn storm(vault: &Arc<Envelope>) -> usize {
    let sealing = (0..10_000).map(|_| {
        let vault = Arc::clone(vault);
        tokio::spawn(async move { vault.seal(&tenant(1), EMAIL, b"x").await.is_ok() })
    });
    join_all(sealing).await.into_iter().filter(|sealed| *sealed.as_ref().unwrap()).count()
}

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
        assert!(now_s - unwrapped_at_s <= AGE_MAX_S, "at {now_s} s the key is from {unwrapped_at_s} s");
    }
    assert!(unwraps > first, "it lived on by being used");
    assert!(unwraps <= first + 2, "{unwraps} unwraps are too many for 20 minutes");
}

#[tokio::test]
async fn a_key_in_use_is_fetched_again_in_the_background_once() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let before = world.probe.unwraps();
    world.ticks.advance_s(KEY_TTL_MAX_S - 30);
    let scope = tenant(1);
    join_all((0..10_000).map(|_| vault.open(&scope, EMAIL, &sealed))).await;
    background().await;
    assert_eq!(world.probe.unwraps(), before + 1, "ten thousand readers, one fetch");
    world.ticks.advance_s(60);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    assert_eq!(world.probe.unwraps(), before + 1, "the new key was there already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_who_want_a_key_ask_for_it_once() {
    let world = World::new();
    world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let (before, reads) = (world.probe.unwraps(), world.store.reads());
    let vault = Arc::new(world.replica());
    assert_eq!(storm(&vault).await, 10_000);
    assert_eq!(world.probe.unwraps(), before + 1);
    assert_eq!(world.store.reads(), reads + 2, "the data key's row and the tenant key's");

    world.ticks.advance_s(KEY_TTL_MAX_S - 30);
    assert_eq!(storm(&vault).await, 10_000);
    world.ticks.advance_s(30);
    assert_eq!(storm(&vault).await, 10_000);
    assert_eq!(world.probe.unwraps(), before + 2, "near its end, in the background, and once");

    world.ticks.advance_s(KEY_TTL_MAX_S);
    world.probe.behaves(Behaves::RefusesForNow("down"));
    assert_eq!(storm(&vault).await, 0);
    assert_eq!(world.probe.unwraps(), before + 3, "a provider that is down is left alone for a while");
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

/// The oldest a key gets is its life and the time until it is swept; and it is its age since the provider was asked that
/// counts, not since it answered.
#[tokio::test(start_paused = true)]
async fn a_keys_age_counts_from_before_the_provider_was_asked() {
    let longest_s = KEY_TTL_MAX_S + SWEEP_EVERY_S;
    assert!(longest_s <= AGE_MAX_S, "{longest_s} s");
    let world = World::new();
    let sealed = world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let vault = world.replica();
    world.probe.behaves(Behaves::Takes(2));
    vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
    assert_eq!(world.ticks.elapsed(), Duration::from_secs(2));
    world.probe.behaves(Behaves::RefusesForNow("down"));
    world.ticks.advance_s(KEY_TTL_MAX_S - 3);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    world.ticks.advance_s(1);
    assert!(
        vault.open(&tenant(1), EMAIL, &sealed).await.is_err(),
        "the provider's two seconds are its age too"
    );
}

#[tokio::test]
async fn a_machine_that_slept_wakes_up_without_usable_keys() {
    let world = World::new();
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let before = world.probe.unwraps();
    world.probe.behaves(Behaves::RefusesForNow("the network is not up yet"));
    world.ticks.advance_s(8 * 60 * 60);
    let refused = vault.open(&tenant(1), EMAIL, &sealed).await.unwrap_err();
    assert_eq!(refused.retry, Retry::MayHelp);
    world.probe.behaves(Behaves::Well);
    world.ticks.advance_s(2);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    assert_eq!(world.probe.unwraps(), before + 2);
}

/// Nobody can set this clock, and it goes on while the machine sleeps.
#[cfg(target_os = "linux")]
#[test]
fn the_machines_ticks_are_the_clock_that_counts_sleep_and_is_never_set() {
    use nix::time::{ClockId, clock_gettime};
    let boot = || Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap());
    let (before, ticks, after) = (boot(), SystemTicks.elapsed(), boot());
    assert!(before <= ticks && ticks <= after, "{before:?} {ticks:?} {after:?}");
    let wall_s = u64::try_from(System.now().timestamp()).unwrap();
    assert!(ticks.as_secs() < wall_s / 2, "these are no seconds since 1970");
    let many: Vec<_> = (0..10_000).map(|_| SystemTicks.elapsed()).collect();
    assert!(many.is_sorted(), "they never go back");
}

#[tokio::test]
async fn two_tenants_share_no_key_however_they_take_turns() {
    let world = World::new();
    let first = world.replica();
    let (one, two) = (
        first.seal(&tenant(1), EMAIL, b"one").await.unwrap(),
        first.seal(&tenant(2), EMAIL, b"two").await.unwrap(),
    );
    let vault = world.replica();
    let before = world.probe.unwraps();
    for _ in 0..10 {
        assert_eq!(vault.open(&tenant(1), EMAIL, &one).await.unwrap().expose(), b"one");
        assert_eq!(vault.open(&tenant(2), EMAIL, &two).await.unwrap().expose(), b"two");
        assert!(vault.open(&tenant(1), EMAIL, &two).await.is_err());
        assert!(vault.open(&tenant(2), EMAIL, &one).await.is_err());
    }
    assert_eq!(world.probe.unwraps(), before + 2, "each has its own");
    vault.evict(tenant(1).tenant());
    vault.open(&tenant(2), EMAIL, &two).await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 2, "one's eviction is nothing to the other");
    vault.open(&tenant(1), EMAIL, &one).await.unwrap();
    assert_eq!(world.probe.unwraps(), before + 3);
}
