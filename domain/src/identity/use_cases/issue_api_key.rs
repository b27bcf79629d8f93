//! A machine gets a key, or loses it.

use chrono::TimeDelta;

use super::{
    super::{
        actions,
        events::IdentityFact,
        model::{API_KEY_MAX_DAYS, ApiKey},
        ports::IdentityTx,
    },
    Identity,
    open_tenant::named,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission},
        ids::ApiKeyId,
        outbox::Party,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// What a key is asked for with.
#[derive(Clone, Debug)]
pub struct ApiKeyDraft {
    /// What it is called.
    pub name: String,
    /// What it shall allow; at least one, and nothing its issuer may not.
    pub scopes: Vec<Permission>,
    /// How long it shall work, in days, 1..=365.
    pub days: i64,
}

/// A key, shown once.
#[derive(Clone, Debug)]
pub struct IssuedApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its text.
    pub key: Secret,
}

impl Identity {
    /// Issues a key.
    ///
    /// # Errors
    /// `Denied` (also when a scope is asked that the issuer lacks), `NeedsMember`, `Invalid`, `Port`.
    pub async fn issue_api_key(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        draft: ApiKeyDraft,
    ) -> Result<IssuedApiKey, IdentityError> {
        actor.require(Permission::ManageApiKeys)?;
        let issued_by = actor.member().ok_or(IdentityError::NeedsMember)?;
        let name = named("name", &draft.name)?;
        if !(1..=API_KEY_MAX_DAYS).contains(&draft.days) {
            return Err(IdentityError::Invalid { field: "days", problem: "must be 1 to 365" });
        }
        let mut scopes = draft.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(IdentityError::Invalid { field: "scopes", problem: "must name at least one scope" });
        }
        for scope in &scopes {
            actor.require(*scope)?;
        }
        let now = self.0.clock.now();
        let id = ApiKeyId::new(&*self.0.ids);
        let token = Token::generate(tx.scope().tenant(), id.uuid(), &*self.0.entropy);
        tx.add_api_key(&ApiKey {
            id,
            name,
            scopes,
            secret_hash: token.hash(),
            issued_by,
            created_at: now,
            expires_at: now + TimeDelta::days(draft.days),
            last_used_at: None,
            revoked_at: None,
        })
        .await?;
        Self::done(tx, actions::ISSUE_API_KEY, Party::new("api_key", id.uuid())).await?;
        Ok(IssuedApiKey { id, key: token.text(TokenKind::ApiKey) })
    }

    /// Takes a key back, at once.
    ///
    /// # Errors
    /// `Denied`, `ApiKeyNotFound`, `Port`.
    pub async fn revoke_api_key(
        &self,
        tx: &mut dyn IdentityTx,
        actor: &Actor,
        id: ApiKeyId,
    ) -> Result<(), IdentityError> {
        actor.require(Permission::ManageApiKeys)?;
        tx.api_key(id).await?.ok_or(IdentityError::ApiKeyNotFound)?;
        tx.revoke_api_key(id, self.0.clock.now()).await?;
        self.announce(tx, IdentityFact::ApiKeyRevoked(id));
        Self::done(tx, actions::REVOKE_API_KEY, Party::new("api_key", id.uuid())).await
    }
}
