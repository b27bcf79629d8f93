//! The owner answered, by way of the platform.

use subtle::ConstantTimeEq as _;

use super::{
    super::{
        actions,
        events::AccountFact,
        model::{
            Account, AccountState, AppCredentials, Link, LinkStep, Profile, TokenSecrets, TokenTerms, Tokens,
        },
        ports::{AccountsTx, Authorizer, Granted},
    },
    Accounts, not_answered,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::Permission,
        clock::Timestamp,
        fault::Retry,
        ids::{AccountId, LinkId},
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};
use chrono::TimeDelta;

/// What comes back from a platform's consent page.
#[derive(Clone, Debug)]
pub struct ReturnedLink {
    /// The platform whose callback it came to.
    pub platform: String,
    /// What was given out with the consent page.
    pub state: Secret,
    /// What tokens are had for; `None` when the owner refused.
    pub code: Option<Secret>,
}

/// How an attempt ended, for who is looking at the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishedLink {
    /// The account is linked.
    Linked {
        /// The account.
        account: AccountId,
        /// Its display name; empty when the platform did not tell.
        nickname: String,
    },
    /// It is not; the attempt's trace says more.
    Failed {
        /// The attempt.
        link: LinkId,
        /// A short machine word, or a platform's code.
        reason: String,
    },
}

/// Taken from the attempt before the platform is asked.
struct Ready {
    scope: TenantScope,
    link: Link,
    credentials: AppCredentials,
}

/// The tenant a `state` says it is of.
pub(super) fn tenant_of(state: &Secret) -> Option<(TenantScope, Token)> {
    let token = Token::parse(TokenKind::LinkState, state.expose_str()?)?;
    Some((TenantScope::of(token.tenant), token))
}

impl Accounts {
    /// The tenant whose attempt comes back, for the log of answers; nothing is proven yet.
    pub fn tenant_of_state(state: &Secret) -> Option<TenantScope> {
        tenant_of(state).map(|(scope, _)| scope)
    }

    /// Finishes an attempt: the `state` works once, for the member who began it, while their session lasts.
    ///
    /// # Errors
    /// `LinkClosed`, `PlatformUnknown`, `Port`.
    pub async fn finish_link(
        &self,
        origin: &Origin,
        returned: ReturnedLink,
    ) -> Result<FinishedLink, AccountsError> {
        let platform = self.platform(&returned.platform)?.clone();
        let (scope, token) = tenant_of(&returned.state).ok_or(AccountsError::LinkClosed)?;
        let ready = match self.take_back(origin, scope, &token, &returned).await? {
            Ok(ready) => ready,
            Err(failed) => return Ok(failed),
        };
        let code = returned.code.unwrap_or_else(|| Secret::from(String::new()));
        let verifier = ready.link.verifier.as_ref();
        match platform.exchange(&scope, &ready.credentials, &code, verifier).await {
            Err(error) => self.fail(origin, &ready, error.word()).await,
            Ok(granted) => {
                let profile = self.profile_of(&*platform, &ready, &granted).await;
                self.link_account(origin, &ready, granted, profile).await
            }
        }
    }

    /// Uses the `state` up, before anything is asked of the platform: of two that come back with it, one goes on.
    async fn take_back(
        &self,
        origin: &Origin,
        scope: TenantScope,
        token: &Token,
        returned: &ReturnedLink,
    ) -> Result<Result<Ready, FinishedLink>, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(scope, origin).await?;
        let link = tx.lock_link(LinkId::from_uuid(token.id)).await?;
        let ours = link.filter(|link| {
            bool::from(token.hash().ct_eq(&link.secret_hash)) && link.platform.as_str() == returned.platform
        });
        let Some(mut link) = ours else { return Err(AccountsError::LinkClosed) };
        if !link.come_back(now) {
            // Nothing of the attempt changes: it may have ended well long ago.
            let target = Party::new("link", link.id.uuid());
            tx.record(Record::refused(actions::FINISH_LINK, Some(target), "link_closed")).await?;
            tx.commit().await?;
            return Err(AccountsError::LinkClosed);
        }
        let credentials = tx.app_credentials(link.app).await?;
        tx.update_link(&link).await?;
        tx.commit().await?;
        let who = self.0.identity.actor_of_session(origin, scope, link.member, link.session).await;
        let actor = who.map_err(not_answered)?;
        let may = actor.is_some_and(|actor| actor.may(Permission::ManageAccounts));
        let word = match (&credentials, may, &returned.code) {
            (_, false, _) => "session_over",
            (None, ..) => "app_removed",
            (.., None) => "owner_refused",
            (Some(_), true, Some(_)) => "",
        };
        let ready = credentials.map(|credentials| Ready { scope, link: link.clone(), credentials });
        match ready {
            Some(ready) if word.is_empty() => Ok(Ok(ready)),
            _ => Ok(Err(self.fail_link(origin, scope, link.id, word.to_owned()).await?)),
        }
    }

    async fn fail(
        &self,
        origin: &Origin,
        ready: &Ready,
        word: String,
    ) -> Result<FinishedLink, AccountsError> {
        self.fail_link(origin, ready.scope, ready.link.id, word).await
    }

    /// Ends an attempt without an account.
    async fn fail_link(
        &self,
        origin: &Origin,
        scope: TenantScope,
        id: LinkId,
        reason: String,
    ) -> Result<FinishedLink, AccountsError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let mut link = tx.lock_link(id).await?.ok_or(AccountsError::LinkClosed)?;
        link.fail(reason.clone(), self.0.clock.now());
        tx.update_link(&link).await?;
        let target = Party::new("link", id.uuid());
        tx.record(Record::refused(actions::FINISH_LINK, Some(target), "link_failed")).await?;
        self.announce(&mut *tx, AccountFact::LinkFailed(id));
        tx.commit().await?;
        Ok(FinishedLink::Failed { link: id, reason })
    }

    /// Who the owner is; an account without a name is better than none.
    async fn profile_of(
        &self,
        platform: &dyn Authorizer,
        ready: &Ready,
        granted: &Granted,
    ) -> Result<Profile, String> {
        let asked = platform.profile(&ready.scope, &ready.credentials, &granted.access, &granted.open_id);
        asked.await.map_err(|error| error.word())
    }

    async fn link_account(
        &self,
        origin: &Origin,
        ready: &Ready,
        granted: Granted,
        profile: Result<Profile, String>,
    ) -> Result<FinishedLink, AccountsError> {
        // Two consents of one owner may arrive together, and both find no account yet: the second reads again.
        let first = self.try_to_link(origin, ready, &granted, &profile).await;
        match first {
            Err(AccountsError::Port(fault)) if fault.retry == Retry::AfterReread => {
                self.try_to_link(origin, ready, &granted, &profile).await
            }
            other => other,
        }
    }

    async fn try_to_link(
        &self,
        origin: &Origin,
        ready: &Ready,
        granted: &Granted,
        profile: &Result<Profile, String>,
    ) -> Result<FinishedLink, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(ready.scope, origin).await?;
        let mut link = tx.lock_link(ready.link.id).await?.ok_or(AccountsError::LinkClosed)?;
        link.note(LinkStep::CodeExchanged, None, now);
        match profile {
            Ok(_) => link.note(LinkStep::ProfileRead, None, now),
            Err(word) => link.note(LinkStep::ProfileRead, Some(word.clone()), now),
        }
        let known = tx.lock_account_by_open_id(link.app, &granted.open_id).await?;
        if link.again.is_some_and(|again| known.as_ref().is_none_or(|known| known.id != again)) {
            drop(tx);
            return self.fail(origin, ready, "other_account".to_owned()).await;
        }
        let account = self.upsert(&mut *tx, &link, known, granted, profile.as_ref().ok()).await?;
        let tokens = self.tokens_of(&link, &account, granted, now)?;
        tx.put_tokens(&tokens).await?;
        tx.hurry_tokens(account.id, now + TimeDelta::minutes(1)).await?;
        link.succeed(account.id, now);
        tx.update_link(&link).await?;
        let mut record = Record::success(actions::FINISH_LINK, Party::new("account", account.id.uuid()));
        record.actor = Some(Party::new("member", link.member.uuid()));
        record.session = Some(link.session.uuid());
        record.outcome = Outcome::Success;
        tx.record(record).await?;
        self.announce(&mut *tx, AccountFact::AccountLinked(account.id));
        tx.commit().await?;
        Ok(FinishedLink::Linked { account: account.id, nickname: account.profile.nickname })
    }

    /// The account as it is from now on, stored.
    async fn upsert(
        &self,
        tx: &mut dyn AccountsTx,
        link: &Link,
        known: Option<Account>,
        granted: &Granted,
        profile: Option<&Profile>,
    ) -> Result<Account, AccountsError> {
        let groups = tx.groups().await?;
        // The group may have been taken away meanwhile.
        let group = link.group.filter(|wanted| groups.iter().any(|group| group.id == *wanted));
        if let Some(mut account) = known {
            account.connect();
            account.group = group.or(account.group);
            if let Some(profile) = profile {
                account.profile = profile.clone();
            }
            tx.update_account(&account).await?;
            return Ok(account);
        }
        let account = Account {
            id: AccountId::new(&*self.0.ids),
            app: link.app,
            platform: link.platform.clone(),
            open_id: granted.open_id.clone(),
            profile: profile.cloned().unwrap_or_default(),
            group,
            tags: Vec::new(),
            state: AccountState::Connected,
            paused: None,
            created_at: self.0.clock.now(),
            version: 1,
        };
        tx.add_account(&account).await?;
        Ok(account)
    }

    fn tokens_of(
        &self,
        link: &Link,
        account: &Account,
        granted: &Granted,
        now: Timestamp,
    ) -> Result<Tokens, AccountsError> {
        let facts = self.platform(link.platform.as_str())?.facts();
        let refresh_life = TimeDelta::seconds(granted.refresh_life_s);
        Ok(Tokens {
            account: account.id,
            app: link.app,
            terms: TokenTerms {
                scopes: granted.scopes.clone(),
                consented_at: now,
                access_issued_at: now,
                access_expires_at: now + TimeDelta::seconds(granted.access_life_s),
                refresh_expires_at: granted.refresh.as_ref().map(|_| now + refresh_life),
                refresh_life_s: granted.refresh_life_s,
                renewals_used: 0,
                renewals_max: facts.renewals_max,
                renewing_since: None,
                refreshed_at: now,
                last_error: None,
                failures: 0,
                version: 1,
            },
            secrets: TokenSecrets { access: granted.access.clone(), refresh: granted.refresh.clone() },
        })
    }
}
