//! A tenant's credentials on a platform are taken in, changed, or thrown away.

use super::{
    super::{
        actions,
        model::{App, AppState, Reach, scopes},
        ports::{AccountQuery, AccountsTx},
    },
    Accounts,
};
use crate::{
    accounts::AccountsError,
    kernel::{
        actor::{Actor, Permission},
        ids::AppId,
        name::display_name,
        outbox::Party,
        page::{Direction, Key, PageRequest},
        secret::Secret,
    },
};

/// Longest client key or secret, in bytes.
const CREDENTIAL_MAX_BYTES: usize = 256;

/// What an app is registered with.
#[derive(Clone, Debug)]
pub struct AppDraft {
    /// The platform's name.
    pub platform: String,
    /// What the tenant calls it.
    pub name: String,
    /// What the platform calls it.
    pub client_key: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the platform granted it.
    pub scopes: Vec<String>,
}

/// What is to be different; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct AppChange {
    /// Its name.
    pub name: Option<String>,
    /// Its secret.
    pub client_secret: Option<Secret>,
    /// What the platform granted it. Those said to be switched off are taken to work again.
    pub scopes: Option<Vec<String>>,
}

fn credential(field: &'static str, bytes: &[u8]) -> Result<(), AccountsError> {
    let good =
        !bytes.is_empty() && bytes.len() <= CREDENTIAL_MAX_BYTES && bytes.iter().all(u8::is_ascii_graphic);
    if good {
        return Ok(());
    }
    Err(AccountsError::Invalid {
        field,
        problem: "must be as the platform shows it: 1 to 256 characters, no spaces",
    })
}

fn invalid(field: &'static str) -> impl Fn(&'static str) -> AccountsError {
    move |problem| AccountsError::Invalid { field, problem }
}

impl Accounts {
    /// Takes credentials in.
    ///
    /// # Errors
    /// `Denied`, `PlatformUnknown`, `Invalid`, `AppTaken`, `Port`.
    pub async fn register_app(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        draft: AppDraft,
    ) -> Result<AppId, AccountsError> {
        actor.require(Permission::ManageApps)?;
        let platform = self.platform(&draft.platform)?.facts().key.clone();
        credential("clientKey", draft.client_key.as_bytes())?;
        credential("clientSecret", draft.client_secret.expose())?;
        let app = App {
            id: AppId::new(&*self.0.ids),
            platform,
            name: display_name(&draft.name).map_err(invalid("name"))?,
            client_key: draft.client_key,
            scopes: scopes(draft.scopes).map_err(invalid("scopes"))?,
            scopes_off: Vec::new(),
            state: AppState::Active,
            created_at: self.0.clock.now(),
            version: 1,
        };
        if !tx.add_app(&app, &draft.client_secret).await? {
            return Err(AccountsError::AppTaken);
        }
        Self::done(tx, actions::REGISTER_APP, Party::new("app", app.id.uuid())).await?;
        Ok(app.id)
    }

    /// Changes credentials. Whoever changes them has seen to what the platform switched off.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `Invalid`, `Port`.
    pub async fn change_app(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AppId,
        change: AppChange,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageApps)?;
        let mut app = tx.app(id).await?.ok_or(AccountsError::NotFound { field: "id" })?;
        if let Some(name) = change.name {
            app.name = display_name(&name).map_err(invalid("name"))?;
        }
        if let Some(secret) = &change.client_secret {
            credential("clientSecret", secret.expose())?;
        }
        if let Some(list) = change.scopes {
            app.scopes = scopes(list).map_err(invalid("scopes"))?;
            app.scopes_off.clear();
        }
        app.state = AppState::Active;
        tx.update_app(&app, change.client_secret.as_ref()).await?;
        self.hurry_accounts(tx, id).await?;
        Self::done(tx, actions::CHANGE_APP, Party::new("app", id.uuid())).await
    }

    /// Has the pool look at all accounts of an app: what it may do has changed, and with it when consents end.
    async fn hurry_accounts(&self, tx: &mut dyn AccountsTx, app: AppId) -> Result<(), AccountsError> {
        let query =
            AccountQuery { reach: Reach::All, groups: None, app: Some(app), tags: Vec::new(), state: None };
        let mut from = None;
        loop {
            let request = PageRequest { limit: 100, from, direction: Direction::Forward };
            let page = tx.accounts(&query, request).await?;
            for account in &page.items {
                tx.hurry_tokens(account.id, self.0.clock.now()).await?;
            }
            from = page.items.last().map(|last| Key { at: last.created_at, id: last.id.uuid() });
            if !page.more || from.is_none() {
                return Ok(());
            }
        }
    }

    /// Throws credentials away.
    ///
    /// # Errors
    /// `Denied`, `NotFound`, `AppInUse`, `Port`.
    pub async fn remove_app(
        &self,
        tx: &mut dyn AccountsTx,
        actor: &Actor,
        id: AppId,
    ) -> Result<(), AccountsError> {
        actor.require(Permission::ManageApps)?;
        tx.app(id).await?.ok_or(AccountsError::NotFound { field: "id" })?;
        let count = tx.accounts_of_app(id).await?;
        if count > 0 {
            return Err(AccountsError::AppInUse { count });
        }
        tx.remove_app(id).await?;
        Self::done(tx, actions::REMOVE_APP, Party::new("app", id.uuid())).await
    }
}
