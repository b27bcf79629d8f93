//! `matricula migrate`: roles, logins, schema.

use infra::postgres::provision::{Login, grant_after_migrating, owner_url, provision};
use migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, Database};

/// The roles and who logs in as them.
#[derive(Clone, Debug)]
pub struct Logins {
    /// Who serves.
    pub app: String,
    /// Who gives audit events their indexes.
    pub sequencer: String,
    /// Who writes down access events.
    pub recorder: String,
    /// Who reads whole logs to check them.
    pub verifier: String,
    /// Who makes the platform's log grow.
    pub notary: String,
}

impl Logins {
    fn list(&self) -> Vec<Login> {
        [
            (&self.app, "matricula_app_rw"),
            (&self.sequencer, "matricula_sequencer"),
            (&self.recorder, "matricula_recorder"),
            (&self.verifier, "matricula_verifier"),
            (&self.notary, "matricula_notary"),
        ]
        .into_iter()
        .filter(|(url, _)| !url.is_empty())
        .map(|(url, role)| Login { url: url.clone(), role })
        .collect()
    }
}

/// Makes roles and logins, then runs every migration that has not run.
///
/// # Errors
/// The administrator's login may not, or the database did not answer.
pub async fn migrate(
    admin_url: &str,
    logins: &Logins,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    provision(admin_url, &logins.list()).await?;
    let mut options = ConnectOptions::new(owner_url(admin_url)?);
    options.max_connections(1).sqlx_logging(false);
    let owner = Database::connect(options).await?;
    Migrator::up(&owner, None).await?;
    owner.close().await?;
    grant_after_migrating(admin_url).await?;
    Ok(())
}
