//! Access tokens: JWTs (RFC 7519) of type `at+jwt` (RFC 9068), signed with Ed25519.
//!
//! Invariants
//! - A token is ours only when its header names a key we hold, the algorithm of that key and the type, and
//!   nothing else: what is not known is refused, not skipped (`crit`, `jku`, `jwk`, `x5u`, ...).
//! - A token lives 15 minutes at most, whoever signed it, and is not taken when it comes from the future.
//! - Private keys are sealed at rest and opened for one signature at a time.
//! - The newest key signs: the one made last, and of two made at once the one whose id sorts last. An older key
//!   verifies until the last token it can have signed has expired, then leaves the published set.
//! - A token with a key id nobody knows costs a look into the store at most every [`RELOAD_REST_S`] seconds.
//!
//! Absent on purpose: the `client_id` claim that RFC 9068 wants (there is no client but our own), other
//! algorithms, and revocation: sessions are ended where they are kept.

mod fault;
mod keys;
mod store;
mod verified;
mod wire;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::{
    identity::ports::{AccessClaims, AccessTokens},
    kernel::{
        clock::{Clock, Timestamp, to_micros},
        fault::PortError,
        ids::Entropy,
    },
};

use self::{
    fault::Fault,
    keys::{KeySet, SigningKey},
    verified::Verified,
};
pub use self::{
    fault::JwtSettingsFault,
    store::{MemorySigningKeys, SigningKeyRow, SigningKeyStore},
};
use crate::envelope::{Envelope, Ticks};

/// Longest a set of keys is used before the store is asked again, in seconds: how late a replica may notice
/// that another made a key.
pub const RELOAD_AFTER_S: u64 = 60;
/// Longest a set of keys is used when the store does not answer, in seconds.
pub const STALE_MAX_S: u64 = 15 * 60;
/// Least time between two looks into the store, in seconds.
pub const RELOAD_REST_S: u64 = 3;

/// Who signs, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// The `iss` claim, as `https://matricula.example`.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
}

/// What the tokens are made with.
pub struct JwtParts {
    /// Seals private keys.
    pub envelope: Arc<Envelope>,
    /// Keeps keys.
    pub store: Arc<dyn SigningKeyStore>,
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Says how much time has gone by.
    pub ticks: Arc<dyn Ticks>,
    /// Makes keys.
    pub entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for JwtParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtParts(..)")
    }
}

/// [`AccessTokens`] as signed JWTs.
pub struct JwtTokens {
    parts: JwtParts,
    settings: JwtSettings,
    set: RwLock<Option<Loaded>>,
    /// Held while keys are read or made; the last time the store was asked, in ticks.
    reading: tokio::sync::Mutex<Option<Duration>>,
    verified: Verified,
}

#[derive(Clone)]
struct Loaded {
    keys: Arc<KeySet>,
    at: Duration,
}

impl fmt::Debug for JwtTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtTokens").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl JwtTokens {
    /// Tokens of that issuer for that audience. Keys are read, or made, when first needed.
    ///
    /// # Errors
    /// [`JwtSettingsFault`] when issuer or audience is empty.
    pub fn new(parts: JwtParts, settings: JwtSettings) -> Result<Self, JwtSettingsFault> {
        if settings.issuer.trim().is_empty() || settings.audience.trim().is_empty() {
            return Err(JwtSettingsFault);
        }
        let (set, reading) = (RwLock::new(None), tokio::sync::Mutex::new(None));
        Ok(Self { parts, settings, set, reading, verified: Verified::default() })
    }

    fn held(&self, max_age_s: u64) -> Option<Arc<KeySet>> {
        let now = self.parts.ticks.elapsed();
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let loaded = set.as_ref()?;
        (now.saturating_sub(loaded.at) < Duration::from_secs(max_age_s)).then(|| Arc::clone(&loaded.keys))
    }

    /// The keys, at most [`RELOAD_AFTER_S`] old; older ones while the store does not answer.
    async fn keys(&self) -> Result<Arc<KeySet>, PortError> {
        if let Some(keys) = self.held(RELOAD_AFTER_S) {
            return Ok(keys);
        }
        let mut read_at = self.reading.lock().await;
        if let Some(keys) = self.held(RELOAD_AFTER_S) {
            return Ok(keys);
        }
        if self.asked_lately(*read_at)
            && let Some(keys) = self.held(STALE_MAX_S)
        {
            return Ok(keys);
        }
        match self.read(&mut read_at).await {
            Ok(keys) => Ok(keys),
            Err(error) => self.held(STALE_MAX_S).ok_or(error),
        }
    }

    /// The key of that id, asking the store when it is not known and was not asked just now.
    async fn key(&self, kid: &str) -> Result<Option<SigningKey>, PortError> {
        let now = self.parts.clock.now();
        if let Some(key) = self.keys().await?.live(kid, now) {
            return Ok(Some(key));
        }
        let mut read_at = self.reading.lock().await;
        let keys =
            if self.asked_lately(*read_at) { self.keys_held() } else { self.read(&mut read_at).await? };
        Ok(keys.live(kid, now))
    }

    fn keys_held(&self) -> Arc<KeySet> {
        self.held(STALE_MAX_S).unwrap_or_default()
    }

    fn asked_lately(&self, read_at: Option<Duration>) -> bool {
        let rest = Duration::from_secs(RELOAD_REST_S);
        read_at.is_some_and(|at| self.parts.ticks.elapsed().saturating_sub(at) < rest)
    }

    /// Reads all keys anew.
    async fn read(&self, read_at: &mut Option<Duration>) -> Result<Arc<KeySet>, PortError> {
        let at = self.parts.ticks.elapsed();
        *read_at = Some(at);
        let keys = Arc::new(KeySet::new(self.parts.store.all().await?));
        let loaded = Loaded { keys: Arc::clone(&keys), at };
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
        Ok(keys)
    }

    /// Makes a key that is newer than all there are, and returns its id.
    async fn add_key(&self, read_at: &mut Option<Duration>, now: Timestamp) -> Result<String, PortError> {
        let newest = self.read(read_at).await?.newest().map(|key| key.row.created_at);
        // Of two clocks one is behind: the new key must be newest all the same.
        let after = newest.map_or(now, |newest| newest + TimeDelta::microseconds(1));
        let created_at = to_micros(now.max(after));
        let row = keys::make(&self.parts.envelope, &*self.parts.entropy, created_at).await?;
        self.parts.store.add(&row).await?;
        self.read(read_at).await?;
        Ok(row.kid)
    }

    /// The key to sign with, made when there is none. Of several made at once all replicas choose the same,
    /// once each has read the others'.
    async fn signing_key(&self) -> Result<SigningKey, PortError> {
        if let Some(key) = self.keys().await?.newest() {
            return Ok(key);
        }
        let mut read_at = self.reading.lock().await;
        if let Some(key) = self.keys_held().newest() {
            return Ok(key);
        }
        self.add_key(&mut read_at, self.parts.clock.now()).await?;
        self.keys_held().newest().ok_or_else(|| Fault::NoKey.passing())
    }
}

#[async_trait]
impl AccessTokens for JwtTokens {
    async fn issue(&self, claims: &AccessClaims) -> Result<String, PortError> {
        let wire = wire::Claims::of(claims, &self.settings, &self.parts.entropy.bytes32())
            .map_err(Fault::lasting)?;
        let key = self.signing_key().await?;
        let signer = keys::signer(&self.parts.envelope, &key.row).await?;
        wire::sign(&wire, &key.row.kid, &signer).map_err(Fault::lasting)
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<AccessClaims>, PortError> {
        if token.len() > wire::TOKEN_MAX_LEN {
            return Ok(None);
        }
        let digest = Verified::digest(token);
        if let Some(claims) = self.verified.get(&digest, now) {
            return Ok(Some(claims));
        }
        let Some(kid) = wire::key_id(token) else { return Ok(None) };
        let Some(key) = self.key(&kid).await? else { return Ok(None) };
        let Some(claims) = wire::verify(token, &key.verifier, &self.settings, now) else { return Ok(None) };
        self.verified.put(digest, claims, now);
        Ok(Some(claims))
    }

    async fn jwks(&self) -> Result<String, PortError> {
        Ok(self.keys().await?.jwks(self.parts.clock.now()))
    }

    async fn rotate(&self, now: Timestamp) -> Result<String, PortError> {
        let mut read_at = self.reading.lock().await;
        self.add_key(&mut read_at, now).await
    }
}

#[cfg(test)]
mod tests;
