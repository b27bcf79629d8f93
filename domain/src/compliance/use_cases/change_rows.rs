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
    fault::PortError,
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

/// How a turn ended.
#[derive(Debug, Default)]
pub struct ToldLate {
    /// Of how many transactions was told.
    pub told: u32,
    /// How long the oldest has waited that was to be told, in seconds.
    pub oldest_s: f64,
    /// Of which tenants it could not be told, and why. They are tried again.
    pub faults: Vec<(TenantScope, PortError)>,
}

impl Changes {
    /// Tells of some of what was left behind. A tenant whose log can't be told keeps no other waiting.
    ///
    /// # Errors
    /// `Port`: what was not told yet is told the next time.
    pub async fn change_rows(&self) -> Result<ToldLate, ComplianceError> {
        let mut turn = ToldLate::default();
        for (scope, oldest_s) in self.schedule.with_left_changes(TENANTS).await? {
            turn.oldest_s = turn.oldest_s.max(oldest_s);
            match self.of_tenant(scope).await {
                Ok(told) => turn.told += told,
                Err(fault) => turn.faults.push((scope, fault)),
            }
        }
        Ok(turn)
    }

    async fn of_tenant(&self, scope: TenantScope) -> Result<u32, PortError> {
        let origin = Origin::system(ComplianceId::new(&*self.ids), CHANGE_ROWS.name);
        let mut tx = self.units.begin(scope, &origin).await?;
        let told = tx.tell_left_changes(AT_ONCE).await?;
        tx.commit().await?;
        Ok(told)
    }
}
