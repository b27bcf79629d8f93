//! The envelope as its callers see it: what opens where, how long keys live, and what happens when the key
//! provider is away, slow or wrong.

#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use domain::kernel::{
    fault::{PortError, Retry},
    ids::TenantId,
    scope::TenantScope,
    secret::{Place, Sealed, Vault as _},
};
use futures_util::future::join_all;
use infra::{
    envelope::{
        DataKeyRow, Envelope, EnvelopeSettings, KEY_TTL_MAX_S, KeyContext, KeyProvider, KeyStore as _,
        ManualTicks, MemoryKeyStore, Purpose, Ticks as _,
    },
    local_keyring::LocalKeyring,
    system::System,
};
use proptest::prelude::*;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A provider that counts, and misbehaves when told.
struct Probe {
    inner: LocalKeyring,
    name: Mutex<&'static str>,
    unwraps: AtomicU64,
    wraps: AtomicU64,
    down: AtomicBool,
    hangs: AtomicBool,
    another_key: AtomicBool,
}

impl Probe {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: LocalKeyring::ephemeral(&System),
            name: Mutex::new("probe"),
            unwraps: AtomicU64::new(0),
            wraps: AtomicU64::new(0),
            down: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            another_key: AtomicBool::new(false),
        })
    }

    fn unwraps(&self) -> u64 {
        self.unwraps.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> Result<(), PortError> {
        // Lets others queue up behind the one who asks.
        tokio::task::yield_now().await;
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(PortError::passing("probe", "down"));
        }
        Ok(())
    }
}

#[async_trait]
impl KeyProvider for Probe {
    fn describe(&self) -> &str {
        *self.name.lock().unwrap()
    }

    async fn wrap(&self, context: &KeyContext, key: &[u8; 32]) -> Result<Vec<u8>, PortError> {
        self.wraps.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        self.inner.wrap(context, key).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, PortError> {
        self.unwraps.fetch_add(1, Ordering::SeqCst);
        self.answer().await?;
        if self.another_key.load(Ordering::SeqCst) {
            return Ok(Zeroizing::new([9; 32]));
        }
        self.inner.unwrap(context, wrapped).await
    }
}

/// Replicas share a provider and a store; ticks are everybody's.
struct World {
    probe: Arc<Probe>,
    store: Arc<MemoryKeyStore>,
    ticks: Arc<ManualTicks>,
}

impl World {
    fn new() -> Self {
        Self { probe: Probe::new(), store: Arc::default(), ticks: Arc::default() }
    }

    fn replica_with(&self, change: impl FnOnce(&mut EnvelopeSettings)) -> Envelope {
        let mut settings = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
        change(&mut settings);
        let (probe, store, ticks) = (self.probe.clone(), self.store.clone(), self.ticks.clone());
        Envelope::new(probe, store, Arc::new(System), ticks, settings).unwrap()
    }

    fn replica(&self) -> Envelope {
        self.replica_with(|_| {})
    }
}

fn tenant(n: u128) -> TenantScope {
    TenantScope::of(TenantId::from_uuid(Uuid::from_u128(n)))
}

const EMAIL: Place = Place { table: "identity.members", column: "email", row: Uuid::from_u128(5) };

fn is_lasting<T>(result: Result<T, PortError>) -> bool {
    result.is_err_and(|error| error.retry == Retry::Useless)
}

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
    while world.probe.unwraps() == before {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.ticks.advance_s(60);
    assert!(vault.open(&tenant(1), EMAIL, &sealed).await.is_ok());
    assert_eq!(world.probe.unwraps(), before + 1, "the new key was there already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_who_want_a_key_ask_for_it_once() {
    let world = World::new();
    world.replica().seal(&tenant(1), EMAIL, b"x").await.unwrap();
    let before = world.probe.unwraps();
    let vault = Arc::new(world.replica());
    let storm = (0..10_000).map(|_| {
        let vault = Arc::clone(&vault);
        tokio::spawn(async move { vault.seal(&tenant(1), EMAIL, b"x").await.is_ok() })
    });
    assert!(join_all(storm).await.into_iter().all(|sealed| sealed.unwrap()));
    assert_eq!(world.probe.unwraps(), before + 1);

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

async fn sealed_hash(vault: &Envelope) -> [u8; 32] {
    vault.keyed_hash(&tenant(1), "label", b"value").await.unwrap()
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
    vault.rotate(&tenant(1)).await.unwrap();
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
async fn wrapped_keys_cannot_be_moved() {
    let world = World::new();
    let vault = world.replica();
    vault.seal(&tenant(1), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(1)).await.unwrap();
    let kek = world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap();
    let dek = world.store.newest_data_key(&tenant(1), Purpose::Fields).await.unwrap().unwrap();

    // To another tenant, with the tenant key and without.
    world.store.add_tenant_key(&tenant(2), kek.clone()).await.unwrap();
    assert!(is_lasting(vault.seal(&tenant(2), EMAIL, b"x").await));
    vault.seal(&tenant(3), EMAIL, b"x").await.unwrap();
    vault.rotate(&tenant(3)).await.unwrap();
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
    assert!(is_lasting(vault.rotate(&tenant(1)).await));
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
