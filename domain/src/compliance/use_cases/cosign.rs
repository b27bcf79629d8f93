//! A witness: whoever runs it looks over the shoulder of logs that are not its own.
//!
//! What it has seen of a log is remembered, durably and in one step with the comparison, before it signs. So it never
//! cosigns two trees of one log, whatever it is asked and however often it is killed.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    log::{
        note::{Cosigner, VerifierKey},
        trust::TrustPolicy,
        witness::{AddCheckpoint, Refusal, Witnessed},
    },
    ports::{Evidence, HighWater, Mark},
};
use crate::kernel::{clock::Clock, fault::PortError};

/// How often it begins anew when others ask about the same log at the same moment.
const TRIES: usize = 8;

/// Why a witness can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessFault {
    /// It knows no log.
    #[error("there is no log to witness")]
    NoLogs,
    /// Its key is a log's: it would vouch for itself.
    #[error("the witness's key is the log's: {0}")]
    OwnLog(String),
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// The log has to hear it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log has signed two trees of one size.
    #[error("{}", Refusal::Forked)]
    Contradicted {
        /// The checkpoint that contradicts the one that was seen, signed by the log.
        note: String,
        /// Where both are kept, or why they are not.
        evidence: Result<String, PortError>,
    },
    /// What is remembered could not be read or written.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Cosigns checkpoints of the logs it was told of.
pub struct Witness {
    logs: BTreeMap<String, Vec<VerifierKey>>,
    cosigner: Cosigner,
    seen: Arc<dyn HighWater>,
    evidence: Arc<dyn Evidence>,
    clock: Arc<dyn Clock>,
}

impl Witness {
    /// Of the logs in `trust`, each by the name of its key. What has been seen of them is in `seen`, and what they signed against
    /// that in `evidence`.
    ///
    /// # Errors
    /// `NoLogs`, `OwnLog`.
    pub fn new(
        trust: &TrustPolicy,
        cosigner: Cosigner,
        seen: Arc<dyn HighWater>,
        evidence: Arc<dyn Evidence>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WitnessFault> {
        let mut logs: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for key in trust.logs() {
            if key.public() == cosigner.verifier().public() {
                return Err(WitnessFault::OwnLog(key.name().to_owned()));
            }
            logs.entry(key.name().to_owned()).or_default().push(key.clone());
        }
        if logs.is_empty() {
            Err(WitnessFault::NoLogs)
        } else {
            Ok(Self { logs, cosigner, seen, evidence, clock })
        }
    }

    /// The key that verifies its cosignatures (C2SP signed note).
    pub fn verifier_key(&self) -> String {
        self.cosigner.verifier().to_string()
    }

    /// Answers an `add-checkpoint` request (C2SP tlog-witness): the line of a cosignature.
    ///
    /// # Errors
    /// `Refused` and `Contradicted` as the protocol has it, `Port`.
    pub async fn add_checkpoint(&self, body: &[u8]) -> Result<String, NotCosigned> {
        let request = AddCheckpoint::parse(body)?;
        let origin = request.origin()?;
        let keys = self.logs.get(origin).ok_or(Refusal::UnknownLog)?;
        for _ in 0..TRIES {
            let mark = self.seen.read(origin).await?;
            let known = mark.map(|mark| Witnessed { size: mark.size, root: mark.root });
            let new = match request.check(keys, known) {
                Ok(new) => new,
                Err(Refusal::Forked) => return Err(self.contradicted(origin, keys, mark, &request).await),
                Err(refusal) => return Err(refusal.into()),
            };
            let to = Mark { size: new.size, root: new.root };
            if mark == Some(to) || self.seen.advance(origin, mark, to).await? {
                // Behind the mark, and before anybody can rely on it.
                self.evidence
                    .keep_seen(origin, new.size, &request.note.with_lines_of(keys).to_text())
                    .await?;
                let now = u64::try_from(self.clock.now().timestamp()).unwrap_or_default();
                return Ok(format!("{}\n", self.cosigner.cosign(request.note.text(), now)));
            }
        }
        Err(PortError::passing("compliance.witness", "too many ask about the same log").into())
    }

    /// What the log hears does not depend on whether it could be kept.
    async fn contradicted(
        &self,
        origin: &str,
        keys: &[VerifierKey],
        mark: Option<Mark>,
        request: &AddCheckpoint,
    ) -> NotCosigned {
        // Anybody can add lines of others.
        let note = request.note.with_lines_of(keys).to_text();
        let size = mark.map_or(0, |mark| mark.size);
        let evidence = self.evidence.keep_contradiction(origin, size, &note).await;
        NotCosigned::Contradicted { note, evidence }
    }
}
