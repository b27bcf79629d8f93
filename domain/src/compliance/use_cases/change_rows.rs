//! Rows that were changed by who did not tell the log: a hand at the database, or the service while keys were away.

use std::sync::Arc;

use super::{
    super::{
        actions::CHANGE_ROWS,
        ports::{ChangeSchedule, ComplianceUnits},
    },
    ComplianceError,
};
use crate::kernel::{
    ids::{ComplianceId, IdSource},
    outbox::Origin,
    scope::TenantScope,
};

/// Tenants that are seen to in one go.
const TENANTS: u32 = 16;

/// Transactions told of in one.
const AT_ONCE: u32 = 32;

/// Tells the log what it was not told.
pub struct Changes {
    /// Whose rows.
    pub schedule: Arc<dyn ChangeSchedule>,
    /// Transactions.
    pub units: Arc<dyn ComplianceUnits>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
}

impl Changes {
    /// Tells of some of what was left behind, and says of how many transactions that was.
    ///
    /// # Errors
    /// `Port`: what was not told yet is told the next time.
    pub async fn change_rows(&self) -> Result<u32, ComplianceError> {
        let mut told = 0;
        for scope in self.schedule.with_left_changes(TENANTS).await? {
            told += self.of_tenant(scope).await?;
        }
        Ok(told)
    }

    async fn of_tenant(&self, scope: TenantScope) -> Result<u32, ComplianceError> {
        let origin = Origin::system(ComplianceId::new(&*self.ids), CHANGE_ROWS.name);
        let mut tx = self.units.begin(scope, &origin).await?;
        let told = tx.tell_left_changes(AT_ONCE).await?;
        tx.commit().await?;
        Ok(told)
    }
}
