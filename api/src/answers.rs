//! One answer becomes one access event, whichever door it was given at.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    compliance::{Access, compose_access, ports::PendingEvent},
    identity::SignedIn,
    kernel::{
        ids::{ComplianceId, EventId, PLATFORM, TenantId},
        outbox::Outcome as AuditOutcome,
        scope::TenantScope,
    },
};
use transport::{AnswerLog, AnswerRecord, ErrorCode};
use uuid::Uuid;

use crate::{
    app::App,
    metrics::AnswerLabels,
    origin::{ClientFacts, bare_origin, origin_of},
};

/// Words of error codes, for metrics and events.
pub(crate) const fn lower(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadUserInput => "bad_user_input",
        ErrorCode::GraphqlParseFailed => "graphql_parse_failed",
        ErrorCode::GraphqlValidationFailed => "graphql_validation_failed",
        ErrorCode::OperationResolutionFailure => "operation_resolution_failure",
        ErrorCode::PersistedQueryNotFound => "persisted_query_not_found",
        ErrorCode::InternalServerError => "internal_server_error",
        ErrorCode::Unauthenticated => "unauthenticated",
        ErrorCode::Forbidden => "forbidden",
        ErrorCode::Throttled => "throttled",
        ErrorCode::CostExceeded => "cost_exceeded",
        ErrorCode::IdempotencyKeyReused => "idempotency_key_reused",
        ErrorCode::IdempotencyInProgress => "idempotency_in_progress",
        ErrorCode::Unavailable => "unavailable",
    }
}

pub(crate) fn outcome_of(code: Option<ErrorCode>) -> AuditOutcome {
    match code {
        None => AuditOutcome::Success,
        Some(ErrorCode::InternalServerError | ErrorCode::Unavailable) => AuditOutcome::Failure,
        Some(_) => AuditOutcome::Refused,
    }
}

/// Root fields are the client's words until they are validated.
pub(crate) fn bounded(mut operation: String) -> String {
    const MOST: usize = 512;
    if operation.len() > MOST {
        let cut = (0..=MOST).rev().find(|at| operation.is_char_boundary(*at)).unwrap_or(0);
        operation.truncate(cut);
    }
    operation
}

/// What to do while the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Wait: an answer to a caller is not given unlogged.
    Wait,
    /// Go on, and count what was lost: health and unknown routes must answer whatever happens.
    OrLose,
}

/// Whose log an answer goes to, and who got it.
#[derive(Clone, Copy)]
pub(crate) struct By<'a> {
    pub(crate) scope: TenantScope,
    pub(crate) facts: &'a ClientFacts,
    pub(crate) known: Option<&'a SignedIn>,
}

/// Puts one answer into the access log: the tenant's it is of, or the platform's when that is not known.
pub(crate) async fn take_down(
    app: &App,
    answer: Uuid,
    operation: String,
    access: Access,
    By { scope, facts, known }: By<'_>,
    room: Room,
) {
    let answer = ComplianceId::from_uuid(answer);
    let origin = match origin_of(app, scope, answer, &operation, facts, known).await {
        Ok(origin) => origin,
        Err(fault) => {
            tracing::warn!(port = fault.port, error = %fault.source, "an access event goes without hashes");
            bare_origin(answer, &operation, known)
        }
    };
    let id = EventId::new(&*app.ids);
    let now = app.clock.now();
    let event = compose_access(scope, &origin, access, id, now);
    match event.to_leaf() {
        Ok(leaf) => {
            let pending = PendingEvent {
                tenant: scope.tenant(),
                id,
                compliance_id: answer,
                type_name: event.type_name,
                outcome: event.outcome,
                actor: event.actor.id,
                occurred_at: now,
                leaf,
            };
            match room {
                Room::Wait => app.access_log.add(pending).await,
                Room::OrLose => {
                    if !app.access_log.try_add(pending) {
                        app.metrics.access_log_lost.inc();
                    }
                }
            }
            app.metrics.access_log_waiting.set(i64::try_from(app.access_log.waiting()).unwrap_or(i64::MAX));
        }
        Err(error) => tracing::error!(error = %error, "an access event is no leaf"),
    }
}

/// The route of a path: one of ours, or none. A path itself may name somebody.
fn route_of(path: &str) -> &'static str {
    const ROUTES: [&str; 10] = [
        "/graphql",
        "/uploads",
        "/auth/sign-in",
        "/auth/refresh",
        "/auth/password-reset/request",
        "/auth/password-reset/confirm",
        "/auth/invitations/accept",
        "/.well-known/jwks.json",
        "/livez",
        "/readyz",
    ];
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "link", _, "callback"] => "/link/{platform}/callback",
        ["", "uploads", _] => "/uploads/{id}",
        ["", "webhooks", _, _, _] => "/webhooks/{platform}/{tenant}/{app}",
        _ => ROUTES.into_iter().find(|route| *route == path).unwrap_or("none"),
    }
}

/// Takes down the answers of every route but GraphQL's.
pub struct Answers {
    app: Arc<App>,
}

impl Answers {
    /// Of `app`.
    pub const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[async_trait]
impl AnswerLog for Answers {
    fn next_id(&self) -> Uuid {
        self.app.ids.next_uuid()
    }

    fn allow_origin(&self, origin: &str) -> bool {
        self.app.origins.iter().any(|allowed| allowed == origin)
    }

    async fn record(&self, record: AnswerRecord) {
        let outcome = match record.status {
            500.. => AuditOutcome::Failure,
            400..=499 => AuditOutcome::Refused,
            _ => AuditOutcome::Success,
        };
        let route = route_of(&record.path);
        let labels = AnswerLabels { door: "http", outcome: outcome.as_str() };
        self.app.metrics.answers.get_or_create(&labels).inc();
        self.app.metrics.answer_duration_s.observe(record.duration.as_secs_f64());
        let access = Access {
            method: record.method,
            route: route.to_owned(),
            status: record.status,
            duration_us: u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX),
            client_ref: record.client_ref,
            outcome,
            reason: None,
        };
        let facts = ClientFacts { ip: record.peer, ..ClientFacts::default() };
        let owner = record.owner.map(TenantId::from_uuid);
        let scope = TenantScope::of(owner.unwrap_or(PLATFORM));
        let by = By { scope, facts: &facts, known: None };
        take_down(&self.app, record.answer_id, route.to_owned(), access, by, Room::OrLose).await;
    }
}
