//! What the platform answered is put into the store.

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::AccountFact,
        model::{Account, AccountState, AppState, ConsentEnd, Profile, Refreshed, Renewed, Tokens, backoff},
        ports::{AccountsTx, PlatformError, Refusal, RefusalKind},
    },
    Accounts,
    refresh_tokens::Ready,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        ids::AccountId,
        outbox::{Origin, Outcome, Party, Record},
        scope::TenantScope,
    },
};

/// How often a platform must say that there are no more renewals, when by our own count there are.
const RENEWAL_DOUBTS: u32 = 5;

/// How long an account of an app that the platform switched off is left alone, in hours.
const APP_OFF_HOURS: i64 = 6;

/// What was found out about an account.
pub(super) enum Answer {
    /// An access token was asked for.
    Refreshed(Result<Refreshed, PlatformError>),
    /// A refresh token was asked for.
    Renewed(Result<Renewed, PlatformError>),
    /// The refresh token is dead and the one it was renewed to is lost.
    RenewalLost,
    /// The refresh token does not work, the access token does.
    LetsIn(Profile),
    /// Nothing works.
    Over(ConsentEnd),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// A newer access token is in the store.
    Refreshed,
    /// A newer refresh token is in the store.
    Renewed,
    /// The consent is over.
    Ended,
    /// Something else was learnt; go on.
    Known,
    /// Nothing; try again later.
    Failed,
    /// The tokens in the store are others by now.
    Overtaken,
}

impl Accounts {
    /// Stores an answer, unless the tokens it belongs to are not the ones in the store any more.
    pub(super) async fn settle(
        &self,
        origin: &Origin,
        scope: TenantScope,
        ready: &Ready,
        answer: Answer,
    ) -> Result<Settled, AccountsError> {
        let id = ready.account.id;
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.lock_account(id).await?;
        let tokens = tx.tokens(id).await?.filter(|kept| kept.terms.version == ready.tokens.terms.version);
        let (Some(account), Some(tokens)) = (account, tokens) else {
            return Ok(Settled::Overtaken);
        };
        let settled = self.apply(&mut *tx, ready, account, tokens, answer).await?;
        tx.commit().await?;
        if settled == Settled::Renewed {
            self.0.journal.forget(&scope, id).await?;
        }
        Ok(settled)
    }

    async fn apply(
        &self,
        tx: &mut dyn AccountsTx,
        ready: &Ready,
        account: Account,
        mut tokens: Tokens,
        answer: Answer,
    ) -> Result<Settled, AccountsError> {
        let (id, now) = (account.id, self.0.clock.now());
        match answer {
            Answer::Refreshed(Ok(refreshed)) => {
                tokens.take(refreshed, now);
                self.keep(tx, &tokens, "refreshed").await?;
                self.confirm(tx, ready, account, None).await?;
                Ok(Settled::Refreshed)
            }
            Answer::Renewed(Ok(renewed)) => {
                tokens.renew(renewed, now);
                self.keep(tx, &tokens, "renewed").await?;
                Ok(Settled::Renewed)
            }
            Answer::RenewalLost => {
                tokens.renewal_lost();
                tx.update_tokens(&tokens).await?;
                Self::took_down(tx, id, Outcome::Failure, "renewal_lost").await?;
                self.announce(tx, AccountFact::RefreshFailed(id));
                Ok(Settled::Known)
            }
            Answer::LetsIn(profile) => self.let_in(tx, ready, account, tokens, profile).await,
            Answer::Over(end) => {
                self.revoke_consent(tx, account, end).await?;
                tx.remove_tokens(id).await?;
                tx.schedule_tokens(id, None).await?;
                Ok(Settled::Ended)
            }
            Answer::Refreshed(Err(error)) => {
                // What was not told about a renewal stays open until it is.
                tokens.terms.fail(error.word());
                self.failed(tx, ready, &tokens, &error).await
            }
            Answer::Renewed(Err(error)) => {
                match &error {
                    // One code may stand for "no more" and for "not so often": while our own count has some left, ask again.
                    PlatformError::Refused(Refusal { kind: RefusalKind::RenewalsOver, .. })
                        if tokens.terms.renewals_left() == 0 || tokens.terms.failures >= RENEWAL_DOUBTS =>
                    {
                        tokens.renewals_over(error.word());
                        tx.update_tokens(&tokens).await?;
                        Self::took_down(tx, id, Outcome::Refused, "renewals_over").await?;
                        return Ok(Settled::Known);
                    }
                    PlatformError::Refused(_) | PlatformError::NotDone(_) => {
                        tokens.renewal_undone(error.word());
                    }
                    PlatformError::Unknown(_) => tokens.terms.fail(error.word()),
                }
                if let PlatformError::Refused(refusal) = &error {
                    self.heed_renewal(tx, ready, *refusal).await?;
                }
                self.failed(tx, ready, &tokens, &error).await
            }
        }
    }

    async fn keep(
        &self,
        tx: &mut dyn AccountsTx,
        tokens: &Tokens,
        how: &'static str,
    ) -> Result<(), AccountsError> {
        tx.update_tokens(tokens).await?;
        Self::took_down(tx, tokens.account, Outcome::Success, how).await?;
        self.announce(tx, AccountFact::TokensRefreshed(tokens.account));
        Ok(())
    }

    async fn took_down(
        tx: &mut dyn AccountsTx,
        id: AccountId,
        outcome: Outcome,
        reason: &'static str,
    ) -> Result<(), AccountsError> {
        let record = Record::success(actions::REFRESH_TOKENS, Party::new("account", id.uuid()));
        Ok(tx.record(Record { outcome, reason: Some(reason), ..record }).await?)
    }

    /// The platform let us in: the consent is alive, whatever was said of it before, unless it was said since; and so is
    /// the app.
    async fn confirm(
        &self,
        tx: &mut dyn AccountsTx,
        ready: &Ready,
        mut account: Account,
        profile: Option<Profile>,
    ) -> Result<(), AccountsError> {
        let id = account.id;
        if account.state != AccountState::Connected && account.version == ready.account.version {
            account.connect();
            account.profile = profile.unwrap_or(account.profile);
            tx.update_account(&account).await?;
            Self::took_down(tx, id, Outcome::Success, "consent_confirmed").await?;
            self.announce(tx, AccountFact::AccountLinked(id));
        }
        if ready.app.state == AppState::SwitchedOff
            && let Some(mut app) = tx.app(ready.app.id).await?.filter(|app| app.version == ready.app.version)
        {
            app.state = AppState::Active;
            tx.update_app(&app, None).await?;
        }
        Ok(())
    }

    /// The access token works although the refresh token does not, or there is none.
    async fn let_in(
        &self,
        tx: &mut dyn AccountsTx,
        ready: &Ready,
        account: Account,
        mut tokens: Tokens,
        profile: Profile,
    ) -> Result<Settled, AccountsError> {
        let id = account.id;
        if tokens.secrets.refresh.is_some() {
            tokens.refresh_dead();
            tx.update_tokens(&tokens).await?;
            Self::took_down(tx, id, Outcome::Failure, "refresh_token_dead").await?;
            self.announce(tx, AccountFact::RefreshFailed(id));
        }
        self.confirm(tx, ready, account, Some(profile)).await?;
        Ok(Settled::Known)
    }

    /// Nothing was got: a fault that may pass never disconnects an account.
    async fn failed(
        &self,
        tx: &mut dyn AccountsTx,
        ready: &Ready,
        tokens: &Tokens,
        error: &PlatformError,
    ) -> Result<Settled, AccountsError> {
        let (id, now) = (tokens.account, self.0.clock.now());
        let mut again = backoff(id, tokens.terms.failures, now);
        if let PlatformError::Refused(refusal) = error
            && refusal.kind == RefusalKind::AppOff
        {
            Self::heed(tx, ready).await?;
            // The platform said stop, to all accounts of the app: each looks again a few times a day, for when it is over.
            again += TimeDelta::hours(APP_OFF_HOURS);
        }
        tx.update_tokens(tokens).await?;
        Self::took_down(tx, id, Outcome::Failure, reason_of(error)).await?;
        self.announce(tx, AccountFact::RefreshFailed(id));
        tx.schedule_tokens(id, Some(again)).await?;
        Ok(Settled::Failed)
    }

    /// Learns that the platform has switched the app off: its accounts are not to blame, and none is disconnected for it.
    /// Somebody who has changed the app since knows better.
    async fn heed(tx: &mut dyn AccountsTx, ready: &Ready) -> Result<(), AccountsError> {
        let app = tx.app(ready.app.id).await?;
        if let Some(mut app) = app.filter(|app| app.version == ready.app.version) {
            app.state = AppState::SwitchedOff;
            tx.update_app(&app, None).await?;
        }
        Ok(())
    }

    /// Learns that the app may not renew: it is not asked for again until somebody sees to the app's scopes.
    async fn heed_renewal(
        &self,
        tx: &mut dyn AccountsTx,
        ready: &Ready,
        refusal: Refusal,
    ) -> Result<(), AccountsError> {
        if !matches!(refusal.kind, RefusalKind::AppLacks | RefusalKind::AbilityOff) {
            return Ok(());
        }
        let Some(mut app) = tx.app(ready.app.id).await? else { return Ok(()) };
        let renewal = self.platform(app.platform.as_str())?.facts().renewal_scope;
        if renewal.is_some_and(|scope| app.lose_scope(scope)) {
            tx.update_app(&app, None).await?;
        }
        Ok(())
    }

    /// Takes a renewed token out of the journal and into the store, where a crash came between; `false` when there is
    /// none, or none of use.
    pub(super) async fn take_in(
        &self,
        origin: &Origin,
        scope: TenantScope,
        id: AccountId,
    ) -> Result<bool, AccountsError> {
        let read = self.0.journal.read(&scope, id).await;
        // Its tenant may be gone, with the keys that would open it.
        if read.is_err() && self.0.units.begin(scope, origin).await?.account(id).await?.is_none() {
            self.0.journal.forget(&scope, id).await?;
            return Ok(false);
        }
        let Some((asked, renewed)) = read? else { return Ok(false) };
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.lock_account(id).await?;
        let tokens = tx.tokens(id).await?.filter(|kept| kept.awaits(&asked));
        let taken = match (account, tokens) {
            (Some(_), Some(mut tokens)) => {
                tokens.renew(renewed, self.0.clock.now());
                self.keep(&mut *tx, &tokens, "recovered").await?;
                // It may have been put off to the end of the access token.
                tx.hurry_tokens(id, self.0.clock.now()).await?;
                tx.commit().await?;
                true
            }
            _ => false,
        };
        self.0.journal.forget(&scope, id).await?;
        Ok(taken)
    }
}

const fn reason_of(error: &PlatformError) -> &'static str {
    match error {
        PlatformError::Refused(refusal) => refusal.kind.as_str(),
        PlatformError::NotDone(_) => "not_done",
        PlatformError::Unknown(_) => "no_answer",
    }
}
