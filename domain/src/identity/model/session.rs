//! Sessions and the refresh tokens that carry them on.

use chrono::TimeDelta;

use crate::kernel::{
    clock::Timestamp,
    ids::{MemberId, RefreshTokenId, SessionId},
    outbox::{Geo, Mfa},
};

/// How long an access token is good for, in seconds: the most the product allows.
pub const ACCESS_TOKEN_TTL_S: i64 = 15 * 60;

/// How long a session lasts without being refreshed, in days.
pub const SESSION_IDLE_DAYS: i64 = 14;

/// How long a session lasts at most, in days.
pub const SESSION_MAX_DAYS: i64 = 90;

/// How long an access token is good for.
pub const fn session_access_ttl() -> TimeDelta {
    TimeDelta::seconds(ACCESS_TOKEN_TTL_S)
}

/// One sign-in of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose.
    pub member: MemberId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last refreshed.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest, however often it is refreshed.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
    /// Keyed hash of what identifies the device.
    pub device: Option<String>,
    /// Where it began.
    pub geo: Option<Geo>,
    /// Whether a second factor stood behind it.
    pub mfa: Mfa,
}

impl Session {
    /// When one begun `now` ends at the latest.
    pub fn expiry(now: Timestamp) -> Timestamp {
        now + TimeDelta::days(SESSION_MAX_DAYS)
    }

    /// Whether it can be used `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none()
            && now < self.expires_at
            && now < self.last_seen_at + TimeDelta::days(SESSION_IDLE_DAYS)
    }
}

/// One refresh token. It works once; what it was exchanged for is the session's next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its id.
    pub id: RefreshTokenId,
    /// The session it carries on.
    pub session: SessionId,
    /// SHA-256 of the token's secret part.
    pub secret_hash: [u8; 32],
    /// When it was given out.
    pub created_at: Timestamp,
    /// When it was exchanged.
    pub used_at: Option<Timestamp>,
}
