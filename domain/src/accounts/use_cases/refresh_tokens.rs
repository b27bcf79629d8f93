//! The pool: tokens of all tenants' accounts are kept fresh, ahead of time, by whichever replica claims them.
//!
//! The claim keeps two replicas from asking for the same account; the version keeps one that was too slow from
//! overwriting what another wrote since. A renewal is written down before it is asked for, its answer is put into the
//! journal before the store, and a renewal whose answer never came is found out by trying the old token: it still
//! works if the renewal was not made.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;

use super::{
    super::{
        model::{Account, AccountState, App, AppCredentials, ConsentEnd, Due, Tokens, backoff},
        ports::{AccountsUnit, Authorizer, PlatformError, RefusalKind},
    },
    Accounts,
    settle_tokens::{Answer, Settled},
};
use crate::{
    accounts::AccountsError,
    kernel::{
        clock::Timestamp,
        ids::{AccountId, ComplianceId},
        outbox::Origin,
        scope::TenantScope,
    },
};

/// How long a claim holds, in seconds: longer than all tries of all calls that one turn may make.
const CLAIM_S: i64 = 180;

/// A renewal is begun this long after the claim at the latest, in seconds: its call must end within the claim.
const RENEW_WITHIN_S: i64 = 60;

/// Steps one account is taken through in a turn: settle, refresh, renew, and a look at what is next.
const STEPS_MAX: u32 = 4;

/// What a turn on one account came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTurn {
    /// Access tokens got.
    pub refreshed: u32,
    /// Refresh tokens got.
    pub renewed: u32,
    /// Tries that brought nothing, and are made again.
    pub failed: u32,
    /// Consents found to be over.
    pub ended: u32,
    /// Renewed tokens that could not be written into, or read from, the journal.
    pub unkept: u32,
}

/// An account ready for its next step.
pub(super) struct Ready {
    pub(super) account: Account,
    pub(super) tokens: Tokens,
    pub(super) app: App,
    pub(super) credentials: AppCredentials,
    pub(super) due: Due,
}

/// Whether a refusal says that there may be no consent any more.
const fn ends(kind: RefusalKind) -> bool {
    matches!(kind, RefusalKind::ConsentGone | RefusalKind::OwnerGone)
}

impl Accounts {
    /// The claim one account is under while something is done about its tokens.
    pub(super) const fn lease() -> TimeDelta {
        TimeDelta::seconds(CLAIM_S)
    }

    /// Claims up to `most` accounts, of all tenants, for this replica to tend now.
    ///
    /// # Errors
    /// `Port`.
    pub async fn claim_due(&self, most: u32) -> Result<Vec<(TenantScope, AccountId)>, AccountsError> {
        Ok(self.0.schedule.claim(self.0.clock.now(), most, Self::lease()).await?)
    }

    /// Does what is due for an account that was claimed, and says when to come back.
    ///
    /// # Errors
    /// `Port`: the store did not answer. What was got from the platform is in the journal then, if it can't be got
    /// again; the account comes back when its claim runs out.
    pub async fn refresh_tokens(
        &self,
        scope: TenantScope,
        account: AccountId,
    ) -> Result<PoolTurn, AccountsError> {
        let origin = self.pool_origin();
        let claimed_at = self.0.clock.now();
        let mut turn = PoolTurn::default();
        // What can't be read just now is read later: a token is waited for as long as its consent lasts.
        turn.unkept += u32::from(self.take_in(&origin, scope, account).await.is_err());
        for _ in 0..STEPS_MAX {
            let Some(ready) = self.next_step(&origin, scope, account, claimed_at).await? else { break };
            let answer = self.ask(scope, &ready, &mut turn).await?;
            match self.settle(&origin, scope, &ready, answer).await? {
                Settled::Refreshed => turn.refreshed += 1,
                Settled::Renewed => turn.renewed += 1,
                Settled::Ended => turn.ended += 1,
                Settled::Known => {}
                Settled::Failed => {
                    turn.failed += 1;
                    break;
                }
                Settled::Overtaken => {
                    // What somebody else wrote is newer, but for a renewed token: that one is in the journal.
                    turn.unkept += u32::from(self.take_in(&origin, scope, account).await.is_err());
                    break;
                }
            }
        }
        Ok(turn)
    }

    fn pool_origin(&self) -> Origin {
        Origin::system(ComplianceId::new(&*self.0.ids), "refresh_tokens")
    }

    /// Takes in what the journal of this machine holds of one account; `false` when that is nothing of use.
    ///
    /// # Errors
    /// `Port`: it is still there.
    pub async fn recover_token(&self, scope: TenantScope, account: AccountId) -> Result<bool, AccountsError> {
        self.take_in(&self.pool_origin(), scope, account).await
    }

    /// Accounts that the journal of this machine holds renewed tokens of, which did not get into the store at once.
    ///
    /// # Errors
    /// `Port`.
    pub async fn unrecovered(&self) -> Result<Vec<(TenantScope, AccountId)>, AccountsError> {
        Ok(self.0.journal.kept().await?)
    }

    /// Begins no renewal from now on: the process is about to end, and their answers must not.
    pub fn stop_renewing(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    /// The account's next step; `None` when there is none now, and it is scheduled for later.
    async fn next_step(
        &self,
        origin: &Origin,
        scope: TenantScope,
        id: AccountId,
        claimed_at: Timestamp,
    ) -> Result<Option<Ready>, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.lock_account(id).await?;
        let tokens = tx.tokens(id).await?;
        let (Some(account), Some(mut tokens)) = (account, tokens) else {
            return Self::put_off(tx, id, None).await;
        };
        let app = tx.app(account.app).await?;
        let credentials = tx.app_credentials(account.app).await?;
        let (Some(app), Some(credentials)) = (app, credentials) else {
            return Self::put_off(tx, id, None).await;
        };
        let allowed = self.renewals_allowed(&app)?;
        if tokens.allow_renewals(allowed) {
            tx.update_tokens(&tokens).await?;
            tokens.terms.version += 1;
        }
        let due = match account.state {
            AccountState::Connected => tokens.terms.due(id, now),
            // Told that consent is gone, but not by the platform's own answer: ask, with what tells most.
            AccountState::ConsentNeeded { .. } if tokens.secrets.refresh.is_some() => Due::Refresh,
            AccountState::ConsentNeeded { .. } => Due::Expire,
            AccountState::Unlinked { .. } => {
                tx.remove_tokens(id).await?;
                return Self::put_off(tx, id, None).await;
            }
        };
        match due {
            Due::Nothing(when) => return Self::put_off(tx, id, Some(when)).await,
            // Given back, and claimed anew by whoever is next: a renewal's call must end within the claim, and before
            // the process does.
            Due::Renew
                if self.1.load(Ordering::Relaxed)
                    || now - claimed_at > TimeDelta::seconds(RENEW_WITHIN_S) =>
            {
                return Self::put_off(tx, id, Some(now)).await;
            }
            Due::Renew if self.0.journal.ready(&scope).await.is_err() => {
                // Its answer could not be written down: not asked for while the access token lives on without.
                tokens.terms.fail("no journal");
                tx.update_tokens(&tokens).await?;
                return Self::put_off(tx, id, Some(backoff(id, tokens.terms.failures, now))).await;
            }
            Due::Renew => {
                tokens.begin_renewal(now);
                tx.update_tokens(&tokens).await?;
                tokens.terms.version += 1;
                tx.commit().await?;
            }
            // No lock is held while the platform is asked.
            Due::SettleRenewal | Due::Refresh | Due::Expire => tx.commit().await?,
        }
        Ok(Some(Ready { account, tokens, app, credentials, due }))
    }

    /// Nothing is to be done now: says when to come back, and gives the claim back.
    async fn put_off(
        mut tx: Box<dyn AccountsUnit>,
        id: AccountId,
        when: Option<Timestamp>,
    ) -> Result<Option<Ready>, AccountsError> {
        tx.schedule_tokens(id, when).await?;
        tx.commit().await?;
        Ok(None)
    }

    /// Renewals that the platform allows in a consent to this app.
    pub(super) fn renewals_allowed(&self, app: &App) -> Result<u32, AccountsError> {
        let facts = self.platform(app.platform.as_str())?.facts();
        let may = facts.renewal_scope.is_none_or(|scope| app.working_scopes().any(|own| own == scope));
        Ok(if may { facts.renewals_max } else { 0 })
    }

    /// Asks the platform. What can't be asked for again goes into the journal first of all.
    async fn ask(
        &self,
        scope: TenantScope,
        ready: &Ready,
        turn: &mut PoolTurn,
    ) -> Result<Answer, AccountsError> {
        let platform = self.platform(ready.account.platform.as_str())?;
        let (credentials, id) = (&ready.credentials, ready.account.id);
        let Some(refresh) = ready.tokens.secrets.refresh.as_ref().filter(|_| ready.due != Due::Expire) else {
            return Ok(self.still_lets_in(platform.as_ref(), scope, ready).await);
        };
        match ready.due {
            Due::Renew => {
                let answer = platform.renew(&scope, credentials, refresh).await;
                if let Ok(renewed) = &answer {
                    // The store is next; if the journal can't be written, only a crash before that loses the token.
                    let kept = self.0.journal.keep(&scope, id, &ready.tokens.asking(), renewed).await;
                    turn.unkept += u32::from(kept.is_err());
                }
                match answer {
                    Err(PlatformError::Refused(refusal)) if ends(refusal.kind) => {
                        Ok(self.still_lets_in(platform.as_ref(), scope, ready).await)
                    }
                    answer => Ok(Answer::Renewed(answer)),
                }
            }
            Due::Refresh | Due::SettleRenewal | Due::Expire | Due::Nothing(_) => {
                match platform.refresh(&scope, credentials, refresh).await {
                    Err(PlatformError::Refused(refusal)) if ends(refusal.kind) => {
                        // Asked for, never answered, and the old one is dead: it was made.
                        let renewing = ready.tokens.terms.renewing_since.is_some();
                        if renewing && refusal.kind == RefusalKind::ConsentGone {
                            return Ok(Answer::RenewalLost);
                        }
                        Ok(self.still_lets_in(platform.as_ref(), scope, ready).await)
                    }
                    answer => Ok(Answer::Refreshed(answer)),
                }
            }
        }
    }

    /// Whether the access token still works: what decides, when a refresh token does not.
    async fn still_lets_in(&self, platform: &dyn Authorizer, scope: TenantScope, ready: &Ready) -> Answer {
        let (now, terms) = (self.0.clock.now(), &ready.tokens.terms);
        if now >= terms.access_expires_at && terms.refresh_expires_at.is_none_or(|end| now >= end) {
            return Answer::Over(ConsentEnd::Expired);
        }
        let access = &ready.tokens.secrets.access;
        match platform.profile(&scope, &ready.credentials, access, &ready.account.open_id).await {
            Ok(profile) => Answer::LetsIn(profile),
            Err(PlatformError::Refused(refusal)) => match refusal.kind {
                RefusalKind::TokenDead | RefusalKind::ConsentGone => {
                    Answer::Over(match ready.account.state {
                        AccountState::ConsentNeeded { end, .. } => end,
                        AccountState::Connected | AccountState::Unlinked { .. } => ConsentEnd::Refused,
                    })
                }
                RefusalKind::OwnerGone => Answer::Over(ConsentEnd::OwnerGone),
                RefusalKind::NotGranted
                | RefusalKind::RenewalsOver
                | RefusalKind::AppLacks
                | RefusalKind::AppWrong
                | RefusalKind::AppOff
                | RefusalKind::AbilityOff
                | RefusalKind::QuotaUsedUp
                | RefusalKind::PostsUsedUp
                | RefusalKind::ContentRefused
                | RefusalKind::MediumRefused
                | RefusalKind::PostingBarred
                | RefusalKind::BadCall => Answer::Refreshed(Err(PlatformError::Refused(refusal))),
            },
            Err(error) => Answer::Refreshed(Err(error)),
        }
    }
}
