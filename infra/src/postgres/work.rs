//! The unit of work on one tenant transaction.

use std::{collections::BTreeSet, sync::Arc};

use super::{error::port_error, log_watch::LogWatch, openings::Kept, pool::Db, scope::TenantTx};
use crate::envelope::SubjectVault;
use async_trait::async_trait;
use domain::{
    accounts::{
        events::{AccountEvent, AccountFact},
        ports::{AccountsTx, AccountsUnit, AccountsUnits},
    },
    compliance::{
        event::AuditEvent,
        ports::{ComplianceTx, ComplianceUnit, ComplianceUnits, ReportTx},
    },
    content::{
        events::{ContentEvent, ContentFact},
        ports::{ContentTx, ContentUnit, ContentUnits},
    },
    identity::{
        events::{IdentityEvent, IdentityFact},
        model::Slug,
        ports::{IdentityTx, IdentityUnit, IdentityUnits, TenantDirectory},
    },
    kernel::{
        clock::Clock,
        fault::PortError,
        feed::{Fact, News, NewsFeed},
        ids::{Entropy, EventId, IdSource, TenantId},
        outbox::{Origin, Outbox, Outcome, Record, Stream},
        scope::TenantScope,
        secret::Vault,
    },
    publishing::{
        events::{PublishingEvent, PublishingFact},
        ports::{PublishingTx, PublishingUnit, PublishingUnits},
    },
    work::{UnitOfWork, Work},
};

/// Opens units of work.
pub struct PgUnits {
    db: Db,
    shared: Arc<Shared>,
}

/// What tells each context's news.
#[derive(Clone)]
pub struct Feeds {
    /// Identity's.
    pub identity: Arc<dyn NewsFeed<IdentityFact>>,
    /// The accounts'.
    pub accounts: Arc<dyn NewsFeed<AccountFact>>,
    /// Content's.
    pub content: Arc<dyn NewsFeed<ContentFact>>,
    /// Publishing's.
    pub publishing: Arc<dyn NewsFeed<PublishingFact>>,
}

/// What every unit needs beside its transaction.
pub(super) struct Shared {
    pub(super) vault: Arc<dyn Vault>,
    /// Keys of single persons.
    pub(super) subjects: Arc<SubjectVault>,
    feeds: Feeds,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) entropy: Arc<dyn Entropy>,
    logs: LogWatch,
}

impl PgUnits {
    /// Opens them on `db`, sealing with the vaults of tenants and of persons, announcing on `feeds` and held to how `logs` keep
    /// up; time, identifiers and chance are `system`'s.
    pub fn new<S: Clock + IdSource + Entropy + 'static>(
        db: Db,
        (vault, subjects): (Arc<dyn Vault>, Arc<SubjectVault>),
        feeds: Feeds,
        system: &Arc<S>,
        logs: LogWatch,
    ) -> Self {
        let (clock, ids, entropy) = (system.clone(), system.clone(), system.clone());
        Self { db, shared: Arc::new(Shared { vault, subjects, feeds, clock, ids, entropy, logs }) }
    }

    async fn open(&self, scope: TenantScope, origin: &Origin) -> Result<PgWork, PortError> {
        Ok(PgWork {
            tx: TenantTx::begin(&self.db, scope).await?,
            shared: Arc::clone(&self.shared),
            origin: origin.clone(),
            of_identity: Vec::new(),
            of_accounts: Vec::new(),
            of_content: Vec::new(),
            of_publishing: Vec::new(),
            recorded: 0,
            events: Vec::new(),
            openings: Vec::new(),
            erased: BTreeSet::new(),
            strict: None,
        })
    }
}

#[async_trait]
impl UnitOfWork for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn Work>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

#[async_trait]
impl IdentityUnits for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn IdentityUnit>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

#[async_trait]
impl AccountsUnits for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn AccountsUnit>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

#[async_trait]
impl ContentUnits for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn ContentUnit>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

#[async_trait]
impl ComplianceUnits for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn ComplianceUnit>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

#[async_trait]
impl PublishingUnits for PgUnits {
    async fn begin(&self, scope: TenantScope, origin: &Origin) -> Result<Box<dyn PublishingUnit>, PortError> {
        Ok(Box::new(self.open(scope, origin).await?))
    }
}

/// One open unit of work.
pub(super) struct PgWork {
    pub(super) tx: TenantTx,
    pub(super) shared: Arc<Shared>,
    pub(super) origin: Origin,
    /// News to tell once it is committed, by context.
    of_identity: Vec<IdentityEvent>,
    of_accounts: Vec<AccountEvent>,
    of_content: Vec<ContentEvent>,
    of_publishing: Vec<PublishingEvent>,
    recorded: usize,
    /// What was recorded; written when it is committed.
    pub(super) events: Vec<AuditEvent>,
    /// What opens those of them that commit to something already.
    pub(super) openings: Vec<Kept>,
    /// Who was erased in it: nothing is kept that opens what is told of them.
    pub(super) erased: BTreeSet<uuid::Uuid>,
    /// The newest event of a stream whose events have their index before the caller has an answer.
    strict: Option<EventId>,
}

/// Whether who caused this event is answered only when it has its index: from then on nobody, with whatever rights in
/// the database, can take it away unseen. What was refused is not waited for: how long an answer takes must not tell
/// whether a log was written to, and so whether there is such a tenant.
fn is_strict(record: &Record) -> bool {
    record.outcome == Outcome::Success && matches!(record.action.stream, Stream::Iam | Stream::Admin)
}

/// Tells what happened. What is committed is done: a feed that is away costs its listeners some news, not the caller the
/// answer.
async fn tell<F: Fact>(feed: &dyn NewsFeed<F>, scope: &TenantScope, news: &[News<F>]) {
    if news.is_empty() {
        return;
    }
    if let Err(fault) = feed.publish(scope, news).await {
        tracing::warn!(
            context = F::CONTEXT,
            port = fault.port,
            error = %fault.source,
            "announcements were not published"
        );
    }
}

impl PgWork {
    /// The tenant it is confined to, as statements bind it.
    pub(super) fn tenant(&self) -> sea_orm::Value {
        self.tx.scope().tenant().uuid().into()
    }

    async fn finish(mut self) -> Result<(), PortError> {
        self.tell_log().await?;
        let scope = self.tx.scope();
        self.tx.commit().await?;
        let feeds = &self.shared.feeds;
        // At once, so that a Redis that hangs is waited for no longer than with one feed.
        tokio::join!(
            tell(&*feeds.identity, &scope, &self.of_identity),
            tell(&*feeds.accounts, &scope, &self.of_accounts),
            tell(&*feeds.content, &scope, &self.of_content),
            tell(&*feeds.publishing, &scope, &self.of_publishing),
        );
        if let Some(event) = self.strict {
            self.shared.logs.indexed(scope.tenant(), event).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for PgWork {
    async fn record(&mut self, record: Record) -> Result<(), PortError> {
        // What was begun is brought to its end however far a log is behind: what platforms answered can't be asked again.
        if self.origin.actor.kind != "system" {
            self.shared.logs.admit(self.tx.scope().tenant())?;
        }
        let event = self.composed(&record);
        self.recorded += 1;
        if is_strict(&record) {
            self.strict = Some(event.event_id);
        }
        self.events.push(event);
        Ok(())
    }
}

impl IdentityTx for PgWork {
    fn scope(&self) -> TenantScope {
        self.tx.scope()
    }

    fn announce(&mut self, event: IdentityEvent) {
        self.of_identity.push(event);
    }
}

impl AccountsTx for PgWork {
    fn scope(&self) -> TenantScope {
        self.tx.scope()
    }

    fn announce(&mut self, event: AccountEvent) {
        self.of_accounts.push(event);
    }
}

impl ContentTx for PgWork {
    fn scope(&self) -> TenantScope {
        self.tx.scope()
    }

    fn announce(&mut self, event: ContentEvent) {
        self.of_content.push(event);
    }
}

impl PublishingTx for PgWork {
    fn announce(&mut self, event: PublishingEvent) {
        self.of_publishing.push(event);
    }
}

impl ComplianceTx for PgWork {}

impl ReportTx for PgWork {}

#[async_trait]
impl ComplianceUnit for PgWork {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }
}

#[async_trait]
impl IdentityUnit for PgWork {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }
}

#[async_trait]
impl AccountsUnit for PgWork {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }
}

#[async_trait]
impl ContentUnit for PgWork {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }
}

#[async_trait]
impl PublishingUnit for PgWork {
    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }
}

#[async_trait]
impl Work for PgWork {
    fn recorded(&self) -> usize {
        self.recorded
    }

    fn is_unspoilt(&self) -> bool {
        self.recorded == 0 && self.tx.is_sound()
    }

    async fn commit(self: Box<Self>) -> Result<(), PortError> {
        self.finish().await
    }

    async fn roll_back(self: Box<Self>) {
        self.tx.roll_back().await;
    }
}

/// Public names of tenants, behind two database functions.
#[derive(Clone, Debug)]
pub struct PgTenantDirectory {
    db: Db,
}

impl PgTenantDirectory {
    /// Looks up on `db`.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    async fn look(&self, sql: &'static str, slug: &Slug) -> Result<Option<TenantId>, PortError> {
        sqlx::query_scalar::<_, Option<uuid::Uuid>>(sql)
            .bind(slug.as_str())
            .fetch_one(self.db.pool())
            .await
            .map(|found| found.map(TenantId::from_uuid))
            .map_err(|e| port_error("postgres.tenant_directory", e))
    }
}

#[async_trait]
impl TenantDirectory for PgTenantDirectory {
    async fn find(&self, slug: &Slug) -> Result<Option<TenantId>, PortError> {
        self.look("SELECT identity.find_tenant($1)", slug).await
    }

    async fn find_ever(&self, slug: &Slug) -> Result<Option<TenantId>, PortError> {
        self.look("SELECT identity.find_tenant_ever($1)", slug).await
    }

    async fn claim(&self, slug: &Slug, tenant: TenantId) -> Result<bool, PortError> {
        sqlx::query_scalar::<_, bool>("SELECT identity.claim_slug($1, $2)")
            .bind(slug.as_str())
            .bind(tenant.uuid())
            .fetch_one(self.db.pool())
            .await
            .map_err(|e| port_error("postgres.tenant_directory", e))
    }
}
