//! The unit of work: one transaction of one tenant, with every store of every context in it. The door that
//! opens one commits it; a use case is lent it.

use async_trait::async_trait;

use crate::{
    accounts::ports::AccountsTx,
    compliance::ports::ReportTx,
    content::ports::ContentTx,
    identity::ports::IdentityTx,
    kernel::{clock::Timestamp, fault::PortError, outbox::Origin, scope::TenantScope},
    publishing::ports::PublishingTx,
};

/// One open transaction. Dropped without [`Work::commit`], it leaves nothing behind.
#[async_trait]
pub trait Work:
    IdentityTx + AccountsTx + ContentTx + PublishingTx + ReportTx + IdempotencyStore + Send
{
    /// How many audit events have been recorded in it so far.
    fn recorded(&self) -> usize;

    /// Whether others may go on reading in it: nothing failed in it, was given up half way or may have been written.
    fn is_unspoilt(&self) -> bool;

    /// Makes it all durable, then announces.
    ///
    /// # Errors
    /// The outcome is unknown when the connection was lost while committing; nothing is announced then.
    async fn commit(self: Box<Self>) -> Result<(), PortError>;

    /// Undoes it all now. Dropping does so a moment later: until then its locks are held, and who tries again at
    /// once would be told that it is still running.
    async fn roll_back(self: Box<Self>);
}

/// Opens transactions.
#[async_trait]
pub trait UnitOfWork: Send + Sync {
    /// Opens one confined to `scope`, whose events come from `origin`.
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn Work>, PortError>;
}

/// Answers kept so that a repeated command is answered, not repeated. (After the IETF draft "The
/// Idempotency-Key HTTP Header Field".)
#[async_trait]
pub trait IdempotencyStore: Send {
    /// Takes the key in this transaction. A concurrent holder of the same key is not waited for.
    async fn claim(&mut self, claim: &IdempotencyClaim) -> Result<Claimed, PortError>;

    /// Keeps the answer of the key claimed, sealed.
    async fn keep_answer(&mut self, claim: &IdempotencyClaim, answer: &[u8]) -> Result<(), PortError>;
}

/// A command that must not be done twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyClaim {
    /// Who sent it, as `member:<uuid>`: keys of two callers never meet.
    pub caller: String,
    /// The command's name.
    pub action: &'static str,
    /// The caller's key, 1 to 255 characters.
    pub key: String,
    /// SHA-256 of the command's arguments.
    pub arguments: [u8; 32],
    /// When it was sent.
    pub at: Timestamp,
}

/// What claiming a key found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody used it: go on.
    New,
    /// It was used for the same arguments: give this answer again.
    Answered(Vec<u8>),
    /// It was used for other arguments.
    OtherArguments,
    /// It is being used right now.
    InProgress,
}
