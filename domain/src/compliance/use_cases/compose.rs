//! What a use case told, and where it came from, become one event.

use crate::{
    compliance::event::{AuditEvent, EventApi, EventAuth, EventParty, EventRequest},
    kernel::{
        action::PERSONAL,
        clock::Timestamp,
        ids::EventId,
        outbox::{Mfa, Origin, Outcome, Record, Stream},
        scope::TenantScope,
    },
};

/// OCSF class API Activity.
const API_ACTIVITY: u32 = 6003;

/// The type of an access event.
const ACCESS: &str = "access";

fn auth(mfa: Mfa) -> EventAuth {
    let factors = match mfa {
        Mfa::NotEnrolled | Mfa::Missing => vec!["password".to_owned()],
        Mfa::Passed => vec!["password".to_owned(), "one_time_code".to_owned()],
    };
    EventAuth { mfa, factors }
}

/// The event of a record.
pub fn compose(
    scope: TenantScope,
    origin: &Origin,
    record: &Record,
    id: EventId,
    now: Timestamp,
) -> AuditEvent {
    let base = base(scope, origin, id, now);
    AuditEvent {
        stream: record.action.stream,
        class_uid: record.action.ocsf_class,
        activity_id: record.action.ocsf_activity,
        type_name: record.action.name.to_owned(),
        outcome: record.outcome,
        actor: record.actor.as_ref().unwrap_or(&origin.actor).into(),
        target: record.target.as_ref().map(EventParty::from),
        session_id: record.session.or(origin.session),
        auth: record.mfa.or(origin.mfa).map(auth),
        reason: record.reason.map(ToOwned::to_owned),
        compliance_scope: record.action.scope_words(),
        ..base
    }
}

/// One answer, as the access log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// HTTP method, or `WS` for an operation on a socket.
    pub method: String,
    /// The route's pattern, or the GraphQL root fields.
    pub route: String,
    /// HTTP status.
    pub status: u16,
    /// Microseconds from the request's head to the answer.
    pub duration_us: u64,
    /// The client's own identifier of the request.
    pub client_ref: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not succeed: an error code in lower case.
    pub reason: Option<String>,
}

/// The event of an answer.
pub fn compose_access(
    scope: TenantScope,
    origin: &Origin,
    access: Access,
    id: EventId,
    now: Timestamp,
) -> AuditEvent {
    let base = base(scope, origin, id, now);
    AuditEvent {
        outcome: access.outcome,
        reason: access.reason,
        request: Some(EventRequest {
            method: access.method,
            route: access.route,
            status: access.status,
            duration_us: access.duration_us,
            client_ref: access.client_ref,
        }),
        ..base
    }
}

fn base(scope: TenantScope, origin: &Origin, id: EventId, now: Timestamp) -> AuditEvent {
    AuditEvent {
        stream: Stream::Access,
        event_id: id,
        compliance_id: origin.compliance_id,
        tenant_id: scope.tenant(),
        class_uid: API_ACTIVITY,
        activity_id: 0,
        type_name: ACCESS.to_owned(),
        outcome: Outcome::Success,
        occurred_at: now,
        recorded_at: now,
        actor: EventParty::from(&origin.actor),
        target: None,
        session_id: origin.session,
        auth: origin.mfa.map(auth),
        device_fp: origin.device.clone(),
        geo: origin.geo.clone(),
        ip_hash: origin.ip.clone(),
        api: Some(EventApi { operation: origin.operation.clone(), schema_version: None }),
        subject: None,
        diff_commit: None,
        prev_state_commit: None,
        reason: None,
        // Of an answer: who asked, and from where.
        compliance_scope: PERSONAL.iter().map(|scope| scope.as_str().to_owned()).collect(),
        request: None,
    }
}
