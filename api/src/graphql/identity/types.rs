//! Types of identity, converted by hand: the schema is a promise of its own.

use async_graphql::{ComplexObject, Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::{
    identity::model,
    kernel::{
        actor::{self, Actor},
        clock::Timestamp,
        ids::{MemberId, SessionId},
        outbox::Mfa,
        page::Key,
    },
};
use output::{Output, Written};

use crate::graphql::{
    command::app,
    connection::{COUNT_MAX, Cursors, PageArgs, Parts, connection, connection_fields, paged},
    error::ApiError,
    reading::reading,
    scalars::{Kind, global_id},
};

/// A named set of permissions.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "actor::Role")]
pub enum Role {
    /// Everything, including who else is owner.
    Owner,
    /// Everything but owners.
    Admin,
    /// Day-to-day work on accounts and posts.
    Operator,
    /// Reads figures.
    Analyst,
    /// Reads the audit log and exports from it.
    Auditor,
}

/// One thing a role or an API key may allow.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "actor::Permission")]
pub enum Permission {
    /// See who is in the tenant: members, roles, invitations.
    ReadMembers,
    /// Invite, change and suspend members who are not owners; end their sessions; start a password reset.
    ManageMembers,
    /// Make and unmake owners.
    ManageOwners,
    /// See, issue and revoke API keys.
    ManageApiKeys,
    /// Read the audit log and its proofs.
    ReadAudit,
    /// See linked accounts, matrices and the state of tokens.
    ReadAccounts,
    /// Link, group, tag, pause and unlink accounts.
    ManageAccounts,
    /// Shape matrices and say who works in which part of them.
    ManageMatrices,
    /// See and change the tenant's credentials as a developer on platforms.
    ManageApps,
    /// See files that are to be posted.
    ReadContent,
    /// Bring such files in, and throw them away.
    ManageContent,
    /// See plans and posts.
    ReadPosts,
    /// Plan posts, change them, give them up and try them again.
    ManagePosts,
    /// Agree to what is to be posted.
    ApprovePosts,
    /// Erase what is kept about a person, and say whose data must be kept.
    ManagePrivacy,
}

/// Whether something is in use.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::MemberStatus")]
pub enum MemberStatus {
    /// May sign in.
    Active,
    /// May not sign in.
    Suspended,
}

/// Whether a tenant may work.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::TenantStatus")]
pub enum TenantStatus {
    /// It may.
    Active,
    /// Nobody signs in and no key works.
    Suspended,
    /// The same, until who was erased before the database was put back is erased again.
    AwaitingErasure,
    /// The same, and nothing is posted; unless whoever runs the service takes it back, it ends for good.
    Closed,
}

/// What became of an invitation.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::InvitationState")]
pub enum InvitationState {
    /// It can be accepted.
    Open,
    /// It was.
    Accepted,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

/// A customer of this installation.
#[derive(SimpleObject, Output, Clone)]
pub struct Tenant {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Its public name, part of its addresses.
    slug: String,
    /// Its display name.
    name: String,
    /// Whether it may work.
    status: TenantStatus,
    /// Most members it may have, invitations included.
    members_max: u32,
    /// When it was opened.
    created_at: DateTime<Utc>,
}

impl From<model::Tenant> for Tenant {
    fn from(tenant: model::Tenant) -> Self {
        Self {
            id: global_id(Kind::Tenant, tenant.id.uuid()),
            slug: tenant.slug.as_str().to_owned(),
            name: tenant.name,
            status: tenant.status.into(),
            members_max: tenant.members_max,
            created_at: tenant.created_at,
        }
    }
}

/// A person's place in this tenant.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Member {
    #[graphql(skip)]
    key: MemberId,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// The address they sign in with.
    email: String,
    /// What they are called.
    name: String,
    /// What they may do.
    role: Role,
    /// Whether they may sign in.
    status: MemberStatus,
    /// Whether a second factor is asked of them.
    has_second_factor: bool,
    /// When they joined.
    created_at: DateTime<Utc>,
}

impl From<model::Member> for Member {
    fn from(member: model::Member) -> Self {
        Self {
            key: member.id,
            id: global_id(Kind::Member, member.id.uuid()),
            has_second_factor: member.has_second_factor(),
            email: member.email.expose().to_owned(),
            name: member.name,
            role: member.role.into(),
            status: member.status.into(),
            created_at: member.created_at,
        }
    }
}

#[output::fields]
impl Member {
    /// Their sessions that are not over, oldest first: their own to see, and to who manages members.
    async fn sessions(
        members: &[&Self],
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Vec<Option<Result<SessionConnection, ApiError>>>, ApiError> {
        let keys: Vec<_> = members.iter().map(|member| member.key).collect();
        let connections = sessions_of(ctx, &keys, &PageArgs { first, after, last, before }).await?;
        Ok(connections.into_iter().map(Some).collect())
    }
}

/// For each member, in order.
async fn sessions_of(
    ctx: &Context<'_>,
    members: &[MemberId],
    args: &PageArgs,
) -> Result<Vec<Result<SessionConnection, ApiError>>, ApiError> {
    let (actor, mut work) = reading(ctx, "sessions").await?;
    let app = app(ctx);
    let parts = Parts::new(members, args, |member| {
        Cursors::new(&app.cursor_key, actor.tenant, "sessions", member.uuid().to_string())
    });
    let mut pages = match parts.accepted() {
        None => Vec::new(),
        Some((keys, request)) => app.identity.sessions_of(&mut *work, &actor, &keys, request).await?,
    }
    .into_iter();
    Ok(parts.each(|_, cursors, request| {
        let page = pages.next().ok_or_else(ApiError::internal)??;
        let key = |session: &model::Session| Key { at: session.created_at, id: session.id.uuid() };
        Ok(SessionConnection::new(paged(page, request, cursors, key, |session| {
            Session::new(session, &actor)
        })))
    }))
}

connection!(MemberConnection, MemberEdge, Member, "members");

#[output::fields]
impl MemberConnection {
    /// The rows.
    fn nodes(&self) -> Vec<&Member> {
        self.edges.iter().map(|edge| &edge.node).collect()
    }

    /// How many there are in all; 10,001 means more.
    #[graphql(directive = transport::cost::apply(10))]
    async fn total_count(
        connections: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<u32, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "members").await?;
        let count = app(ctx).identity.count_members(&mut *work, &actor, COUNT_MAX).await?;
        Ok(connections.iter().map(|_| Some(Ok(count))).collect())
    }
}

/// An offer to join this tenant with a role.
#[derive(SimpleObject, Output, Clone)]
pub struct Invitation {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Who is invited.
    email: String,
    /// The role offered.
    role: Role,
    /// What has become of it.
    state: InvitationState,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// From when on it can't be accepted.
    expires_at: DateTime<Utc>,
}

impl Invitation {
    pub(in crate::graphql) fn new(invitation: &model::Invitation, now: Timestamp) -> Self {
        Self {
            id: global_id(Kind::Invitation, invitation.id.uuid()),
            state: invitation.state(now).into(),
            email: invitation.email.expose().to_owned(),
            role: invitation.role.into(),
            created_at: invitation.created_at,
            expires_at: invitation.expires_at,
        }
    }
}

connection!(InvitationConnection, InvitationEdge, Invitation, "invitations");
connection_fields!(InvitationConnection, Invitation);

/// One sign-in of a member.
#[derive(SimpleObject, Output, Clone)]
pub struct Session {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// Whether it is the one this is asked in.
    is_current: bool,
    /// When it began.
    created_at: DateTime<Utc>,
    /// When it was last carried on.
    last_seen_at: DateTime<Utc>,
    /// When it ends at the latest.
    expires_at: DateTime<Utc>,
    /// When it was ended.
    revoked_at: Option<DateTime<Utc>>,
    /// Country it began in, ISO 3166-1 alpha-2, when known.
    country: Option<String>,
    /// Whether a second factor stood behind it.
    has_second_factor: bool,
}

impl Session {
    pub(in crate::graphql) fn new(session: model::Session, actor: &Actor) -> Self {
        Self {
            id: global_id(Kind::Session, session.id.uuid()),
            is_current: actor.session() == Some(session.id),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            revoked_at: session.revoked_at,
            country: session.geo.map(|geo| geo.country),
            has_second_factor: session.mfa == Mfa::Passed,
        }
    }
}

connection!(SessionConnection, SessionEdge, Session, "sessions");
connection_fields!(SessionConnection, Session);

/// A machine's key to this tenant.
#[derive(SimpleObject, Output, Clone)]
pub struct ApiKey {
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What it is called.
    name: String,
    /// What it allows.
    scopes: Vec<Permission>,
    /// When it was issued.
    created_at: DateTime<Utc>,
    /// From when on it does not work.
    expires_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<model::ApiKey> for ApiKey {
    fn from(key: model::ApiKey) -> Self {
        Self {
            id: global_id(Kind::ApiKey, key.id.uuid()),
            name: key.name,
            scopes: key.scopes.into_iter().map(Into::into).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }
}

connection!(ApiKeyConnection, ApiKeyEdge, ApiKey, "API keys");
connection_fields!(ApiKeyConnection, ApiKey);

/// Who is asking, and what they may do.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Viewer {
    #[graphql(skip)]
    member_key: Option<MemberId>,
    #[graphql(skip)]
    session_key: Option<SessionId>,
    /// What the caller may do here.
    permissions: Vec<Permission>,
}

impl Viewer {
    pub(super) fn new(actor: &Actor) -> Self {
        Self {
            member_key: actor.member(),
            session_key: actor.session(),
            permissions: actor::Permission::ALL
                .into_iter()
                .filter(|p| actor.may(*p))
                .map(Into::into)
                .collect(),
        }
    }
}

#[ComplexObject]
impl Viewer {
    /// The tenant acted in.
    async fn tenant(&self, ctx: &Context<'_>) -> Option<Result<Tenant, ApiError>> {
        async fn tenant(ctx: &Context<'_>) -> Result<Option<Tenant>, ApiError> {
            let (_, mut work) = reading(ctx, "tenant").await?;
            Ok(app(ctx).identity.tenant(&mut *work).await?.map(Into::into))
        }
        tenant(ctx).await.transpose()
    }

    /// The member asking; null for an API key.
    async fn member(&self, ctx: &Context<'_>) -> Option<Result<Written<Member>, ApiError>> {
        async fn member(ctx: &Context<'_>, id: MemberId) -> Result<Option<Member>, ApiError> {
            let (actor, mut work) = reading(ctx, "member").await?;
            Ok(app(ctx).identity.member(&mut *work, &actor, id).await?.map(Into::into))
        }
        member(ctx, self.member_key?).await.map(|member| member.map(Written)).transpose()
    }

    /// The session asked in; null for an API key.
    async fn session(&self, ctx: &Context<'_>) -> Option<Result<Session, ApiError>> {
        async fn session(ctx: &Context<'_>, id: SessionId) -> Result<Option<Session>, ApiError> {
            let (actor, mut work) = reading(ctx, "session").await?;
            let session = app(ctx).identity.session(&mut *work, &actor, id).await?;
            Ok(session.map(|session| Session::new(session, &actor)))
        }
        session(ctx, self.session_key?).await.transpose()
    }
}
