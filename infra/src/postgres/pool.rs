//! Connections, and how long anything may wait for one.

use std::{str::FromStr as _, time::Duration};

use domain::kernel::fault::PortError;
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::error::port_error;

/// How many connections, and how patient.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Most connections. Small pools win: two to four a core of the database.
    pub connections_max: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
    /// Longest a statement may run.
    pub statement_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            connections_max: 16,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

/// A pool of connections under one role. Private to this module's stores.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
}

impl Db {
    /// Makes the pool. Connections are opened when first needed, so this succeeds while the database is away.
    ///
    /// # Errors
    /// The URL is no `postgres://` one.
    pub fn connect(url: &str, settings: PoolSettings) -> Result<Self, PortError> {
        let timeout_ms = settings.statement_timeout.as_millis();
        let options = PgConnectOptions::from_str(url)
            .map_err(|e| port_error("postgres.connect", e))?
            .application_name("matricula")
            .options([
                ("statement_timeout", timeout_ms.to_string()),
                ("lock_timeout", timeout_ms.to_string()),
                // Ends what a lost process left open, so that it blocks nobody for long.
                ("idle_in_transaction_session_timeout", (timeout_ms * 2).to_string()),
            ])
            .disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections_max)
            .acquire_timeout(settings.acquire_timeout)
            // A dead connection shows itself at BEGIN, which comes first anyway: a ping would only add a
            // round trip to each transaction.
            .test_before_acquire(false)
            .idle_timeout(Duration::from_mins(5))
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    pub(super) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It gave none in time.
    pub async fn ping(&self) -> Result<(), PortError> {
        sqlx::query("SELECT 1")
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(|e| port_error("postgres.ping", e))
    }

    /// Connections open, and of those idle.
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Closes all connections once they are given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
