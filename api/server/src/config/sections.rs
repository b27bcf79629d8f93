//! The typed sections, and what must hold of each setting.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use domain::{identity::model::EmailAddress, kernel::ids::TenantId};
use infra::outbound::Proxy;
use toml::{Table, Value};

use super::{
    Fault, Need, audit::Audit, notary::NotarySettings, privacy::Privacy, records::Records, reports::Reports,
};

/// The configuration in force. Meanings and units are in the default file.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "deploy/config.default.toml documents every setting once")]
pub struct Config {
    pub http: Http,
    pub database: Database,
    pub redis: Redis,
    pub keys: Keys,
    pub tokens: Tokens,
    pub audit: Audit,
    pub notary: NotarySettings,
    pub reports: Reports,
    pub privacy: Privacy,
    pub records: Records,
    pub mail: Mail,
    pub geography: Geography,
    pub accounts: Accounts,
    pub content: Content,
    pub publishing: Publishing,
    pub egress: Egress,
    pub limits: Limits,
    pub documents: Documents,
    pub log: Log,
    table: Table,
}

macro_rules! section {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[doc = concat!("The section of that name in the default file: ", stringify!($name), ".")]
        #[derive(Clone, Debug)]
        pub struct $name { $(
            #[doc = concat!("`", stringify!($field), "` there, or its key with the unit behind.")]
            pub $field: $type
        ),* }
    };
}

section!(Http {
    listen: SocketAddr, operators_listen: SocketAddr, workers: usize, origins: Vec<String>, proxies: Vec<IpAddr>,
    deadline: Duration, drain: Duration,
});
section!(Database {
    url: String,
    sequencer_url: String,
    recorder_url: String,
    verifier_url: String,
    notary_url: String,
    admin_url: String,
    connections_max: u32,
    acquire_timeout: Duration,
    statement_timeout: Duration,
});
section!(Redis { url: String, prefix: String });
section!(Keys {
    provider: String,
    keyring: Option<PathBuf>,
    aws_kms_key: Option<String>,
    aws_kms_region: Option<String>,
    aws_kms_endpoint: Option<String>,
    pkcs11_module: Option<PathBuf>,
    pkcs11_token: String,
    pkcs11_pin_file: PathBuf,
    pkcs11_key: String,
    cursor_key: Option<[u8; 32]>,
});
section!(Tokens { issuer: String, audience: String });
section!(Mail { spool: PathBuf, from: EmailAddress, reset_url: String });
section!(Geography { database: Option<PathBuf> });
section!(Accounts { public_url: Option<String>, journal: PathBuf, pool_width: u32 });
section!(Content {
    files: Files, scratch: Option<PathBuf>, uploads_at_once: u32, transcodes_at_once: u32, tenant_max_mib: u32,
});
section!(Bucket {
    bucket: String,
    region: String,
    endpoint: Option<String>,
    access_key_id: Option<String>,
    secret_access_key_file: PathBuf,
});
section!(Publishing { width: u32, settle_s: u32, figures_every_s: u32, lead_s: u32 });
section!(Egress {
    proxy: Option<Proxy>,
    tenants: HashMap<TenantId, Proxy>,
    timeout: Duration,
    connect_timeout: Duration,
});
section!(Limits {
    requests_per_minute: u32,
    endpoint_per_second: u32,
    cost_points: u32,
    cost_restore_per_second: u32,
    sign_in_per_minute: u32,
    uploads_per_minute: u32,
    streams_per_tenant: u32,
});
section!(Documents { manifest: Option<PathBuf>, free: bool });
section!(Log { format: LogFormat, filter: String });

/// Where files are kept.
#[derive(Clone, Debug)]
pub enum Files {
    /// In a folder that every replica sees.
    Folder(PathBuf),
    /// In a bucket.
    Bucket(Bucket),
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Reads settings and collects what is wrong with them.
pub(super) struct Reader<'a> {
    table: &'a Table,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    pub(super) fn fault(&mut self, setting: &str, problem: impl Into<String>) {
        self.faults.push(Fault { setting: setting.to_owned(), problem: problem.into() });
    }

    pub(super) fn value(&self, setting: &str) -> Option<&Value> {
        let (section, key) = setting.split_once('.')?;
        self.table.get(section)?.as_table()?.get(key)
    }

    pub(super) fn text(&self, setting: &str) -> String {
        self.value(setting).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(super) fn filled(&mut self, setting: &str) -> String {
        let text = self.text(setting);
        if text.trim().is_empty() {
            self.fault(setting, "must not be empty");
        }
        text
    }

    fn parsed<T: FromStr>(&mut self, setting: &str, wanted: &str) -> Option<T> {
        let parsed = self.text(setting).parse().ok();
        if parsed.is_none() {
            self.fault(setting, format!("must be {wanted}"));
        }
        parsed
    }

    pub(super) fn number(&mut self, setting: &str, least: u32, most: u32) -> u32 {
        let number = self.value(setting).and_then(Value::as_integer).and_then(|n| u32::try_from(n).ok());
        match number {
            Some(number) if (least..=most).contains(&number) => number,
            _ => {
                self.fault(setting, format!("must be {least} to {most}"));
                least
            }
        }
    }

    pub(super) fn list(&self, setting: &str) -> Vec<String> {
        let items = self.value(setting).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    }

    /// A connection string; empty is a fault when it is needed.
    pub(super) fn url(&mut self, setting: &str, schemes: &[&str], needed: bool) -> String {
        let text = self.text(setting);
        if text.is_empty() {
            if needed {
                self.fault(setting, format!("must be set, as {}://...", schemes.first().unwrap_or(&"")));
            }
            return text;
        }
        match url::Url::parse(&text) {
            Ok(url) if schemes.contains(&url.scheme()) => {}
            Ok(_) | Err(_) => self.fault(setting, format!("must begin with {}://", schemes.join(":// or "))),
        }
        text
    }
}

const POSTGRES: [&str; 2] = ["postgres", "postgresql"];

pub(super) fn read(table: &Table, need: Need, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut r = Reader { table, faults };
    let working = need == Need::Working;
    let serving = working || need == Need::Serving;
    let http = http(&mut r);
    let database = Database {
        url: r.url("database.url", &POSTGRES, serving || need == Need::Migrating),
        sequencer_url: r.url("database.sequencer_url", &POSTGRES, working),
        recorder_url: r.url("database.recorder_url", &POSTGRES, serving),
        verifier_url: r.url("database.verifier_url", &POSTGRES, working || need == Need::Checking),
        notary_url: r.url("database.notary_url", &POSTGRES, working),
        admin_url: r.url("database.admin_url", &POSTGRES, need == Need::Migrating),
        connections_max: r.number("database.connections_max", 2, 1_000),
        acquire_timeout: millis(r.number("database.acquire_timeout_ms", 10, 60_000)),
        statement_timeout: millis(r.number("database.statement_timeout_ms", 100, 600_000)),
    };
    let redis =
        Redis { url: r.url("redis.url", &["redis", "rediss"], serving), prefix: r.filled("redis.prefix") };
    let keys = keys(&mut r);
    let (audit, notary) = (Audit::read(&mut r), NotarySettings::read(&mut r));
    let reports = Reports::read(&mut r);
    let (privacy, records) = (Privacy::read(&mut r), Records::read(&mut r));
    let mail = mail(&mut r);
    let geography = Geography {
        database: Some(r.text("geography.database")).filter(|path| !path.is_empty()).map(Into::into),
    };
    let limits = Limits {
        requests_per_minute: r.number("limits.requests_per_minute", 1, 10_000_000),
        endpoint_per_second: r.number("limits.endpoint_per_second", 1, 1_000_000),
        cost_points: r.number("limits.cost_points", 1_000, 100_000_000),
        cost_restore_per_second: r.number("limits.cost_restore_per_second", 1, 1_000_000),
        sign_in_per_minute: r.number("limits.sign_in_per_minute", 1, 1_000_000),
        uploads_per_minute: r.number("limits.uploads_per_minute", 1, 1_000_000),
        streams_per_tenant: r.number("limits.streams_per_tenant", 1, 1_000_000),
    };
    let accounts = Accounts {
        public_url: optional(r.url("accounts.public_url", &["http", "https"], false)),
        journal: r.filled("accounts.journal").into(),
        pool_width: r.number("accounts.pool_width", 1, 1_000),
    };
    let content = content(&mut r);
    let publishing = Publishing {
        width: r.number("publishing.width", 1, 1_000),
        settle_s: r.number("publishing.settle_s", 1, 86_400),
        lead_s: r.number("publishing.lead_s", 0, 604_800),
        figures_every_s: r.number("publishing.figures_every_s", 1, 86_400),
    };
    let egress = egress(&mut r);
    let format = match r.text("log.format").as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => {
            r.fault("log.format", "must be \"text\" or \"json\"");
            LogFormat::Text
        }
    };
    let documents = Documents {
        manifest: Some(r.text("documents.manifest")).filter(|path| !path.is_empty()).map(Into::into),
        free: r.value("documents.free").and_then(Value::as_bool).unwrap_or(true),
    };
    Some(Config {
        http: http?,
        database,
        redis,
        keys,
        tokens: Tokens { issuer: r.filled("tokens.issuer"), audience: r.filled("tokens.audience") },
        audit,
        notary,
        reports,
        privacy,
        records,
        mail: mail?,
        geography,
        accounts,
        content,
        publishing,
        egress,
        limits,
        documents,
        log: Log { format, filter: r.filled("log.filter") },
        table: table.clone(),
    })
}

fn mail(r: &mut Reader<'_>) -> Option<Mail> {
    let from = EmailAddress::parse(&r.text("mail.from"));
    if let Err(fault) = &from {
        r.fault("mail.from", fault.to_string());
    }
    Some(Mail {
        spool: r.filled("mail.spool").into(),
        reset_url: r.filled("mail.reset_url"),
        from: from.ok()?,
    })
}

fn content(r: &mut Reader<'_>) -> Content {
    let bucket = |r: &mut Reader<'_>| Bucket {
        bucket: r.filled("content.bucket"),
        region: r.filled("content.region"),
        endpoint: optional(r.url("content.endpoint", &["http", "https"], false)),
        access_key_id: optional(r.text("content.access_key_id")),
        secret_access_key_file: r.text("content.secret_access_key_file").into(),
    };
    let files = match r.text("content.store").as_str() {
        "folder" => Files::Folder(r.filled("content.folder").into()),
        "bucket" => Files::Bucket(bucket(r)),
        _ => {
            r.fault("content.store", "must be \"folder\" or \"bucket\"");
            Files::Folder(PathBuf::new())
        }
    };
    let scratch = optional(r.text("content.scratch")).map(Into::into);
    Content {
        files,
        scratch,
        uploads_at_once: r.number("content.uploads_at_once", 1, 10_000),
        transcodes_at_once: r.number("content.transcodes_at_once", 1, 64),
        tenant_max_mib: r.number("content.tenant_max_mib", 1, u32::MAX),
    }
}

pub(super) fn optional(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// The proxy a setting names. The fault does not quote it: it may hold a password.
fn proxy(r: &mut Reader<'_>, setting: &str, text: &str) -> Option<Proxy> {
    match Proxy::parse(text) {
        Ok(proxy) => Some(proxy),
        Err(fault) => {
            r.fault(setting, fault.to_string());
            None
        }
    }
}

fn egress(r: &mut Reader<'_>) -> Egress {
    const TENANTS: &str = "egress.tenants";
    let mut tenants = HashMap::new();
    for entry in r.list(TENANTS) {
        let pair = entry.split_once('=');
        let tenant = pair.and_then(|(tenant, _)| uuid::Uuid::try_parse(tenant.trim()).ok());
        match (tenant, pair) {
            (Some(tenant), Some((_, text))) => {
                let way = proxy(r, TENANTS, text.trim());
                tenants.extend(way.map(|way| (TenantId::from_uuid(tenant), way)));
            }
            _ => r.fault(TENANTS, "must each be a tenant's id, `=`, and its proxy"),
        }
    }
    let common = optional(r.text("egress.proxy"));
    Egress {
        proxy: common.and_then(|text| proxy(r, "egress.proxy", &text)),
        tenants,
        timeout: millis(r.number("egress.timeout_ms", 100, 300_000)),
        connect_timeout: millis(r.number("egress.connect_timeout_ms", 100, 60_000)),
    }
}

pub(super) fn millis(number: u32) -> Duration {
    Duration::from_millis(number.into())
}

fn http(r: &mut Reader<'_>) -> Option<Http> {
    let listen = r.parsed("http.listen", "an address and port, as 127.0.0.1:8080");
    let operators_listen = r.parsed("http.operators_listen", "an address and port, as 127.0.0.1:9180");
    let mut proxies = Vec::new();
    for proxy in r.list("http.proxies") {
        match proxy.parse() {
            Ok(address) => proxies.push(address),
            Err(_) => r.fault("http.proxies", format!("{proxy:?} is no IP address")),
        }
    }
    let origins = r.list("http.origins");
    for origin in &origins {
        let good = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
        if !good {
            r.fault("http.origins", format!("{origin:?} is no origin, as https://app.example.com"));
        }
    }
    Some(Http {
        workers: usize::try_from(r.number("http.workers", 0, 1_024)).unwrap_or_default(),
        deadline: Duration::from_secs(r.number("http.deadline_s", 1, 300).into()),
        drain: Duration::from_secs(r.number("http.drain_s", 0, 600).into()),
        listen: listen?,
        operators_listen: operators_listen?,
        origins,
        proxies,
    })
}

fn cursor_key(r: &mut Reader<'_>) -> Option<[u8; 32]> {
    let text = r.text("keys.cursor_key");
    if text.is_empty() {
        return None;
    }
    let mut key = [0; 32];
    let good = text.len() == 64
        && text.is_ascii()
        && key.iter_mut().zip(0..).all(|(byte, at)| {
            let at: usize = at;
            u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map(|parsed| *byte = parsed).is_ok()
        });
    if !good {
        r.fault("keys.cursor_key", "must be 64 hexadecimal digits");
        return None;
    }
    Some(key)
}

fn keys(r: &mut Reader<'_>) -> Keys {
    let keys = Keys {
        provider: r.text("keys.provider"),
        keyring: optional(r.text("keys.keyring")).map(Into::into),
        aws_kms_key: optional(r.text("keys.aws_kms_key")),
        aws_kms_region: optional(r.text("keys.aws_kms_region")),
        aws_kms_endpoint: optional(r.url("keys.aws_kms_endpoint", &["http", "https"], false)),
        pkcs11_module: optional(r.text("keys.pkcs11_module")).map(Into::into),
        pkcs11_token: r.text("keys.pkcs11_token"),
        pkcs11_pin_file: r.text("keys.pkcs11_pin_file").into(),
        pkcs11_key: r.filled("keys.pkcs11_key"),
        cursor_key: cursor_key(r),
    };
    if keys.aws_kms_key.as_ref().is_some_and(|key| key.contains("alias/")) {
        r.fault("keys.aws_kms_key", "must be a key's ARN, not an alias: what an alias names may change");
    }
    if keys.pkcs11_module.is_some() {
        r.filled("keys.pkcs11_token");
        r.filled("keys.pkcs11_pin_file");
    }
    let needed = match keys.provider.as_str() {
        "local-keyring" => keys.keyring.is_none().then_some("keys.keyring"),
        "aws-kms" => keys.aws_kms_key.is_none().then_some("keys.aws_kms_key"),
        "pkcs11" => keys.pkcs11_module.is_none().then_some("keys.pkcs11_module"),
        _ => {
            r.fault("keys.provider", "must be \"local-keyring\", \"aws-kms\" or \"pkcs11\"");
            None
        }
    };
    if let Some(setting) = needed {
        r.fault(setting, "must be set for the provider that keys.provider names");
    }
    keys
}

fn masked_proxy(entry: &str) -> String {
    let Some((tenant, proxy)) = entry.split_once('=') else { return "***".to_owned() };
    match url::Url::parse(proxy) {
        Ok(mut url) if url.password().is_some() => {
            let _ = url.set_password(Some("***"));
            format!("{tenant}={url}")
        }
        Ok(_) => entry.to_owned(),
        Err(_) => format!("{tenant}=***"),
    }
}

/// Settings that are secrets whole. Addresses of nodes have keys in their paths.
const SECRETS: [&str; 2] = ["cursor_key", "chain_url"];

impl Config {
    /// The tables of platforms, which their adapters read by themselves.
    pub fn platforms(&self) -> serde_json::Map<String, serde_json::Value> {
        let table = |key: &str| Some((key.to_owned(), serde_json::to_value(self.table.get(key)?).ok()?));
        infra::platforms::keys().filter_map(table).collect()
    }

    /// What is in force, as TOML, with secrets masked.
    pub fn masked(&self) -> String {
        let mut table = self.table.clone();
        for (_, section) in &mut table {
            let Value::Table(section) = section else { continue };
            for (key, value) in section.iter_mut() {
                if let (true, Value::Array(entries)) = (key == "tenants", &mut *value) {
                    // Addresses of proxies may hold passwords, behind a tenant's id.
                    for entry in entries {
                        *entry = Value::String(masked_proxy(entry.as_str().unwrap_or_default()));
                    }
                }
                let Value::String(text) = value else { continue };
                if SECRETS.contains(&key.as_str()) && !text.is_empty() {
                    "***".clone_into(text);
                } else if let Ok(mut url) = url::Url::parse(text)
                    && url.password().is_some()
                    && url.set_password(Some("***")).is_ok()
                {
                    *text = url.into();
                }
            }
        }
        toml::to_string_pretty(&table).unwrap_or_default()
    }
}
