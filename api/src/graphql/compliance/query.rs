//! What auditors read.

use async_graphql::{Context, ID, Object};
use domain::{
    compliance::{
        erasure,
        event::AuditEvent,
        ports::{EventFilter, EventKey, LoggedEvent, RecordFilter},
        processing, report,
    },
    kernel::{
        ids::{ComplianceId, EventId, HoldId, RecordId, ReportId},
        page::{Key, PageRequest},
    },
};
use output::Written;
use uuid::Uuid;

use super::erasure::{Erasure, ErasureConnection, LegalHold, LegalHoldConnection};
use super::records::{ProcessingActivity, ProcessingRecord, ProcessingRecordConnection};
use super::report::{Report, ReportConnection};
use super::types::{
    AuditCheckpoint, AuditConsistencyProof, AuditEventConnection, AuditEventFilter, AuditInclusionProof,
    AuditStream, AuditTrail, PlatformAttestation, PlatformCheckpoint, PlatformInclusion,
};
use crate::graphql::{
    command::app,
    connection::{Cursors, PageArgs, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, parse_global_id},
};

/// Most types a filter names.
const TYPES_MAX: usize = 50;

#[derive(Default)]
pub struct ComplianceQuery;

#[expect(clippy::too_many_arguments, reason = "a connection's four arguments and its filter")]
#[Object]
impl ComplianceQuery {
    /// Everything the answer with this compliance ID left in the audit log. An answer's events appear within two seconds.
    #[graphql(directive = transport::cost::apply(10))]
    async fn audit_trail(
        &self,
        ctx: &Context<'_>,
        compliance_id: ID,
    ) -> Option<Result<Written<AuditTrail>, ApiError>> {
        Some(trail(ctx, compliance_id).await.map(Written))
    }

    /// Events of the audit log by time, oldest first.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditEventFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<AuditEventConnection>, ApiError>> {
        let args = PageArgs { first, after, last, before };
        Some(events(ctx, filter.unwrap_or_default(), args).await.map(Written))
    }

    /// A report that was asked for.
    async fn report(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Written<Report>, ApiError>> {
        one_report(ctx, &id).await.map(|report| report.map(Written)).transpose()
    }

    /// Reports that were asked for, oldest first.
    async fn reports(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<ReportConnection>, ApiError>> {
        Some(reports(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// What was erased, oldest first.
    async fn erasures(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<ErasureConnection>, ApiError>> {
        Some(erasures(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// Whose data must be kept, or had to be, oldest first.
    async fn legal_holds(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<LegalHoldConnection>, ApiError>> {
        Some(holds(ctx, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// Records of processing, oldest first: the newest version of each activity's, or all versions.
    async fn processing_records(
        &self,
        ctx: &Context<'_>,
        activity: Option<ProcessingActivity>,
        #[graphql(default = true)] is_current: bool,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<Written<ProcessingRecordConnection>, ApiError>> {
        let filter = RecordFilter { activity: activity.map(Into::into), is_current };
        Some(records(ctx, filter, PageArgs { first, after, last, before }).await.map(Written))
    }

    /// The newest signed head of a log, or that of exactly `size` leaves.
    async fn audit_checkpoint(
        &self,
        ctx: &Context<'_>,
        stream: AuditStream,
        size: Option<String>,
    ) -> Option<Result<AuditCheckpoint, ApiError>> {
        checkpoint(ctx, stream, size).await.transpose()
    }

    /// The newest signed head of the platform's log, whose leaves are salted heads of all tenants' logs.
    async fn platform_checkpoint(&self, ctx: &Context<'_>) -> Option<Result<PlatformCheckpoint, ApiError>> {
        platform_checkpoint(ctx).await.transpose()
    }

    /// What others outside vouch for of the platform's log, or were asked to: the newest fifty, newest first; of heads of fewer
    /// than `before` leaves.
    #[graphql(directive = transport::cost::apply(10))]
    async fn platform_attestations(
        &self,
        ctx: &Context<'_>,
        before: Option<String>,
    ) -> Option<Result<Written<Vec<PlatformAttestation>>, ApiError>> {
        Some(platform_attestations(ctx, before).await.map(Written))
    }

    /// Proves that a head of a log of yours is in the platform's log: the head of `size` leaves, or the newest that is
    /// there. Heads come into it every few seconds, and only those that are the newest then.
    #[graphql(directive = transport::cost::apply(10))]
    async fn platform_inclusion(
        &self,
        ctx: &Context<'_>,
        stream: AuditStream,
        size: Option<String>,
    ) -> Option<Result<PlatformInclusion, ApiError>> {
        platform_inclusion(ctx, stream, size).await.transpose()
    }

    /// Proves that an event is in its log, against the newest head or that of `size` leaves.
    #[graphql(directive = transport::cost::apply(10))]
    async fn audit_inclusion_proof(
        &self,
        ctx: &Context<'_>,
        event_id: ID,
        size: Option<String>,
    ) -> Option<Result<AuditInclusionProof, ApiError>> {
        inclusion(ctx, event_id, size).await.transpose()
    }

    /// Proves that the log of `oldSize` leaves is the beginning of the newest one, or that of `size` leaves.
    #[graphql(directive = transport::cost::apply(10))]
    async fn audit_consistency_proof(
        &self,
        ctx: &Context<'_>,
        stream: AuditStream,
        old_size: String,
        size: Option<String>,
    ) -> Option<Result<AuditConsistencyProof, ApiError>> {
        consistency(ctx, stream, old_size, size).await.transpose()
    }
}

pub(super) async fn one_report(ctx: &Context<'_>, id: &ID) -> Result<Option<Report>, ApiError> {
    let (actor, mut work) = reading(ctx, "report").await?;
    let Some((Kind::Report, uuid)) = parse_global_id(id) else { return Ok(None) };
    let app = app(ctx);
    let found = app.reports.report(&mut *work, &actor, ReportId::from_uuid(uuid)).await?;
    Ok(found.map(|report| Report::new(&report, app)))
}

async fn reports(ctx: &Context<'_>, args: PageArgs) -> Result<ReportConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "reports").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "reports", "");
    let request = cursors.request(&args)?;
    let page = app.reports.reports(&mut *work, &actor, request).await?;
    let key = |report: &report::Report| Key { at: report.requested_at, id: report.id.uuid() };
    Ok(ReportConnection::new(paged(page, &request, &cursors, key, |report| Report::new(&report, app))))
}

pub(super) async fn one_erasure(ctx: &Context<'_>, subject: Uuid) -> Result<Option<Erasure>, ApiError> {
    let (actor, mut work) = reading(ctx, "erasure").await?;
    let found = app(ctx).erasures.erasure(&mut *work, &actor, subject).await?;
    Ok(found.map(Into::into))
}

async fn erasures(ctx: &Context<'_>, args: PageArgs) -> Result<ErasureConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "erasures").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "erasures", "");
    let request = cursors.request(&args)?;
    let page = app.erasures.erasures(&mut *work, &actor, request).await?;
    let key = |erasure: &erasure::Erasure| Key { at: erasure.at, id: erasure.subject.id };
    Ok(ErasureConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

pub(super) async fn one_hold(ctx: &Context<'_>, id: Uuid) -> Result<Option<LegalHold>, ApiError> {
    let (actor, mut work) = reading(ctx, "legal_hold").await?;
    let found = app(ctx).erasures.hold(&mut *work, &actor, HoldId::from_uuid(id)).await?;
    Ok(found.map(Into::into))
}

async fn holds(ctx: &Context<'_>, args: PageArgs) -> Result<LegalHoldConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "legal_holds").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "legal_holds", "");
    let request = cursors.request(&args)?;
    let page = app.erasures.holds(&mut *work, &actor, request).await?;
    let key = |hold: &erasure::LegalHold| Key { at: hold.placed_at, id: hold.id.uuid() };
    Ok(LegalHoldConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

pub(super) async fn one_record(ctx: &Context<'_>, id: Uuid) -> Result<Option<ProcessingRecord>, ApiError> {
    let (actor, mut work) = reading(ctx, "processing_record").await?;
    let found = app(ctx).records.record(&mut *work, &actor, RecordId::from_uuid(id)).await?;
    Ok(found.map(Into::into))
}

async fn records(
    ctx: &Context<'_>,
    filter: RecordFilter,
    args: PageArgs,
) -> Result<ProcessingRecordConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "processing_records").await?;
    let app = app(ctx);
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "processing_records", format!("{filter:?}"));
    let request = cursors.request(&args)?;
    let page = app.records.records(&mut *work, &actor, filter, request).await?;
    let key = |record: &processing::ProcessingRecord| Key { at: record.made_at, id: record.id.uuid() };
    Ok(ProcessingRecordConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

fn number(name: &str, text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::bad_input(format!("{name} must be a whole decimal number")))
}

fn size_of(text: Option<&String>) -> Result<Option<u64>, ApiError> {
    text.map(|text| number("size", text)).transpose()
}

async fn trail(ctx: &Context<'_>, id: ID) -> Result<AuditTrail, ApiError> {
    let (actor, mut work) = reading(ctx, "audit_trail").await?;
    let uuid = Uuid::try_parse(&id).map_err(|_| ApiError::bad_input("complianceId is not a UUID"))?;
    let events = app(ctx).compliance.audit_trail(&mut *work, &actor, ComplianceId::from_uuid(uuid)).await?;
    Ok(AuditTrail {
        compliance_id: uuid.to_string().into(),
        events: events.into_iter().map(Into::into).collect(),
    })
}

/// The id of an actor or target: a node's, or a bare UUID as events have it.
fn party(name: &str, id: Option<&ID>) -> Result<Option<Uuid>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    let found = parse_global_id(id).map(|(_, uuid)| uuid).or_else(|| Uuid::try_parse(id).ok());
    found.map(Some).ok_or_else(|| ApiError::bad_input(format!("{name} is not an id")))
}

async fn events(
    ctx: &Context<'_>,
    filter: AuditEventFilter,
    args: PageArgs,
) -> Result<AuditEventConnection, ApiError> {
    let (actor, mut work) = reading(ctx, "audit_events").await?;
    let app = app(ctx);
    let filter = EventFilter {
        stream: filter.stream.map(Into::into),
        types: filter.types.unwrap_or_default(),
        outcome: filter.outcome.map(Into::into),
        actor: party("filter.actorId", filter.actor_id.as_ref())?,
        target: party("filter.targetId", filter.target_id.as_ref())?,
        since: filter.since,
        until: filter.until,
    };
    if filter.types.len() > TYPES_MAX {
        return Err(ApiError::bad_input("filter.types must be at most 50"));
    }
    let cursors = Cursors::new(&app.cursor_key, actor.tenant, "audit_events", format!("{filter:?}"));
    let request = cursors.request(&args)?;
    let by_event = PageRequest {
        limit: request.limit,
        from: request.from.map(|key| EventKey { at: key.at, id: EventId::from_uuid(key.id) }),
        direction: request.direction,
    };
    let page = app.compliance.audit_events(&mut *work, &actor, &filter, by_event).await?;
    let key = |logged: &LoggedEvent| {
        let AuditEvent { occurred_at, event_id, .. } = &logged.event;
        Key { at: *occurred_at, id: event_id.uuid() }
    };
    Ok(AuditEventConnection::new(paged(page, &request, &cursors, key, Into::into)))
}

async fn checkpoint(
    ctx: &Context<'_>,
    stream: AuditStream,
    size: Option<String>,
) -> Result<Option<AuditCheckpoint>, ApiError> {
    let (actor, mut work) = reading(ctx, "audit_checkpoint").await?;
    let compliance = &app(ctx).compliance;
    let head =
        compliance.audit_checkpoint(&mut *work, &actor, stream.into(), size_of(size.as_ref())?).await?;
    let Some(head) = head else { return Ok(None) };
    let prune = compliance.audit_prune(&mut *work, &actor, stream.into()).await?;
    work.let_go();
    let keys = compliance.audit_verifier_keys(&actor, stream.into()).await?;
    Ok(Some(AuditCheckpoint::new(head, keys).after(prune)))
}

async fn platform_checkpoint(ctx: &Context<'_>) -> Result<Option<PlatformCheckpoint>, ApiError> {
    let (actor, mut work) = reading(ctx, "platform_checkpoint").await?;
    let checkpoint = app(ctx).compliance.platform_checkpoint(&mut *work, &actor).await?;
    Ok(checkpoint.map(Into::into))
}

async fn platform_attestations(
    ctx: &Context<'_>,
    before: Option<String>,
) -> Result<Vec<PlatformAttestation>, ApiError> {
    let (actor, mut work) = reading(ctx, "platform_attestations").await?;
    let told =
        app(ctx).compliance.platform_attestations(&mut *work, &actor, size_of(before.as_ref())?).await?;
    Ok(told.into_iter().map(Into::into).collect())
}

async fn platform_inclusion(
    ctx: &Context<'_>,
    stream: AuditStream,
    size: Option<String>,
) -> Result<Option<PlatformInclusion>, ApiError> {
    let (actor, mut work) = reading(ctx, "platform_inclusion").await?;
    let (compliance, size) = (&app(ctx).compliance, size_of(size.as_ref())?);
    let proof = compliance.platform_inclusion(&mut *work, &actor, stream.into(), size).await?;
    drop(work);
    let Some(proof) = proof else { return Ok(None) };
    let keys = compliance.audit_verifier_keys(&actor, stream.into()).await?;
    Ok(Some(PlatformInclusion::new(proof, keys)))
}

async fn inclusion(
    ctx: &Context<'_>,
    event_id: ID,
    size: Option<String>,
) -> Result<Option<AuditInclusionProof>, ApiError> {
    let (actor, mut work) = reading(ctx, "audit_inclusion_proof").await?;
    let compliance = &app(ctx).compliance;
    let Some((Kind::AuditEvent, uuid)) = parse_global_id(&event_id) else { return Ok(None) };
    let event = EventId::from_uuid(uuid);
    let proof = compliance.audit_inclusion_proof(&mut *work, &actor, event, size_of(size.as_ref())?).await?;
    let Some(logged) = compliance.audit_event(&mut *work, &actor, event).await? else { return Ok(None) };
    work.let_go();
    let keys = compliance.audit_verifier_keys(&actor, logged.event.stream).await?;
    Ok(proof.and_then(|proof| AuditInclusionProof::new(proof, keys)))
}

async fn consistency(
    ctx: &Context<'_>,
    stream: AuditStream,
    old_size: String,
    size: Option<String>,
) -> Result<Option<AuditConsistencyProof>, ApiError> {
    let (actor, mut work) = reading(ctx, "audit_consistency_proof").await?;
    let compliance = &app(ctx).compliance;
    let (old, new) = (number("oldSize", &old_size)?, size_of(size.as_ref())?);
    let proof = compliance.audit_consistency_proof(&mut *work, &actor, stream.into(), old, new).await?;
    work.let_go();
    let keys = compliance.audit_verifier_keys(&actor, stream.into()).await?;
    Ok(proof.and_then(|proof| AuditConsistencyProof::new(proof, keys)))
}
