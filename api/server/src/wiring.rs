//! The composition root: from a configuration to an [`App`] and what runs beside it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{
    access_log::AccessLog,
    app::{App, Documents, Proxies, Quotas},
    callers::Callers,
    http::{Dependency, Health, Places},
    metrics::{KeyCallLabels, Metrics},
};
use chrono::TimeDelta;
use domain::{
    accounts::{Accounts, AccountsPorts, events::AccountFact},
    compliance::{Attesting, Compliance, CompliancePorts, LogVerifier, Notary, Sequencer, SequencerPorts},
    content::{Content, ContentPorts, events::ContentFact, ports::ObjectStore},
    identity::{Identity, IdentityPorts, events::IdentityFact, ports::Geography},
    kernel::{
        ids::{Entropy, IdSource, PLATFORM},
        limit::Quota,
        secret::Vault,
    },
    publishing::{Publishing, PublishingPorts, events::PublishingFact},
};
use infra::{
    argon2::{Argon2Passwords, Argon2Settings},
    aws_kms::{AwsKms, AwsKmsSettings},
    envelope::{Envelope, EnvelopeSettings, KeyProvider, Providers, SubjectVault, SystemTicks},
    ffmpeg::{Ffmpeg, Ffprobe},
    journal::FileJournal,
    jwt::{JwtParts, JwtSettings, JwtTokens},
    layers::{CountedKeys, FallbackRateLimiter, FallbackSettings, KeyCallObserver, LimitEvent},
    local_keyring::LocalKeyring,
    maxmind::{MaxMindGeography, NoGeography},
    outbound::Transport,
    pkcs11::{Pkcs11Settings, Pkcs11Token},
    platforms::SettingFault,
    postgres::{
        Db, Feeds, LogWatch, LogWatchSettings, PgKeyStore, PgLogKeys, PgLogReader, PgSequencerStore,
        PgSigningKeys, PgTenantDirectory, PgTokenSchedule, PgTurnSchedule, PgUnits, PgUploadSchedule,
        PoolSettings, recorder::PgAccessRecorder, self_check,
    },
    redis::{Redis, RedisFeed, RedisFeedSettings, RedisRateLimiter, RedisSettings},
    spool::{SpoolCourier, SpoolSettings},
    system::System,
    totp::TotpCodes,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    bookkeeping::Bookkeeping,
    config::{Config, Keys},
    file_store,
    serve::{Duties, Queue},
};

/// Why the service does not start.
pub type StartupError = Box<dyn std::error::Error + Send + Sync>;

/// Connections for looking up keys: apart from those whose holders wait for a key.
const KEY_CONNECTIONS: u32 = 2;

/// Connections of the roles that work across tenants.
pub(crate) const ROLE_CONNECTIONS: u32 = 3;

/// What was put together.
pub struct Parts {
    /// The facades.
    pub app: Arc<App>,
    /// Gives audit events their indexes, and where they wait; only where that is a duty: who serves callers does not
    /// hold a login that could take events away.
    pub sequencing: Option<(Sequencer, PgSequencerStore)>,
    /// Derives the audit logs anew; only where that is a duty.
    pub verifying: Option<LogVerifier>,
    /// Makes the platform's log grow; only where that is a duty and somebody signs.
    pub notary: Option<(Notary, Attesting)>,
    /// Works on whole logs of tenants; only where that is a duty.
    pub of_logs: crate::reports::OfLogs,
    /// What `/readyz` asks.
    pub health: Arc<Health>,
    /// The service's pool, for figures.
    pub db: Db,
    /// The keys in memory, to be wiped when stopping.
    pub envelope: Arc<Envelope>,
    /// Renewed tokens on their way, to be prepared by who may renew some.
    pub journal: Arc<FileJournal>,
    /// What is kept of calls to platforms.
    pub bookkeeping: Bookkeeping,
}

/// Puts everything together. Postgres must answer; Redis may be away. `public_url` is what addresses that platforms are
/// given begin with.
///
/// # Errors
/// What is wrong and how to right it.
pub async fn build(config: &Config, duties: &Duties, public_url: String) -> Result<Parts, StartupError> {
    let system = Arc::new(System);
    let db = Db::connect(&config.database.url, pool(config, config.database.connections_max))?;
    let keys_db = Db::connect(&config.database.url, pool(config, KEY_CONNECTIONS))?;
    let recorder_db = Db::connect(&config.database.recorder_url, pool(config, ROLE_CONNECTIONS))?;
    self_check(&db, &migrations::names()).await?;

    let metrics = Arc::new(Metrics::default());
    let envelope = Arc::new(Envelope::new(
        key_providers(&config.keys, &metrics).await?,
        Arc::new(PgKeyStore::new(keys_db.clone())),
        system.clone(),
        Arc::new(SystemTicks),
        EnvelopeSettings::new(PLATFORM),
    )?);
    tokio::spawn(envelope.sweeper());
    let vault: Arc<dyn Vault> = envelope.clone();

    let redis = Redis::connect(&RedisSettings {
        prefix: config.redis.prefix.clone(),
        ..RedisSettings::at(config.redis.url.clone())
    })?;
    let feeds = feeds(&redis, &*system);
    let limiter = limiter(&redis, &metrics);

    let logs = LogWatch::start(
        recorder_db.clone(),
        LogWatchSettings { patience: config.audit.index_wait, waiting_max: config.audit.waiting_max },
    );
    let objects = file_store::objects(config, duties, &db).await?;
    let vaults = (vault.clone(), persons(&vault, &objects));
    let units = Arc::new(PgUnits::new(db.clone(), vaults, feeds.clone(), &system, logs));
    let log_keys = Arc::new(PgLogKeys::new(
        keys_db.clone(),
        vault.clone(),
        system.clone(),
        system.clone(),
        system.clone(),
    ));
    let identity = identity(config, &envelope, &units, &db, &keys_db)?;
    let (transport, bookkeeping) = Bookkeeping::open(config, &limiter, &metrics, (&db, &redis))?;
    let journal = Arc::new(FileJournal::new(config.accounts.journal.clone(), vault.clone()));
    let accounts = Arc::new(Accounts::new(AccountsPorts {
        units: units.clone(),
        schedule: Arc::new(PgTokenSchedule::new(db.clone())),
        journal: journal.clone(),
        platforms: infra::platforms::register(&config.platforms(), &transport).map_err(|e| told(&e))?,
        health: bookkeeping.board.clone(),
        identity: identity.clone(),
        clock: system.clone(),
        ids: system.clone(),
        entropy: system.clone(),
        public_url: public_url.clone(),
    }));
    let content = content(config, &objects, &units, &db);
    let publishing = publishing(config, &units, &db, (&accounts, &content), &transport)?;
    let geography: Arc<dyn Geography> = match &config.geography.database {
        Some(path) => Arc::new(MaxMindGeography::open(path)?),
        None => Arc::new(NoGeography),
    };
    let of_logs = crate::reports::of_logs(config, duties, (&db, &units), &log_keys, &objects)?;
    let of_auditors = crate::reports::open((config, duties), (&db, &units), &log_keys, &objects);
    let (reports, records) = Box::pin(of_auditors).await?;
    let app = Arc::new(App {
        identity,
        accounts,
        content,
        publishing,
        compliance: compliance(config, &log_keys)?,
        reports,
        records,
        changes: crate::reports::changes(&db, &units),
        erasures: crate::reports::erasures(config, (&db, &units), &log_keys, (&objects, &vault)),
        units,
        feed: feeds.identity,
        account_feed: feeds.accounts,
        content_feed: feeds.content,
        publishing_feed: feeds.publishing,
        upload_places: Places::new(config.content.uploads_at_once),
        public_url,
        vault,
        geography,
        limiter,
        quotas: quotas(config),
        clock: system.clone(),
        ids: system.clone(),
        callers: Callers::default(),
        access_log: AccessLog::start(Arc::new(PgAccessRecorder::new(recorder_db))),
        metrics,
        cursor_key: config.keys.cursor_key.unwrap_or_else(|| system.bytes32()),
        proxies: Proxies(config.http.proxies.clone()),
        documents: Documents {
            trusted: config.documents.manifest.as_deref().map(trusted).transpose()?.unwrap_or_default(),
            free: config.documents.free,
        },
        origins: config.http.origins.clone(),
    });
    let (sequencing, verifying, notary) = over_all_logs(config, duties, log_keys).await?;
    let health = Arc::new(Health { dependencies: dependencies(&db, &redis), draining: false.into() });
    Ok(Parts { app, sequencing, verifying, notary, of_logs, health, db, envelope, journal, bookkeeping })
}

/// Keys of single persons.
fn persons(vault: &Arc<dyn Vault>, objects: &Arc<dyn ObjectStore>) -> Arc<SubjectVault> {
    let (entropy, ticks) = (Arc::new(System), Arc::new(SystemTicks));
    let vault = Arc::new(SubjectVault::new(Arc::clone(vault), Arc::clone(objects), entropy, ticks));
    tokio::spawn(vault.sweeper());
    vault
}

/// Reads the audit log.
fn compliance(config: &Config, log_keys: &Arc<PgLogKeys>) -> Result<Arc<Compliance>, StartupError> {
    let (log_keys, trust, host) =
        (log_keys.clone(), crate::notary::trust(config)?, config.audit.host.clone());
    Ok(Arc::new(Compliance::new(CompliancePorts { log_keys, trust, host })))
}

fn content(config: &Config, objects: &Arc<dyn ObjectStore>, units: &Arc<PgUnits>, db: &Db) -> Arc<Content> {
    let (system, scratch, objects) = (Arc::new(System), file_store::scratch(config), Arc::clone(objects));
    Arc::new(Content::new(ContentPorts {
        units: units.clone(),
        schedule: Arc::new(PgUploadSchedule::new(db.clone())),
        probe: Arc::new(Ffprobe::new(objects.clone(), system, scratch.clone())),
        transcoder: Arc::new(Ffmpeg::new(objects.clone(), scratch)),
        tenant_bytes_max: u64::from(config.content.tenant_max_mib) * 1_024 * 1_024,
        rules: infra::platforms::media_rules(),
        objects,
        clock: Arc::new(System),
        ids: Arc::new(System),
    }))
}

fn publishing(
    config: &Config,
    units: &Arc<PgUnits>,
    db: &Db,
    (accounts, content): (&Arc<Accounts>, &Arc<Content>),
    transport: &Arc<dyn Transport>,
) -> Result<Arc<Publishing>, StartupError> {
    let publishers = infra::platforms::publishers(&config.platforms(), transport);
    Ok(Arc::new(Publishing::new(PublishingPorts {
        units: units.clone(),
        schedule: Arc::new(PgTurnSchedule::new(db.clone())),
        publishers: publishers.map_err(|fault| told(&[fault]))?,
        accounts: accounts.clone(),
        content: content.clone(),
        clock: Arc::new(System),
        ids: Arc::new(System),
        settle: TimeDelta::seconds(config.publishing.settle_s.into()),
        lead: TimeDelta::seconds(config.publishing.lead_s.into()),
        pace: TimeDelta::seconds(config.publishing.figures_every_s.into()),
    })))
}

/// What the file of a setting holds, without the end of its last line.
pub(crate) fn secret_in(setting: &str, file: &Path) -> Result<Zeroizing<String>, StartupError> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("{setting} {} can't be read: {e}", file.display()))?;
    Ok(Zeroizing::new(Zeroizing::new(text).trim_end().to_owned()))
}

/// Every context's news, over one Redis.
fn feeds(redis: &Redis, ids: &dyn IdSource) -> Feeds {
    let settings = RedisFeedSettings::default();
    Feeds {
        identity: Arc::new(RedisFeed::<IdentityFact>::start(redis.clone(), ids, settings)),
        accounts: Arc::new(RedisFeed::<AccountFact>::start(redis.clone(), ids, settings)),
        content: Arc::new(RedisFeed::<ContentFact>::start(redis.clone(), ids, settings)),
        publishing: Arc::new(RedisFeed::<PublishingFact>::start(redis.clone(), ids, settings)),
    }
}

/// Gives audit events their indexes, on a login of its own.
fn sequencing(config: &Config, keys: Arc<PgLogKeys>) -> Result<(Sequencer, PgSequencerStore), StartupError> {
    let pool = pool(config, ROLE_CONNECTIONS);
    let store = PgSequencerStore::new(Db::connect(&config.database.sequencer_url, pool)?);
    let sequencer = Sequencer::new(SequencerPorts {
        store: Arc::new(store.clone()),
        keys,
        clock: Arc::new(System),
        host: config.audit.host.clone(),
    });
    Ok((sequencer, store))
}

/// What sequences, verifies and notarises.
type OverAllLogs = (Option<(Sequencer, PgSequencerStore)>, Option<LogVerifier>, Option<(Notary, Attesting)>);

/// What works on all logs, where that is a duty.
async fn over_all_logs(
    config: &Config,
    duties: &Duties,
    log_keys: Arc<PgLogKeys>,
) -> Result<OverAllLogs, StartupError> {
    let sequencing = duties.has(Queue::Sequence).then(|| sequencing(config, log_keys)).transpose()?;
    let verifying = duties.has(Queue::Verify).then(|| verifier(config)).transpose()?;
    let notary = if duties.has(Queue::Notarise) { crate::notary::open(config).await? } else { None };
    Ok((sequencing, verifying, notary))
}

/// Reads whole logs, on a login of its own.
pub(crate) fn verifier(config: &Config) -> Result<LogVerifier, StartupError> {
    Ok(LogVerifier::new(Arc::new(log_reader(config)?), config.audit.host.clone()))
}

/// Reads whole logs, on a login of its own, for who needs no more of them.
pub(crate) fn log_reader(config: &Config) -> Result<PgLogReader, StartupError> {
    Ok(PgLogReader::new(Db::connect(&config.database.verifier_url, pool(config, ROLE_CONNECTIONS))?))
}

pub(crate) const fn pool(config: &Config, connections_max: u32) -> PoolSettings {
    PoolSettings {
        connections_max,
        acquire_timeout: config.database.acquire_timeout,
        statement_timeout: config.database.statement_timeout,
    }
}

/// The token of a PKCS #11 module.
pub(crate) async fn token(keys: &Keys, module: &Path) -> Result<Pkcs11Token, StartupError> {
    let settings = Pkcs11Settings {
        module: module.to_owned(),
        token: keys.pkcs11_token.clone(),
        pin: secret_in("keys.pkcs11_pin_file", &keys.pkcs11_pin_file)?,
        key: keys.pkcs11_key.clone(),
    };
    Ok(Pkcs11Token::open(settings).await?)
}

/// How a key of the service is reached.
pub(crate) fn aws_kms(keys: &Keys, key: &str) -> AwsKmsSettings {
    AwsKmsSettings {
        key: key.to_owned(),
        region: keys.aws_kms_region.clone(),
        endpoint: keys.aws_kms_endpoint.clone(),
    }
}

/// All key providers that are set up; the one for new tenants first.
async fn key_providers(keys: &Keys, metrics: &Arc<Metrics>) -> Result<Providers, StartupError> {
    let mut providers: Vec<Arc<dyn KeyProvider>> = Vec::new();
    // The file is there by default, and may be of no use where another provider is the one.
    let is_local = |path: &&PathBuf| keys.provider == "local-keyring" || path.exists();
    if let Some(path) = keys.keyring.as_ref().filter(is_local) {
        providers.push(Arc::new(LocalKeyring::open(path)?));
    }
    if let Some(key) = &keys.aws_kms_key {
        providers.push(Arc::new(AwsKms::connect(&aws_kms(keys, key)).await));
    }
    if let Some(module) = &keys.pkcs11_module {
        providers.push(Arc::new(token(keys, module).await?));
    }
    let metrics = Arc::clone(metrics);
    let observer: KeyCallObserver = Arc::new(move |call| {
        let outcome = if call.is_done { "success" } else { "failure" };
        let labels = KeyCallLabels { provider: call.provider.to_owned(), call: call.call, outcome };
        metrics.key_provider_calls.get_or_create(&labels).inc();
    });
    let counted =
        |inner| -> Arc<dyn KeyProvider> { Arc::new(CountedKeys::new(inner, Arc::clone(&observer))) };
    let mut providers: Vec<_> = providers.into_iter().map(counted).collect();
    let default = providers.iter().position(|provider| provider.describe() == keys.provider);
    let default = default.ok_or_else(|| format!("keys.provider {} is not set up", keys.provider))?;
    Ok(Providers::new(providers.swap_remove(default), providers))
}

fn identity(
    config: &Config,
    envelope: &Arc<Envelope>,
    units: &Arc<PgUnits>,
    db: &Db,
    keys_db: &Db,
) -> Result<Arc<Identity>, StartupError> {
    let system = Arc::new(System);
    let tokens = JwtTokens::new(
        JwtParts {
            store: Arc::new(PgSigningKeys::new(keys_db.clone())),
            envelope: envelope.clone(),
            clock: system.clone(),
            entropy: system.clone(),
            ticks: Arc::new(SystemTicks),
        },
        JwtSettings { issuer: config.tokens.issuer.clone(), audience: config.tokens.audience.clone() },
    )?;
    Ok(Arc::new(Identity::new(IdentityPorts {
        units: units.clone(),
        directory: Arc::new(PgTenantDirectory::new(db.clone())),
        hasher: Arc::new(Argon2Passwords::new(Argon2Settings::default(), system.clone())?),
        codes: Arc::new(TotpCodes),
        tokens: Arc::new(tokens),
        courier: Arc::new(SpoolCourier::open(
            SpoolSettings {
                directory: config.mail.spool.clone(),
                from: config.mail.from.clone(),
                reset_url: config.mail.reset_url.clone(),
            },
            system.clone(),
            system.clone(),
        )?),
        clock: system.clone(),
        ids: system.clone(),
        entropy: system,
    })))
}

/// All that is wrong with platforms' settings.
fn told(faults: &[SettingFault]) -> StartupError {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ").into()
}

/// The word for what the limiter's layers did, in metrics.
const fn limit_word(event: LimitEvent) -> &'static str {
    match event {
        LimitEvent::WentLocal => "went_local",
        LimitEvent::CameBack => "came_back",
        LimitEvent::DecidedLocally => "decided_locally",
        LimitEvent::StoppedAtWall => "stopped_at_wall",
    }
}

/// Reads a manifest of trusted documents, and refuses a name that is not its text's.
fn trusted(path: &Path) -> Result<HashMap<String, Arc<str>>, StartupError> {
    use std::fmt::Write as _;
    let place = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("documents.manifest {place} can't be read: {e}"))?;
    let manifest: HashMap<String, String> = serde_json::from_str(&text)
        .map_err(|e| format!("documents.manifest {place} is no JSON object of names to texts: {e}"))?;
    for (name, document) in &manifest {
        let mut wanted = "sha256:".to_owned();
        for byte in Sha256::digest(document.as_bytes()) {
            write!(wanted, "{byte:02x}")?;
        }
        if *name != wanted {
            return Err(format!("documents.manifest {place}: {name} should be {wanted}").into());
        }
    }
    Ok(manifest.into_iter().map(|(name, document)| (name, document.into())).collect())
}

/// Shared buckets, with this process's own while they do not answer.
fn limiter(redis: &Redis, metrics: &Arc<Metrics>) -> Arc<FallbackRateLimiter> {
    let observed = metrics.clone();
    Arc::new(FallbackRateLimiter::new(
        Arc::new(RedisRateLimiter::new(redis.clone())),
        FallbackSettings::default(),
        Arc::new(move |event| observed.limit(limit_word(event))),
    ))
}

fn quotas(config: &Config) -> Quotas {
    let limits = &config.limits;
    Quotas {
        caller: Quota { per_minute: limits.requests_per_minute, burst: limits.requests_per_minute },
        endpoint: Quota {
            per_minute: limits.endpoint_per_second.saturating_mul(60),
            burst: limits.endpoint_per_second,
        },
        cost: Quota {
            per_minute: limits.cost_restore_per_second.saturating_mul(60),
            burst: limits.cost_points,
        },
        credentials: Quota {
            per_minute: limits.sign_in_per_minute.saturating_mul(60),
            burst: limits.sign_in_per_minute.saturating_mul(60),
        },
        sign_in: Quota { per_minute: limits.sign_in_per_minute, burst: limits.sign_in_per_minute },
        uploads: Quota { per_minute: limits.uploads_per_minute, burst: limits.uploads_per_minute / 4 + 1 },
        streams: limits.streams_per_tenant,
    }
}

fn dependencies(db: &Db, redis: &Redis) -> Vec<Dependency> {
    let (db, redis) = (db.clone(), redis.clone());
    vec![
        Dependency {
            name: "postgres",
            required: true,
            ask: Box::new(move || {
                let db = db.clone();
                Box::pin(async move { db.ping().await.map_err(|fault| fault.source.to_string()) })
            }),
        },
        Dependency {
            name: "redis",
            // Without it limits hold for each replica alone, and news stays on the replica it happened on.
            required: false,
            ask: Box::new(move || {
                let redis = redis.clone();
                Box::pin(async move { redis.ping().await.map_err(|fault| fault.source.to_string()) })
            }),
        },
    ]
}

/// How often figures that must be asked for are.
pub const FIGURES_EVERY: Duration = Duration::from_secs(5);
