//! The pool: tokens of all tenants' accounts are kept fresh, ahead of time, by whichever replica claims them.
//!
//! The claim keeps two replicas from asking for the same account; the version keeps one that was too slow from
//! overwriting what another wrote since. A renewal is written down before it is asked for, its answer is put into the
//! journal before the store, and a renewal whose answer never came is found out by trying the old token: it still
//! works if the renewal was not made.

use chrono::TimeDelta;

use super::{
    super::{
        model::{Account, AccountState, AppCredentials, ConsentEnd, Due, Tokens},
        ports::{Authorizer, PlatformError, RefusalKind},
    },
    Accounts,
    settle_tokens::{Answer, Settled},
};
use crate::{
    accounts::AccountsError,
    kernel::{
        ids::{AccountId, ComplianceId},
        outbox::Origin,
        scope::TenantScope,
    },
};

/// How long a claim holds, in seconds: longer than all tries of all calls that one turn may make.
const CLAIM_S: i64 = 180;

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
}

/// An account ready for its next step.
pub(super) struct Ready {
    pub(super) account: Account,
    pub(super) tokens: Tokens,
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
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "refresh_tokens");
        let mut turn = PoolTurn::default();
        for _ in 0..STEPS_MAX {
            self.take_in(&origin, scope, account).await?;
            let Some(ready) = self.next_step(&origin, scope, account).await? else { return Ok(turn) };
            let answer = self.ask(scope, &ready).await?;
            let settled = self.settle(&origin, scope, &ready, answer).await?;
            match settled {
                Settled::Refreshed => turn.refreshed += 1,
                Settled::Renewed => turn.renewed += 1,
                Settled::Ended => turn.ended += 1,
                Settled::Known => {}
                Settled::Failed => {
                    turn.failed += 1;
                    return Ok(turn);
                }
                // Somebody was faster: what they wrote is newer.
                Settled::Overtaken => return Ok(turn),
            }
        }
        Ok(turn)
    }

    /// Takes in what journals of this machine still hold: renewed tokens that a crash kept from the store.
    ///
    /// # Errors
    /// `Port`.
    pub async fn recover_tokens(&self) -> Result<u32, AccountsError> {
        let origin = Origin::system(ComplianceId::new(&*self.0.ids), "refresh_tokens");
        let mut taken = 0;
        for (scope, account) in self.0.journal.kept().await? {
            taken += u32::from(self.take_in(&origin, scope, account).await?);
        }
        Ok(taken)
    }

    /// The account's next step; `None` when there is none now, and it is scheduled for later.
    async fn next_step(
        &self,
        origin: &Origin,
        scope: TenantScope,
        id: AccountId,
    ) -> Result<Option<Ready>, AccountsError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.lock_account(id).await?;
        let tokens = tx.tokens(id).await?;
        let (Some(account), Some(mut tokens)) = (account, tokens) else {
            tx.schedule_tokens(id, None).await?;
            tx.commit().await?;
            return Ok(None);
        };
        let app = tx.app(account.app).await?;
        let credentials = tx.app_credentials(account.app).await?;
        let (Some(app), Some(credentials)) = (app, credentials) else {
            tx.schedule_tokens(id, None).await?;
            tx.commit().await?;
            return Ok(None);
        };
        let renewal_scope = self.platform(app.platform.as_str())?.facts().renewal_scope;
        let can_renew = renewal_scope.is_none_or(|scope| app.working_scopes().any(|own| own == scope));
        let due = match account.state {
            // Told that consent is gone, but not by the platform's own answer: ask.
            AccountState::ConsentNeeded { .. } => Due::Expire,
            AccountState::Connected => tokens.terms.due(id, can_renew, now),
            AccountState::Unlinked { .. } => {
                tx.remove_tokens(id).await?;
                tx.schedule_tokens(id, None).await?;
                tx.commit().await?;
                return Ok(None);
            }
        };
        match due {
            Due::Nothing(when) => {
                tx.schedule_tokens(id, Some(when)).await?;
                tx.commit().await?;
                return Ok(None);
            }
            Due::Renew => {
                tokens.begin_renewal(now);
                tx.update_tokens(&tokens).await?;
                tokens.terms.version += 1;
                tx.commit().await?;
            }
            // Only read: dropping it gives the locks back before the platform is asked.
            Due::SettleRenewal | Due::Refresh | Due::Expire => drop(tx),
        }
        Ok(Some(Ready { account, tokens, credentials, due }))
    }

    /// Asks the platform. What can't be asked for again goes into the journal first of all.
    async fn ask(&self, scope: TenantScope, ready: &Ready) -> Result<Answer, AccountsError> {
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
                    let _ = self.0.journal.keep(&scope, id, &ready.tokens.asking(), renewed).await;
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
                        if ready.due == Due::SettleRenewal && refusal.kind == RefusalKind::ConsentGone {
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
                | RefusalKind::BadCall => Answer::Refreshed(Err(PlatformError::Refused(refusal))),
            },
            Err(error) => Answer::Refreshed(Err(error)),
        }
    }
}
