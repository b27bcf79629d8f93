//! The product as the GraphQL transport sees it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use std::{collections::HashMap, sync::Mutex, sync::PoisonError, time::Duration};

use async_graphql::Request;
use async_trait::async_trait;
use domain::{
    compliance::Access,
    identity::{Credential, SignedIn, events::IdentityFact},
    kernel::{
        actor::{Permission, Principal},
        fault::PortError,
        ids::{ComplianceId, PLATFORM, TenantId},
        limit::{Quota, Verdict, Want},
        outbox::Origin,
        scope::TenantScope,
        secret::Secret,
    },
};
use futures_util::{FutureExt as _, StreamExt as _};
use transport::{
    Admission, Ask, Bucket, Credentials, ErrorCode, Host, OperationInfo, OperationKind, OperationRecord,
    Outcome, OutputRecord, Refusal, StreamPermit, Transport,
};
use uuid::Uuid;

use crate::{
    answers::{By, Room, bounded, lower, outcome_of, take_down},
    app::App,
    callers::Caller,
    graphql::Reads,
    looks::Looks,
    metrics::AnswerLabels,
    origin::{ClientFacts, bucket_part, network_of},
};

/// How often a caller is looked up again while it listens, should the news of its end not arrive.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

/// The product behind the transport.
pub struct ProductHost {
    app: Arc<App>,
    /// Subscriptions by tenant.
    streams: Arc<Mutex<HashMap<TenantId, Arc<AtomicU32>>>>,
    looks: Arc<Looks>,
}

impl ProductHost {
    /// Serves `app`.
    pub fn new(app: Arc<App>) -> Self {
        let of = Arc::clone(&app);
        let look_up = move |tenant, known: Vec<SignedIn>| {
            let app = Arc::clone(&of);
            async move { all_still_good(&app, tenant, &known).await }.boxed()
        };
        Self { app, streams: Arc::default(), looks: Looks::new(Box::new(look_up)) }
    }

    fn facts(&self, credentials: &Credentials) -> ClientFacts {
        ClientFacts {
            ip: self.app.proxies.client_of(credentials.peer, credentials.forwarded_for.as_deref()),
            device: credentials.device.clone(),
            user_agent: credentials.user_agent.clone(),
            accept_language: credentials.accept_language.clone(),
        }
    }
}

fn bearer(credentials: &Credentials) -> Option<String> {
    let from_header = credentials.authorization.as_deref().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    from_header.or_else(|| {
        let async_graphql::Value::Object(payload) = credentials.connection_init.as_ref()? else {
            return None;
        };
        let (_, value) = payload.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
        let async_graphql::Value::String(value) = value else { return None };
        match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim().to_owned()),
            Some(_) => None,
            None => Some(value.clone()),
        }
    })
}

/// Who is behind a credential; `None` when there is none.
pub(crate) async fn caller_of(
    app: &App,
    credentials: &Credentials,
    facts: ClientFacts,
) -> Result<Option<Caller>, Refusal> {
    let Some(token) = bearer(credentials) else {
        return match credentials.authorization {
            Some(_) => {
                Err(Refusal::new(ErrorCode::Unauthenticated, "Authorization must be `Bearer <token>`"))
            }
            None => Ok(None),
        };
    };
    if let Some(known) = app.callers.get(&token, app.clock.now()) {
        return Ok(Some(Caller::new(known, facts)));
    }
    let Some(signed_in) = look_up(app, &token).await? else {
        // Bad credentials alone are counted: behind one address there may be a thousand callers with good ones.
        let address = facts.ip.map_or_else(|| "unknown".to_owned(), network_of);
        let bucket = format!("credentials:{}", bucket_part(&address));
        let verdict =
            app.limiter.take(&bucket, app.quotas.credentials, 1).await.map_err(|fault| unlimited(&fault))?;
        return Err(if verdict.allowed {
            Refusal::new(
                ErrorCode::Unauthenticated,
                "the token is not valid (any more); refresh the session or sign in again",
            )
        } else {
            Refusal::new(ErrorCode::Throttled, "too many bad credentials from this address")
                .retry_after(seconds(verdict.retry_after_ms).max(1))
        });
    };
    app.callers.put(&token, signed_in.clone());
    Ok(Some(Caller::new(signed_in, facts)))
}

/// Nobody is let in uncounted.
fn unlimited(fault: &PortError) -> Refusal {
    tracing::warn!(port = fault.port, error = %fault.source, "no rate limiter answered");
    Refusal::new(ErrorCode::Unavailable, "temporarily unavailable").retry_after(1)
}

/// The caller's part of every bucket's name: the tenant first, so that no two tenants ever share one.
pub(crate) fn bucket_of(caller: Option<&Caller>) -> String {
    match caller {
        Some(caller) => format!("{}:{}", caller.signed_in().actor.tenant.uuid(), caller.key()),
        None => "nobody".to_owned(),
    }
}

fn seconds(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds.div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn bucket(policy: &'static str, quota: Quota, verdict: Verdict) -> Bucket {
    Bucket {
        policy: policy.into(),
        maximum_available: quota.burst.into(),
        currently_available: verdict.remaining.into(),
        restore_rate_per_s: u64::from(quota.per_minute / 60),
        reset_after_s: seconds(verdict.reset_after_ms).into(),
    }
}

#[async_trait]
impl Host for ProductHost {
    type Caller = Caller;

    fn next_id(&self) -> Uuid {
        self.app.ids.next_uuid()
    }

    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Caller>, Refusal> {
        caller_of(&self.app, credentials, self.facts(credentials)).await
    }

    async fn admit(&self, caller: Option<&Caller>, ask: &Ask<'_>) -> Result<Admission, Refusal> {
        let quotas = &self.app.quotas;
        let who = bucket_of(caller);
        let units = u32::try_from(ask.requested_cost).unwrap_or(u32::MAX).max(1);
        let (caller_key, cost_key) = (format!("caller:{who}"), format!("cost:{who}"));
        let wants = [
            Want { key: &caller_key, quota: quotas.caller, units: 1 },
            Want { key: &cost_key, quota: quotas.cost, units },
            // Last, and only for who is within their own: nobody uses up what belongs to all by being refused.
            Want { key: "endpoint:graphql", quota: quotas.endpoint, units: 1 },
        ];
        let verdicts = self.app.limiter.take_in_turn(&wants).await.map_err(|fault| unlimited(&fault))?;
        let told = [
            ("requests", "too many requests"),
            ("cost", "the points of this caller are used up"),
            ("endpoint", "the service is at its limit"),
        ];
        for ((want, verdict), (policy, message)) in wants.iter().zip(&verdicts).zip(told) {
            if !verdict.allowed {
                return Err(Refusal::new(ErrorCode::Throttled, message)
                    .retry_after(seconds(verdict.retry_after_ms).max(1))
                    .bucket(bucket(policy, want.quota, *verdict)));
            }
        }
        Ok(Admission { bucket: verdicts.get(1).map(|points| bucket("cost", quotas.cost, *points)) })
    }

    async fn settle(&self, caller: Option<&Caller>, requested_cost: u64, actual_cost: u64) {
        let unused = u32::try_from(requested_cost.saturating_sub(actual_cost)).unwrap_or(0);
        if unused == 0 {
            return;
        }
        let key = format!("cost:{}", bucket_of(caller));
        if let Err(fault) = self.app.limiter.give_back(&key, self.app.quotas.cost, unused).await {
            tracing::debug!(port = fault.port, "points were not given back");
        }
    }

    fn prepare(&self, request: Request, caller: Option<&Caller>, operation: &Arc<OperationInfo>) -> Request {
        let request = match operation.kind {
            OperationKind::Query => request.data(Arc::<Reads>::default()),
            OperationKind::Mutation | OperationKind::Subscription => request,
        };
        match caller {
            Some(caller) => request.data(caller.clone()),
            None => request,
        }
    }

    async fn record(&self, record: OperationRecord<Caller>) {
        let door = match record.transport {
            Transport::Http => "graphql",
            Transport::EventStream => "sse",
            Transport::WebSocket => "websocket",
        };
        let code = match record.outcome {
            Outcome::Answered(code) => code,
            Outcome::Refused(code) => Some(code),
            Outcome::Streaming | Outcome::Connected => None,
        };
        let labels = AnswerLabels { door, outcome: code.map_or("ok", lower) };
        self.app.metrics.answers.get_or_create(&labels).inc();
        self.app.metrics.answer_duration_s.observe(record.duration.as_secs_f64());
        let operation = match &record.operation {
            Some(operation) => format!("{} {}", operation.kind.as_str(), operation.root_fields.join(",")),
            None => "unread".to_owned(),
        };
        let access = Access {
            method: if record.transport == Transport::WebSocket { "WS" } else { "HTTP" }.to_owned(),
            route: "/graphql".to_owned(),
            status: record.status,
            duration_us: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
            client_ref: record.client_ref,
            outcome: outcome_of(code),
            reason: code.map(|code| lower(code).to_owned()),
        };
        let facts = match &record.caller {
            Some(caller) => caller.facts().clone(),
            None => ClientFacts { ip: record.peer, user_agent: record.user_agent, ..ClientFacts::default() },
        };
        let known = record.caller.as_ref().map(Caller::signed_in);
        let scope = TenantScope::of(known.map_or(PLATFORM, |known| known.actor.tenant));
        let by = By { scope, facts: &facts, known };
        take_down(&self.app, record.answer_id, bounded(operation), access, by, Room::Wait).await;
    }

    fn note_output(&self, output: OutputRecord) {
        self.app.metrics.note_output(output);
    }

    fn can_record(&self) -> bool {
        self.app.access_log.has_room()
    }

    async fn ended(&self, caller: &Caller) {
        let known = caller.signed_in();
        let mut news = self.app.feed.subscribe(&known.actor.scope()).await.ok();
        loop {
            let left = (known.expires_at - self.app.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() || !self.looks.look(known).await {
                return;
            }
            let wait = tokio::time::sleep(left.min(self.looks.until_next(known.actor.tenant, LOOK_AGAIN)));
            match news.as_mut() {
                None => wait.await,
                Some(events) => {
                    tokio::pin!(wait);
                    loop {
                        tokio::select! {
                            () = &mut wait => break,
                            event = events.next() => match event {
                                Some(event) if concerns(&event.fact, known) => break,
                                Some(_) => {}
                                None => { news = None; break }
                            }
                        }
                    }
                }
            }
        }
    }

    fn reserve_stream(&self, caller: Option<&Caller>) -> Result<StreamPermit, Refusal> {
        let tenant = caller.map_or(PLATFORM, |caller| caller.signed_in().actor.tenant);
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|_, count| count.load(Ordering::Relaxed) > 0);
        let count = Arc::clone(streams.entry(tenant).or_default());
        if count.load(Ordering::Relaxed) >= self.app.quotas.streams {
            return Err(Refusal::new(
                ErrorCode::Throttled,
                "this tenant has as many subscriptions as it may",
            ));
        }
        count.fetch_add(1, Ordering::Relaxed);
        self.app.metrics.streams.inc();
        Ok(Box::new(Permit { count, app: Arc::clone(&self.app) }))
    }

    fn allow_introspection(&self, caller: Option<&Caller>) -> bool {
        caller.is_some()
    }

    fn allow_free_documents(&self, _caller: Option<&Caller>) -> bool {
        self.app.documents.free
    }

    /// Who may plan posts may bring a file of them.
    fn allow_large_body(&self, caller: Option<&Caller>) -> bool {
        let may = |caller: &Caller| caller.signed_in().actor.require(Permission::ManagePosts).is_ok();
        caller.is_some_and(may)
    }

    fn trusted_document(&self, id: &str) -> Option<Arc<str>> {
        self.app.documents.trusted.get(id).cloned()
    }

    fn allow_origin(&self, origin: &str) -> bool {
        self.app.origins.iter().any(|allowed| allowed == origin)
    }
}

struct Permit {
    count: Arc<AtomicU32>,
    app: Arc<App>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.app.metrics.streams.dec();
    }
}

async fn look_up(app: &App, token: &str) -> Result<Option<SignedIn>, Refusal> {
    let origin = Origin::system(ComplianceId::new(&*app.ids), "authenticate");
    let credential = Credential::Bearer(Secret::from(token.to_owned()));
    app.identity.authenticate(&origin, &credential).await.map_err(|error| {
        tracing::warn!(error = %error, source = ?std::error::Error::source(&error), "a credential could not be looked up");
        Refusal::new(ErrorCode::Unavailable, "temporarily unavailable").retry_after(1)
    })
}

/// Whether news may mean that this caller's credential is no good any more, or means something else now.
fn concerns(fact: &IdentityFact, known: &SignedIn) -> bool {
    match (fact, &known.actor.principal) {
        (IdentityFact::SessionRevoked(id), Principal::Member { session, .. }) => id == session,
        (
            IdentityFact::MemberSuspended(id) | IdentityFact::MemberRoleChanged(id),
            Principal::Member { member, .. },
        ) => id == member,
        (IdentityFact::ApiKeyRevoked(id), Principal::ApiKey { key, .. }) => id == key,
        _ => false,
    }
}

/// Whether who was let in would be let in again, as the same. When that can't be found out, they stay: the token's own
/// expiry bounds it.
pub(crate) async fn still_good(app: &App, known: &SignedIn) -> bool {
    all_still_good(app, known.actor.tenant, std::slice::from_ref(known)).await == [true]
}

/// The same of many callers of a tenant.
async fn all_still_good(app: &App, tenant: TenantId, known: &[SignedIn]) -> Vec<bool> {
    let origin = Origin::system(ComplianceId::new(&*app.ids), "authenticate");
    match app.identity.look_all_again(&origin, tenant, known).await {
        Ok(good) => good,
        Err(error) => {
            tracing::warn!(error = %error, callers = known.len(), "callers could not be looked up again");
            vec![true; known.len()]
        }
    }
}
