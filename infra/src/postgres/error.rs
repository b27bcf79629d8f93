//! What Postgres says, as the domain's faults. Whether asking again can help is decided here alone.

use domain::kernel::fault::PortError;
use sea_orm::{DbErr, RuntimeErr};

/// SQLSTATEs after which the same transaction may succeed (PostgreSQL manual, appendix A).
const PASSING_STATES: [&str; 7] = ["40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03"];

/// A fault of sqlx.
#[expect(clippy::needless_pass_by_value, reason = "made to be given to `map_err`")]
pub(super) fn port_error(port: &'static str, error: sqlx::Error) -> PortError {
    if may_pass(&error) {
        PortError::passing(port, redacted(&error))
    } else {
        PortError::lasting(port, redacted(&error))
    }
}

/// A fault of SeaORM.
#[expect(clippy::wildcard_enum_match_arm, reason = "only what wraps the driver's error is of interest")]
pub(super) fn orm_error(port: &'static str, error: DbErr) -> PortError {
    let inner = match &error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => Some(e),
        _ => None,
    };
    match inner {
        Some(e) if may_pass(e) => PortError::passing(port, redacted(e)),
        Some(e) => PortError::lasting(port, redacted(e)),
        None => PortError::lasting(port, error),
    }
}

/// Whether a unique key refused the row.
pub(super) fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// Whether a foreign key refused it: the row names one that is not there (any more), or another came to name it.
pub(super) fn is_held(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::ForeignKeyConstraintViolation(_)))
}

/// Says that nobody changed the row since it was read, as an update of one version found.
pub(super) fn one_changed(port: &'static str, rows: u64) -> Result<(), PortError> {
    if rows == 1 { Ok(()) } else { Err(PortError::stale(port)) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an error not known to pass is taken to last")]
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            // 08: connection, 53: out of resources.
            code.starts_with("08") || code.starts_with("53") || PASSING_STATES.contains(&&*code)
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// The error without the database's DETAIL, which quotes values of rows.
#[expect(clippy::wildcard_enum_match_arm, reason = "only the database's own errors quote rows")]
fn redacted(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(e) => format!("{} ({})", e.message(), e.code().unwrap_or_default()),
        other => other.to_string(),
    }
}
