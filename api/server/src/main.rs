//! The `matricula` binary: a verb for each role.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use domain::kernel::ids::TenantId;
use infra::{
    local_keyring::{LocalKeyring, LocalSigner},
    system::System,
};
use server::{
    config::{self, Config, LogFormat, Need},
    demo,
    dev::{self, DevOptions},
    keys::{self, KeysTask},
    logs,
    migrate::{Logins, migrate},
    rehearsal,
    serve::{Duties, Queue, asked_to_stop, start},
    tenants::{self, TenantTask},
    wiring::StartupError,
    witness::{self, WitnessOptions},
};

/// Requests are many small values: under the C library's allocator a quarter of the processor's time went there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A control plane for teams that run a matrix of official short-video accounts.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A configuration file over the defaults (see deploy/config.default.toml).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Answer callers: GraphQL over HTTP, WebSocket and event streams.
    Serve,
    /// Do the work that has no caller.
    Work {
        /// Which work; all of it when left out.
        #[arg(long, value_enum)]
        queue: Vec<QueueName>,
    },
    /// Make roles, logins and tables, or bring them up to date.
    Migrate,
    /// Print the GraphQL schema.
    Schema,
    /// Print the configuration in force, with secrets masked.
    Config,
    /// Run everything on this machine, with private Postgres and Redis and two demo tenants.
    Dev(DevArguments),
    /// Play the main job on such an installation, step by step.
    Demo {
        #[command(flatten)]
        dev: DevArguments,
        /// End after the story instead of staying up.
        #[arg(long)]
        exit: bool,
    },
    /// Rehearse platforms.
    Sandbox {
        /// Where to answer.
        #[arg(long, default_value = "127.0.0.1:8090")]
        listen: std::net::SocketAddr,
        /// Where what happens is kept; in memory when left out.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// What all chance is made from: the same calls in the same order get the same answers.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Open tenants, and close them.
    Tenant {
        #[command(subcommand)]
        verb: TenantVerb,
    },
    /// Look after tenants' keys.
    Keys {
        #[command(subcommand)]
        verb: KeysVerb,
    },
    /// Check the audit logs.
    Log {
        #[command(subcommand)]
        verb: LogVerb,
    },
    /// Watch logs of others, and cosign what only grew. Needs no database.
    Witness {
        #[command(subcommand)]
        verb: WitnessVerb,
    },
    /// Make root keys.
    Keyring {
        #[command(subcommand)]
        verb: KeyringVerb,
    },
}

#[derive(clap::Args)]
struct WitnessKey {
    /// The witness's name, as `witness.example.com/w1`. Never change it once logs know it.
    #[arg(long)]
    name: String,
    /// The file with its key. Only its owner may read it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Subcommand)]
enum WitnessVerb {
    /// Make a witness's key in a new file, and print the key that verifies its cosignatures.
    Key(WitnessKey),
    /// Answer logs that ask for cosignatures (C2SP tlog-witness).
    Run {
        #[command(flatten)]
        key: WitnessKey,
        /// Where to answer.
        #[arg(long, default_value = "127.0.0.1:8100")]
        listen: std::net::SocketAddr,
        /// The logs it knows: `log` lines of a policy file (C2SP tlog-policy), as `matricula log policy` prints them.
        #[arg(long, value_name = "FILE")]
        logs: PathBuf,
        /// The directory where it remembers what it has seen; made when missing. Never put it back from a backup.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
}

/// [`serve::Queue`] as it is written on the command line.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum QueueName {
    /// Give audit events their indexes and sign the logs' heads.
    Sequence,
    /// Keep the tokens of linked accounts fresh.
    Tokens,
    /// Check files that have arrived, and throw away what nobody needs.
    Uploads,
    /// Post what is due, and follow what became of it.
    Posts,
    /// Derive the audit logs anew and tell what differs.
    Verify,
    /// Make the platform's log grow by heads of tenants' logs, and sign it.
    Notarise,
    /// Make reports for auditors.
    Reports,
    /// Tell the log of rows that were changed by who did not tell it.
    Changes,
    /// Write erasures down outside of the database, and look after keys of persons.
    Erasures,
    /// Make records of processing.
    Records,
    /// Throw away what of logs need not be kept any longer.
    Retention,
}

impl From<QueueName> for Queue {
    fn from(name: QueueName) -> Self {
        match name {
            QueueName::Sequence => Self::Sequence,
            QueueName::Tokens => Self::Tokens,
            QueueName::Uploads => Self::Uploads,
            QueueName::Posts => Self::Posts,
            QueueName::Verify => Self::Verify,
            QueueName::Notarise => Self::Notarise,
            QueueName::Reports => Self::Reports,
            QueueName::Changes => Self::Changes,
            QueueName::Erasures => Self::Erasures,
            QueueName::Records => Self::Records,
            QueueName::Retention => Self::Retention,
        }
    }
}

#[derive(clap::Args)]
struct DevArguments {
    /// Where everything is kept.
    #[arg(long, default_value = ".matricula")]
    dir: PathBuf,
    /// Where GraphQL answers; 0 takes any free port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Throw away what is there first.
    #[arg(long)]
    fresh: bool,
}

#[derive(Subcommand)]
enum TenantVerb {
    /// Open a tenant with its first owner, whose password is read from standard input.
    Open {
        /// Its public name: 3 to 40 of a-z, 0-9 and -.
        #[arg(long)]
        slug: String,
        /// Its display name.
        #[arg(long)]
        name: String,
        /// The owner's e-mail address.
        #[arg(long)]
        owner_email: String,
        /// The owner's name.
        #[arg(long)]
        owner_name: String,
    },
    /// Close a tenant: nobody signs in, no key works, nothing is posted. Unless it is taken back, all there is of it goes for
    /// good, but its log.
    Close {
        /// Its public name.
        #[arg(long)]
        slug: String,
        /// For how many days it can be taken back: 1 to 365.
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
    /// Take back a tenant that is closed.
    Reopen {
        /// Its public name.
        #[arg(long)]
        slug: String,
    },
    /// Tell where a tenant is: active, closed and until when, or ended.
    Status {
        /// Its public name.
        #[arg(long)]
        slug: String,
    },
}

impl From<TenantVerb> for TenantTask {
    fn from(verb: TenantVerb) -> Self {
        match verb {
            TenantVerb::Open { slug, name, owner_email, owner_name } => {
                Self::Open { slug, name, owner_email, owner_name }
            }
            TenantVerb::Close { slug, days } => Self::Close { slug, days },
            TenantVerb::Reopen { slug } => Self::Reopen { slug },
            TenantVerb::Status { slug } => Self::Status { slug },
        }
    }
}

#[derive(clap::Args)]
struct WhoseKeys {
    /// Tenants by their public names; the platform's own keys when none is named.
    #[arg(long = "tenant", value_name = "SLUG")]
    tenants: Vec<String>,
}

#[derive(Subcommand)]
enum KeysVerb {
    /// Tell which keys there are and who holds them.
    Status(WhoseKeys),
    /// Make newer keys; what is sealed stays as it is.
    Rotate {
        #[command(flatten)]
        whose: WhoseKeys,
        /// Move to this key provider: local-keyring, aws-kms or pkcs11.
        #[arg(long, value_name = "PROVIDER")]
        to: Option<String>,
    },
    /// Bring data keys that are under older tenant keys under the newest.
    Rewrap(WhoseKeys),
    /// Refuse for good what is wrapped under older tenant keys, as rows put back from an old backup are.
    Retire(WhoseKeys),
    /// Make a newer key that signs the tenants' logs, and print all of their logs' keys, newest first, as lines for the
    /// policies of whoever checks them (C2SP tlog-policy). Older ones hold for what they have signed. Workers that have
    /// one in memory go on with it for a quarter of an hour, or until they are restarted.
    RotateLogKey(WhoseKeys),
}

#[derive(Subcommand)]
enum LogVerb {
    /// Derive every tile, root and head anew from the leaves, and say where what is kept differs. Exit code 1 when it does.
    Fsck {
        /// Of this tenant alone, by its id.
        #[arg(long, value_name = "ID")]
        tenant: Option<uuid::Uuid>,
        /// As JSON, an object on a line for each log.
        #[arg(long)]
        json: bool,
    },
    /// Let the platform's log go on after its database was put back by right. What is missing of it is put back by its hashes,
    /// which are kept beside the mark; workers sign nothing before. What tenants' logs have lost stays lost.
    Resume {
        /// The mark is lost for good. A mark that comes from a backup is none: take it away, leave the hashes beside it.
        #[arg(long)]
        mark_is_lost: bool,
    },
    /// Print whom to believe about the platform's log: its keys, its witnesses, how many of them are enough (C2SP
    /// tlog-policy).
    Policy,
}

#[derive(Subcommand)]
enum KeyringVerb {
    /// Make the file that keys.keyring names, and the key that signs the platform's log (notary.key_file) when there is none.
    /// Back them up apart from the database.
    Create,
    /// Make the key that signs the platform's log alone.
    LogKey,
    /// Make the key that pays on the chain which vouches for the platform's log (notary.chain_key) when there is none, and print
    /// its account.
    ChainKey,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Both the database's and Redis's TLS take the process's provider; there is only one.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(Box::pin(run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &StartupError) -> ExitCode {
    let mut text = format!("matricula: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str("\n  because ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<(), StartupError> {
    let file = arguments.config.clone();
    let load = |need| config::load(file.as_deref(), config::environment(), need);
    match arguments.verb {
        Verb::Schema => write!(std::io::stdout(), "{}", api::graphql::sdl()).map_err(Into::into),
        Verb::Config => write!(std::io::stdout(), "{}", load(Need::Nothing)?.masked()).map_err(Into::into),
        Verb::Serve => serve(load(Need::Serving)?, Duties { serve: true, queues: Vec::new() }).await,
        Verb::Work { queue } => {
            let queues = match queue.as_slice() {
                [] => Queue::ALL.to_vec(),
                named => named.iter().copied().map(Into::into).collect(),
            };
            serve(load(Need::Working)?, Duties { serve: false, queues }).await
        }
        Verb::Migrate => {
            let config = load(Need::Migrating)?;
            let logins = Logins {
                app: config.database.url,
                sequencer: config.database.sequencer_url,
                recorder: config.database.recorder_url,
                verifier: config.database.verifier_url,
                notary: config.database.notary_url,
            };
            migrate(&config.database.admin_url, &logins).await
        }
        Verb::Dev(arguments) => {
            log(&load(Need::Nothing)?)?;
            let dev = Box::pin(dev::run(&options(arguments, file.clone()))).await?;
            writeln!(std::io::stdout(), "ready: {}", dev.report.graphql)?;
            asked_to_stop().await?;
            dev.stop().await
        }
        Verb::Demo { dev, exit } => {
            log(&load(Need::Nothing)?)?;
            Box::pin(demo::run(&options(dev, file.clone()), exit)).await
        }
        Verb::Sandbox { listen, dir, seed } => {
            log(&load(Need::Nothing)?)?;
            let sandbox = rehearsal::start(listen, dir, seed)?;
            writeln!(std::io::stdout(), "ready: http://{}/_sandbox/", sandbox.address)?;
            asked_to_stop().await?;
            sandbox.stop().await;
            Ok(())
        }
        Verb::Tenant { verb } => {
            let config = load(Need::Serving)?;
            log(&config)?;
            Box::pin(tenants::run(config, verb.into(), &mut std::io::stdout())).await
        }
        Verb::Keys { verb } => {
            let (task, whose) = match verb {
                KeysVerb::Status(whose) => (KeysTask::Status, whose),
                KeysVerb::Rotate { whose, to } => (KeysTask::Rotate(to), whose),
                KeysVerb::Rewrap(whose) => (KeysTask::Rewrap, whose),
                KeysVerb::Retire(whose) => (KeysTask::Retire, whose),
                KeysVerb::RotateLogKey(whose) => (KeysTask::RotateLogKey, whose),
            };
            let config = load(Need::Serving)?;
            log(&config)?;
            Box::pin(keys::run(config, task, &whose.tenants)).await
        }
        Verb::Log { verb: LogVerb::Fsck { tenant, json } } => {
            let config = load(Need::Checking)?;
            log(&config)?;
            let tenant = tenant.map(TenantId::from_uuid);
            if logs::fsck(&config, tenant, json, &mut std::io::stdout()).await? {
                Ok(())
            } else {
                Err("the audit log is not what it should be; the places are above".into())
            }
        }
        Verb::Log { verb: LogVerb::Policy } => {
            logs::policy(&load(Need::Checking)?, &mut std::io::stdout()).await
        }
        Verb::Log { verb: LogVerb::Resume { mark_is_lost } } => {
            let config = load(Need::Serving)?;
            log(&config)?;
            Box::pin(logs::resume(config, mark_is_lost, &mut std::io::stdout())).await
        }
        Verb::Witness { verb } => {
            log(&load(Need::Nothing)?)?;
            match verb {
                WitnessVerb::Key(WitnessKey { name, key }) => witness::make_key(&key, &name),
                WitnessVerb::Run { key: WitnessKey { name, key }, listen, logs, state } => {
                    witness::run(&WitnessOptions { listen, name, key, logs, state }).await
                }
            }
        }
        Verb::Keyring { verb: KeyringVerb::LogKey } => log_key(&load(Need::Nothing)?),
        Verb::Keyring { verb: KeyringVerb::ChainKey } => chain_key(&load(Need::Nothing)?),
        Verb::Keyring { verb: KeyringVerb::Create } => {
            let config = load(Need::Nothing)?;
            let path = config.keys.keyring.as_ref().ok_or("keys.keyring says no file")?;
            LocalKeyring::create(path, &System)?;
            writeln!(std::io::stdout(), "made {}; back it up apart from the database", path.display())?;
            if config.notary.key_file.exists() { Ok(()) } else { log_key(&config) }
        }
    }
}

/// Makes the key that pays on the chain when there is none, and says whose it is.
fn chain_key(config: &Config) -> Result<(), StartupError> {
    let path = &config.notary.chain_key;
    let is_there = path.exists();
    if !is_there {
        LocalSigner::create(path, &System)?;
    }
    let account = infra::chain::account_of(path)?;
    let said = if is_there { "there is" } else { "made" };
    Ok(writeln!(std::io::stdout(), "{said} {}; it pays from {account}", path.display())?)
}

/// Makes the key that signs the platform's log.
fn log_key(config: &Config) -> Result<(), StartupError> {
    let path = &config.notary.key_file;
    LocalSigner::create(path, &System)?;
    writeln!(std::io::stdout(), "made {}; back it up apart from the database", path.display())?;
    Ok(())
}

fn options(arguments: DevArguments, config: Option<PathBuf>) -> DevOptions {
    DevOptions { dir: arguments.dir, port: arguments.port, fresh: arguments.fresh, config }
}

/// Sets the log up, on standard error.
fn log(config: &Config) -> Result<(), StartupError> {
    // A node's address, with its key, is in spans of these.
    let filter = format!("{},alloy_transport_http=info,alloy_rpc_client=info", config.log.filter);
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|e| format!("log.filter is no filter: {e}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
}

async fn serve(config: Config, duties: Duties) -> Result<(), StartupError> {
    log(&config)?;
    let service = Box::pin(start(&config, &duties)).await?;
    tracing::info!(address = %service.address, operators = %service.operators, "ready");
    asked_to_stop().await?;
    tracing::info!("stopping");
    service.stop().await;
    Ok(())
}
