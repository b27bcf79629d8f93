//! Operators look after a tenant's keys. They never see one.

use std::sync::Arc;

use super::super::{
    actions,
    ports::{KeyCustody, KeyVersion},
};
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

    /// Gives the tenant a newer key, wrapped by the provider named `to` or by the one it has. Commit `outbox` whatever
    /// comes of it: keys are not of its transaction, and what failed is told too.
    ///
    /// # Errors
    /// The store or a provider did not answer.
    pub async fn rotate(
        &self,
        outbox: &mut dyn Outbox,
        scope: TenantScope,
        to: Option<&str>,
    ) -> Result<(), PortError> {
        let done = self.custody.rotate(&scope, to).await;
        told(outbox, scope, actions::ROTATE_KEYS, done).await
    }

    /// Wraps older data keys under the tenant's newest key, and says how many those were. Otherwise as
    /// [`Self::rotate`].
    ///
    /// # Errors
    /// The store or a provider did not answer.
    pub async fn rewrap(&self, outbox: &mut dyn Outbox, scope: TenantScope) -> Result<u32, PortError> {
        let done = self.custody.rewrap(&scope).await;
        told(outbox, scope, actions::REWRAP_KEYS, done).await
    }
}

async fn told<T: Send>(
    outbox: &mut dyn Outbox,
    scope: TenantScope,
    action: Action,
    done: Result<T, PortError>,
) -> Result<T, PortError> {
    let target = Party::new("tenant", scope.tenant().uuid());
    let record = if done.is_ok() {
        Record::success(action, target)
    } else {
        let refused = Record::refused(action, Some(target), "key_provider_failed");
        Record { outcome: Outcome::Failure, ..refused }
    };
    outbox.record(record).await?;
    done
}
