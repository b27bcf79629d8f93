//! Passwords, one-time codes and access tokens that keep their ports' promises and no secret.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;

use super::lock;
use crate::{
    identity::ports::{AccessClaims, AccessTokens, OneTimeCodes, PasswordHasher},
    kernel::{clock::Timestamp, fault::PortError, secret::Secret},
};

type Act = Box<dyn FnOnce() + Send>;

/// "Hashes" a password by writing it down. It can be told what happens while it is at it: no transaction is open then,
/// so much may.
#[derive(Default)]
pub struct PlainHasher {
    verified: AtomicU64,
    meanwhile: Mutex<Option<Act>>,
}

impl PlainHasher {
    /// How many passwords were checked so far: each takes its time, also nobody's.
    pub fn verified(&self) -> u64 {
        self.verified.load(Ordering::Relaxed)
    }

    /// Does this once, while the next password is hashed or checked.
    pub fn meanwhile(&self, act: impl FnOnce() + Send + 'static) {
        *lock(&self.meanwhile) = Some(Box::new(act));
    }

    fn take_time(&self) {
        let act = lock(&self.meanwhile).take();
        if let Some(act) = act {
            act();
        }
    }

    fn written(password: &Secret) -> String {
        format!("plain${}", password.expose_str().unwrap_or_default())
    }
}

#[async_trait]
impl PasswordHasher for PlainHasher {
    async fn hash(&self, password: &Secret) -> Result<String, PortError> {
        self.take_time();
        Ok(Self::written(password))
    }

    async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, PortError> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.take_time();
        Ok(hash == Some(Self::written(password).as_str()))
    }
}

/// Seconds a one-time code is of (RFC 6238 section 4.1).
const STEP_S: i64 = 30;

/// Six digits that change with seed and step, and can be worked out in the head.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteppedCodes;

impl SteppedCodes {
    /// The code of a moment.
    pub fn code_at(seed: &Secret, at: Timestamp) -> Secret {
        Self::code(seed, at.timestamp() / STEP_S)
    }

    fn code(seed: &Secret, step: i64) -> Secret {
        let sum: i64 = seed.expose().iter().map(|byte| i64::from(*byte)).sum();
        Secret::from(format!("{:06}", (sum * 7919 + step) % 1_000_000))
    }
}

impl OneTimeCodes for SteppedCodes {
    fn matching_step(&self, seed: &Secret, code: &str, now: Timestamp) -> Option<i64> {
        let step = now.timestamp() / STEP_S;
        (step - 1..=step + 1).find(|step| Self::code(seed, *step).expose_str() == Some(code))
    }

    fn provisioning_uri(&self, seed: &Secret, issuer: &str, account: &str) -> String {
        let sum: i64 = seed.expose().iter().map(|byte| i64::from(*byte)).sum();
        format!("otpauth://totp/{issuer}:{account}?seed={sum}")
    }
}

/// Access tokens that are numbers in a list of what they say.
#[derive(Debug, Default)]
pub struct MemoryTokens {
    issued: Mutex<Vec<AccessClaims>>,
    away: AtomicBool,
}

impl MemoryTokens {
    /// Answers no more (or again).
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn answer(&self) -> Result<(), PortError> {
        if self.away.load(Ordering::Relaxed) {
            Err(PortError::passing("memory.tokens", "told to be away"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl AccessTokens for MemoryTokens {
    async fn issue(&self, claims: &AccessClaims) -> Result<String, PortError> {
        self.answer()?;
        let mut issued = lock(&self.issued);
        issued.push(*claims);
        Ok(format!("access-{}", issued.len() - 1))
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<Option<AccessClaims>, PortError> {
        self.answer()?;
        let number = token.strip_prefix("access-").and_then(|number| number.parse::<usize>().ok());
        let claims = number.and_then(|number| lock(&self.issued).get(number).copied());
        Ok(claims.filter(|claims| claims.issued_at <= now && now < claims.expires_at))
    }

    async fn jwks(&self) -> Result<String, PortError> {
        self.answer()?;
        Ok(r#"{"keys":[]}"#.to_owned())
    }

    async fn rotate(&self, _now: Timestamp) -> Result<String, PortError> {
        self.answer()?;
        Ok("the-only-key".to_owned())
    }
}
