//! What can be followed of accounts.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use domain::{
    accounts::events::{AccountEvent, AccountFact},
    kernel::{actor::Permission, feed::Fact as _, ids::AccountId, scope::TenantScope},
};
use futures_util::{Stream, StreamExt as _};
use output::{Output, Recent, Shared};

use crate::graphql::{
    command::{app, caller},
    error::ApiError,
    scalars::{Kind, global_id},
};

/// What happened to an account, its tokens, or an attempt to link one.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEventKind {
    /// An account was linked, or linked again.
    AccountLinked,
    /// An attempt to link ended without an account.
    LinkFailed,
    /// Nothing is done with an account for a while.
    AccountPaused,
    /// Work on it goes on.
    AccountResumed,
    /// An account was given up.
    AccountUnlinked,
    /// An account is in another group or has other tags.
    AccountArranged,
    /// The owner must consent again before anything can be done.
    ConsentNeeded,
    /// There are newer tokens.
    TokensRefreshed,
    /// Tokens could not be refreshed; it is tried again.
    RefreshFailed,
}

/// One thing that happened. It names; what is named is read by `node`, under the reader's own permissions.
#[derive(SimpleObject, Output, Clone)]
pub struct AccountEventNotice {
    /// Rises from event to event of a tenant; two events at once may share one.
    seq: String,
    /// When it happened.
    at: DateTime<Utc>,
    /// What happened.
    kind: AccountEventKind,
    /// The id of the account, or of the attempt, it happened to.
    subject_id: ID,
}

impl From<AccountEvent> for AccountEventNotice {
    fn from(event: AccountEvent) -> Self {
        use AccountEventKind as Is;
        use AccountFact as Fact;
        let kind = match event.fact {
            Fact::AccountLinked(_) => Is::AccountLinked,
            Fact::LinkFailed(_) => Is::LinkFailed,
            Fact::AccountPaused(_) => Is::AccountPaused,
            Fact::AccountResumed(_) => Is::AccountResumed,
            Fact::AccountUnlinked(_) => Is::AccountUnlinked,
            Fact::AccountArranged(_) => Is::AccountArranged,
            Fact::ConsentNeeded(_) => Is::ConsentNeeded,
            Fact::TokensRefreshed(_) => Is::TokensRefreshed,
            Fact::RefreshFailed(_) => Is::RefreshFailed,
        };
        let of = if matches!(event.fact, Fact::LinkFailed(_)) { Kind::Link } else { Kind::Account };
        let subject_id = global_id(of, event.fact.subject());
        Self { seq: event.at.timestamp_micros().to_string(), at: event.at, kind, subject_id }
    }
}

/// Events of the last moments, so that each selection of one is written once for all who listen.
pub(in crate::graphql) type RecentEvents = Recent<(TenantScope, AccountEvent), AccountEventNotice>;

/// Events of all tenants together that are kept. Listeners are told within milliseconds of one another.
const RECENT_MAX: usize = 64;

pub(in crate::graphql) fn recent_events() -> Arc<RecentEvents> {
    Arc::new(Recent::new(RECENT_MAX))
}

#[derive(Default)]
pub struct AccountsSubscription;

#[Subscription]
impl AccountsSubscription {
    /// What happens to accounts and their tokens, from now on: those the caller reaches. With `accountId`, to that one
    /// alone.
    async fn account_events(
        &self,
        ctx: &Context<'_>,
        account_id: Option<ID>,
    ) -> Result<impl Stream<Item = Shared<AccountEventNotice>> + use<>, ApiError> {
        let actor = caller(ctx)?.signed_in().actor.clone();
        actor.require(Permission::ReadAccounts)?;
        let scope = actor.scope();
        let app = Arc::clone(app(ctx));
        let events = app.account_feed.subscribe(&scope).await?;
        let recent = Arc::clone(ctx.data_unchecked::<Arc<RecentEvents>>());
        let reached = events.filter_map(move |event| {
            let (app, actor) = (Arc::clone(&app), actor.clone());
            let wanted =
                account_id.as_ref().is_none_or(|id| AccountEventNotice::from(event).subject_id == *id);
            async move { (wanted && app.reaches(&actor, event.fact).await).then_some(event) }
        });
        Ok(reached.map(move |event| recent.share((scope, event), || event.into())))
    }
}

impl crate::app::App {
    /// Whether the actor may be told: who works in parts of the matrices hears of those alone.
    async fn reaches(&self, actor: &domain::kernel::actor::Actor, fact: AccountFact) -> bool {
        if domain::accounts::Accounts::reaches_all(actor) {
            return true;
        }
        let origin = domain::kernel::outbox::Origin::system(
            domain::kernel::ids::ComplianceId::new(&*self.ids),
            "account_events",
        );
        let Ok(mut work) = self.units.begin(actor.scope(), &origin).await else { return false };
        if let AccountFact::LinkFailed(link) = fact {
            return self.accounts.link(&mut *work, actor, link).await.is_ok_and(|link| link.is_some());
        }
        let account = AccountId::from_uuid(fact.subject());
        self.accounts.account(&mut *work, actor, account).await.is_ok_and(|found| found.is_some())
    }
}
