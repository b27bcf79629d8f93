//! What it takes to have others vouch for heads of the platform's log: who they are, and where it is kept what they said.

use async_trait::async_trait;

use super::SignedHead;
use crate::{
    compliance::log::merkle::Hash,
    kernel::{clock::Timestamp, fault::PortError},
};

/// A head of the platform's log that somebody outside vouches for, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Who, as [`Attester::name`] has it.
    pub by: String,
    /// How many leaves the head has.
    pub size: u64,
    /// What makes the digest say nothing to others.
    pub salt: [u8; 32],
    /// What leaves this installation: [`attested_digest`](crate::compliance::log::anchor::attested_digest) of the head.
    pub digest: Hash,
    /// What [`Attester::prepare`] gave.
    pub prepared: Vec<u8>,
    /// When, the first time.
    pub prepared_at: Timestamp,
    /// What they said; `None` while they have not.
    pub settled: Option<Settled>,
}

/// That somebody outside has seen a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What shows it to everybody, in the form its giver has for it.
    pub proof: String,
    /// Since when, by their clock.
    pub at: Timestamp,
}

/// How far an attestation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was sent, and is not settled yet.
    Pending,
    /// It is.
    Settled(Settled),
    /// What was prepared can't be any more: it is to be prepared anew.
    Lost,
}

/// Somebody outside who vouches for having seen a digest at some time: a chain of blocks, a time-stamping authority.
#[async_trait]
pub trait Attester: Send + Sync {
    /// Its name, which is kept with what it said: a machine word, as `evm-1`.
    fn name(&self) -> &str;
    /// Makes what is to be sent for a digest, and sends nothing: it is kept first, so that whoever comes next sends the same.
    async fn prepare(&self, digest: Hash) -> Result<Vec<u8>, PortError>;
    /// Sends what was prepared for a digest, the same however often, and says how far it has come.
    async fn advance(&self, digest: Hash, prepared: &[u8]) -> Result<Progress, PortError>;
}

/// Remembers what others vouch for.
#[async_trait]
pub trait AttestationStore: Send + Sync {
    /// The newest head of the platform's log that is shown.
    async fn shown_head(&self) -> Result<Option<SignedHead>, PortError>;
    /// The one of an attester that is not settled, or its newest.
    async fn newest_attestation(&self, by: &str) -> Result<Option<Attestation>, PortError>;
    /// Keeps a new one. `false` when that attester has one of that head, or another that is not settled: it stays as it is.
    async fn add_attestation(&self, new: &Attestation) -> Result<bool, PortError>;
    /// Replaces what was prepared, if it still is that.
    async fn prepare_again(&self, old: &Attestation, prepared: &[u8]) -> Result<(), PortError>;
    /// Keeps what was said; the first is kept.
    async fn settle(&self, by: &str, size: u64, settled: &Settled) -> Result<(), PortError>;
}
