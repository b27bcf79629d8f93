//! Stores on PostgreSQL 15 or newer.
//!
//! The pool is private to [`Db`]: the only way to a row of a tenant is a [`scope::TenantTx`], a transaction that
//! row-level security confines to that tenant from its first statement on. Roles that work across tenants
//! ([`sequencer`], [`recorder`], [`PgLogReader`], [`PgPlatformStore`]) have pools of their own with rights of their own.
//!
//! Absent on purpose: session-level settings (one missed reset is a read across tenants) and SQL put together
//! from text (values are bound; the one exception is a parsed UUID in [`scope`]).

mod accounts;
mod anchors;
mod attestations;
mod audit_log;
mod changes;
mod claim;
mod columns;
mod content;
mod ends;
mod entity;
mod error;
mod file_store;
mod idempotency;
mod identity;
pub mod inventory;
mod keys;
mod log_keys;
mod log_reader;
mod log_watch;
mod openings;
mod platform_log;
mod pool;
pub mod provision;
mod prunes;
mod publishing;
pub mod recorder;
mod records;
mod reports;
mod scope;
mod scram;
mod segments;
mod self_check;
mod sequencer;
mod signing_keys;
mod subjects;
mod work;

pub use accounts::{PgQuotaLedger, PgTokenSchedule, QuotaFigure};
pub use changes::PgChangeSchedule;
pub use content::PgUploadSchedule;
pub use ends::PgEnds;
pub use file_store::remember_file_store;
pub use keys::PgKeyStore;
pub use log_keys::PgLogKeys;
pub use log_reader::PgLogReader;
pub use log_watch::{LogWatch, LogWatchSettings};
pub use platform_log::PgPlatformStore;
pub use pool::{Db, PoolSettings};
pub use publishing::PgTurnSchedule;
pub use reports::PgReportSchedule;
pub use scope::TenantTx;
pub use self_check::{SelfCheckError, self_check};
pub use sequencer::PgSequencerStore;
pub use signing_keys::PgSigningKeys;
pub use subjects::PgSubjectSchedule;
pub use work::{Feeds, PgTenantDirectory, PgUnits};
