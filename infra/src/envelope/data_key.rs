//! Keys in memory: how long and how often each may be used.
//!
//! None of these types is `Clone`, `Debug` or serialisable. What they hold is wiped when the last use ends.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{derive::Extracted, fault::Fault, settings::EnvelopeSettings};

/// Before the end of its life a key in use is fetched anew in the background, this long.
const REFRESH_BEFORE: Duration = Duration::from_mins(1);
/// Between two tries of that.
const REFRESH_AGAIN: Duration = Duration::from_secs(5);
/// Labels are words of the code, so few; beyond this many their keys are not kept.
const LABELS_MAX: usize = 64;
const INDEX_INFO: &[u8] = b"matricula index v1";

/// When a key was unwrapped, and until when it may be used.
#[derive(Clone, Copy)]
pub(crate) struct Lifetime {
    /// Counts the provider's answers; the higher, the fresher.
    pub(crate) generation: u64,
    /// In ticks. Counted from before the provider was asked, so its delay shortens the life.
    pub(crate) deadline: Duration,
}

/// A tenant's key-encryption key.
pub(crate) struct TenantKey {
    pub(crate) version: u32,
    pub(crate) key: Zeroizing<[u8; 32]>,
    pub(crate) life: Lifetime,
}

/// A data key. Only what is expanded from it is held; the key itself is wiped once it has been extracted.
pub(crate) struct DataKey {
    pub(crate) version: u32,
    pub(crate) life: Lifetime,
    keys: Extracted,
    refresh_at_ms: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    labels: RwLock<HashMap<Box<str>, hmac::Key>>,
}

fn millis(ticks: Duration) -> u64 {
    u64::try_from(ticks.as_millis()).unwrap_or(u64::MAX)
}

impl DataKey {
    /// Takes the keys out of a data key that lives as long as the tenant key it was wrapped by.
    pub(crate) fn new(version: u32, keys: Extracted, life: Lifetime) -> Self {
        Self {
            version,
            life,
            keys,
            refresh_at_ms: AtomicU64::new(millis(life.deadline.saturating_sub(REFRESH_BEFORE))),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            labels: RwLock::default(),
        }
    }

    /// Whether it may be used at all now.
    pub(crate) fn is_usable(&self, now: Duration, limits: &EnvelopeSettings) -> bool {
        now < self.life.deadline
            && self.messages.load(Ordering::Relaxed) < limits.key_messages_max
            && self.bytes.load(Ordering::Relaxed) < limits.key_bytes_max
    }

    /// Counts one use over `bytes`; `false` when that is more than it may be used.
    pub(crate) fn take(&self, now: Duration, bytes: u64, limits: &EnvelopeSettings) -> bool {
        now < self.life.deadline
            && self.messages.fetch_add(1, Ordering::Relaxed) < limits.key_messages_max
            && self.bytes.fetch_add(bytes, Ordering::Relaxed) < limits.key_bytes_max
    }

    /// Whether the caller is the one to fetch it anew in the background, now.
    pub(crate) fn claim_refresh(&self, now: Duration) -> bool {
        let due = self.refresh_at_ms.load(Ordering::Relaxed);
        let next = millis(now.saturating_add(REFRESH_AGAIN));
        millis(now) >= due
            && self.refresh_at_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What message keys are expanded from.
    pub(crate) const fn keys(&self) -> &Extracted {
        &self.keys
    }

    /// HMAC-SHA-256 of `value` under the key of `label`.
    pub(crate) fn keyed_hash(&self, label: &str, value: &[u8]) -> Result<[u8; 32], Fault> {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = labels.get(label) {
            return sign(key, value);
        }
        drop(labels);
        let block = self.keys.expand(&[INDEX_INFO, label.as_bytes(), &[1]].concat())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &block[..32]);
        let hash = sign(&key, value)?;
        let mut labels = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        if labels.len() < LABELS_MAX {
            labels.insert(label.into(), key);
        }
        Ok(hash)
    }
}

pub(super) fn sign(key: &hmac::Key, value: &[u8]) -> Result<[u8; 32], Fault> {
    let mut hash = [0; 32];
    hmac::sign_to_buffer(key, value, &mut hash).map_err(|_| Fault::Library)?;
    Ok(hash)
}
