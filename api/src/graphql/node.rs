//! `node` and `nodes`: anything by its global id. What is another tenant's is as absent as what never was.

use async_graphql::{Context, ID, Interface, Object};
use domain::kernel::ids::{
    AccountId, ApiKeyId, AppId, EventId, GroupId, HoldId, InvitationId, LinkId, MemberId, PlanId, PostId,
    RecordId, ReportId, SessionId, TimetableId, UploadId,
};

use super::{
    accounts::{Account, App, Group, Link},
    command::app,
    compliance::{AuditEventNode, Erasure, LegalHold, ProcessingRecord, Report},
    content::Upload,
    error::ApiError,
    identity::{ApiKey, Invitation, Member, Session, Tenant},
    publishing::{Plan, Post, Timetable},
    reading::reading,
    scalars::{Kind, parse_global_id},
};

/// Anything with a global id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "&ID", desc = "Opaque; the same for as long as the thing exists."))]
pub enum Node {
    /// A tenant.
    Tenant(Tenant),
    /// A member.
    Member(Member),
    /// An invitation.
    Invitation(Invitation),
    /// A session.
    Session(Session),
    /// An API key.
    ApiKey(ApiKey),
    /// An event of the audit log.
    AuditEvent(AuditEventNode),
    /// A tenant's credentials on a platform.
    App(App),
    /// A linked account.
    Account(Account),
    /// An attempt to link an account.
    Link(Link),
    /// A group of a matrix.
    Group(Group),
    /// A file on its way in, or arrived.
    Upload(Upload),
    /// Local times for posts.
    Timetable(Timetable),
    /// One piece of content, put on many accounts.
    Plan(Plan),
    /// One piece of content meant for one account.
    Post(Post),
    /// A report for auditors.
    Report(Report),
    /// A reason why somebody's data must be kept.
    LegalHold(LegalHold),
    /// A version of a record of processing.
    ProcessingRecord(ProcessingRecord),
    /// That what was kept about somebody was erased.
    Erasure(Erasure),
}

/// Most ids `nodes` takes.
const NODES_MAX: usize = 100;

#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Anything by its id; null when there is no such thing in this tenant, or it is not the caller's to see.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Node, ApiError>> {
        find(ctx, &id).await.transpose()
    }

    /// Several by their ids, in the order asked for; at most 100.
    #[graphql(directive = transport::list_size::apply(100))]
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Option<Result<Vec<Option<Node>>, ApiError>> {
        if ids.len() > NODES_MAX {
            return Some(Err(ApiError::bad_input("ids must be at most 100")));
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in &ids {
            match find(ctx, id).await {
                Ok(node) => found.push(node),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(found))
    }
}

async fn find(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, ApiError> {
    let Some((kind, uuid)) = parse_global_id(id) else { return Ok(None) };
    let (actor, mut work) = reading(ctx, "node").await?;
    let app = app(ctx);
    let identity = &app.identity;
    let found = match kind {
        Kind::Tenant => {
            let tenant = identity.tenant(&mut *work).await?;
            tenant.filter(|tenant| tenant.id.uuid() == uuid).map(|t| Node::Tenant(t.into()))
        }
        Kind::Member => {
            let member = identity.member(&mut *work, &actor, MemberId::from_uuid(uuid)).await?;
            member.map(|m| Node::Member(m.into()))
        }
        Kind::Invitation => {
            let invitation = identity.invitation(&mut *work, &actor, InvitationId::from_uuid(uuid)).await?;
            invitation.map(|i| Node::Invitation(Invitation::new(&i, app.clock.now())))
        }
        Kind::Session => {
            let session = identity.session(&mut *work, &actor, SessionId::from_uuid(uuid)).await?;
            session.map(|s| Node::Session(Session::new(s, &actor)))
        }
        Kind::ApiKey => {
            let key = identity.api_key(&mut *work, &actor, ApiKeyId::from_uuid(uuid)).await?;
            key.map(|k| Node::ApiKey(k.into()))
        }
        Kind::Report => {
            let report = app.reports.report(&mut *work, &actor, ReportId::from_uuid(uuid)).await?;
            report.map(|r| Node::Report(Report::new(&r, app)))
        }
        Kind::Hold => {
            let hold = app.erasures.hold(&mut *work, &actor, HoldId::from_uuid(uuid)).await?;
            hold.map(|h| Node::LegalHold(h.into()))
        }
        Kind::Erasure => {
            let erasure = app.erasures.erasure(&mut *work, &actor, uuid).await?;
            erasure.map(|e| Node::Erasure(e.into()))
        }
        Kind::Record => {
            let record = app.records.record(&mut *work, &actor, RecordId::from_uuid(uuid)).await?;
            record.map(|r| Node::ProcessingRecord(r.into()))
        }
        Kind::AuditEvent => {
            let event = app.compliance.audit_event(&mut *work, &actor, EventId::from_uuid(uuid)).await?;
            event.map(|e| Node::AuditEvent(e.into()))
        }
        Kind::App => {
            let found = app.accounts.app(&mut *work, &actor, AppId::from_uuid(uuid)).await?;
            found.map(|a| Node::App(App::new(a, &actor, &app.accounts)))
        }
        Kind::Account => {
            let account = app.accounts.account(&mut *work, &actor, AccountId::from_uuid(uuid)).await?;
            account.map(|a| Node::Account(a.into()))
        }
        Kind::Link => {
            let link = app.accounts.link(&mut *work, &actor, LinkId::from_uuid(uuid)).await?;
            link.map(|l| Node::Link(Link::new(l, app.clock.now())))
        }
        Kind::Group => {
            let group = app.accounts.group(&mut *work, &actor, GroupId::from_uuid(uuid)).await?;
            group.map(|g| Node::Group(g.into()))
        }
        Kind::Upload => {
            let upload = app.content.upload(&mut *work, &actor, UploadId::from_uuid(uuid)).await?;
            upload.map(|u| Node::Upload(Upload::new(u, app)))
        }
        Kind::Timetable => {
            let id = TimetableId::from_uuid(uuid);
            let timetable = app.publishing.timetable(&mut *work, &actor, id).await?;
            timetable.map(|t| Node::Timetable(t.into()))
        }
        Kind::Plan => {
            let plan = app.publishing.plan(&mut *work, &actor, PlanId::from_uuid(uuid)).await?;
            plan.map(|p| Node::Plan(p.into()))
        }
        Kind::Post => {
            let post = app.publishing.post(&mut *work, &actor, PostId::from_uuid(uuid)).await?;
            post.map(|p| Node::Post(p.into()))
        }
    };
    Ok(found)
}
