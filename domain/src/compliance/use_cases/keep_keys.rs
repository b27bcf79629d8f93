//! Operators look after a tenant's keys. They never see one.

use std::sync::Arc;

use super::super::ports::{KeyCustody, KeyVersion};
use crate::kernel::{
    action::Action,
    fault::PortError,
    outbox::{Outbox, Outcome, Party, Record},
    scope::TenantScope,
};

/// Rotates and tells of keys, and leaves an event of it in the tenant's log.
pub struct KeyKeeping {
    custody: Arc<dyn KeyCustody>,
}

impl KeyKeeping {
    /// Takes its port.
    pub fn new(custody: Arc<dyn KeyCustody>) -> Self {
        Self { custody }
    }

    /// The tenant's keys, oldest first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn status(&self, scope: TenantScope) -> Result<Vec<KeyVersion>, PortError> {
        self.custody.versions(&scope).await
    }

    /// Gives the tenant a newer key, wrapped by the provider named `to` or by the one it has. [`Self::tell`] of it
    /// whatever comes of it.
    ///
    /// # Errors
    /// The store or a provider did not answer.
    pub async fn rotate(&self, scope: TenantScope, to: Option<&str>) -> Result<(), PortError> {
        self.custody.rotate(&scope, to).await
    }

    /// Wraps older data keys under the tenant's newest key, and says how many those were. [`Self::tell`] of it.
    ///
    /// # Errors
    /// The store or a provider did not answer.
    pub async fn rewrap(&self, scope: TenantScope) -> Result<u32, PortError> {
        self.custody.rewrap(&scope).await
    }

    /// Has what is wrapped under older tenant keys refused for good, and says how many those were. [`Self::tell`] of it.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn retire(&self, scope: TenantScope) -> Result<u32, PortError> {
        self.custody.retire(&scope).await
    }

    /// Records what was done to the tenant's keys. Afterwards, and not in a transaction that waits for a key provider:
    /// keys are of no transaction.
    ///
    /// # Errors
    /// The outbox did not answer.
    pub async fn tell(
        &self,
        outbox: &mut dyn Outbox,
        scope: TenantScope,
        action: Action,
        is_done: bool,
    ) -> Result<(), PortError> {
        let target = Party::new("tenant", scope.tenant().uuid());
        let record = if is_done {
            Record::success(action, target)
        } else {
            let refused = Record::refused(action, Some(target), "key_provider_failed");
            Record { outcome: Outcome::Failure, ..refused }
        };
        outbox.record(record).await
    }
}
