//! Whom to believe about a log: its name, its keys, and how many of which witnesses must have seen a
//! checkpoint. A policy comes from configuration, never from the log it is about.

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    note::{Note, NoteError, VerifierKey, VerifierKind},
};

/// What a checkpoint of one log must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPolicy {
    origin: String,
    /// The log's own keys first, then the witnesses'.
    keys: Vec<VerifierKey>,
    quorum: usize,
}

/// Why a policy makes no sense, or a checkpoint does not meet it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No log key, or one that is not of plain Ed25519 signatures.
    #[error("a log needs keys that sign its checkpoints")]
    NoLogKey,
    /// A witness key that does not make cosignatures.
    #[error("the key {0} does not cosign")]
    NotAWitness(String),
    /// One public key in two places: a witness twice under two names, or the log as its own witness.
    #[error("the key of {0} is listed already")]
    SameKey(String),
    /// More cosignatures wanted than there are witnesses.
    #[error("{quorum} cosignatures wanted of {witnesses} witnesses")]
    Unreachable {
        /// How many are wanted.
        quorum: usize,
        /// How many witnesses there are.
        witnesses: usize,
    },
    /// A checkpoint of another log.
    #[error("the checkpoint is of {0}")]
    OtherOrigin(String),
    /// None of the log's keys has signed.
    #[error("the log has not signed")]
    NotSignedByLog,
    /// Too few witnesses have cosigned.
    #[error("{got} witnesses have cosigned, fewer than {quorum}")]
    NoQuorum {
        /// How many are wanted.
        quorum: usize,
        /// How many counted.
        got: usize,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl From<NoteError> for PolicyError {
    fn from(fault: NoteError) -> Self {
        Self::Checkpoint(fault.into())
    }
}

/// One witness's cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's key, with its name.
    pub witness: VerifierKey,
    /// When it cosigned, in seconds since 1970, by its own clock.
    pub at_s: u64,
}

/// A checkpoint that meets its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedCheckpoint {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The witnesses whose cosignatures count, in the policy's order.
    pub cosigned: Vec<Cosigned>,
}

impl LogPolicy {
    /// The log called `origin` signs with any of `log_keys` (more than one while a key is being changed), and
    /// `quorum` of `witnesses` must have cosigned.
    ///
    /// # Errors
    /// `NoLogKey`, `NotAWitness`, `SameKey`, `Unreachable`.
    pub fn new(
        origin: &str,
        log_keys: Vec<VerifierKey>,
        witnesses: Vec<VerifierKey>,
        quorum: usize,
    ) -> Result<Self, PolicyError> {
        if log_keys.is_empty() || log_keys.iter().any(|key| key.kind() != VerifierKind::Ed25519) {
            return Err(PolicyError::NoLogKey);
        }
        if let Some(key) = witnesses.iter().find(|key| key.kind() != VerifierKind::Cosignature) {
            return Err(PolicyError::NotAWitness(key.name().to_owned()));
        }
        if quorum > witnesses.len() {
            return Err(PolicyError::Unreachable { quorum, witnesses: witnesses.len() });
        }
        let keys = [log_keys, witnesses].concat();
        for (position, key) in keys.iter().enumerate() {
            // A cosignature does not name its maker, so one key under two names would count twice.
            if keys[..position].iter().any(|earlier| earlier.public() == key.public()) {
                return Err(PolicyError::SameKey(key.name().to_owned()));
            }
        }
        Ok(Self { origin: origin.to_owned(), keys, quorum })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Reads a signed checkpoint and checks everything the policy asks. Cosignatures dated after
    /// `not_after_s` (seconds since 1970, when given) do not count.
    ///
    /// # Errors
    /// `Checkpoint` for form and signatures, `NotSignedByLog`, `OtherOrigin`, `NoQuorum`.
    pub fn open(&self, note: &[u8], not_after_s: Option<u64>) -> Result<TrustedCheckpoint, PolicyError> {
        let note = Note::parse(note)?;
        let verified = note.verify(&self.keys)?;
        if !verified.iter().any(|signed| signed.key.kind() == VerifierKind::Ed25519) {
            return Err(PolicyError::NotSignedByLog);
        }
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin() != self.origin {
            return Err(PolicyError::OtherOrigin(checkpoint.origin().to_owned()));
        }
        let cosigned: Vec<_> = verified
            .iter()
            .filter_map(|signed| {
                let at_s = signed.cosigned_at_s.filter(|at| not_after_s.is_none_or(|limit| *at <= limit))?;
                Some(Cosigned { witness: signed.key.clone(), at_s })
            })
            .collect();
        if cosigned.len() < self.quorum {
            return Err(PolicyError::NoQuorum { quorum: self.quorum, got: cosigned.len() });
        }
        Ok(TrustedCheckpoint { checkpoint, cosigned })
    }
}
