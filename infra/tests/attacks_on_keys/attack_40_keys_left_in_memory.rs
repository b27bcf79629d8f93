//! Attack 40: keys in core dumps, swap, panics, debug prints, spans, events and errors.
//!
//! No test dumps core or fills the memory until it is swapped. What is tested in their stead is what either would hold:
//! this process's own writable memory is searched for keys byte by byte, after they were let go. Two places are beyond
//! it. Stacks: what was on them is overwritten by whatever runs next, when it runs. And the library's hash states, from
//! which message keys are expanded: they are wiped by the library (`HMAC_CTX_cleanup`), and have no form of ours that
//! could be looked for; that the extracted key itself is not kept is looked for.
//!
//! Keys that are in use are in memory, and in a dump made then. Where it runs, dumps and swap are to be turned off.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use aws_lc_rs::hkdf;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    compliance::ports::KeyCustody as _,
    kernel::{
        ids::{Entropy, TenantId},
        secret::Vault as _,
    },
};
use futures_util::FutureExt as _;
use infra::{
    envelope::{Envelope, KEY_TTL_MAX_S, KeyStore as _, Ticks as _},
    local_keyring::LocalKeyring,
    system::System,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::world::{Behaves, EMAIL, Told, World, background, is_lasting, tenant};

/// The byte at `at` of the `n`th secret. Computed wherever it is needed, so that looking for a secret does not
/// put it into memory.
fn byte(n: u8, at: u8) -> u8 {
    n.wrapping_mul(151) ^ at.wrapping_mul(89).wrapping_add(0x3d)
}

fn secret(n: u8) -> [u8; 32] {
    std::array::from_fn(|at| byte(n, u8::try_from(at).unwrap_or_default()))
}

/// Gives out secrets that can be recognised, those after the `n`th. Tests begin apart: they may share a process.
struct Known(AtomicU8);

impl Known {
    fn after(n: u8) -> Arc<Self> {
        Arc::new(Self(AtomicU8::new(n)))
    }
}

impl Entropy for Known {
    fn bytes32(&self) -> [u8; 32] {
        secret(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// One searches at a time: what a search reads is found by another.
static SEARCH: Mutex<()> = Mutex::new(());

/// How often something as long as `len` is in writable memory, stacks left out.
fn found(len: usize, is_it: impl Fn(&[u8]) -> bool) -> usize {
    let searching = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    let here = 0_u8;
    let here = u64::try_from((&raw const here).addr()).unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let (mut buffer, nothing) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    // What is read is in memory twice.
    let own = u64::try_from(buffer.as_ptr().addr()).unwrap();
    let own = own..own + u64::try_from(buffer.len()).unwrap();
    let mut found = 0;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        if !rights.starts_with("rw") || line.contains("[stack]") || (from..to).contains(&here) {
            continue;
        }
        let mut at = from;
        while at < to {
            memory.seek(SeekFrom::Start(at)).unwrap();
            let want = usize::try_from(to - at).unwrap().min(buffer.len());
            let Ok(()) = memory.read_exact(&mut buffer[..want]) else { break };
            // Most of it was never written to.
            if buffer[..want] != nothing[..want] {
                let there = (at..).zip(buffer[..want].windows(len)).filter(|(_, window)| is_it(window));
                found += there.filter(|(at, _)| !own.contains(at)).count();
            }
            at += u64::try_from(want).unwrap();
            // The next piece starts a little back, for what lies across the edge.
            if at < to {
                at -= u64::try_from(len - 1).unwrap();
            }
        }
    }
    buffer.fill(0);
    drop(searching);
    found
}

/// How often the `n`th secret is in memory.
fn copies(n: u8) -> usize {
    found(32, |window| window.iter().zip(0_u8..).all(|(found, at)| *found == byte(n, at)))
}

/// Something to look for that can't be computed byte by byte: every bit turned over, so that it is not found itself.
struct Turned(Vec<u8>);

impl Turned {
    fn over(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| !byte).collect())
    }

    fn copies(&self) -> usize {
        found(self.0.len(), |window| window.iter().zip(&self.0).all(|(found, turned)| *found == !turned))
    }
}

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// The key of one message and the commitment to it, by the library's own HKDF.
fn message_key(data_key: &[u8], salt: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut keys = Zeroizing::new([0; 64]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA512, b"matricula data key v1").extract(data_key);
    let info: [&[u8]; 2] = [b"matricula message v1", salt];
    extracted.expand(&info, Len(64)).unwrap().fill(keys.as_mut_slice()).unwrap();
    keys
}

/// A way to let keys go.
type LetGo = fn(&World, &Envelope);

#[tokio::test]
async fn keys_let_go_are_nowhere_in_memory() {
    let ways: [(&str, LetGo); 4] = [
        ("its tenant is evicted", |_, vault| vault.evict(tenant(1).tenant())),
        ("all are evicted", |_, vault| vault.evict_all()),
        ("the vault is closed", |_, vault| vault.close()),
        ("swept past its time", |world, vault| {
            world.ticks.advance_s(KEY_TTL_MAX_S);
            vault.sweep();
        }),
    ];
    for (before, (way, let_go)) in (0_u8..).step_by(10).zip(ways) {
        let world = World::with(Known::after(before));
        let vault = world.replica();
        let sealed = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
        vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
        // In the order they are asked for. The salt is no secret, and is in the sealed value.
        let [root, tenant_key, data_key, salt] = [1, 2, 3, 4].map(|n| before + n);
        assert!(copies(salt) > 0, "what is in memory is found");
        assert_eq!(copies(tenant_key), 1, "it is held, and once");
        assert_eq!(copies(data_key), 0, "of the data key, only what is expanded from it");
        let_go(&world, &vault);
        assert_eq!(copies(tenant_key), 0, "{way}");
        assert_eq!(copies(data_key), 0, "{way}");
        assert!(copies(root) > 0, "the keyring holds its key as long as there is a keyring");
        drop((vault, world));
        assert_eq!(copies(root), 0, "{way}, and the keyring gone");
    }
}

#[tokio::test]
async fn neither_a_messages_key_nor_its_text_outlives_the_call() {
    let before = 50;
    let world = World::with(Known::after(before));
    let vault = world.replica();
    let text = before + 9;
    let plain = Zeroizing::new(secret(text).to_vec());
    let sealed = vault.seal(&tenant(1), EMAIL, &plain).await.unwrap();
    drop(plain);
    let keys = message_key(&secret(before + 3), &secret(before + 4));
    assert_eq!(sealed.0[38..70], keys[32..], "this is how it is derived");
    let key = Turned::over(&keys[..32]);
    drop(keys);
    assert_eq!((key.copies(), copies(text)), (0, 0), "sealed");
    let opened = vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
    assert_eq!((key.copies(), copies(text)), (0, 1), "opened");
    drop(opened);
    assert_eq!((key.copies(), copies(text)), (0, 0), "and done with");
}

#[tokio::test]
async fn a_key_that_is_fetched_again_is_held_once() {
    let before = 70;
    let world = World::with(Known::after(before));
    let vault = world.replica();
    let sealed = vault.seal(&tenant(1), EMAIL, b"text").await.unwrap();
    for round in 1..=3 {
        let unwraps = world.probe.unwraps();
        world.ticks.advance_s(KEY_TTL_MAX_S - 30);
        vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
        background().await;
        assert_eq!((world.probe.unwraps(), copies(before + 2)), (unwraps + 1, 1), "round {round}");
    }
    world.probe.behaves(Behaves::Takes(0));
    vault.rotate(&tenant(1), None).await.unwrap();
    assert_eq!(copies(before + 2), 0, "rotated away");
}

#[tokio::test]
async fn a_panic_leaves_no_key_behind() {
    let before = 90;
    let world = World::with(Known::after(before));
    let vault = world.replica();
    world.probe.behaves(Behaves::Panics);
    let scope = tenant(1);
    let panicked = AssertUnwindSafe(vault.seal(&scope, EMAIL, b"text")).catch_unwind().await;
    assert!(panicked.is_err(), "with a new tenant key at hand");
    assert_eq!(copies(before + 2), 0);
    world.probe.behaves(Behaves::Well);
    assert!(vault.seal(&scope, EMAIL, b"text").await.is_ok(), "and it goes on");
}

#[test]
fn a_keyring_made_or_read_leaves_no_key_behind() {
    let before = 110;
    let name = Uuid::from_bytes(System.bytes32()[..16].try_into().unwrap());
    let path = std::env::temp_dir().join(format!("keyring-{name}"));
    // The start and the end are left out: the allocator writes there when it takes memory back.
    let encoded = Zeroizing::new(STANDARD.encode(secret(before + 1)));
    let text = Turned::over(&encoded.as_bytes()[16..40]);
    assert_eq!(text.copies(), 1, "what is in memory is found");
    drop(encoded);
    for keyring in
        [LocalKeyring::create(&path, &*Known::after(before)).unwrap(), LocalKeyring::open(&path).unwrap()]
    {
        assert!(copies(before + 1) > 0);
        drop(keyring);
    }
    assert_eq!((copies(before + 1), text.copies()), (0, 0));
    fs::remove_file(path).unwrap();
}

/// The forms in which bytes are printed by mistake.
fn printed(bytes: &[u8]) -> [String; 5] {
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let list = format!("{bytes:?}");
    let lines = format!("{bytes:#?}");
    let inside = |text: String| text.trim_matches(['[', ']', '\n']).to_owned();
    [hex.to_uppercase(), hex, STANDARD.encode(bytes)[..8].to_owned(), inside(list), inside(lines)]
}

#[tokio::test]
async fn nothing_is_printed_or_told() {
    let before = 130;
    let told = Told::default();
    let listening = told.listen();
    let known = Known::after(before);
    let world = World::with(known.clone());
    let vault = world.replica();
    let text = secret(before + 60);
    let mut sealed = vault.seal(&tenant(1), EMAIL, &text).await.unwrap();
    assert_eq!(format!("{vault:?} {:?}", world.probe.inner), "Envelope(..) LocalKeyring(..)");
    let opened = vault.open(&tenant(1), EMAIL, &sealed).await.unwrap();
    vault.rotate(&tenant(1), None).await.unwrap();
    let row = world.store.newest_tenant_key(&tenant(1)).await.unwrap().unwrap();
    let mut shown =
        vec![format!("{opened:?} {opened:#?} {row:?} {row:#?} {:?}", vault.versions(&tenant(1)).await)];

    let mut errors = Vec::new();
    sealed.0[80] ^= 1;
    errors.push(vault.open(&tenant(1), EMAIL, &sealed).await.unwrap_err());
    world.store.add_tenant_key(&tenant(2), row).await.unwrap();
    errors.push(vault.seal(&tenant(2), EMAIL, &text).await.unwrap_err());
    for behaves in [Behaves::GivesAnotherKey, Behaves::Refuses("disabled"), Behaves::RefusesForNow("down")] {
        world.probe.behaves(behaves);
        world.ticks.advance_s(KEY_TTL_MAX_S - 30);
        // The key in use is fetched again in the background, and that fails; then it has come to its end.
        let _ = vault.keyed_hash(&tenant(1), "label", &text).await;
        background().await;
        world.ticks.advance_s(KEY_TTL_MAX_S);
        errors.push(vault.seal(&tenant(1), EMAIL, &text).await.unwrap_err());
        world.probe.behaves(Behaves::Well);
        world.ticks.advance_s(2);
        vault.keyed_hash(&tenant(1), "label", &text).await.unwrap();
    }
    for error in &errors {
        shown.push(format!("{error} {error:?} {error:#?}"));
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            shown.push(format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }
    drop(listening);
    shown.push(told.text());
    let shown = shown.concat();
    assert!(told.text().contains("before the end of its life"), "what is told is heard");
    let last = known.0.load(Ordering::SeqCst);
    assert!((before + 6..before + 60).contains(&last), "{last}");
    for n in (before + 1..=last).chain([before + 60]) {
        for form in printed(&secret(n)[..6]) {
            assert!(!shown.contains(&form), "secret {n} as {form}: {shown}");
        }
    }
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
