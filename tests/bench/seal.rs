//! What sealing a field costs, beside the bare cipher of the same library.

use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use domain::kernel::{
    ids::{Entropy as _, IdSource as _},
    scope::TenantScope,
    secret::{Place, Vault},
};
use harness::stores::HarnessError;
use infra::system::System;

use crate::{
    goals::Goal,
    rounds::{ROUNDS, Rounds, median, order},
    seed::{TENANTS, tenant},
    table::Table,
};

/// Fields of each round.
const FIELDS: u32 = 50_000;
/// Bytes of a field.
const FIELD_BYTES: usize = 256;
/// Bytes of what is bound into the bare cipher's seal; the product's is about as long.
const BOUND: [u8; 48] = [7; 48];

/// Measures both ways, and tells of them.
///
/// # Errors
/// A seal did not open.
pub(crate) async fn run(vault: &dyn Vault) -> Result<(Table, Vec<Goal>), HarnessError> {
    let mut ns: [Vec<f64>; 6] = Default::default();
    for round in 0..ROUNDS {
        for at in order(round, 3) {
            let (seal, open) = match at {
                0 => bare(|| Ok(None))?,
                1 => bare(|| cipher(&System.bytes32()).map(Some))?,
                _ => sealed(vault).await?,
            };
            ns[2 * at].push(seal);
            ns[2 * at + 1].push(open);
        }
    }
    let rounds = ns.each_ref().map(|ns| Rounds(ns.clone()));
    let [held_seal, held_open, new_seal, new_open, vault_seal, vault_open] = ns.map(median);
    let mut table = Table::of_times("Sealing a field of 256 bytes, one core");
    table.times("bare AES-256-GCM, key held", held_seal, held_open, "floor");
    table.times("bare AES-256-GCM, another random key each time", new_seal, new_open, "-");
    let reached = format!("{:.1} x and {:.1} x the floor", vault_seal / held_seal, vault_open / held_open);
    table.times("the product's vault, data key held", vault_seal, vault_open, &reached);
    let [_, _, _, _, seals, _] = rounds;
    Ok((
        table,
        vec![Goal::at_most("sealing a field of 256 bytes, data key held", "ns", [300.0, 120.0], seals)],
    ))
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, HarnessError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| "the library refused a key")?))
}

/// Nanoseconds to seal and to open, a copy of the field included as the product makes one.
fn bare(
    other_key: impl Fn() -> Result<Option<LessSafeKey>, HarnessError>,
) -> Result<(f64, f64), HarnessError> {
    let held = cipher(&System.bytes32())?;
    let plain = [3_u8; FIELD_BYTES];
    let nonce = |number: u32| {
        let mut bytes = [0; NONCE_LEN];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    };
    let began = Instant::now();
    for number in 0..FIELDS {
        // As long as it gets: growing would be measured too.
        let mut text = Vec::with_capacity(FIELD_BYTES + AES_256_GCM.tag_len());
        text.extend_from_slice(std::hint::black_box(&plain));
        let other = other_key()?;
        let key = other.as_ref().unwrap_or(&held);
        let tag = key.seal_in_place_separate_tag(nonce(number), Aad::from(BOUND), &mut text);
        text.extend_from_slice(tag.map_err(|_| "the library refused to seal")?.as_ref());
        std::hint::black_box(text);
    }
    let seal = each_ns(began);
    let mut sealed = plain.to_vec();
    held.seal_in_place_append_tag(nonce(0), Aad::from(BOUND), &mut sealed)
        .map_err(|_| "the library refused to seal")?;
    let began = Instant::now();
    for _ in 0..FIELDS {
        // The key made for nothing is what another key each time costs when opening.
        std::hint::black_box(other_key()?);
        let mut text = std::hint::black_box(&sealed).clone();
        let opened =
            held.open_in_place(nonce(0), Aad::from(BOUND), &mut text).map_err(|_| "a seal did not open")?;
        std::hint::black_box(opened);
    }
    Ok((seal, each_ns(began)))
}

async fn sealed(vault: &dyn Vault) -> Result<(f64, f64), HarnessError> {
    let scope = TenantScope::of(tenant(TENANTS.start)?);
    let place = Place { table: "identity.members", column: "name_sealed", row: System.next_uuid() };
    let plain = [3_u8; FIELD_BYTES];
    // The key is fetched before anything is measured.
    let one = vault.seal(&scope, place, &plain).await?;
    let began = Instant::now();
    for _ in 0..FIELDS {
        std::hint::black_box(vault.seal(&scope, place, std::hint::black_box(&plain)).await?);
    }
    let seal = each_ns(began);
    let began = Instant::now();
    for _ in 0..FIELDS {
        let opened = vault.open(&scope, place, std::hint::black_box(&one)).await?;
        if opened.expose().len() != FIELD_BYTES {
            return Err("a seal opened to something else".into());
        }
    }
    Ok((seal, each_ns(began)))
}

fn each_ns(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e9 / f64::from(FIELDS)
}
