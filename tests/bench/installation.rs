//! One private installation: stores of its own under a temporary directory, the product's own processes in front.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use domain::kernel::ids::{Entropy as _, IdSource as _};
use harness::{client::Client, process::Process, stores::HarnessError};
use infra::{
    local_keyring::{LocalKeyring, LocalSigner},
    system::System,
};
use server::{
    config::{self, Config, Need},
    migrate::{Logins, migrate},
    stores::{Given, PostgresOptions, Stores, StoresOptions},
};
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::{
    load::{Service, Target, find_pgbench},
    machine::Watched,
};

/// Shared buffers of Postgres, in mebibytes: all data fits.
const SHARED_BUFFERS_MIB: u16 = 512;
/// Threads of `matricula serve` that answer: as many as the machine the goals were set on has cores.
const WORKERS: u32 = 2;
/// Longest wait for the product to answer.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Stores that are migrated, and what the product is configured with.
pub(crate) struct Installation {
    /// Everything is under it.
    pub(crate) dir: PathBuf,
    stores: Stores,
    logins: Logins,
    settings: BTreeMap<String, String>,
}

/// The product's processes, killed when dropped.
pub(crate) struct Running {
    server: Process,
    worker: Option<Process>,
    /// Speaks to it.
    pub(crate) client: Client,
    /// Where operators ask the server.
    operators: String,
}

impl Installation {
    /// Starts the stores and migrates the database.
    ///
    /// # Errors
    /// A server is not installed or did not come up.
    pub(crate) async fn open() -> Result<Self, HarnessError> {
        let dir = std::env::temp_dir().join(format!("matricula-bench-{}", System.next_uuid().simple()));
        std::fs::create_dir_all(&dir)?;
        let postgres =
            PostgresOptions { shared_buffers_mib: SHARED_BUFFERS_MIB, ..PostgresOptions::default() };
        let options = StoresOptions { postgres, ..StoresOptions::default() };
        let stores = Box::pin(Stores::open(&dir, Given::default(), &options)).await?;
        let admin = stores.database_url().clone();
        let logins = Logins {
            app: login(&admin, "bench_app")?,
            sequencer: login(&admin, "bench_sequencer")?,
            recorder: login(&admin, "bench_recorder")?,
            verifier: login(&admin, "bench_verifier")?,
            notary: login(&admin, "bench_notary")?,
        };
        migrate(admin.as_str(), &logins).await?;
        LocalKeyring::create(&dir.join("keyring"), &System)?;
        LocalSigner::create(&dir.join("log-key"), &System)?;
        let settings = settings(&dir, &stores, &logins);
        Ok(Self { dir, stores, logins, settings })
    }

    /// What the product is configured with.
    ///
    /// # Errors
    /// Never in practice: the settings are ours.
    pub(crate) fn config(&self) -> Result<Config, HarnessError> {
        Ok(config::load(None, self.settings.clone(), Need::Working)?)
    }

    /// The application's own login.
    pub(crate) fn app_url(&self) -> &str {
        &self.logins.app
    }

    /// The recorder's own login.
    pub(crate) fn recorder_url(&self) -> &str {
        &self.logins.recorder
    }

    /// The owner of the database.
    pub(crate) fn owner_url(&self) -> &str {
        self.stores.database_url().as_str()
    }

    /// Where the product keeps files.
    pub(crate) fn content(&self) -> PathBuf {
        self.dir.join("content")
    }

    /// A connection that neither row-level security nor triggers hold: what is put there by it is told to no log.
    ///
    /// # Errors
    /// No connection.
    pub(crate) async fn superuser(&self) -> Result<PgConnection, HarnessError> {
        let mut superuser = PgConnection::connect(self.stores.database_url().as_str()).await?;
        sqlx::query("SET session_replication_role = replica").execute(&mut superuser).await?;
        Ok(superuser)
    }

    /// Where load goes, and whose processor time is told apart.
    ///
    /// # Errors
    /// `pgbench` is missing.
    pub(crate) fn target(&self, running: Option<&Running>) -> Result<Target, HarnessError> {
        let pids: BTreeMap<&str, u32> = self.stores.pids().into_iter().collect();
        Ok(Target {
            database: Url::parse(&self.logins.app)?,
            pgbench: find_pgbench()?,
            watched: Watched {
                postgres: pids.get("postgres").copied(),
                redis: pids.get("redis").copied(),
                server: None,
                worker: running.and_then(|running| running.worker.as_ref()?.id()),
            },
        })
    }

    /// Starts `matricula serve` and `matricula work` as they are released, and waits until the one answers.
    ///
    /// # Errors
    /// They are not built beside this program, or did not answer.
    pub(crate) async fn serve(&self) -> Result<Running, HarnessError> {
        self.serve_with(&[]).await
    }

    /// The same, configured so besides.
    ///
    /// # Errors
    /// They are not built beside this program, or did not answer.
    pub(crate) async fn serve_with(&self, more: &[(&str, String)]) -> Result<Running, HarnessError> {
        let mut settings = self.settings.clone();
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let worker = Process::start(&["work"], &settings, &self.dir)?;
        self.answering(&settings, WORKERS, Some(worker)).await
    }

    /// Starts another `matricula serve` beside it, that answers with so many threads.
    ///
    /// # Errors
    /// It is not built beside this program, or did not answer.
    pub(crate) async fn serve_beside(&self, workers: u32) -> Result<Running, HarnessError> {
        self.answering(&self.settings, workers, None).await
    }

    async fn answering(
        &self,
        settings: &BTreeMap<String, String>,
        workers: u32,
        worker: Option<Process>,
    ) -> Result<Running, HarnessError> {
        let free =
            || -> Result<_, HarnessError> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string()) };
        let (address, operators) = (free()?, free()?);
        let mut settings = settings.clone();
        settings.insert("MATRICULA_HTTP_LISTEN".to_owned(), address.clone());
        settings.insert("MATRICULA_HTTP_OPERATORS_LISTEN".to_owned(), operators.clone());
        settings.insert("MATRICULA_HTTP_WORKERS".to_owned(), workers.to_string());
        let server = Process::start(&["serve"], &settings, &self.dir)?;
        let client = Client::new(format!("http://{address}"))?;
        let mut running = Running { server, worker, client, operators };
        let deadline = tokio::time::Instant::now() + READY_WITHIN;
        while running.client.graphql("", "{ __typename }", serde_json::json!({})).await.is_err() {
            let worker_ended = running.worker.as_mut().map(Process::has_ended).transpose()?;
            let ended = running.server.has_ended()? || worker_ended == Some(true);
            if ended || tokio::time::Instant::now() >= deadline {
                return Err(format!("the product does not answer\n{}", running.server.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(running)
    }

    /// Stops the stores and throws everything away.
    ///
    /// # Errors
    /// A process survived every signal, or a file could not be removed.
    pub(crate) async fn discard(self) -> Result<(), HarnessError> {
        self.stores.stop().await?;
        Ok(std::fs::remove_dir_all(&self.dir)?)
    }
}

impl Running {
    /// The sum of one of the figures `matricula serve` shows to operators, whatever its labels.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn figure(&self, name: &str) -> Result<f64, HarnessError> {
        let text = reqwest::get(format!("http://{}/metrics", self.operators)).await?.text().await?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        Ok(text.lines().filter(of_name).filter_map(value).sum())
    }

    /// The process that works, while there is one.
    pub(crate) fn worker_id(&self) -> Option<u32> {
        self.worker.as_ref()?.id()
    }

    /// What load asks.
    pub(crate) fn service(&self) -> Service {
        Service { url: format!("{}/graphql", self.client.base()), pid: self.server.id() }
    }

    /// Ends both processes, and gives what `matricula serve` has said. What they had not yet written is lost, which is
    /// nothing to this installation.
    ///
    /// # Errors
    /// They can't be waited for.
    pub(crate) async fn stop(self) -> Result<String, HarnessError> {
        let log = self.server.log();
        self.server.kill9().await?;
        if let Some(worker) = self.worker {
            worker.kill9().await?;
        }
        Ok(log)
    }
}

/// The connection string of a role, with a password made up for this run.
fn login(admin: &Url, user: &str) -> Result<String, HarnessError> {
    let mut url = admin.clone();
    let password = format!("{}", uuid::Uuid::from_slice(&System.bytes32()[..16])?.simple());
    let unfit = |()| "the database's URL can't carry a user and password";
    url.set_username(user).map_err(unfit)?;
    url.set_password(Some(&password)).map_err(unfit)?;
    Ok(url.into())
}

/// The defaults, but for addresses and for quotas that no load reaches. Every quota is still counted.
fn settings(dir: &Path, stores: &Stores, logins: &Logins) -> BTreeMap<String, String> {
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    [
        ("HTTP_LISTEN", "127.0.0.1:0".to_owned()),
        ("HTTP_OPERATORS_LISTEN", "127.0.0.1:0".to_owned()),
        ("DATABASE_URL", logins.app.clone()),
        ("DATABASE_SEQUENCER_URL", logins.sequencer.clone()),
        ("DATABASE_RECORDER_URL", logins.recorder.clone()),
        ("DATABASE_VERIFIER_URL", logins.verifier.clone()),
        ("DATABASE_NOTARY_URL", logins.notary.clone()),
        ("NOTARY_KEY_FILE", path("log-key")),
        ("NOTARY_MARK", path("mark")),
        ("REDIS_URL", stores.redis_url().to_string()),
        ("KEYS_KEYRING", path("keyring")),
        ("MAIL_SPOOL", path("mail")),
        ("ACCOUNTS_JOURNAL", path("journal")),
        ("CONTENT_FOLDER", path("content")),
        ("LIMITS_REQUESTS_PER_MINUTE", "10000000".to_owned()),
        ("LIMITS_ENDPOINT_PER_SECOND", "1000000".to_owned()),
        ("LIMITS_COST_POINTS", "100000000".to_owned()),
        ("LIMITS_COST_RESTORE_PER_SECOND", "1000000".to_owned()),
        // Sixty times as many credentials may be looked up for one address, and all load comes from one.
        ("LIMITS_SIGN_IN_PER_MINUTE", "1000000".to_owned()),
        ("LIMITS_UPLOADS_PER_MINUTE", "1000000".to_owned()),
        ("LIMITS_STREAMS_PER_TENANT", "100000".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("MATRICULA_{name}"), value))
    .collect()
}
