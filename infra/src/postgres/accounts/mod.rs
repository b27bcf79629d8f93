//! The accounts' stores, one file each, all on one tenant transaction; and the schedule of tokens, which is all
//! tenants' and reached through functions of the database alone.
//!
//! A row is refused as stale not only when its version is another, but also when it names a row that was removed
//! meanwhile: who read before that must read again.

mod apps;
mod groups;
mod linked;
mod links;
mod quota_ledger;
mod quotas;
mod schedule;
mod tokens;

use domain::kernel::{fault::PortError, platform::PlatformKey};
use sea_orm::DbErr;

use super::error::{is_held, orm_error};

pub use quota_ledger::{PgQuotaLedger, QuotaFigure};
pub use schedule::PgTokenSchedule;

fn platform(port: &'static str, text: &str) -> Result<PlatformKey, PortError> {
    PlatformKey::parse(text).map_err(|e| PortError::lasting(port, e))
}

/// A fault of writing a row that names others, or that others name.
fn held_error(port: &'static str, error: DbErr) -> PortError {
    if is_held(&error) { PortError::stale(port) } else { orm_error(port, error) }
}
