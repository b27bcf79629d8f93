//! A consent comes to its end, because the platform says so, by its answers or of its own accord.

use super::{
    super::{
        actions,
        events::AccountFact,
        model::{Account, AccountState, ConsentEnd},
        ports::{AccountsTx, PlatformNews},
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        ids::{AccountId, AppId},
        outbox::{Origin, Party, Record},
        scope::TenantScope,
    },
};

/// News that is the platform's own word.
#[derive(Debug)]
pub struct VerifiedNews {
    scope: TenantScope,
    app: AppId,
    news: PlatformNews,
}

/// What came of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewsEnd {
    /// Nothing more is to be done.
    Taken,
    /// The platform wants to hear this, as JSON.
    Answer(String),
    /// A post of an account has other figures than before.
    PostStirred {
        /// Whose.
        scope: TenantScope,
        /// The account.
        account: AccountId,
        /// The platform's name for the post.
        item: String,
    },
}

impl Accounts {
    /// Ends a consent, once: one event, one notice. `false` when it had ended.
    ///
    /// # Errors
    /// `Port`.
    pub async fn revoke_consent(
        &self,
        tx: &mut dyn AccountsTx,
        mut account: Account,
        end: ConsentEnd,
    ) -> Result<bool, AccountsError> {
        if !account.end_consent(end, self.0.clock.now()) {
            return Ok(false);
        }
        tx.update_account(&account).await?;
        let record = Record::success(actions::REVOKE_CONSENT, Party::new("account", account.id.uuid()));
        tx.record(Record { reason: Some(end.as_str()), ..record }).await?;
        self.announce(tx, AccountFact::ConsentNeeded(account.id));
        Ok(true)
    }

    /// News that is signed by the platform with the secret of an app there is; `None` for anything else. Nothing is
    /// changed.
    ///
    /// # Errors
    /// `Port`.
    pub async fn verify_news(
        &self,
        origin: &Origin,
        scope: TenantScope,
        app: AppId,
        signature: &str,
        body: &[u8],
    ) -> Result<Option<VerifiedNews>, AccountsError> {
        let mut tx = self.0.units.begin(scope, origin).await?;
        let (Some(app), Some(credentials)) = (tx.app(app).await?, tx.app_credentials(app).await?) else {
            return Ok(None);
        };
        let news = self.platform(app.platform.as_str())?.news(&credentials, signature, body);
        Ok(news.map(|news| VerifiedNews { scope, app: app.id, news }))
    }

    /// Takes news in: what came of it.
    ///
    /// That consent was taken back is believed at once and then asked about: nothing in such a message says when it was
    /// sent, so an old one sent again must not cost an account whose owner has consented since.
    ///
    /// # Errors
    /// `Port`.
    pub async fn receive_news(
        &self,
        origin: &Origin,
        verified: VerifiedNews,
    ) -> Result<NewsEnd, AccountsError> {
        let (open_id, item) = match verified.news {
            PlatformNews::Challenge(answer) => return Ok(NewsEnd::Answer(answer)),
            PlatformNews::Other => return Ok(NewsEnd::Taken),
            PlatformNews::ConsentRevoked { open_id } => (open_id, None),
            PlatformNews::PostStirred { open_id, item } => (open_id, Some(item)),
        };
        let now = self.0.clock.now();
        let scope = verified.scope;
        let mut tx = self.0.units.begin(scope, origin).await?;
        let account = tx.lock_account_by_open_id(verified.app, &open_id).await?;
        let given_up = |account: &Account| matches!(account.state, AccountState::Unlinked { .. });
        let Some(mut account) = account.filter(|account| !given_up(account)) else {
            return Ok(NewsEnd::Taken);
        };
        let id = account.id;
        if let Some(item) = item {
            return Ok(NewsEnd::PostStirred { scope, account: id, item });
        }
        if account.state == AccountState::Connected {
            self.revoke_consent(&mut *tx, account, ConsentEnd::Revoked).await?;
        } else {
            account.doubt_again(now);
            tx.update_account(&account).await?;
        }
        tx.hurry_tokens(id, now).await?;
        tx.commit().await?;
        Ok(NewsEnd::Taken)
    }

    /// The header a platform's signature is in; `None` when there is no such platform.
    pub fn signature_header(&self, platform: &str) -> Option<&'static str> {
        self.0.platforms.get(platform).map(|platform| platform.signature_header())
    }
}
