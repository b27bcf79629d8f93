//! One running service for one test.

use std::{
    collections::BTreeMap, fmt::Write as _, net::TcpListener, path::PathBuf, sync::Arc, time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use domain::{
    accounts::{
        actions,
        model::{Account, AccountState, Profile, TokenSecrets, TokenTerms, Tokens},
    },
    compliance::{
        self,
        bundle::query::{Kind, Period},
        log::merkle::Hash,
        processing::{Content, ProcessingRecord},
        records::Activity,
        report::{Report, ReportDraft, time_of},
    },
    identity::{AcceptInvitation, OpenTenant, SignIn, SignInOutcome, model::EmailAddress},
    kernel::{
        actor::{Actor, Principal, Role},
        ids::{
            AccountId, AppId, ComplianceId, IdSource as _, PlanId, PostId, RecordId, ReportId, TenantId,
            UploadId,
        },
        outbox::{Origin, Party, Record, Stream},
        scope::TenantScope,
        secret::{Secret, Vault},
    },
    publishing::{
        self,
        model::{Plan, Post, PostDraft, Visibility},
    },
};
use infra::{
    envelope::{SubjectVault, SystemTicks},
    local_keyring::{LocalKeyring, LocalSigner},
    object_store::Objects,
    postgres::{Db, Feeds, LogWatch, LogWatchSettings, PgUnits, PoolSettings},
    system::System,
};
use server::{
    config::{self, Config, Need},
    keys::KeysTask,
    migrate::{Logins, migrate},
    serve::{Duties, Service, start},
    stores::{Given, Stores, StoresOptions},
    tenants::TenantTask,
};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::{
    client::{Client, PATIENCE},
    process::Process,
    stores::{HarnessError, TestSpace, migrations_fingerprint},
};

/// The password of every member tests make.
pub const PASSWORD: &str = "correct horse battery staple";

/// A service with a database, a key prefix and ports of its own.
pub struct TestApp {
    /// The service, for what can't be asked from outside.
    pub service: Service,
    /// Speaks to it.
    pub client: Client,
    logins: Logins,
    settings: BTreeMap<String, String>,
    config: Config,
    dir: PathBuf,
    database: Url,
    /// Given back when the test ends; `None` on stores of the test's own.
    _space: Option<TestSpace>,
}

/// A service on stores of its own, for tests that kill them.
pub struct TestStack {
    /// The service.
    pub app: TestApp,
    /// Its stores.
    pub stores: Stores,
    dir: PathBuf,
}

impl TestStack {
    /// Starts Postgres, Redis and the service.
    ///
    /// # Errors
    /// One of them did not start.
    pub async fn start() -> Result<Self, HarnessError> {
        Self::start_for(&[], &Duties::all()).await
    }

    /// Starts Postgres, Redis and a service with settings over the harness's, which does only so much.
    ///
    /// # Errors
    /// One of them did not start.
    pub async fn start_for(settings: &[(&str, &str)], duties: &Duties) -> Result<Self, HarnessError> {
        let dir = new_dir()?;
        let stores = Box::pin(Stores::open(&dir, Given::default(), &StoresOptions::default())).await?;
        let database = stores.database_url().clone();
        migrate(database.as_str(), &logins_of(&database)?).await?;
        let redis = (stores.redis_url().clone(), "stack".to_owned());
        let app = Box::pin(TestApp::on(database, redis, None, settings, duties)).await?;
        Ok(Self { app, stores, dir })
    }

    /// Stops the service and its stores, and checks that nothing was left undone.
    ///
    /// # Errors
    /// An audit event has no index, or a process survived.
    pub async fn stop(self) -> Result<(), HarnessError> {
        self.app.stop().await?;
        self.stores.stop().await?;
        std::fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

/// A member that is signed in.
#[derive(Clone, Debug)]
pub struct TestMember {
    /// The address signed in with.
    pub email: String,
    /// The access token.
    pub token: String,
    /// The refresh token.
    pub refresh: String,
    /// The global id.
    pub id: String,
}

/// A tenant with its first owner signed in.
#[derive(Clone, Debug)]
pub struct TestTenant {
    /// The id.
    pub id: TenantId,
    /// The public name.
    pub slug: String,
    /// The first owner.
    pub owner: TestMember,
}

impl TestApp {
    /// Starts one.
    ///
    /// # Errors
    /// The stores or the service did not start.
    pub async fn start() -> Result<Self, HarnessError> {
        Self::start_with(&[]).await
    }

    /// Starts one with settings over the harness's, as `MATRICULA_LIMITS_...`.
    ///
    /// # Errors
    /// The stores or the service did not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self, HarnessError> {
        Self::start_for(settings, &Duties::all()).await
    }

    /// Starts one that does no more than `duties`: the rest is left to [`Self::process`]es.
    ///
    /// # Errors
    /// The stores or the service did not start.
    pub async fn start_for(settings: &[(&str, &str)], duties: &Duties) -> Result<Self, HarnessError> {
        let fingerprint = migrations_fingerprint()?;
        let space = Box::pin(TestSpace::open(&fingerprint, |url: Url| async move {
            migrate(url.as_str(), &logins_of(&url)?).await
        }))
        .await?;
        let redis = (space.redis_url().clone(), space.key_prefix().trim_end_matches(':').to_owned());
        Box::pin(Self::on(space.database_url(), redis, Some(space), settings, duties)).await
    }

    async fn on(
        database: Url,
        redis: (Url, String),
        space: Option<TestSpace>,
        settings: &[(&str, &str)],
        duties: &Duties,
    ) -> Result<Self, HarnessError> {
        let logins = logins_of(&database)?;
        let dir = new_dir()?;
        LocalKeyring::create(&dir.join("keyring"), &System)?;
        LocalSigner::create(&dir.join("log-key"), &System)?;
        let settings = settings_of(&redis, &logins, &dir, settings);
        let config = config::load(None, settings.clone(), Need::Working)?;
        let service = Box::pin(start(&config, duties)).await?;
        let client = Client::new(format!("http://{}", service.address))?;
        Ok(Self { service, client, logins, settings, config, dir, database, _space: space })
    }

    /// Does what `matricula keys` does, from a process's point of view: with keys of its own in memory.
    ///
    /// # Errors
    /// It was refused, or the keys can't be had.
    pub async fn keys(&self, task: KeysTask, tenants: &[&str]) -> Result<(), HarnessError> {
        let tenants: Vec<_> = tenants.iter().map(|slug| (*slug).to_owned()).collect();
        Box::pin(server::keys::run(self.config.clone(), task, &tenants)).await
    }

    /// Does what `matricula tenant` does, and gives what it says.
    ///
    /// # Errors
    /// It was refused.
    pub async fn tenant_task(&self, task: TenantTask) -> Result<String, HarnessError> {
        let mut said = Vec::new();
        Box::pin(server::tenants::run(self.config.clone(), task, &mut said)).await?;
        Ok(String::from_utf8(said)?)
    }

    /// Does what `matricula log resume` does, and gives what it says.
    ///
    /// # Errors
    /// It was refused.
    pub async fn resume_log(&self, is_mark_lost: bool) -> Result<String, HarnessError> {
        let mut said = Vec::new();
        Box::pin(server::logs::resume(self.config.clone(), is_mark_lost, &mut said)).await?;
        Ok(String::from_utf8(said)?)
    }

    /// Does what `matricula log fsck --json` does: whether all logs of the tenant, or of all, are whole, and what is said
    /// of each.
    ///
    /// # Errors
    /// A log can't be read.
    pub async fn fsck(
        &self,
        tenant: Option<TenantId>,
    ) -> Result<(bool, Vec<serde_json::Value>), HarnessError> {
        let mut told = Vec::new();
        let is_whole = Box::pin(server::logs::fsck(&self.config, tenant, true, &mut told)).await?;
        let lines = String::from_utf8(told)?;
        let reports = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok((is_whole, reports))
    }

    /// Checks that all logs are whole.
    ///
    /// # Errors
    /// One can't be read, or differs: where.
    pub async fn check_logs(&self) -> Result<(), HarnessError> {
        let (is_whole, reports) = self.fsck(None).await?;
        if is_whole { Ok(()) } else { Err(format!("{reports:#?}").into()) }
    }

    /// Does what `matricula log policy` does.
    ///
    /// # Errors
    /// The keys can't be read.
    pub async fn print_policy(&self, out: &mut Vec<u8>) -> Result<(), HarnessError> {
        Box::pin(server::logs::policy(&self.config, out)).await
    }

    /// Starts the program with these arguments on the same stores, in a process of its own.
    ///
    /// # Errors
    /// It is not built, or does not start.
    pub fn process(&self, arguments: &[&str]) -> Result<Process, HarnessError> {
        Process::start(arguments, &self.settings, &self.dir)
    }

    /// Starts `matricula serve` on the same stores, in a process of its own, and speaks to it.
    ///
    /// # Errors
    /// It is not built, or does not answer.
    pub async fn serving_process(&self) -> Result<(Process, Client), HarnessError> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut settings = self.settings.clone();
        settings.insert("MATRICULA_HTTP_LISTEN".to_owned(), address.clone());
        let mut process = Process::start(&["serve"], &settings, &self.dir)?;
        let client = Client::new(format!("http://{address}"))?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while client.graphql("", "{ __typename }", serde_json::json!({})).await.is_err() {
            if process.has_ended()? || tokio::time::Instant::now() >= deadline {
                return Err(format!("the process does not answer: {}", process.log()).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok((process, client))
    }

    /// Where files are kept.
    pub fn content_folder(&self) -> PathBuf {
        self.dir.join("content")
    }

    /// Starts a second service on the same stores.
    ///
    /// # Errors
    /// It did not start.
    pub async fn replica(&self) -> Result<(Service, Client), HarnessError> {
        let service = Box::pin(start(&self.config, &Duties::all())).await?;
        let client = Client::new(format!("http://{}", service.address))?;
        Ok((service, client))
    }

    /// Where operators ask.
    ///
    /// # Errors
    /// The HTTP library can't be set up.
    pub fn operators(&self) -> Result<Client, HarnessError> {
        Client::new(format!("http://{}", self.service.operators))
    }

    /// A report that was asked for and that nobody makes; its global id.
    ///
    /// # Errors
    /// It is not stored.
    pub async fn report(&self, tenant: &TestTenant) -> Result<String, HarnessError> {
        let app = &self.service.parts.app;
        let origin = self.origin("request_report");
        let period = Period { since: None, until: Some(time_of(app.clock.now())?) };
        let draft = ReportDraft {
            kind: Kind::SignIns.word().to_owned(),
            stream: Stream::Iam,
            query: Kind::SignIns.query(period),
            query_text: "sign ins".to_owned(),
            zone: "UTC".to_owned(),
            kept: None,
            disclosed: Vec::new(),
        };
        let report = Report::new(ReportId::new(&System), draft, origin.compliance_id, app.clock.now());
        let mut work = app.units.begin(TenantScope::of(tenant.id), &origin).await?;
        work.add_report(&report).await?;
        work.record(Record::success(
            compliance::actions::REQUEST_REPORT,
            Party::new("report", report.id.uuid()),
        ))
        .await?;
        work.commit().await?;
        Ok(URL_SAFE_NO_PAD.encode(format!("report:{}", report.id.uuid().simple())))
    }

    /// A version of a record of processing that nobody has signed; its global id, and its hash.
    ///
    /// # Errors
    /// It is not stored.
    pub async fn record(&self, tenant: &TestTenant) -> Result<(String, String), HarnessError> {
        let app = &self.service.parts.app;
        let text = "{}".to_owned();
        let sha256: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let now = app.clock.now();
        let record = ProcessingRecord {
            id: RecordId::new(&System),
            activity: Activity::Audit,
            version: 2,
            content: Content { text, sha256 },
            changed: Vec::new(),
            made_at: now,
            checked_at: now,
            reviewed: None,
            signature: None,
        };
        let mut work = app.units.begin(TenantScope::of(tenant.id), &self.origin("make_record")).await?;
        work.add_record(&record).await?;
        let target = Party::new("processing_record", record.id.uuid());
        work.record(Record::success(compliance::actions::MAKE_RECORD, target)).await?;
        work.commit().await?;
        let id = URL_SAFE_NO_PAD.encode(format!("record:{}", record.id.uuid().simple()));
        Ok((id, Hash(sha256).to_hex()))
    }

    /// The figure on a line of what operators are told; 0 when there is no such line.
    ///
    /// # Errors
    /// The service does not tell.
    pub async fn figure(&self, line: &str) -> Result<u64, HarnessError> {
        let told = reqwest::get(format!("{}/metrics", self.operators()?.base())).await?.text().await?;
        let figure = told.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        Ok(figure.unwrap_or(0))
    }

    /// Where Redis is.
    pub fn redis_url(&self) -> &str {
        &self.config.redis.url
    }

    /// Where the database is, for a role that row-level security does not hold.
    pub fn superuser_url(&self) -> Url {
        self.database.clone()
    }

    /// Where the database is, for the application's own role.
    pub fn app_url(&self) -> &str {
        &self.logins.app
    }

    /// Transactions of its own beside the service's, on the same database and sealing with `vault`.
    ///
    /// # Errors
    /// An address of the database is none.
    pub fn units(&self, vault: Arc<dyn Vault>) -> Result<PgUnits, HarnessError> {
        let parts = &self.service.parts.app;
        let db = |url: &str| Db::connect(url, PoolSettings::default());
        let logs = LogWatch::start(db(self.recorder_url())?, LogWatchSettings::default());
        let feeds = Feeds {
            identity: parts.feed.clone(),
            accounts: parts.account_feed.clone(),
            content: parts.content_feed.clone(),
            publishing: parts.publishing_feed.clone(),
        };
        let (objects, system) = (Arc::new(Objects::in_folder(&self.content_folder())?), Arc::new(System));
        let persons = SubjectVault::new(vault.clone(), objects, system.clone(), Arc::new(SystemTicks));
        Ok(PgUnits::new(db(self.app_url())?, (vault, Arc::new(persons)), feeds, &system, logs))
    }

    /// A connection as the application's own role, with no tenant set.
    ///
    /// # Errors
    /// No connection.
    pub async fn app_connection(&self) -> Result<PgConnection, HarnessError> {
        Ok(PgConnection::connect(&self.logins.app).await?)
    }

    /// Where the database is, for the sequencer's role.
    pub fn sequencer_url(&self) -> &str {
        &self.logins.sequencer
    }

    /// Where the database is, for the recorder's role.
    pub fn recorder_url(&self) -> &str {
        &self.logins.recorder
    }

    /// Where the database is, for the verifier's role.
    pub fn verifier_url(&self) -> &str {
        &self.logins.verifier
    }

    /// Where the database is, for the notary's role.
    pub fn notary_url(&self) -> &str {
        &self.logins.notary
    }

    /// A connection as the recorder's role.
    ///
    /// # Errors
    /// No connection.
    pub async fn recorder_connection(&self) -> Result<PgConnection, HarnessError> {
        Ok(PgConnection::connect(&self.logins.recorder).await?)
    }

    /// A connection that row-level security does not hold.
    ///
    /// # Errors
    /// No connection.
    pub async fn superuser_connection(&self) -> Result<PgConnection, HarnessError> {
        Ok(PgConnection::connect(self.database.as_str()).await?)
    }

    /// Messages sent so far, whole.
    ///
    /// # Errors
    /// The spool can't be read.
    pub fn mail(&self) -> Result<Vec<String>, HarnessError> {
        let mut messages = Vec::new();
        for entry in std::fs::read_dir(self.dir.join("mail/new"))? {
            messages.push(std::fs::read_to_string(entry?.path())?);
        }
        Ok(messages)
    }

    /// Opens a tenant and signs its owner in.
    ///
    /// # Errors
    /// It did not open.
    pub async fn tenant(&self) -> Result<TestTenant, HarnessError> {
        let app = &self.service.parts.app;
        let unique = System.next_uuid().simple().to_string();
        let slug = format!("t-{}", &unique[16..]);
        let email = format!("owner@{slug}.example");
        let draft = OpenTenant {
            slug: slug.clone(),
            name: format!("Tenant {slug}"),
            owner_email: email.clone(),
            owner_name: "Owner".to_owned(),
            owner_password: Secret::from(PASSWORD.to_owned()),
        };
        let opened = app.identity.open_tenant(&self.origin("open_tenant"), draft).await?;
        let owner = self.sign_in(&slug, &email).await?;
        Ok(TestTenant { id: opened.tenant, slug, owner })
    }

    /// Adds a member with that role and signs it in.
    ///
    /// # Errors
    /// It did not join.
    pub async fn member(&self, tenant: &TestTenant, role: Role) -> Result<TestMember, HarnessError> {
        let app = &self.service.parts.app;
        let unique = System.next_uuid().simple().to_string();
        let email = format!("{}-{}@{}.example", role.as_str(), &unique[16..], tenant.slug);
        let actor = Actor { tenant: tenant.id, principal: Principal::System };
        let mut work = app.units.begin(actor.scope(), &self.origin("invite_member")).await?;
        let invited = app.identity.invite_member(&mut *work, &actor, &email, role).await?;
        work.commit().await?;
        let input = AcceptInvitation {
            token: invited.token,
            name: format!("Member {}", &unique[16..]),
            password: Secret::from(PASSWORD.to_owned()),
        };
        app.identity.accept_invitation(&self.origin("accept_invitation"), input).await?;
        self.sign_in(&tenant.slug, &email).await
    }

    /// Signs a member in, past the doors' rate limit.
    ///
    /// # Errors
    /// It was refused.
    pub async fn sign_in(&self, slug: &str, email: &str) -> Result<TestMember, HarnessError> {
        let app = &self.service.parts.app;
        let scope = app.identity.find_tenant(slug).await?;
        let input = SignIn {
            tenant: slug.to_owned(),
            email: email.to_owned(),
            password: Secret::from(PASSWORD.to_owned()),
            second_factor: None,
        };
        let outcome = app.identity.sign_in(scope, &self.origin("sign_in"), input).await?;
        let SignInOutcome::SignedIn(pair) = outcome else {
            return Err(format!("{email} was refused").into());
        };
        let text = |secret: &Secret| secret.expose_str().unwrap_or_default().to_owned();
        let token = text(&pair.access_token);
        let mut work = app.units.begin(pair.scope, &self.origin("member")).await?;
        let address = EmailAddress::parse(email)?;
        let member = work.member_by_email(&address).await?.ok_or("a member who signed in is not there")?;
        drop(work);
        let viewer =
            self.client.graphql(&token, "{ viewer { member { id } } }", serde_json::json!({})).await?;
        let id = viewer.data("viewer")["member"]["id"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() {
            return Err(format!("{} signed in and is nobody: {}", member.id, viewer.body).into());
        }
        Ok(TestMember { email: email.to_owned(), token, refresh: text(&pair.refresh_token), id })
    }

    /// Puts an account of `platform_app` into the store, with tokens that no platform gave; the global id.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn account(
        &self,
        tenant: &TestTenant,
        platform_app: &str,
        open_id: &str,
    ) -> Result<String, HarnessError> {
        let app = &self.service.parts.app;
        let key = uuid_of(platform_app)?;
        let mut work = app.units.begin(TenantScope::of(tenant.id), &self.origin("finish_link")).await?;
        let registered = work.app(AppId::from_uuid(key)).await?.ok_or("there is no such app")?;
        let now = app.clock.now();
        let account = Account {
            id: AccountId::new(&System),
            app: registered.id,
            platform: registered.platform,
            open_id: open_id.to_owned(),
            profile: Profile { nickname: format!("Owner {open_id}"), ..Profile::default() },
            group: None,
            tags: Vec::new(),
            state: AccountState::Connected,
            paused: None,
            created_at: now,
            version: 1,
        };
        work.add_account(&account).await?;
        let life = TimeDelta::days(15);
        work.put_tokens(&Tokens {
            account: account.id,
            app: registered.id,
            terms: TokenTerms {
                scopes: registered.scopes,
                consented_at: now,
                access_issued_at: now,
                access_expires_at: now + life,
                refresh_expires_at: Some(now + life * 2),
                refresh_life_s: (life * 2).num_seconds(),
                renewals_used: 0,
                renewals_max: 5,
                renewing_since: None,
                refreshed_at: now,
                last_error: None,
                failures: 0,
                version: 1,
            },
            secrets: TokenSecrets {
                access: Secret::from(format!("act.{open_id}")),
                refresh: Some(Secret::from(format!("rft.{open_id}"))),
            },
        })
        .await?;
        work.record(Record::success(actions::FINISH_LINK, Party::new("account", account.id.uuid()))).await?;
        work.commit().await?;
        Ok(URL_SAFE_NO_PAD.encode(format!("account:{}", account.id.uuid().simple())))
    }

    /// Puts a plan with one post that waits for approval into the store: the global ids of both. The file is none there is.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn post(&self, tenant: &TestTenant, account: &str) -> Result<[String; 2], HarnessError> {
        let app = &self.service.parts.app;
        let now = app.clock.now();
        let mut work = app.units.begin(TenantScope::of(tenant.id), &self.origin("create_plan")).await?;
        let upload = UploadId::new(&System);
        let plan = Plan {
            id: PlanId::new(&System),
            name: "Seed".to_owned(),
            upload,
            planned_by: None,
            created_at: now,
        };
        let caption = "seed".to_owned();
        let draft = PostDraft { upload, caption, cover_at_ms: None, visibility: Visibility::Public };
        let of = (plan.id, AccountId::from_uuid(uuid_of(account)?));
        let mut post = Post::new(PostId::new(&System), of, draft, now, now);
        post.submit()?;
        work.add_plan(&plan).await?;
        work.add_posts(std::slice::from_ref(&post)).await?;
        let target = Party::new("plan", plan.id.uuid());
        work.record(Record::success(publishing::actions::CREATE_PLAN, target)).await?;
        work.commit().await?;
        let ids = [("plan", plan.id.uuid()), ("post", post.id.uuid())];
        Ok(ids.map(|(kind, id)| URL_SAFE_NO_PAD.encode(format!("{kind}:{}", id.simple()))))
    }

    /// An origin for what tests do themselves.
    pub fn origin(&self, operation: &str) -> Origin {
        Origin::system(ComplianceId::new(&System), operation)
    }

    /// Waits until every audit event so far has its index.
    ///
    /// # Errors
    /// One still waits when time is up.
    pub async fn settle(&self) -> Result<(), HarnessError> {
        self.service.parts.app.access_log.flush().await;
        let mut database = self.superuser_connection().await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM compliance.audit_outbox")
                .fetch_one(&mut database)
                .await?;
            if waiting == 0 {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!("{waiting} audit events have no index").into());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Stops the service, does something while nobody is at work, and starts it again on the same stores.
    ///
    /// # Errors
    /// What is done fails, or it does not start again.
    pub async fn after_pause(
        self,
        meanwhile: impl AsyncFnOnce(&Url) -> Result<(), HarnessError>,
    ) -> Result<Self, HarnessError> {
        self.settle().await?;
        self.service.stop().await;
        meanwhile(&self.database).await?;
        let service = Box::pin(start(&self.config, &Duties::all())).await?;
        let client = Client::new(format!("http://{}", service.address))?;
        Ok(Self { service, client, ..self })
    }

    /// Stops the service and checks that nothing was left undone.
    ///
    /// # Errors
    /// An audit event has no index.
    pub async fn stop(self) -> Result<(), HarnessError> {
        self.settle().await?;
        self.service.stop().await;
        std::fs::remove_dir_all(&self.dir)?;
        Ok(())
    }
}

/// The UUID inside a global id.
fn uuid_of(id: &str) -> Result<uuid::Uuid, HarnessError> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id)?)?;
    let (_, uuid) = text.split_once(':').ok_or("no global id")?;
    Ok(uuid::Uuid::try_parse(uuid)?)
}

/// Logins of this database's cluster. Roles belong to a whole cluster and tests to many processes, so the passwords
/// follow from the administrator's, which all of them have.
fn logins_of(database: &Url) -> Result<Logins, HarnessError> {
    let login = |user: &str| -> Result<String, HarnessError> {
        let mut hasher = Sha256::new();
        hasher.update(database.password().unwrap_or_default());
        hasher.update(user);
        let mut password = String::new();
        for byte in hasher.finalize() {
            write!(password, "{byte:02x}")?;
        }
        let mut url = database.clone();
        let unfit = |()| "the database's URL can't carry a user and password";
        url.set_username(user).map_err(unfit)?;
        url.set_password(Some(&password)).map_err(unfit)?;
        Ok(url.into())
    };
    Ok(Logins {
        app: login("matricula_test_app")?,
        sequencer: login("matricula_test_sequencer")?,
        recorder: login("matricula_test_recorder")?,
        verifier: login("matricula_test_verifier")?,
        notary: login("matricula_test_notary")?,
    })
}

fn new_dir() -> Result<PathBuf, HarnessError> {
    let dir = std::env::temp_dir().join(format!("matricula-test-{}", System.next_uuid().simple()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn settings_of(
    (redis, prefix): &(Url, String),
    logins: &Logins,
    dir: &std::path::Path,
    settings: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let mail = dir.join("mail");
    let mut all: BTreeMap<String, String> = [
        ("MATRICULA_HTTP_LISTEN", "127.0.0.1:0".to_owned()),
        ("MATRICULA_HTTP_OPERATORS_LISTEN", "127.0.0.1:0".to_owned()),
        ("MATRICULA_HTTP_WORKERS", "1".to_owned()),
        ("MATRICULA_HTTP_DRAIN_S", "2".to_owned()),
        ("MATRICULA_DATABASE_URL", logins.app.clone()),
        ("MATRICULA_DATABASE_SEQUENCER_URL", logins.sequencer.clone()),
        ("MATRICULA_DATABASE_RECORDER_URL", logins.recorder.clone()),
        ("MATRICULA_DATABASE_VERIFIER_URL", logins.verifier.clone()),
        ("MATRICULA_DATABASE_NOTARY_URL", logins.notary.clone()),
        ("MATRICULA_NOTARY_KEY_FILE", dir.join("log-key").to_string_lossy().into_owned()),
        ("MATRICULA_NOTARY_MARK", dir.join("mark").to_string_lossy().into_owned()),
        ("MATRICULA_DATABASE_CONNECTIONS_MAX", "8".to_owned()),
        ("MATRICULA_REDIS_URL", redis.to_string()),
        ("MATRICULA_REDIS_PREFIX", prefix.clone()),
        ("MATRICULA_KEYS_KEYRING", dir.join("keyring").to_string_lossy().into_owned()),
        ("MATRICULA_KEYS_CURSOR_KEY", "11".repeat(32)),
        ("MATRICULA_MAIL_SPOOL", mail.to_string_lossy().into_owned()),
        ("MATRICULA_ACCOUNTS_JOURNAL", dir.join("journal").to_string_lossy().into_owned()),
        ("MATRICULA_CONTENT_FOLDER", dir.join("content").to_string_lossy().into_owned()),
        ("MATRICULA_LIMITS_UPLOADS_PER_MINUTE", "100000".to_owned()),
        ("MATRICULA_LIMITS_REQUESTS_PER_MINUTE", "100000".to_owned()),
        ("MATRICULA_LIMITS_COST_POINTS", "10000000".to_owned()),
        ("MATRICULA_LIMITS_SIGN_IN_PER_MINUTE", "10000".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (name, value) in settings {
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    all
}
