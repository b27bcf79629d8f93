//! Second factors, resets and keys for machines.

use chrono::TimeDelta;

use crate::kernel::{
    actor::Permission,
    clock::Timestamp,
    ids::{ApiKeyId, MemberId, PasswordResetId},
    secret::Secret,
};

/// A time-based one-time password generator (RFC 6238): SHA-1, 6 digits, 30 s, what authenticator apps know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totp {
    /// The shared secret, 20 bytes.
    pub seed: Secret,
    /// When the member first proved to have it; not asked for before.
    pub confirmed_at: Option<Timestamp>,
    /// The last time step that was used. A step works once (RFC 6238 section 5.2).
    pub last_step: Option<i64>,
}

/// One code for the day the phone is lost. It works once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCode {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// Recovery codes given out at a time.
pub const RECOVERY_CODES: usize = 10;

/// How long a password reset can be used, in minutes.
pub(super) const PASSWORD_RESET_MINUTES: i64 = 30;

/// A one-time permission to set a new password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    /// Its id.
    pub id: PasswordResetId,
    /// Whose password.
    pub member: MemberId,
    /// SHA-256 of the token's secret part.
    pub secret_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it can't be used.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

impl PasswordReset {
    /// When one made `now` expires.
    pub fn expiry(now: Timestamp) -> Timestamp {
        now + TimeDelta::minutes(PASSWORD_RESET_MINUTES)
    }

    /// Whether it can be used `now`.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }
}

/// A machine's key to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, part of the key's text.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Permission>,
    /// SHA-256 of the key's secret part.
    pub secret_hash: [u8; 32],
    /// Who issued it.
    pub issued_by: MemberId,
    /// When it was issued.
    pub created_at: Timestamp,
    /// From when on it does not work.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// Longest life of an API key, in days.
pub const API_KEY_MAX_DAYS: i64 = 365;

impl ApiKey {
    /// Whether it works `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}
