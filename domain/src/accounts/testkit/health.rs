//! What processes say of their calls, in memory.

use std::sync::Mutex;

use async_trait::async_trait;

use super::lock;
use crate::{
    accounts::{model::ProcessReport, ports::HealthBoard},
    kernel::{fault::PortError, scope::TenantScope},
};

/// A board that is there or away, the same for every tenant.
#[derive(Debug, Default)]
pub struct MemoryHealth(Mutex<Option<Vec<ProcessReport>>>);

impl MemoryHealth {
    /// Says this from now on; `None` to be away.
    pub fn say(&self, reports: Option<Vec<ProcessReport>>) {
        *lock(&self.0) = reports;
    }
}

#[async_trait]
impl HealthBoard for MemoryHealth {
    async fn reports(&self, _: &TenantScope) -> Result<Vec<ProcessReport>, PortError> {
        lock(&self.0).clone().ok_or_else(|| PortError::passing("memory.health", "away"))
    }
}
