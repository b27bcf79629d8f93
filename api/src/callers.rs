//! Who is behind a credential, remembered for a moment so that not every request asks the database.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    identity::SignedIn,
    kernel::{clock::Timestamp, ids::TenantId},
};
use sha2::{Digest as _, Sha256};

use crate::origin::ClientFacts;

/// How long a verdict is believed. A credential taken back elsewhere works this much longer at most.
const TTL: Duration = Duration::from_secs(2);

/// Most verdicts remembered.
const MOST: usize = 20_000;

/// A caller that is known, and what it shows of itself.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Known>);

#[derive(Debug)]
struct Known {
    signed_in: SignedIn,
    facts: ClientFacts,
}

impl Caller {
    pub(crate) fn new(signed_in: SignedIn, facts: ClientFacts) -> Self {
        Self(Arc::new(Known { signed_in, facts }))
    }

    /// Who it is.
    pub fn signed_in(&self) -> &SignedIn {
        &self.0.signed_in
    }

    /// What it shows of itself.
    pub fn facts(&self) -> &ClientFacts {
        &self.0.facts
    }

    /// A text of the caller and everything that authorises it now: what was answered under one session and role is
    /// not given again under another.
    pub(crate) fn authority(&self) -> String {
        use domain::kernel::actor::Principal;
        match &self.0.signed_in.actor.principal {
            Principal::Member { session, role, .. } => {
                format!("{}:session:{}:{}", self.key(), session.uuid(), role.as_str())
            }
            Principal::ApiKey { scopes, .. } => {
                let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
                format!("{}:{}", self.key(), scopes.join(","))
            }
            Principal::System => self.key(),
        }
    }

    /// A text that is the caller's alone, for buckets.
    pub(crate) fn key(&self) -> String {
        use domain::kernel::actor::Principal;
        match &self.0.signed_in.actor.principal {
            Principal::Member { member, .. } => format!("member:{}", member.uuid()),
            Principal::ApiKey { key, .. } => format!("api_key:{}", key.uuid()),
            Principal::System => "system".to_owned(),
        }
    }
}

/// Verdicts by the SHA-256 of the credential.
#[derive(Debug, Default)]
pub struct Callers {
    known: Mutex<HashMap<[u8; 32], (Instant, SignedIn)>>,
}

impl Callers {
    fn key(credential: &str) -> [u8; 32] {
        Sha256::digest(credential.as_bytes()).into()
    }

    pub(crate) fn get(&self, credential: &str, now: Timestamp) -> Option<SignedIn> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&Self::key(credential))
            .filter(|(at, found)| at.elapsed() < TTL && now < found.expires_at)
            .map(|(_, found)| found.clone())
    }

    pub(crate) fn put(&self, credential: &str, signed_in: SignedIn) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (at, _)| at.elapsed() < TTL);
        }
        if known.len() < MOST {
            known.insert(Self::key(credential), (Instant::now(), signed_in));
        }
    }

    /// Forgets all of a tenant: something about its members, sessions or keys has changed.
    pub(crate) fn forget(&self, tenant: TenantId) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, found)| found.actor.tenant != tenant);
    }
}
