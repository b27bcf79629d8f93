//! What the doors have to hand.

use std::{collections::HashMap, sync::Arc};

use domain::{
    accounts::{Accounts, events::AccountFact},
    compliance::{Changes, Compliance, Erasures, Records, Reports},
    content::{Content, events::ContentFact},
    identity::{Identity, events::IdentityFact, ports::Geography},
    kernel::{
        action::Action,
        clock::Clock,
        fault::PortError,
        feed::NewsFeed,
        ids::{IdSource, ReportId, UploadId},
        limit::{Quota, RateLimiter},
        outbox::{Origin, Outcome, Record},
        scope::TenantScope,
        secret::Vault,
    },
    publishing::{Publishing, events::PublishingFact},
    work::UnitOfWork,
};

pub use crate::origin::Proxies;
use crate::{
    access_log::AccessLog,
    callers::Callers,
    http::{Places, REPORTS, UPLOADS},
    metrics::Metrics,
};

/// Documents that may be sent by name.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Texts by name.
    pub trusted: HashMap<String, Arc<str>>,
    /// Whether callers may send documents of their own.
    pub free: bool,
}

/// How much each caller may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Requests of one caller.
    pub caller: Quota,
    /// Requests of one endpoint, all replicas together.
    pub endpoint: Quota,
    /// Points of query cost of one caller.
    pub cost: Quota,
    /// Bad credentials from one address.
    pub credentials: Quota,
    /// Attempts to prove an identity, for one address and for one account.
    pub sign_in: Quota,
    /// Requests of one caller that bring bytes of files.
    pub uploads: Quota,
    /// Subscriptions of one tenant, on one replica.
    pub streams: u32,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            caller: Quota { per_minute: 60, burst: 60 },
            endpoint: Quota { per_minute: 60_000, burst: 1_000 },
            cost: Quota { per_minute: 6_000, burst: 2_000 },
            credentials: Quota { per_minute: 600, burst: 600 },
            sign_in: Quota { per_minute: 10, burst: 10 },
            uploads: Quota { per_minute: 1_200, burst: 300 },
            streams: 500,
        }
    }
}

/// The facades, and what every door needs around them.
pub struct App {
    /// Tenants, members, sessions, keys.
    pub identity: Arc<Identity>,
    /// Linked accounts, their tokens and matrices.
    pub accounts: Arc<Accounts>,
    /// Files that are to be posted.
    pub content: Arc<Content>,
    /// Plans and posts.
    pub publishing: Arc<Publishing>,
    /// The audit log.
    pub compliance: Arc<Compliance>,
    /// Reports of it for auditors.
    pub reports: Arc<Reports>,
    /// Erases what is kept about persons.
    pub erasures: Arc<Erasures>,
    /// Records of processing.
    pub records: Arc<Records>,
    /// Transactions.
    pub units: Arc<dyn UnitOfWork>,
    /// Tells the log of changes that it was not told of.
    pub changes: Arc<Changes>,
    /// Identity's news, for subscribers.
    pub feed: Arc<dyn NewsFeed<IdentityFact>>,
    /// The accounts' news, for subscribers.
    pub account_feed: Arc<dyn NewsFeed<AccountFact>>,
    /// Content's news, for subscribers.
    pub content_feed: Arc<dyn NewsFeed<ContentFact>>,
    /// Publishing's news, for subscribers.
    pub publishing_feed: Arc<dyn NewsFeed<PublishingFact>>,
    /// Places for requests that bring bytes: each has some in memory.
    pub upload_places: Places,
    /// What our own addresses begin with, as `https://matricula.example.com`.
    pub public_url: String,
    /// Keyed hashes of addresses and devices.
    pub vault: Arc<dyn Vault>,
    /// Where addresses are.
    pub geography: Arc<dyn Geography>,
    /// Buckets.
    pub limiter: Arc<dyn RateLimiter>,
    /// Their sizes.
    pub quotas: Quotas,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identifiers.
    pub ids: Arc<dyn IdSource>,
    /// Who is behind a credential, remembered for a moment.
    pub callers: Callers,
    /// One event for each answer.
    pub access_log: AccessLog,
    /// Figures about the service.
    pub metrics: Arc<Metrics>,
    /// Key under which cursors are signed.
    pub cursor_key: [u8; 32],
    /// Whose word about the client's address is believed.
    pub proxies: Proxies,
    /// Documents of our own front ends, by name.
    pub documents: Documents,
    /// Browser origins allowed, as `https://app.example.com`.
    pub origins: Vec<String>,
}

impl App {
    /// Where an upload's bytes are sent to.
    pub(crate) fn upload_url(&self, id: UploadId) -> String {
        format!("{}{UPLOADS}/{}", self.public_url.trim_end_matches('/'), id.uuid().simple())
    }

    /// Where a report is fetched from.
    pub(crate) fn report_url(&self, id: ReportId) -> String {
        format!("{}{REPORTS}/{}", self.public_url.trim_end_matches('/'), id.uuid().simple())
    }

    /// What was refused leaves its event too, in a transaction of its own: the command's was rolled back.
    pub(crate) async fn record_refusal(
        &self,
        scope: TenantScope,
        origin: &Origin,
        action: Action,
        outcome: Outcome,
        reason: &'static str,
    ) -> Result<(), PortError> {
        let mut work = self.units.begin(scope, origin).await?;
        work.record(Record { outcome, ..Record::refused(action, None, reason) }).await?;
        work.commit().await
    }
}
