//! A private Postgres.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::account::Account;
use super::error::{StoreError, failed};
use super::place::{Place, free_port};
use super::process::ChildProcess;
use super::programs::{self, PostgresPrograms};
use super::strays::{self, Stray};

const NAME: &str = "postgres";
/// The owner of the cluster.
const USER: &str = "matricula";
/// Time to answer after a start, in seconds: replaying the log after a crash takes a while.
const READY_WITHIN_S: u64 = 60;
/// Time `initdb` may take on a slow disk.
const INITDB_WITHIN: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// How often a start is tried again when somebody else took the port in between.
const PORT_ATTEMPTS: u32 = 3;

/// Fast shutdown, then immediate shutdown, then the end (PostgreSQL manual, "Shutting Down the Server").
const STOP: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(20)),
    (Signal::SIGQUIT, Duration::from_secs(6)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// Immediate shutdown: sent by the kernel when the owner dies, because it is the one that takes every backend along at
/// once, whatever it is doing. The log is replayed at the next start.
const AT_OWNERS_DEATH: Signal = Signal::SIGQUIT;
const STRAY: Stray = Stray { store: NAME, program: "postgres", signal: Signal::SIGQUIT };

/// How a private Postgres is run.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The port on loopback; `None` takes a free one.
    pub port: Option<u16>,
    /// Whether commits wait for the disk. Tests throw their data away and do not.
    pub durable: bool,
    /// Most connections at a time.
    pub max_connections: u16,
    /// Shared buffers, in mebibytes.
    pub shared_buffers_mib: u16,
    /// Throw away what an earlier run left.
    pub fresh: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { port: None, durable: true, max_connections: 200, shared_buffers_mib: 128, fresh: false }
    }
}

/// A Postgres of our own, with a cluster under one directory. Dropped, it is shut down at once in the background; call
/// [`PrivatePostgres::stop`] to wait for an orderly end.
#[derive(Debug)]
pub struct PrivatePostgres {
    child: Option<ChildProcess>,
    port: u16,
    password: String,
    programs: PostgresPrograms,
    options: PostgresOptions,
    sockets: PathBuf,
    // Last, so that the directory stays locked until the child has been told to end.
    place: Place,
}

impl PrivatePostgres {
    /// Starts a Postgres whose files are under `dir/postgres`, with a new cluster when there is none, and comes back
    /// when it answers. What a killed owner left running there is ended first.
    ///
    /// # Errors
    /// [`StoreError`]: not installed, the directory is in use, or the server did not come up (with its log).
    pub async fn start(dir: &Path, options: &PostgresOptions) -> Result<Self, StoreError> {
        let newest = programs::postgres(None)?;
        let place = Place::take(dir, NAME, Account::of_children()?)?;
        let ended = strays::end(STRAY, &place.data()).await?;
        if ended > 0 {
            tracing::warn!(
                processes = ended,
                "ended {ended} processes that an earlier run left in {}",
                dir.display()
            );
        }
        if options.fresh {
            place.clear()?;
        }
        let (programs, password) = match (made_by(&place.data())?, place.password()?) {
            (Some(found), Some(password)) => {
                let programs = programs::postgres(found.parse().ok());
                let missing = |_| StoreError::OtherVersion { data: place.data(), found };
                (programs.map_err(missing)?, password)
            }
            (None, _) => {
                let password = init_cluster(&place, &newest, options.durable).await?;
                (newest, password)
            }
            (Some(_), None) => {
                return Err(StoreError::Unusable {
                    what: place.data().display().to_string(),
                    role: "a cluster, since the password beside it is gone; start afresh",
                });
            }
        };
        let sockets = place.socket_folder()?;
        let mut postgres =
            Self { child: None, port: 0, password, programs, options: options.clone(), sockets, place };
        postgres.launch(options.port).await?;
        Ok(postgres)
    }

    /// Where `database` is, with the password; the database is not looked for. Certificates make no sense on loopback.
    ///
    /// # Errors
    /// `Unusable` when the name is not a plain one: letters, digits and `_`.
    pub fn url(&self, database: &str) -> Result<Url, StoreError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let unusable =
            || StoreError::Unusable { what: format!("{database:?}"), role: "the name of a database" };
        if database.is_empty() || !database.chars().all(plain) {
            return Err(unusable());
        }
        let (password, port) = (&self.password, self.port);
        let text = format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}?sslmode=disable");
        Url::parse(&text).map_err(|_| unusable())
    }

    /// Where the database `postgres` is, for its superuser.
    ///
    /// # Errors
    /// None in practice: the name is a plain one.
    pub fn admin_url(&self) -> Result<Url, StoreError> {
        self.url("postgres")
    }

    /// The folder of its Unix socket, for `psql -h`.
    pub fn socket_folder(&self) -> &Path {
        &self.sockets
    }

    /// Its port on loopback, the same after [`PrivatePostgres::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of its first process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(ChildProcess::pid)
    }

    /// Makes `database` unless it is there already; where it is.
    ///
    /// # Errors
    /// `Unusable` for a name that is not plain, `Refused`.
    pub async fn create_database(&self, database: &str) -> Result<Url, StoreError> {
        let url = self.url(database)?;
        let mut admin = PgConnection::connect(self.admin_url()?.as_str()).await.map_err(refused)?;
        let found = sqlx::query("SELECT 1 FROM pg_database WHERE datname = $1").bind(database);
        if found.fetch_optional(&mut admin).await.map_err(refused)?.is_none() {
            // A name cannot be a parameter here; `url` let only plain ones pass.
            let create = format!("CREATE DATABASE \"{database}\"");
            admin.execute(sqlx::AssertSqlSafe(create)).await.map_err(refused)?;
        }
        admin.close().await.map_err(refused)?;
        Ok(url)
    }

    /// Ends it in order and waits until every process is gone. Doing it twice does no harm.
    ///
    /// # Errors
    /// `WouldNotEnd`.
    pub async fn stop(&mut self) -> Result<(), StoreError> {
        if let Some(mut child) = self.child.take() {
            child.end(&STOP).await;
        }
        strays::end(STRAY, &self.place.data()).await?;
        if !self.sockets.starts_with(self.place.home()) {
            // Made by us for one run, in a place others use too. Left behind, it is found again by its name.
            let _ = fs::remove_dir_all(&self.sockets);
        }
        Ok(())
    }

    /// Ends it in order and throws its files away.
    ///
    /// # Errors
    /// `WouldNotEnd`, `Io`.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        self.stop().await?;
        self.place.remove()
    }

    /// Kills its first process, as a machine that loses power would, and waits until that is gone. Its backends notice
    /// and end on their own.
    pub async fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.end(&[(Signal::SIGKILL, Duration::from_secs(5))]).await;
        }
    }

    /// Starts it again on the same port, after [`PrivatePostgres::stop`] or [`PrivatePostgres::kill9`]; stops it first
    /// if it runs.
    ///
    /// # Errors
    /// As [`PrivatePostgres::start`].
    pub async fn restart(&mut self) -> Result<(), StoreError> {
        self.stop().await?;
        self.sockets = self.place.socket_folder()?;
        self.launch(Some(self.port)).await
    }

    /// Starts the server on `port`, or on a free one.
    async fn launch(&mut self, port: Option<u16>) -> Result<(), StoreError> {
        if strays::can_be_seen() {
            // Nothing works in the directory, so the file is left over whatever number is in it. Postgres would take
            // a stranger that has the number today for a running server.
            let _ = fs::remove_file(self.place.data().join("postmaster.pid"));
        }
        for attempt in 1.. {
            self.port = port.map_or_else(free_port, Ok)?;
            match self.launch_once().await {
                Err(StoreError::Ended { log, .. })
                    if port.is_none()
                        && attempt < PORT_ATTEMPTS
                        && log.contains("Address already in use") => {}
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn launch_once(&mut self) -> Result<(), StoreError> {
        let log = self.place.new_log()?;
        let errors = log.try_clone().map_err(failed("share", &self.place.log()))?;
        let mut command = self.place.account().command(&self.programs.bin.join("postgres"), AT_OWNERS_DEATH);
        command.arg("-D").arg(self.place.data()).current_dir("/").stdout(log).stderr(errors);
        for setting in self.settings() {
            command.arg("-c").arg(setting);
        }
        let mut child = ChildProcess::spawn(NAME, command, AT_OWNERS_DEATH)?;
        self.wait_until_ready(&mut child).await?;
        self.child = Some(child);
        Ok(())
    }

    fn settings(&self) -> Vec<String> {
        let PostgresOptions { durable, max_connections, shared_buffers_mib, .. } = self.options;
        // A list of folders: quotes keep commas and blanks in a path from ending it.
        let sockets = self.sockets.display().to_string().replace('"', "\"\"");
        let onoff = if durable { "on" } else { "off" };
        vec![
            "listen_addresses=127.0.0.1".into(),
            format!("port={}", self.port),
            format!("unix_socket_directories=\"{sockets}\""),
            "unix_socket_permissions=0700".into(),
            format!("max_connections={max_connections}"),
            format!("shared_buffers={shared_buffers_mib}MB"),
            format!("fsync={onoff}"),
            format!("synchronous_commit={onoff}"),
            format!("full_page_writes={onoff}"),
            "timezone=UTC".into(),
            "log_timezone=UTC".into(),
            "logging_collector=off".into(),
        ]
    }

    /// Waits for a real answer over TCP with the password: a socket that is open says little about a server.
    async fn wait_until_ready(&self, child: &mut ChildProcess) -> Result<(), StoreError> {
        let deadline = Instant::now() + Duration::from_secs(READY_WITHIN_S);
        let url = self.admin_url()?;
        while Instant::now() < deadline {
            if let Some(status) = child.status() {
                return Err(StoreError::Ended { store: NAME, status, log: self.place.log_tail() });
            }
            if timeout(Duration::from_secs(2), Box::pin(answers(&url)))
                .await
                .is_ok_and(|answer| answer.is_ok())
            {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(StoreError::Silent { store: NAME, waited_s: READY_WITHIN_S, log: self.place.log_tail() })
    }
}

async fn answers(url: &Url) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    connection.execute("SELECT 1").await?;
    connection.close().await
}

fn refused(error: sqlx::Error) -> StoreError {
    StoreError::Refused { store: NAME, source: error.into() }
}

/// The major version that made the cluster in `data`, or `None` when there is no cluster.
fn made_by(data: &Path) -> Result<Option<String>, StoreError> {
    if !data.exists() {
        return Ok(None);
    }
    let path = data.join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    Ok(Some(text.trim().to_owned()))
}

/// Makes a cluster under a name nobody looks for and renames it when it is whole, so that an interrupted start leaves
/// no half of one. The password of its owner.
async fn init_cluster(
    place: &Place,
    programs: &PostgresPrograms,
    durable: bool,
) -> Result<String, StoreError> {
    let (password, password_file) = place.new_password()?;
    let half = place.home().join("data.new");
    // What an `initdb` of a killed owner left; its server may still be about to notice.
    strays::end(STRAY, &half).await?;
    let _ = fs::remove_dir_all(&half);
    let log = place.new_log()?;
    let errors = log.try_clone().map_err(failed("share", &place.log()))?;
    let mut command = place.account().command(&programs.bin.join("initdb"), Signal::SIGKILL);
    command.arg("-D").arg(&half).arg("--pwfile").arg(&password_file).arg(format!("--username={USER}"));
    command.args(["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--data-checksums"]);
    // The C locale sorts alike on every machine, so that pages do not depend on the system's library.
    command.args(["--encoding=UTF8", "--locale=C.UTF-8"]);
    if !durable {
        command.arg("--no-sync");
    }
    command.current_dir("/").stdout(log).stderr(errors);
    let mut child = ChildProcess::spawn("initdb", command, Signal::SIGKILL)?;
    if !child.ends_within(INITDB_WITHIN).await {
        return Err(StoreError::Silent {
            store: "initdb",
            waited_s: INITDB_WITHIN.as_secs(),
            log: place.log_tail(),
        });
    }
    match child.status() {
        Some(status) if !status.success() => {
            Err(StoreError::Ended { store: "initdb", status, log: place.log_tail() })
        }
        _ => {
            fs::rename(&half, place.data()).map_err(failed("rename", &half))?;
            Ok(password)
        }
    }
}
