//! Who is behind a credential, now.

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;

use super::{
    super::{
        model::{ApiKey, MemberStatus, TenantStatus},
        ports::{AccessClaims, IdentityTx, Standing},
    },
    Identity,
};
use crate::{
    identity::IdentityError,
    kernel::{
        actor::{Actor, Permission, Principal, Role},
        clock::Timestamp,
        ids::{ApiKeyId, MemberId, SessionId, TenantId},
        outbox::{Mfa, Origin},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// What a caller shows.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token or an API key, as sent after `Bearer`.
    Bearer(Secret),
}

/// A caller that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Who, and in which tenant.
    pub actor: Actor,
    /// The second factor behind the session.
    pub mfa: Option<Mfa>,
    /// From when on the credential is no good.
    pub expires_at: Timestamp,
}

/// How exact an API key's last use is kept: writing each would cost a row version a request.
const LAST_USED_GRAIN_S: i64 = 60;

impl Identity {
    /// Looks a credential up: `None` when it is no good now, for whatever reason.
    ///
    /// # Errors
    /// `Port`.
    pub async fn authenticate(
        &self,
        origin: &Origin,
        credential: &Credential,
    ) -> Result<Option<SignedIn>, IdentityError> {
        let Credential::Bearer(text) = credential;
        let Some(text) = text.expose_str() else { return Ok(None) };
        if let Some(token) = Token::parse(TokenKind::ApiKey, text) {
            return self.authenticate_key(origin, &token).await;
        }
        let now = self.0.clock.now();
        match self.0.tokens.verify(text, now).await? {
            Some(claims) => self.authenticate_session(origin, &claims).await,
            None => Ok(None),
        }
    }

    /// Whether somebody let in earlier would be let in again, as the same: same role, same scopes.
    ///
    /// # Errors
    /// `Port`.
    pub async fn look_again(&self, origin: &Origin, known: &SignedIn) -> Result<bool, IdentityError> {
        let good = self.look_all_again(origin, known.actor.tenant, std::slice::from_ref(known)).await?;
        Ok(good == [true])
    }

    /// The same of each of many callers of a tenant.
    ///
    /// # Errors
    /// `Port`.
    pub async fn look_all_again(
        &self,
        origin: &Origin,
        tenant: TenantId,
        known: &[SignedIn],
    ) -> Result<Vec<bool>, IdentityError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(TenantScope::of(tenant), origin).await?;
        if !tenant_works(&mut *tx).await? {
            return Ok(vec![false; known.len()]);
        }
        let (mut sessions, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for known in known {
            match &known.actor.principal {
                Principal::Member { session, .. } => drop(sessions.insert(*session)),
                Principal::ApiKey { key, .. } => drop(keys.insert(*key)),
                Principal::System => {}
            }
        }
        let (sessions, keys): (Vec<_>, Vec<_>) = (sessions.into_iter().collect(), keys.into_iter().collect());
        let standings =
            if sessions.is_empty() { HashMap::new() } else { tx.standings(&sessions, now).await? };
        let issued = if keys.is_empty() { HashMap::new() } else { tx.issued_keys(&keys, now).await? };
        let same = |known: &SignedIn| match &known.actor.principal {
            Principal::Member { member, session, role } => {
                standings.get(session) == Some(&Standing { member: *member, role: *role })
            }
            Principal::ApiKey { key, scopes } => issued
                .get(key)
                .is_some_and(|found| held(&found.scopes, found.issuer).eq(scopes.iter().copied())),
            Principal::System => true,
        };
        let good = |known: &SignedIn| same(known) && now < known.expires_at && known.actor.tenant == tenant;
        Ok(known.iter().map(good).collect())
    }

    /// Who acts in a session now: `None` when it is over or its member may not sign in any more. For what was begun in
    /// a session and comes back by another way.
    ///
    /// # Errors
    /// `Port`.
    pub async fn actor_of_session(
        &self,
        origin: &Origin,
        scope: TenantScope,
        member: MemberId,
        session: SessionId,
    ) -> Result<Option<Actor>, IdentityError> {
        let now = self.0.clock.now();
        let claims =
            AccessClaims { tenant: scope.tenant(), member, session, issued_at: now, expires_at: now };
        Ok(self.authenticate_session(origin, &claims).await?.map(|known| known.actor))
    }

    async fn authenticate_session(
        &self,
        origin: &Origin,
        claims: &AccessClaims,
    ) -> Result<Option<SignedIn>, IdentityError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(TenantScope::of(claims.tenant), origin).await?;
        if !tenant_works(&mut *tx).await? {
            return Ok(None);
        }
        let session = tx.session(claims.session).await?;
        let Some(session) = session.filter(|s| s.is_live(now) && s.member == claims.member) else {
            return Ok(None);
        };
        let member = tx.member(session.member).await?;
        let Some(member) = member.filter(|m| m.status == MemberStatus::Active) else { return Ok(None) };
        Ok(Some(SignedIn {
            actor: Actor {
                tenant: claims.tenant,
                principal: Principal::Member { member: member.id, session: session.id, role: member.role },
            },
            mfa: Some(session.mfa),
            expires_at: claims.expires_at,
        }))
    }

    async fn authenticate_key(
        &self,
        origin: &Origin,
        token: &Token,
    ) -> Result<Option<SignedIn>, IdentityError> {
        let now = self.0.clock.now();
        let mut tx = self.0.units.begin(TenantScope::of(token.tenant), origin).await?;
        if !tenant_works(&mut *tx).await? {
            return Ok(None);
        }
        let key = tx.api_key(ApiKeyId::from_uuid(token.id)).await?;
        let Some(key) = key.filter(|k| token.matches(&k.secret_hash) && k.is_live(now)) else {
            return Ok(None);
        };
        let Some(scopes) = scopes_now(&mut *tx, &key).await? else { return Ok(None) };
        let known = SignedIn {
            actor: Actor { tenant: token.tenant, principal: Principal::ApiKey { key: key.id, scopes } },
            mfa: None,
            expires_at: key.expires_at,
        };
        if key.last_used_at.is_none_or(|at| now - at >= TimeDelta::seconds(LAST_USED_GRAIN_S)) {
            tx.touch_api_key(key.id, now).await?;
            tx.commit().await?;
        }
        Ok(Some(known))
    }
}

/// What a key allows now: its scopes, as far as who issued it still holds them. `None` when they may not sign in.
async fn scopes_now(tx: &mut dyn IdentityTx, key: &ApiKey) -> Result<Option<Vec<Permission>>, IdentityError> {
    let issuer = tx.member(key.issued_by).await?.filter(|issuer| issuer.status == MemberStatus::Active);
    Ok(issuer.map(|issuer| held(&key.scopes, issuer.role).collect()))
}

/// Those scopes that a role holds.
fn held(scopes: &[Permission], role: Role) -> impl Iterator<Item = Permission> + '_ {
    let of_role = role.permissions();
    scopes.iter().copied().filter(move |scope| of_role.contains(scope))
}

pub(super) async fn tenant_works(tx: &mut dyn IdentityTx) -> Result<bool, IdentityError> {
    Ok(tx.tenant().await?.is_some_and(|tenant| tenant.status == TenantStatus::Active))
}
