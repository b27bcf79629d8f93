//! Attacks on keys and on what they seal, each in the file of its number in the threat list:
//!
//! - 37 sealed values that are swapped, changed, or open under two keys;
//! - 38 keys that are held or used for too long, and shared between those who should not;
//! - 39 a key provider that is away, slow, or gives something else;
//! - 40 keys that are left behind in memory, or told;
//! - 41 keys that are rotated under load, rotations cut short, and keys brought in.
//!
//! What must hold when nobody attacks is in `no_attack`. Where an attack needs a real key service or a hardware module,
//! it is played in `infra/tests/key_providers/`; where it needs what the envelope keeps to itself, in the unit tests of
//! `infra/src/envelope/`. The head of each file says which.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code fails by panicking, and a provider that panics is one of the attacks"
)]

mod attack_37_swapped_and_two_key_ciphertexts;
mod attack_38_keys_held_too_long;
mod attack_39_providers_away_or_wrong;
#[cfg(target_os = "linux")]
mod attack_40_keys_left_in_memory;
mod attack_41_rotation_under_load;
mod no_attack;
mod world;
