//! How long keys live in memory, and how many.

use domain::kernel::ids::TenantId;

/// How often unused keys are looked through and wiped, in seconds.
pub const SWEEP_EVERY_S: u64 = 15;

/// Longest a key may be used after it was unwrapped, in seconds: 15 minutes less one sweep, so that it is wiped
/// within 15 minutes even if nobody asks for it again.
pub const KEY_TTL_MAX_S: u64 = 15 * 60 - SWEEP_EVERY_S;

/// Most values one unwrapped data key seals and opens, before it is unwrapped again.
pub const KEY_MESSAGES_MAX: u64 = 1 << 20;

/// Most bytes one unwrapped data key seals and opens.
pub const KEY_BYTES_MAX: u64 = 64 << 30;

/// Settings of the envelope. [`EnvelopeSettings::new`] has the defaults.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeSettings {
    /// The tenant id that the platform's own keys are kept under. No tenant has it.
    pub platform: TenantId,
    /// How long a key is used after it was unwrapped, in seconds, at most [`KEY_TTL_MAX_S`].
    pub key_ttl_s: u64,
    /// Most values per unwrapped data key, at most [`KEY_MESSAGES_MAX`].
    pub key_messages_max: u64,
    /// Most bytes per unwrapped data key, at most [`KEY_BYTES_MAX`].
    pub key_bytes_max: u64,
    /// Tenants whose keys are held at a time; the one idle longest makes room.
    pub tenants_max: usize,
    /// How long one call to the key provider may take, in milliseconds.
    pub provider_timeout_ms: u64,
}

/// A setting is out of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} must be between 1 and {max}")]
pub struct SettingsFault {
    /// Which.
    pub setting: &'static str,
    /// The largest value it takes.
    pub max: u64,
}

impl EnvelopeSettings {
    /// The defaults: the longest lives allowed, 10,000 tenants, 3 seconds for the provider.
    pub const fn new(platform: TenantId) -> Self {
        Self {
            platform,
            key_ttl_s: KEY_TTL_MAX_S,
            key_messages_max: KEY_MESSAGES_MAX,
            key_bytes_max: KEY_BYTES_MAX,
            tenants_max: 10_000,
            provider_timeout_ms: 3_000,
        }
    }

    pub(crate) fn check(&self) -> Result<(), SettingsFault> {
        let tenants_max = u64::try_from(self.tenants_max).unwrap_or(u64::MAX);
        for (setting, value, max) in [
            ("key_ttl_s", self.key_ttl_s, KEY_TTL_MAX_S),
            ("key_messages_max", self.key_messages_max, KEY_MESSAGES_MAX),
            ("key_bytes_max", self.key_bytes_max, KEY_BYTES_MAX),
            ("tenants_max", tenants_max, 1_000_000),
            ("provider_timeout_ms", self.provider_timeout_ms, 60_000),
        ] {
            if !(1..=max).contains(&value) {
                return Err(SettingsFault { setting, max });
            }
        }
        Ok(())
    }
}
