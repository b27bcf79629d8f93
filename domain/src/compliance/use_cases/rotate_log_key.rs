//! A tenant's logs get a newer key to be signed with: on a schedule, or because the one before may be known to others.

use super::{read_audit::Compliance, sequence};
use crate::kernel::{fault::PortError, outbox::Stream, scope::TenantScope};

impl Compliance {
    /// Gives the tenant a newer log key. What is signed from then on is signed by it, at the latest a quarter of an hour
    /// later, when no sequencer has the one before in memory any more. What was signed before stays so. Who tells of it
    /// in the tenant's log is the caller, by [`super::KeyKeeping::tell`], as keys are of no transaction.
    ///
    /// # Errors
    /// The store or a key provider did not answer, or the tenant has ended.
    pub async fn rotate_log_key(&self, scope: TenantScope) -> Result<(), PortError> {
        self.0.log_keys.rotate(&scope).await
    }

    /// What whoever checks a log configures: the verifier keys (C2SP signed note) of each of the tenant's logs, newest
    /// first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn log_keys(&self, scope: TenantScope) -> Result<Vec<String>, PortError> {
        let keys = self.0.log_keys.public_keys(&scope).await?;
        let named = Stream::ALL.into_iter().flat_map(|stream| {
            let origin = sequence::origin(&self.0.host, scope.tenant(), stream);
            keys.iter().map(move |key| sequence::verifier_key(&origin, key)).collect::<Vec<_>>()
        });
        named.collect::<Result<_, _>>().map_err(|fault| PortError::lasting("compliance.log_keys", fault))
    }
}
