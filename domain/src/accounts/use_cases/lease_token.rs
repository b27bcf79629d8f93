//! A token is lent to whoever acts for an account.

use chrono::TimeDelta;

use super::{
    super::model::{AccountState, AppCredentials},
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        clock::Timestamp, fault::PortError, ids::AccountId, outbox::Origin, platform::PlatformKey,
        scope::TenantScope, secret::Secret,
    },
};

/// What a token lent must still live, in minutes.
const LEAST_MINUTES: i64 = 5;

/// An access token, to be used now.
#[derive(Clone, Debug)]
pub struct TokenLease {
    /// The account it lets one act for.
    pub account: AccountId,
    /// The platform it is of.
    pub platform: PlatformKey,
    /// The token.
    pub access: Secret,
    /// What the platform calls the account to this app.
    pub open_id: String,
    /// The app.
    pub credentials: AppCredentials,
    /// When the token ends.
    pub expires_at: Timestamp,
    /// The version of the tokens it is of: told back when the platform refuses it.
    pub version: u64,
}

impl Accounts {
    /// Lends the access token of an account, a fresh one if need be.
    ///
    /// # Errors
    /// `NotFound`, `Paused`, `ConsentNeeded`, `Port`.
    pub async fn lease_token(
        &self,
        origin: &Origin,
        scope: TenantScope,
        account: AccountId,
    ) -> Result<TokenLease, AccountsError> {
        let now = self.0.clock.now();
        let (lease, good) = self.read_lease(origin, scope, account).await?;
        if good {
            return Ok(lease);
        }
        // Who does not get the claim finds somebody else at it, and takes what there is while it lives.
        if self.0.schedule.claim_one(scope, account, now, Self::lease()).await? {
            self.refresh_tokens(scope, account).await?;
        }
        let (lease, _) = self.read_lease(origin, scope, account).await?;
        if lease.expires_at > self.0.clock.now() {
            return Ok(lease);
        }
        // The consent is alive as far as anybody knows; there is no token of it just now.
        Err(PortError::passing("accounts.tokens", "no token works just now").into())
    }

    async fn read_lease(
        &self,
        origin: &Origin,
        scope: TenantScope,
        id: AccountId,
    ) -> Result<(TokenLease, bool), AccountsError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.account(id).await?.ok_or(AccountsError::NotFound { field: "id" })?;
        match account.state {
            AccountState::Connected => {}
            AccountState::ConsentNeeded { .. } | AccountState::Unlinked { .. } => {
                return Err(AccountsError::ConsentNeeded);
            }
        }
        if account.paused.is_some() {
            return Err(AccountsError::Paused);
        }
        let tokens = tx.tokens(id).await?.ok_or(AccountsError::ConsentNeeded)?;
        let credentials = tx.app_credentials(account.app).await?.ok_or(AccountsError::ConsentNeeded)?;
        let now = self.0.clock.now();
        // While refreshing fails it is left to the pool, which knows when to try again.
        let failing = tokens.terms.failures > 0 && now < tokens.terms.access_expires_at;
        let good = failing || tokens.lasts(TimeDelta::minutes(LEAST_MINUTES), now);
        let lease = TokenLease {
            account: account.id,
            platform: account.platform,
            expires_at: tokens.terms.access_expires_at,
            version: tokens.terms.version,
            access: tokens.secrets.access,
            open_id: account.open_id,
            credentials,
        };
        Ok((lease, good))
    }
}
