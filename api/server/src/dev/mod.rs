//! `matricula dev`: the whole product in one process tree, on a laptop.
//!
//! Private Postgres and Redis under one directory (or the ones whose URLs were given), migrations, two demo tenants,
//! the sandbox, the API and the workers. What is in the directory is for trying out; `--fresh` throws it away.

mod authority;
mod members;
mod report;

use std::path::{Path, PathBuf};

use domain::kernel::ids::Entropy as _;
use infra::{
    local_keyring::{LocalKeyring, LocalSigner},
    system::System,
};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    config::{self, Config, Need},
    migrate::{Logins, migrate},
    rehearsal::{self, Sandbox},
    serve::{Duties, Service, start},
    stores::{Given, Stores, StoresOptions},
    wiring::StartupError,
};

pub(crate) use authority::root as authority_root;
pub use members::{DemoMember, DemoTenant};
pub use report::DevReport;

/// What `dev` is started with.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where everything is kept.
    pub dir: PathBuf,
    /// Where GraphQL answers; 0 takes any free port.
    pub port: u16,
    /// Throw away what is in `dir` first.
    pub fresh: bool,
    /// A configuration file over the defaults.
    pub config: Option<PathBuf>,
}

/// The product, running.
pub struct Dev {
    /// Where everything is kept.
    pub dir: PathBuf,
    /// What `dev.json` says.
    pub report: DevReport,
    /// The service.
    pub service: Service,
    sandbox: Sandbox,
    stores: Stores,
}

/// Starts it all and writes `dev.json` when it is ready.
///
/// # Errors
/// What is wrong and how to right it.
pub async fn run(options: &DevOptions) -> Result<Dev, StartupError> {
    let dir = make_dir(options)?;
    let environment = config::environment();
    let variable = |name: &str| {
        environment.iter().find(|(n, value)| n == name && !value.is_empty()).map(|(_, value)| value.clone())
    };
    let given = Given {
        database_url: parse_url("DATABASE_URL", variable("DATABASE_URL"))?,
        redis_url: parse_url("REDIS_URL", variable("REDIS_URL"))?,
    };
    let mut wanted = StoresOptions::default();
    (wanted.postgres.fresh, wanted.redis.fresh) = (options.fresh, options.fresh);
    let stores = Box::pin(Stores::open(&dir, given, &wanted)).await?;
    if options.fresh {
        throw_away(&dir)?;
    }
    match Box::pin(run_on(&stores, &dir, options, environment)).await {
        Ok((report, service, sandbox)) => Ok(Dev { dir, report, service, sandbox, stores }),
        Err(error) => {
            stores.stop().await?;
            Err(error)
        }
    }
}

async fn run_on(
    stores: &Stores,
    dir: &Path,
    options: &DevOptions,
    environment: Vec<(String, String)>,
) -> Result<(DevReport, Service, Sandbox), StartupError> {
    let admin = stores.database_url().clone();
    // Roles belong to a whole cluster: names of this directory's own, so that no other installation is locked out.
    let own = login_suffix(dir);
    let logins = Logins {
        app: login(&admin, &format!("matricula_dev_app_{own}"))?,
        sequencer: login(&admin, &format!("matricula_dev_sequencer_{own}"))?,
        recorder: login(&admin, &format!("matricula_dev_recorder_{own}"))?,
        verifier: login(&admin, &format!("matricula_dev_verifier_{own}"))?,
        notary: login(&admin, &format!("matricula_dev_notary_{own}"))?,
    };
    migrate(admin.as_str(), &logins).await?;
    let keyring = dir.join("keyring");
    if !keyring.exists() {
        LocalKeyring::create(&keyring, &System)?;
    }
    let log_key = dir.join("log-key");
    if !log_key.exists() {
        LocalSigner::create(&log_key, &System)?;
    }
    let sandbox = rehearsal::start(([127, 0, 0, 1], 0).into(), Some(dir.join("sandbox")), None)?;
    let signer = authority::ensure(dir).await?;
    let config = configuration((options, dir, signer), stores, &logins, &sandbox, environment)?;
    let service = start(&config, &Duties::all()).await?;
    let tenants = members::ensure(&service.parts.app, dir).await?;
    let report = DevReport::new(&service, sandbox.address, stores, &logins, tenants);
    report.write(&dir.join("dev.json"))?;
    Ok((report, service, sandbox))
}

impl Dev {
    /// Stops it all; no process is left behind.
    ///
    /// # Errors
    /// A store survived every signal.
    pub async fn stop(self) -> Result<(), StartupError> {
        self.service.stop().await;
        self.sandbox.stop().await;
        self.stores.stop().await?;
        Ok(())
    }
}

fn make_dir(options: &DevOptions) -> Result<PathBuf, StartupError> {
    std::fs::create_dir_all(&options.dir)?;
    Ok(std::fs::canonicalize(&options.dir)?)
}

/// What dev keeps beside the stores, which throw away their own.
const OWN_FILES: [&str; 3] = ["keyring", "members.json", "dev.json"];

/// Throws away what dev keeps. Only once the stores are open: they are locked then, and nobody else runs here.
fn throw_away(dir: &Path) -> std::io::Result<()> {
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    for name in OWN_FILES {
        gone(std::fs::remove_file(dir.join(name)))?;
    }
    gone(std::fs::remove_dir_all(dir.join("sandbox")))?;
    gone(std::fs::remove_dir_all(dir.join("authority")))?;
    gone(std::fs::remove_dir_all(dir.join("auditor")))?;
    gone(std::fs::remove_dir_all(dir.join("journal")))?;
    gone(std::fs::remove_dir_all(dir.join("content")))?;
    gone(std::fs::remove_dir_all(dir.join("mail")))
}

fn parse_url(name: &str, text: Option<String>) -> Result<Option<Url>, StartupError> {
    text.map(|text| Url::parse(&text).map_err(|e| format!("{name} is no URL: {e}").into())).transpose()
}

/// Eight hexadecimal digits that are this directory's.
fn login_suffix(dir: &Path) -> String {
    let digest = Sha256::digest(dir.to_string_lossy().as_bytes());
    format!("{:08x}", u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// The connection string of a role in the same database, with a password made up for this run.
fn login(admin: &Url, user: &str) -> Result<String, StartupError> {
    use std::fmt::Write as _;
    let mut password = String::with_capacity(64);
    for byte in System.bytes32() {
        write!(password, "{byte:02x}")?;
    }
    let mut url = admin.clone();
    let unfit = |()| "DATABASE_URL can't carry a user and password";
    url.set_username(user).map_err(unfit)?;
    url.set_password(Some(&password)).map_err(unfit)?;
    Ok(url.into())
}

/// The defaults, with what only dev knows put under what the environment says.
fn configuration(
    (options, dir, signer): (&DevOptions, &Path, Option<(PathBuf, PathBuf)>),
    stores: &Stores,
    logins: &Logins,
    sandbox: &Sandbox,
    environment: Vec<(String, String)>,
) -> Result<Config, StartupError> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut all = vec![
        ("MATRICULA_HTTP_LISTEN".to_owned(), format!("127.0.0.1:{}", options.port)),
        ("MATRICULA_HTTP_OPERATORS_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("MATRICULA_KEYS_KEYRING".to_owned(), text(&dir.join("keyring"))),
        ("MATRICULA_NOTARY_KEY_FILE".to_owned(), text(&dir.join("log-key"))),
        ("MATRICULA_NOTARY_MARK".to_owned(), text(&dir.join("mark"))),
        ("MATRICULA_MAIL_SPOOL".to_owned(), text(&dir.join("mail"))),
        ("MATRICULA_ACCOUNTS_JOURNAL".to_owned(), text(&dir.join("journal"))),
        ("MATRICULA_CONTENT_FOLDER".to_owned(), text(&dir.join("content"))),
        ("MATRICULA_DOUYIN_BASE_URL".to_owned(), format!("http://{}", sandbox.address)),
        // The platform is on this machine and has no quota for being read.
        ("MATRICULA_PUBLISHING_FIGURES_EVERY_S".to_owned(), "2".to_owned()),
        // One laptop is every caller at once.
        ("MATRICULA_LIMITS_REQUESTS_PER_MINUTE".to_owned(), "60000".to_owned()),
        ("MATRICULA_LIMITS_COST_POINTS".to_owned(), "200000".to_owned()),
        ("MATRICULA_LIMITS_COST_RESTORE_PER_SECOND".to_owned(), "20000".to_owned()),
        ("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE".to_owned(), "600".to_owned()),
    ];
    if let Some((key, certificate)) = signer {
        all.push(("MATRICULA_REPORTS_KEY".to_owned(), text(&key)));
        all.push(("MATRICULA_REPORTS_CERTIFICATES".to_owned(), text(&certificate)));
    }
    all.retain(|(name, _)| !environment.iter().any(|(given, _)| given == name));
    all.extend(environment.into_iter().filter(|(name, _)| {
        !["DATABASE_URL", "REDIS_URL", "MATRICULA_DATABASE_URL", "MATRICULA_REDIS_URL"]
            .contains(&name.as_str())
    }));
    all.extend([
        ("MATRICULA_DATABASE_URL".to_owned(), logins.app.clone()),
        ("MATRICULA_DATABASE_SEQUENCER_URL".to_owned(), logins.sequencer.clone()),
        ("MATRICULA_DATABASE_RECORDER_URL".to_owned(), logins.recorder.clone()),
        ("MATRICULA_DATABASE_VERIFIER_URL".to_owned(), logins.verifier.clone()),
        ("MATRICULA_DATABASE_NOTARY_URL".to_owned(), logins.notary.clone()),
        ("MATRICULA_REDIS_URL".to_owned(), stores.redis_url().to_string()),
    ]);
    Ok(config::load(options.config.as_deref(), all, Need::Working)?)
}
