//! Keys are gone from this process's memory once they are evicted: looked for byte by byte.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "test code fails by panicking")]

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use domain::kernel::{
    ids::{Entropy, TenantId},
    scope::TenantScope,
    secret::{Place, Vault as _},
};
use infra::{
    envelope::{Envelope, EnvelopeSettings, ManualTicks, MemoryKeyStore},
    local_keyring::LocalKeyring,
    system::System,
};
use uuid::Uuid;

/// The byte at `at` of the `n`th secret. Computed wherever it is needed, so that looking for a secret does not
/// put it into memory.
fn byte(n: u8, at: u8) -> u8 {
    n.wrapping_mul(151) ^ at.wrapping_mul(89).wrapping_add(0x3d)
}

/// Gives out secrets that can be recognised.
struct Known(AtomicU8);

impl Entropy for Known {
    fn bytes32(&self) -> [u8; 32] {
        let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        std::array::from_fn(|at| byte(n, u8::try_from(at).unwrap_or_default()))
    }
}

fn is_secret(window: &[u8], n: u8) -> bool {
    window.iter().zip(0_u8..).all(|(found, at)| *found == byte(n, at))
}

/// How often the `n`th secret is in writable memory, this thread's stack left out: what was on it is
/// overwritten by whatever runs next, when it runs.
fn copies(n: u8) -> usize {
    let here = 0_u8;
    let here = u64::try_from((&raw const here).addr()).unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 1 << 16];
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
            let starts = buffer[..want].windows(32).filter(|window| is_secret(window, n)).count();
            found += starts;
            // The next piece starts 31 bytes back, for what lies across the edge.
            at += u64::try_from(want).unwrap();
            if at < to {
                at -= 31;
            }
        }
    }
    buffer.fill(0);
    found
}

#[tokio::test]
async fn evicted_keys_are_nowhere_in_memory() {
    let entropy = Arc::new(Known(AtomicU8::new(0)));
    let settings = EnvelopeSettings::new(TenantId::from_uuid(Uuid::from_u128(0xff)));
    let vault = Envelope::new(
        Arc::new(LocalKeyring::ephemeral(&System)),
        Arc::new(MemoryKeyStore::default()),
        entropy.clone(),
        Arc::new(ManualTicks::default()),
        settings,
    )
    .unwrap();
    let scope = TenantScope::of(TenantId::from_uuid(Uuid::from_u128(1)));
    let place = Place { table: "identity.members", column: "email", row: Uuid::from_u128(5) };
    let sealed = vault.seal(&scope, place, b"text").await.unwrap();
    vault.open(&scope, place, &sealed).await.unwrap();

    // The first 32 bytes asked for are the tenant key, the second the data key, the third a salt, which is no
    // secret and is in the sealed value.
    let (tenant_key, data_key, salt) = (1, 2, 3);
    assert!(copies(salt) > 0, "what is in memory is found");
    assert!(copies(tenant_key) > 0, "the tenant key is held");
    assert_eq!(copies(data_key), 0, "of the data key, only what is expanded from it");
    vault.close();
    assert_eq!(copies(tenant_key), 0);
    assert_eq!(copies(data_key), 0);
}
