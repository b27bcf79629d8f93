//! What can be followed of identity.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    identity::events::{IdentityEvent, IdentityFact},
    kernel::{actor::Permission, scope::TenantScope},
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use crate::graphql::{
    command::{app, caller},
    error::ApiError,
    scalars::{Kind, global_id},
};

/// What happened to a member, an invitation or a session.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberEventKind {
    /// Somebody was invited.
    MemberInvited,
    /// An invitation was taken back.
    InvitationRevoked,
    /// Somebody accepted an invitation.
    MemberJoined,
    /// A member has another role.
    MemberRoleChanged,
    /// A member can't sign in any more.
    MemberSuspended,
    /// A member can sign in again.
    MemberRestored,
    /// A session was ended before its time.
    SessionRevoked,
    /// An API key was taken back.
    ApiKeyRevoked,
}

/// One thing that happened. It names; what is named is read by `node`, under the reader's own permissions.
#[derive(SimpleObject, Output, Clone)]
pub struct MemberEvent {
    /// Rises from event to event of a tenant; two events at once may share one.
    seq: String,
    /// When it happened.
    at: DateTime<Utc>,
    /// What happened.
    kind: MemberEventKind,
    /// The id of the member, invitation, session or key it happened to.
    subject_id: ID,
}

impl From<IdentityEvent> for MemberEvent {
    fn from(event: IdentityEvent) -> Self {
        use IdentityFact as Fact;
        use MemberEventKind as Is;
        let (kind, subject_id) = match event.fact {
            Fact::MemberInvited(id) => (Is::MemberInvited, global_id(Kind::Invitation, id.uuid())),
            Fact::InvitationRevoked(id) => (Is::InvitationRevoked, global_id(Kind::Invitation, id.uuid())),
            Fact::MemberJoined(id) => (Is::MemberJoined, global_id(Kind::Member, id.uuid())),
            Fact::MemberRoleChanged(id) => (Is::MemberRoleChanged, global_id(Kind::Member, id.uuid())),
            Fact::MemberSuspended(id) => (Is::MemberSuspended, global_id(Kind::Member, id.uuid())),
            Fact::MemberRestored(id) => (Is::MemberRestored, global_id(Kind::Member, id.uuid())),
            Fact::SessionRevoked(id) => (Is::SessionRevoked, global_id(Kind::Session, id.uuid())),
            Fact::ApiKeyRevoked(id) => (Is::ApiKeyRevoked, global_id(Kind::ApiKey, id.uuid())),
        };
        Self { seq: event.at.timestamp_micros().to_string(), at: event.at, kind, subject_id }
    }
}

/// Events of the last moments, so that each selection of one is written once for all who listen.
pub(in crate::graphql) type RecentEvents = Recent<(TenantScope, IdentityEvent), MemberEvent>;

/// Events of all tenants together that are kept. Listeners are told within milliseconds of one another.
const RECENT_MAX: usize = 64;

pub(in crate::graphql) fn recent_events() -> Arc<RecentEvents> {
    Arc::new(Recent::new(RECENT_MAX))
}

#[derive(Default)]
pub struct IdentitySubscription;

#[Subscription]
impl IdentitySubscription {
    /// What happens to members, invitations, sessions and keys of this tenant, from now on.
    async fn member_events(
        &self,
        ctx: &Context<'_>,
    ) -> Result<impl Stream<Item = Shared<MemberEvent>> + use<>, ApiError> {
        let actor = &caller(ctx)?.signed_in().actor;
        actor.require(Permission::ReadMembers)?;
        let scope = actor.scope();
        let events = app(ctx).feed.subscribe(&scope).await?;
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentEvents>>());
        Ok(events.map(move |event| recent.share((scope, event), || event.into())))
    }
}
