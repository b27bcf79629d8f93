//! Attack 41: keys rotated while they are used, rotations and rewraps cut short, keys of old versions, and keys brought
//! in that are wrapped wrongly, too short, or badly padded.
//!
//! No key is brought in by the service itself: a root key comes in through the keyring's file (`infra/tests/keys.rs` has
//! its short and misshapen lines) or is made in a key service or module (`infra/tests/key_providers/`, a short one
//! included). So what is tested here of AES key wrap with padding is that it is no way in.
//!
//! The same over Postgres, with the service running: `tests/it/keys.rs`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    compliance::ports::KeyCustody as _,
    kernel::{
        ids::Entropy as _,
        secret::{Sealed, Vault as _},
    },
};
use futures_util::future::join_all;
use infra::{
    envelope::{Envelope, KEY_TTL_MAX_S, KeyContext, KeyProvider as _, KeyStore as _, Purpose, TenantKeyRow},
    local_keyring::LocalKeyring,
    system::System,
};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{Behaves, EMAIL, World, background, bytes, is_lasting, sealed_hash, tenant};

/// What was sealed for tenant 1 under each version of its keys so far, and the hash that has to stay.
struct Before {
    sealed: Vec<Sealed>,
    hash: [u8; 32],
}

impl Before {
    /// Two versions of the key for fields.
    async fn of(vault: &Envelope) -> Self {
        let hash = sealed_hash(vault).await;
        let first = vault.seal(&tenant(1), EMAIL, b"before").await.unwrap();
        vault.rotate(&tenant(1), None).await.unwrap();
        let second = vault.seal(&tenant(1), EMAIL, b"before").await.unwrap();
        Self { sealed: vec![first, second], hash }
    }

    /// Everything opens there, and what it seals opens elsewhere.
    async fn holds_on(&self, world: &World, vault: &Envelope) {
        for sealed in &self.sealed {
            assert_eq!(vault.open(&tenant(1), EMAIL, sealed).await.unwrap().expose(), b"before");
        }
        assert_eq!(sealed_hash(vault).await, self.hash);
        let sealed = vault.seal(&tenant(1), EMAIL, b"after").await.unwrap();
        assert_eq!(world.replica().open(&tenant(1), EMAIL, &sealed).await.unwrap().expose(), b"after");
    }
}

/// How many of the tenant's data keys are not under its newest key.
async fn left_behind(world: &World) -> usize {
    let newest = world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap().version;
    let data_keys = world.store.data_keys(&tenant(1)).await.unwrap();
    assert!(data_keys.len() >= 3);
    data_keys.iter().filter(|(_, key)| key.kek_version != newest).count()
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
async fn a_newer_key_is_taken_up_when_the_old_one_is_fetched_again() {
    let world = World::new();
    let (vault, other) = (world.replica(), world.replica());
    other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    world.ticks.advance_s(KEY_TTL_MAX_S - 30);
    let sealed = other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(sealed.0[2..6], [0, 0, 0, 1]);
    background().await;
    let sealed = other.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    assert_eq!(sealed.0[2..6], [0, 0, 0, 2], "before the old one has come to its end");
}

/// Seals and opens until told to stop, and counts how often.
async fn uses(vault: &Envelope, before: &Before, rounds: &AtomicU32, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let sealed = vault.seal(&tenant(1), EMAIL, b"now").await.unwrap();
        assert_eq!(vault.open(&tenant(1), EMAIL, &sealed).await.unwrap().expose(), b"now");
        for sealed in &before.sealed {
            assert_eq!(vault.open(&tenant(1), EMAIL, sealed).await.unwrap().expose(), b"before");
        }
        assert_eq!(sealed_hash(vault).await, before.hash);
        rounds.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_fails_while_keys_are_rotated() {
    let world = World::new();
    let replicas = [Arc::new(world.replica()), Arc::new(world.replica())];
    let before = Arc::new(Before::of(&replicas[0]).await);
    let done = Arc::new(AtomicBool::new(false));
    let users: Vec<_> = (0..6)
        .map(|number| {
            let (vault, before, done) = (replicas[number % 2].clone(), before.clone(), done.clone());
            let rounds = Arc::new(AtomicU32::new(0));
            let counted = rounds.clone();
            (rounds, tokio::spawn(async move { uses(&vault, &before, &counted, &done).await }))
        })
        .collect();
    for number in 0..20 {
        replicas[number % 2].rotate(&tenant(1), None).await.unwrap();
        world.ticks.advance_s(KEY_TTL_MAX_S / 3);
        // Everybody has the new keys and comes by the old ones before there are newer.
        for (rounds, user) in &users {
            let seen = rounds.load(Ordering::SeqCst);
            while rounds.load(Ordering::SeqCst) < seen + 2 && !user.is_finished() {
                tokio::task::yield_now().await;
            }
        }
    }
    done.store(true, Ordering::SeqCst);
    for (_, user) in users {
        user.await.unwrap();
    }
    assert_eq!(world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap().version, 22);
    assert_eq!(left_behind(&world).await, 0);
    before.holds_on(&world, &world.replica()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_rotate_at_once_agree_or_one_is_told() {
    for _ in 0..20 {
        let world = World::new();
        let replicas = [Arc::new(world.replica()), Arc::new(world.replica())];
        let before = Before::of(&replicas[0]).await;
        let rotating = replicas.each_ref().map(|vault| {
            let vault = Arc::clone(vault);
            tokio::spawn(async move { vault.rotate(&tenant(1), None).await.is_ok() })
        });
        let rotated = join_all(rotating).await;
        assert!(rotated.iter().any(|rotated| *rotated.as_ref().unwrap()));
        for vault in &replicas {
            before.holds_on(&world, vault).await;
        }
        before.holds_on(&world, &world.replica()).await;
        assert_eq!(left_behind(&world).await, 0);
    }
}

#[tokio::test]
async fn a_rotation_cut_short_anywhere_loses_nothing_and_rewrapping_finishes_it() {
    for writes in 0.. {
        let world = World::new();
        let vault = world.replica();
        let before = Before::of(&vault).await;
        world.store.takes_writes(writes);
        let done = vault.rotate(&tenant(1), None).await.is_ok();
        world.store.takes_writes(u64::MAX);
        for vault in [&vault, &world.replica()] {
            before.holds_on(&world, vault).await;
        }
        // And the rewrap is cut short after each write, until there is none left to make.
        let left = left_behind(&world).await;
        for left in (1..left).rev() {
            world.store.takes_writes(1);
            assert!(world.replica().rewrap(&tenant(1)).await.is_err());
            world.store.takes_writes(u64::MAX);
            assert_eq!(left_behind(&world).await, left, "after {writes} writes");
            before.holds_on(&world, &world.replica()).await;
        }
        assert_eq!(usize::try_from(world.replica().rewrap(&tenant(1)).await.unwrap()).unwrap(), left.min(1));
        assert_eq!((left_behind(&world).await, vault.rewrap(&tenant(1)).await.unwrap()), (0, 0));
        before.holds_on(&world, &world.replica()).await;
        if done {
            assert_eq!(writes, 5, "a tenant key, a data key, and three to wrap again");
            break;
        }
    }
}

/// A root key that was disabled refuses what was wrapped under it, and nothing else.
#[tokio::test]
async fn a_rewrapped_tenant_needs_no_old_root_key_and_one_cut_short_does() {
    let world = World::new();
    let before = Before::of(&world.replica()).await;
    world.probe.behaves(Behaves::RefusesBelow(2));
    before.holds_on(&world, &world.replica()).await;

    world.store.takes_writes(2);
    assert!(world.replica().rotate(&tenant(1), None).await.is_err());
    world.store.takes_writes(u64::MAX);
    world.probe.behaves(Behaves::RefusesBelow(3));
    let vault = world.replica();
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &before.sealed[0]).await), "still under the old one");
    assert!(vault.seal(&tenant(1), EMAIL, b"x").await.is_ok(), "the new one is there already");
    assert!(vault.rewrap(&tenant(1)).await.is_err(), "it can't be taken over any more");
    world.probe.behaves(Behaves::Well);
    world.ticks.advance_s(2);
    assert_eq!(vault.rewrap(&tenant(1)).await.unwrap(), 3);
    world.probe.behaves(Behaves::RefusesBelow(3));
    before.holds_on(&world, &world.replica()).await;
}

/// The floor under tenant keys: what is wrapped under a retired one is refused, and nobody who needs it is retired.
#[tokio::test]
async fn a_wrap_under_a_retired_tenant_key_is_refused() {
    let world = World::new();
    let before = Before::of(&world.replica()).await;
    let of_first = world.store.data_key(&tenant(1), Purpose::Fields, 1).await.unwrap().unwrap();
    // A copy of the row as it is in a backup from before the next rotation.
    let backup = of_first.clone();
    let vault = world.replica();
    vault.rotate(&tenant(1), None).await.unwrap();
    assert_eq!(vault.retire(&tenant(1)).await.unwrap(), 2, "the first two");
    assert_eq!(vault.retire(&tenant(1)).await.unwrap(), 0, "and not again");
    before.holds_on(&world, &vault).await;
    before.holds_on(&world, &world.replica()).await;

    let now = world.store.data_key(&tenant(1), Purpose::Fields, 1).await.unwrap().unwrap();
    assert_eq!((backup.kek_version, now.kek_version), (2, 3));
    world.store.rewrap_data_key(&tenant(1), Purpose::Fields, &now, backup.clone()).await.unwrap();
    let later = world.replica();
    assert!(is_lasting(later.open(&tenant(1), EMAIL, &before.sealed[0]).await), "put back, and refused");
    assert!(later.rewrap(&tenant(1)).await.is_err(), "nor is it taken over");
    assert!(later.open(&tenant(1), EMAIL, &before.sealed[1]).await.is_ok(), "others are as they were");
    world.store.rewrap_data_key(&tenant(1), Purpose::Fields, &backup, now).await.unwrap();
    before.holds_on(&world, &world.replica()).await;
}

/// As when a row is read, and before its tenant key is, it is wrapped anew and the old key retired.
#[tokio::test]
async fn a_tenant_key_with_something_under_it_is_not_retired() {
    let world = World::new();
    let before = Before::of(&world.replica()).await;
    world.store.takes_writes(2);
    assert!(
        world.replica().rotate(&tenant(1), None).await.is_err(),
        "cut short before all is under the new one"
    );
    world.store.takes_writes(u64::MAX);
    assert_eq!(world.replica().retire(&tenant(1)).await.unwrap(), 1, "the first; the second is needed");
    before.holds_on(&world, &world.replica()).await;
    world.replica().rewrap(&tenant(1)).await.unwrap();
    assert_eq!(world.replica().retire(&tenant(1)).await.unwrap(), 1);
    before.holds_on(&world, &world.replica()).await;
}

/// There is no floor under the versions of data keys. So a value put back from an old backup, sealed before any number
/// of rotations, is taken for as good as one of today, as long as its data key is under a tenant key in use.
#[tokio::test]
async fn a_value_of_the_first_version_opens_after_any_number_of_rotations() {
    let world = World::new();
    let vault = world.replica();
    let before = Before::of(&vault).await;
    for _ in 0..5 {
        vault.rotate(&tenant(1), None).await.unwrap();
    }
    before.holds_on(&world, &world.replica()).await;
    let ahead = Sealed([&before.sealed[0].0[..2], &[0, 0, 0, 9], &before.sealed[0].0[6..]].concat());
    assert!(is_lasting(vault.open(&tenant(1), EMAIL, &ahead).await), "of a version that is to come");
}

fn context() -> KeyContext {
    KeyContext { tenant: tenant(1).tenant(), purpose: "tenant-key", version: 1 }
}

/// Each case with a 256-bit key, given as a wrap under that very key.
#[tokio::test]
async fn a_key_wrapped_by_aes_key_wrap_is_refused_with_good_and_bad_padding() {
    let name = Uuid::from_bytes(System.bytes32()[..16].try_into().unwrap());
    let path = std::env::temp_dir().join(format!("keyring-{name}"));
    let file: Value = serde_json::from_str(include_str!("../vectors/aes_kwp_test.json")).unwrap();
    let (mut good, mut bad) = (0, 0);
    for group in file["testGroups"].as_array().unwrap().iter().filter(|group| group["keySize"] == 256) {
        for case in group["tests"].as_array().unwrap() {
            fs::write(&path, format!("v1 {}\n", STANDARD.encode(bytes(case, "key")))).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let keyring = LocalKeyring::open(&path).unwrap();
            let wrapped = bytes(case, "ct");
            for given in [[&[1, 0, 0, 0, 1], wrapped.as_slice()].concat(), wrapped] {
                assert!(is_lasting(keyring.unwrap(&context(), &given).await), "case {}", case["tcId"]);
            }
            if case["result"] == "valid" { good += 1 } else { bad += 1 }
        }
    }
    fs::remove_file(path).unwrap();
    assert_eq!((good, bad), (25, 69));
}

#[tokio::test]
async fn a_tenant_key_brought_in_wrongly_is_refused() {
    let world = World::new();
    let first = world.replica();
    first.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let TenantKeyRow { wrapped, .. } = world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap();
    // Form, check value, and the provider's wrap.
    let (form, check, wrap) = (&wrapped[..1], &wrapped[1..33], &wrapped[33..]);
    let foreign = LocalKeyring::ephemeral(&System).wrap(&context(), &[7; 32]).await.unwrap();
    let another = world.probe.inner.wrap(&context(), &[7; 32]).await.unwrap();
    for (number, (what, wrapped)) in (10_u128..).zip([
        ("nothing", Vec::new()),
        ("a form without a key", form.to_vec()),
        ("an unknown form", [&[2], check, wrap].concat()),
        ("a check value cut short", [form, &check[..31]].concat()),
        ("a check value without a wrap", [form, check].concat()),
        ("a wrap cut short", wrapped[..wrapped.len() - 1].to_vec()),
        ("a wrap with more behind it", [wrapped.as_slice(), &[0]].concat()),
        ("a bare key", [form, check, &[7; 32]].concat()),
        ("a wrap by somebody else's root key", [form, check, &foreign].concat()),
        ("another key than the one checked", [form, check, &another].concat()),
        ("a check value of nothing", [form, &[0; 32], wrap].concat()),
        ("another tenant's", wrapped.clone()),
    ]) {
        let row = TenantKeyRow { version: 1, provider: "probe".to_owned(), wrapped, is_retired: false };
        world.store.add_tenant_key(&tenant(number), row).await.unwrap();
        assert!(is_lasting(world.replica().seal(&tenant(number), EMAIL, b"x").await), "{what}");
        let data_key = world.store.newest_data_key(&tenant(number), Purpose::Fields).await.unwrap();
        assert_eq!(data_key, None, "{what}: nothing is made under it");
    }
}
