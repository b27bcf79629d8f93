//! Roles and logins: what has to be there before the first migration, made by a database administrator's
//! login. Safe to run again, and by two at once.

use std::str::FromStr as _;

use domain::kernel::{fault::PortError, ids::Entropy as _};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{error::port_error, scram};
use crate::system::System;

const PORT: &str = "postgres.provision";

/// The roles. None can log in, none is held by fewer rules than the policies say.
const ROLES: &str = "
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['matricula_owner', 'matricula_app_rw', 'matricula_sequencer',
                                'matricula_recorder', 'matricula_verifier', 'matricula_notary', 'matricula_auditor_ro']
    LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;";

/// Rights on the database itself: its owner role may make schemas; nobody else may make anything.
const DATABASE: &str = "
DO $$
BEGIN
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO matricula_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO matricula_app_rw, matricula_sequencer, matricula_recorder, matricula_verifier, matricula_notary, matricula_auditor_ro', current_database());
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA public TO matricula_owner;
    GRANT USAGE ON SCHEMA public TO matricula_app_rw;
END $$;";

/// Serialises provisioning and migrating in one cluster: the bytes of "matrimig".
const LOCK: i64 = 0x6d61_7472_696d_6967;

/// A login to make, and the role it is a member of.
#[derive(Clone, Debug)]
pub struct Login {
    /// The connection string whose user and password it gets.
    pub url: String,
    /// The role.
    pub role: &'static str,
}

/// Makes the roles, the rights on the database of `admin_url`, and `logins` (their passwords are set to what
/// their URLs say).
///
/// # Errors
/// The administrator's login lacks the rights, a URL has no user, or the database did not answer.
pub async fn provision(admin_url: &str, logins: &[Login]) -> Result<(), PortError> {
    let mut admin = connect(admin_url).await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut admin)
        .await
        .map_err(|e| port_error(PORT, e))?;
    run(&mut admin, ROLES.to_owned()).await?;
    run(&mut admin, DATABASE.to_owned()).await?;
    run(&mut admin, "GRANT matricula_owner TO CURRENT_USER".to_owned()).await?;
    for login in logins {
        let url = url::Url::parse(&login.url).map_err(|e| PortError::lasting(PORT, e))?;
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned)
        };
        let user = decode(url.username()).map_err(|e| PortError::lasting(PORT, e))?;
        let password = decode(url.password().unwrap_or_default()).map_err(|e| PortError::lasting(PORT, e))?;
        // The password itself stays here: statements are seen by who looks at activity or keeps a log of them.
        let verifier = scram::verifier(&password, salt());
        // Names and verifiers can't be bound in DDL; `quote_ident` and `quote_literal` are the database's own.
        let make: String = sqlx::query_scalar(
            "SELECT format('DO $make$ BEGIN CREATE ROLE %1$I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB;
                            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $make$;
                            ALTER ROLE %1$I LOGIN PASSWORD %2$L; GRANT %3$I TO %1$I', $1, $2, $3)",
        )
        .bind(user)
        .bind(verifier)
        .bind(login.role)
        .fetch_one(&mut admin)
        .await
        .map_err(|e| port_error(PORT, e))?;
        run(&mut admin, make).await?;
    }
    // Closing the session gives the lock back.
    admin.close().await.map_err(|e| port_error(PORT, e))
}

/// The connection string as the role that owns the schema: `admin_url` with the role set from the start.
///
/// # Errors
/// `admin_url` is no URL.
pub fn owner_url(admin_url: &str) -> Result<String, PortError> {
    let mut url = url::Url::parse(admin_url).map_err(|e| PortError::lasting(PORT, e))?;
    url.query_pairs_mut().append_pair("options", "-c role=matricula_owner");
    Ok(url.into())
}

/// Gives the application its right to see which migrations have run.
///
/// # Errors
/// The database did not answer.
pub async fn grant_after_migrating(admin_url: &str) -> Result<(), PortError> {
    let mut admin = connect(admin_url).await?;
    run(&mut admin, "GRANT SELECT ON public.seaql_migrations TO matricula_app_rw".to_owned()).await?;
    admin.close().await.map_err(|e| port_error(PORT, e))
}

fn salt() -> [u8; scram::SALT_BYTES] {
    let mut salt = [0; scram::SALT_BYTES];
    let random = System.bytes32();
    salt.copy_from_slice(&random[..scram::SALT_BYTES]);
    salt
}

async fn connect(url: &str) -> Result<PgConnection, PortError> {
    let options = PgConnectOptions::from_str(url).map_err(|e| port_error(PORT, e))?;
    options.disable_statement_logging().connect().await.map_err(|e| port_error(PORT, e))
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), PortError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(|e| port_error(PORT, e))
}
