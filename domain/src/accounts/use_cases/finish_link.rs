//! The owner answered, by way of the platform.

use chrono::TimeDelta;
use subtle::ConstantTimeEq as _;

use super::{
    super::{
        actions,
        events::AccountFact,
        model::{
            Account, AccountState, AppCredentials, Link, LinkStep, Profile, TokenSecrets, TokenTerms, Tokens,
        },
        ports::{AccountsTx, Granted, PlatformError},
    },
    Accounts, not_answered,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        clock::Timestamp,
        fault::Retry,
        ids::{AccountId, LinkId},
        outbox::{Origin, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

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
    actor: Actor,
    link: Link,
    credentials: AppCredentials,
}

/// The tenant a `state` says it is of.
fn tenant_of(state: &Secret) -> Option<(TenantScope, Token)> {
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
        let granted = match platform.exchange(&scope, &ready.credentials, &code, verifier).await {
            Ok(granted) => granted,
            Err(error) => return self.fail(origin, &ready, error.word()).await,
        };
        // The tokens first: a code works once. Whose they are is told after, if it can be.
        let finished = self.link_account(origin, &ready, &granted).await?;
        let FinishedLink::Linked { account, .. } = finished else { return Ok(finished) };
        let profile = platform.profile(&scope, &ready.credentials, &granted.access, &granted.open_id).await;
        let nickname = self.introduce(origin, &ready, account, profile).await?;
        Ok(FinishedLink::Linked { account, nickname })
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
        let actor = actor.filter(|actor| actor.may(Permission::ManageAccounts));
        let word = match (actor, credentials, &returned.code) {
            (Some(actor), Some(credentials), Some(_)) => {
                return Ok(Ok(Ready { scope, actor, link, credentials }));
            }
            (None, ..) => "session_over",
            (_, None, _) => "app_removed",
            (.., None) => "owner_refused",
        };
        Ok(Err(self.fail_link(origin, scope, link.id, word.to_owned()).await?))
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

    /// Takes down who the owner is; an account without a name is better than none.
    async fn introduce(
        &self,
        origin: &Origin,
        ready: &Ready,
        account: AccountId,
        profile: Result<Profile, PlatformError>,
    ) -> Result<String, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(ready.scope, origin).await?;
        let mut link = tx.lock_link(ready.link.id).await?.ok_or(AccountsError::LinkClosed)?;
        let known = tx.lock_account(account).await?;
        let nickname = match (profile, known) {
            (Ok(profile), Some(mut known)) => {
                link.note(LinkStep::ProfileRead, None, now);
                known.profile = profile;
                tx.update_account(&known).await?;
                known.profile.nickname
            }
            (Ok(_), None) => String::new(),
            (Err(error), known) => {
                link.note(LinkStep::ProfileRead, Some(error.word()), now);
                known.map(|known| known.profile.nickname).unwrap_or_default()
            }
        };
        tx.update_link(&link).await?;
        let record = Record::success(actions::FINISH_LINK, Party::new("account", account.uuid()));
        tx.record(Record { reason: Some("profile_read"), ..record }).await?;
        self.announce(&mut *tx, AccountFact::AccountArranged(account));
        tx.commit().await?;
        Ok(nickname)
    }

    async fn link_account(
        &self,
        origin: &Origin,
        ready: &Ready,
        granted: &Granted,
    ) -> Result<FinishedLink, AccountsError> {
        // Two consents of one owner may arrive together, and both find no account yet: the second reads again.
        let first = self.try_to_link(origin, ready, granted).await;
        match first {
            Err(AccountsError::Port(fault)) if fault.retry == Retry::AfterReread => {
                self.try_to_link(origin, ready, granted).await
            }
            other => other,
        }
    }

    async fn try_to_link(
        &self,
        origin: &Origin,
        ready: &Ready,
        granted: &Granted,
    ) -> Result<FinishedLink, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(ready.scope, origin).await?;
        let mut link = tx.lock_link(ready.link.id).await?.ok_or(AccountsError::LinkClosed)?;
        link.note(LinkStep::CodeExchanged, None, now);
        let known = tx.lock_account_by_open_id(link.app, &granted.open_id).await?;
        // Nobody takes over an account by linking it that they could not reach to move it.
        let reach = Self::reach(&mut *tx, &ready.actor).await?;
        let out_of_reach = |known: &Account| known.group.is_some() && !reach.holds(known.group);
        let other = |again| known.as_ref().is_none_or(|known| known.id != again);
        if known.as_ref().is_some_and(out_of_reach) || link.again.is_some_and(other) {
            drop(tx);
            return self.fail(origin, ready, "other_account".to_owned()).await;
        }
        link.group = link.group.filter(|group| reach.holds(Some(*group)));
        let account = self.upsert(&mut *tx, &link, known, granted).await?;
        let app = Self::app_of(&mut *tx, link.app).await?;
        let tokens = Self::tokens_of(&link, &account, granted, self.renewals_allowed(&app)?, now);
        tx.put_tokens(&tokens).await?;
        tx.hurry_tokens(account.id, now + TimeDelta::minutes(1)).await?;
        link.succeed(account.id, now);
        tx.update_link(&link).await?;
        let mut record = Record::success(actions::FINISH_LINK, Party::new("account", account.id.uuid()));
        record.actor = Some(Party::new("member", link.member.uuid()));
        record.session = Some(link.session.uuid());
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
    ) -> Result<Account, AccountsError> {
        let groups = tx.groups().await?;
        // The group may have been taken away meanwhile.
        let group = link.group.filter(|wanted| groups.iter().any(|group| group.id == *wanted));
        if let Some(mut account) = known {
            account.connect();
            account.group = group.or(account.group);
            tx.update_account(&account).await?;
            return Ok(account);
        }
        let account = Account {
            id: AccountId::new(&*self.0.ids),
            app: link.app,
            platform: link.platform.clone(),
            open_id: granted.open_id.clone(),
            profile: Profile::default(),
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
        link: &Link,
        account: &Account,
        granted: &Granted,
        renewals_max: u32,
        now: Timestamp,
    ) -> Tokens {
        let refresh_life = TimeDelta::seconds(granted.refresh_life_s);
        Tokens {
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
                renewals_max,
                renewing_since: None,
                refreshed_at: now,
                last_error: None,
                failures: 0,
                version: 1,
            },
            secrets: TokenSecrets { access: granted.access.clone(), refresh: granted.refresh.clone() },
        }
    }
}
