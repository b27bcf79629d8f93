//! Transactions in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;

use super::{Recorded, Rows, lock};
use crate::{
    identity::{
        events::IdentityEvent,
        ports::{IdentityTx, IdentityUnit, IdentityUnits},
    },
    kernel::{
        fault::PortError,
        ids::TenantId,
        outbox::{Origin, Outbox, Record},
        scope::TenantScope,
    },
};

/// Opens transactions on rows in memory. A clone opens them on the same rows.
#[derive(Clone, Debug, Default)]
pub struct MemoryUnits(Arc<Mutex<BTreeMap<TenantId, Rows>>>);

impl MemoryUnits {
    /// What is kept of a tenant now.
    pub fn rows(&self, scope: TenantScope) -> Rows {
        lock(&self.0).get(&scope.tenant()).cloned().unwrap_or_default()
    }

    /// Does to a tenant's rows what no use case does.
    pub fn change(&self, scope: TenantScope, change: impl FnOnce(&mut Rows)) {
        let mut tenants = lock(&self.0);
        let rows = tenants.entry(scope.tenant()).or_default();
        change(rows);
        rows.commits += 1;
    }
}

#[async_trait]
impl IdentityUnits for MemoryUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn IdentityUnit>, PortError> {
        let rows = self.rows(scope);
        Ok(Box::new(MemoryUnit { units: self.clone(), scope, origin: origin.clone(), rows }))
    }
}

/// One open transaction.
pub(super) struct MemoryUnit {
    units: MemoryUnits,
    scope: TenantScope,
    origin: Origin,
    pub(super) rows: Rows,
}

#[async_trait]
impl Outbox for MemoryUnit {
    async fn record(&mut self, record: Record) -> Result<(), PortError> {
        self.rows.records.push(Recorded { origin: self.origin.clone(), record });
        Ok(())
    }
}

impl IdentityTx for MemoryUnit {
    fn scope(&self) -> TenantScope {
        self.scope
    }

    fn announce(&mut self, event: IdentityEvent) {
        self.rows.announced.push(event);
    }
}

#[async_trait]
impl IdentityUnit for MemoryUnit {
    async fn commit(mut self: Box<Self>) -> Result<(), PortError> {
        let mut tenants = lock(&self.units.0);
        let kept = tenants.entry(self.scope.tenant()).or_default();
        if kept.commits != self.rows.commits {
            return Err(PortError::stale("memory.units"));
        }
        self.rows.commits += 1;
        *kept = self.rows;
        Ok(())
    }
}
