//! `content.file_store`: which folder or bucket files are in, so that a replica that sees another one is noticed.

use domain::kernel::fault::PortError;
use uuid::Uuid;

use super::{error::port_error, pool::Db};

const PORT: &str = "postgres.file_store";

/// The marker of the store that files are in. When there is none yet it is `marker`, and `keep` puts it into the store
/// before that is remembered; others who come at the same time wait, and are given the same.
///
/// # Errors
/// The database did not answer, or `keep` failed: nothing is remembered then.
pub async fn remember_file_store(
    db: &Db,
    marker: Uuid,
    keep: impl AsyncFnOnce() -> Result<(), PortError>,
) -> Result<Uuid, PortError> {
    let fault = |error| port_error(PORT, error);
    let mut tx = db.pool().begin().await.map_err(fault)?;
    let made =
        sqlx::query("INSERT INTO content.file_store (marker) VALUES ($1) ON CONFLICT (is_one) DO NOTHING")
            .bind(marker)
            .execute(&mut *tx)
            .await
            .map_err(fault)?;
    if made.rows_affected() == 1 {
        keep().await?;
    }
    let remembered = sqlx::query_scalar("SELECT marker FROM content.file_store WHERE is_one")
        .fetch_one(&mut *tx)
        .await
        .map_err(fault)?;
    tx.commit().await.map_err(fault)?;
    Ok(remembered)
}
