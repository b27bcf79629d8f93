//! What changed in rows, and what opens the commitments of events that tell of it.

use async_trait::async_trait;
use serde_json::Value;

use crate::kernel::{fault::PortError, ids::EventId, scope::TenantScope};

/// A value that was committed to.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The salt.
    pub salt: [u8; 32],
    /// The value.
    pub value: Value,
}

/// What opens the commitments of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// What changed: `{"rows": [{"table", "op", "key", "after"}]}`; with `role` and `changed_at` where it was told late: by which
    /// login of the database, and when it was changed.
    pub diff: Opened,
    /// What was there before, as far as something was: `{"rows": [{"table", "op", "key", "before"}]}`.
    pub prev_state: Option<Opened>,
}

/// Keeps what opens events, and brings in what was not told to the log.
#[async_trait]
pub trait ChangeStore: Send {
    /// What opens these events; those that commit to nothing, or whose values are gone, are left out.
    async fn openings(&mut self, events: &[EventId]) -> Result<Vec<(EventId, Opening)>, PortError>;
    /// Has this transaction tell of up to `most` others that changed rows without telling; how many those were.
    async fn tell_left_changes(&mut self, most: u32) -> Result<u32, PortError>;
}

/// Says whose rows were changed by who did not tell, across tenants: names and nothing else.
#[async_trait]
pub trait ChangeSchedule: Send + Sync {
    /// Up to `most` tenants, in no order, and for how many seconds the oldest of theirs has waited.
    async fn with_left_changes(&self, most: u32) -> Result<Vec<(TenantScope, f64)>, PortError>;
}
