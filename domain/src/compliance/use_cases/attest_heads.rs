//! Others vouch for heads of the platform's log: from then on nobody, this installation least of all, can say that a log which
//! leads up to one is younger than that.
//!
//! What is sent is kept before it leaves, so that a process that is killed anywhere sends the same again; one head at a time is
//! under way at each attester.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::TimeDelta;

use super::super::{
    log::{anchor::attested_digest, note::Note},
    ports::{Attestation, AttestationStore, Attester, Progress},
};
use crate::kernel::{
    clock::{Clock, Timestamp},
    fault::PortError,
    ids::Entropy,
};

const PORT: &str = "compliance.attestations";

/// What it takes to have heads vouched for.
pub struct AttestingPorts {
    /// Where it is remembered.
    pub store: Arc<dyn AttestationStore>,
    /// Who vouches.
    pub attesters: Vec<Arc<dyn Attester>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Salts.
    pub entropy: Arc<dyn Entropy>,
    /// How long after one the next head is sent.
    pub every: TimeDelta,
}

/// How long an attester that does not answer is left alone at first, in seconds; twice as long each time after that.
const REST_S: i64 = 10;

/// The longest, in seconds.
const REST_MAX_S: i64 = 600;

/// An attester that is left alone: until then, and for how many seconds.
type Rest = (Timestamp, i64);

/// Has heads vouched for.
pub struct Attesting(AttestingPorts, Mutex<HashMap<String, Rest>>);

/// What a turn came to at one attester.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attested {
    /// There is nothing to do.
    Nothing,
    /// A head is on its way since then.
    Pending(Timestamp),
    /// A head was vouched for, since then by the attester's clock.
    Settled(Timestamp),
}

impl Attesting {
    /// Takes its ports.
    pub fn new(ports: AttestingPorts) -> Self {
        Self(ports, Mutex::default())
    }

    /// Whether there is anybody to ask.
    pub fn has_attesters(&self) -> bool {
        !self.0.attesters.is_empty()
    }

    /// One turn at each attester that is not left alone: what is under way is looked after, and the newest head is sent when it is
    /// time. One that does not answer keeps no other from it, and is left alone for a while that gets longer each time.
    pub async fn attest_heads(&self) -> Vec<(&str, Result<Attested, PortError>)> {
        let mut turns = Vec::with_capacity(self.0.attesters.len());
        for attester in &self.0.attesters {
            let known = self.resting().get(attester.name()).copied();
            if known.is_some_and(|(until, _)| until > self.0.clock.now()) {
                continue;
            }
            let turn = self.turn(&**attester).await;
            if turn.is_ok() {
                self.resting().remove(attester.name());
            } else {
                let seconds = known.map_or(REST_S, |(_, seconds)| (seconds * 2).min(REST_MAX_S));
                let until = self.0.clock.now() + TimeDelta::seconds(seconds);
                self.resting().insert(attester.name().to_owned(), (until, seconds));
            }
            turns.push((attester.name(), turn));
        }
        turns
    }

    fn resting(&self) -> MutexGuard<'_, HashMap<String, Rest>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self, attester: &dyn Attester) -> Result<Attested, PortError> {
        let newest = self.0.store.newest_attestation(attester.name()).await?;
        if let Some(open) = newest.as_ref().filter(|newest| newest.settled.is_none()) {
            return self.advance(attester, open).await;
        }
        let Some(head) = self.0.store.shown_head().await? else { return Ok(Attested::Nothing) };
        let now = self.0.clock.now();
        // One that was prepared by a clock that was ahead is as good as none.
        let is_early = |at: Timestamp| at <= now && at + self.0.every > now;
        if newest.is_some_and(|newest| newest.size >= head.size || is_early(newest.prepared_at)) {
            return Ok(Attested::Nothing);
        }
        let note = Note::parse(head.note.as_bytes()).map_err(|e| PortError::lasting(PORT, e))?;
        let salt = self.0.entropy.bytes32();
        let digest = attested_digest(&salt, note.text());
        let prepared = attester.prepare(digest).await?;
        let new = Attestation {
            by: attester.name().to_owned(),
            size: head.size,
            salt,
            digest,
            prepared,
            prepared_at: now,
            settled: None,
        };
        if self.0.store.add_attestation(&new).await? {
            self.advance(attester, &new).await
        } else {
            // Somebody else is at it.
            Ok(Attested::Pending(now))
        }
    }

    async fn advance(&self, attester: &dyn Attester, open: &Attestation) -> Result<Attested, PortError> {
        match attester.advance(open.digest, &open.prepared).await? {
            Progress::Pending => Ok(Attested::Pending(open.prepared_at)),
            Progress::Settled(settled) => {
                self.0.store.settle(&open.by, open.size, &settled).await?;
                Ok(Attested::Settled(settled.at))
            }
            Progress::Lost => {
                let again = attester.prepare(open.digest).await?;
                self.0.store.prepare_again(open, &again).await?;
                Ok(Attested::Pending(open.prepared_at))
            }
        }
    }
}
