//! Password hashing with Argon2id (RFC 9106), in PHC string form.
//!
//! Invariants
//! - Hashing runs on blocking threads, at most as many at a time as there are cores, whether or not the
//!   request that asked for it is still there: a wave of sign-ins queues, and leaves the rest of the process
//!   alone.
//! - Checking against nobody's hash costs what checking against somebody's costs, and is never right.
//! - A stored hash that asks for far more memory or passes than ours do is refused, not computed.
//!
//! Absent on purpose: other algorithms, and a pepper (hashes are sealed with the member's row).

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc::PasswordHash},
};
use async_trait::async_trait;
use domain::{
    identity::ports::PasswordHasher,
    kernel::{fault::PortError, ids::Entropy, secret::Secret},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

const PORT: &str = "argon2";
/// Salt and hash lengths that RFC 9106 section 3.1 recommends, in bytes.
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
/// The most that a stored hash may ask for.
const MEMORY_MAX_KIB: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Settings {
    /// Memory per hash, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes computed at a time.
    pub at_a_time: usize,
}

impl Default for Argon2Settings {
    /// 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet, read 2026-11-22), one hash per core.
    fn default() -> Self {
        let at_a_time = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { memory_kib: 19_456, passes: 2, lanes: 1, at_a_time }
    }
}

/// The settings, or a stored hash, are not something to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Argon2Fault {
    /// A cost is zero, below what Argon2 can do, or beyond reason.
    #[error("password hashing costs are out of range")]
    Costs,
    /// A stored hash is no PHC string of Argon2id.
    #[error("a stored password hash is not an Argon2id hash")]
    NotAHash,
    /// The computation failed.
    #[error("the password could not be hashed")]
    Failed,
    /// The process is shutting down.
    #[error("password hashing has ended")]
    Ended,
}

/// [`PasswordHasher`] with Argon2id.
pub struct Argon2Passwords {
    params: Params,
    /// Of nobody's password: our costs, random salt, random result.
    nobody: String,
    entropy: Arc<dyn Entropy>,
    running: Arc<Semaphore>,
}

impl fmt::Debug for Argon2Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Argon2Passwords").field("params", &self.params).finish_non_exhaustive()
    }
}

impl Argon2Passwords {
    /// A hasher of those costs.
    ///
    /// # Errors
    /// [`Argon2Fault::Costs`] when they are out of range.
    pub fn new(settings: Argon2Settings, entropy: Arc<dyn Entropy>) -> Result<Self, Argon2Fault> {
        let Argon2Settings { memory_kib, passes, lanes, at_a_time } = settings;
        let params =
            Params::new(memory_kib, passes, lanes, Some(HASH_LEN)).map_err(|_| Argon2Fault::Costs)?;
        if !within_limits(&params) || !(1..=Semaphore::MAX_PERMITS).contains(&at_a_time) {
            return Err(Argon2Fault::Costs);
        }
        let nobody = nobody(&params, &*entropy).map_err(|_| Argon2Fault::Costs)?;
        Ok(Self { params, nobody, entropy, running: Arc::new(Semaphore::new(at_a_time)) })
    }

    /// Runs `work` on a blocking thread when it is its turn. The turn lasts as long as the work: a caller that
    /// goes away does not make room for another.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Argon2Fault> + Send + 'static,
    ) -> Result<T, PortError> {
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| PortError::lasting(PORT, Argon2Fault::Ended))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        match done.await {
            Ok(done) => done.map_err(|fault| PortError::lasting(PORT, fault)),
            Err(_) => Err(PortError::passing(PORT, Argon2Fault::Ended)),
        }
    }
}

fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn within_limits(params: &Params) -> bool {
    params.m_cost() <= MEMORY_MAX_KIB && params.t_cost() <= PASSES_MAX && params.p_cost() <= LANES_MAX
}

fn salt(entropy: &dyn Entropy) -> [u8; SALT_LEN] {
    let mut salt = [0; SALT_LEN];
    salt.copy_from_slice(&entropy.bytes32()[..SALT_LEN]);
    salt
}

fn nobody(params: &Params, entropy: &dyn Entropy) -> Result<String, password_hash::Error> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: params.try_into()?,
        salt: Some(password_hash::phc::Salt::new(&salt(entropy))?),
        hash: Some(password_hash::phc::Output::new(&entropy.bytes32())?),
    };
    Ok(hash.to_string())
}

fn check(password: &Secret, hash: &str) -> Result<bool, Argon2Fault> {
    let hash = PasswordHash::new(hash).map_err(|_| Argon2Fault::NotAHash)?;
    if hash.algorithm != Algorithm::Argon2id.ident() || hash.salt.is_none() || hash.hash.is_none() {
        return Err(Argon2Fault::NotAHash);
    }
    let params = Params::try_from(&hash).map_err(|_| Argon2Fault::NotAHash)?;
    if !within_limits(&params) {
        return Err(Argon2Fault::Costs);
    }
    match argon2id(params).verify_password(password.expose(), &hash) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(Argon2Fault::Failed),
    }
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: &Secret) -> Result<String, PortError> {
        let (password, salt, params) = (password.clone(), salt(&*self.entropy), self.params.clone());
        self.in_turn(move || {
            let hash = argon2id(params).hash_password_with_salt(password.expose(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|_| Argon2Fault::Failed)
        })
        .await
    }

    async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, PortError> {
        let somebody = hash.is_some();
        // A hash is as good as the password to whoever guesses offline, so its copy is wiped as well.
        let hash = Zeroizing::new(hash.unwrap_or(&self.nobody).to_owned());
        let password = password.clone();
        let right = self.in_turn(move || check(&password, &hash)).await?;
        Ok(right && somebody)
    }
}

#[cfg(test)]
mod tests;
