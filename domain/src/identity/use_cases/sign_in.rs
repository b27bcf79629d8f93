//! A member signs in with a password and, when one is set up, a second factor.

use sha2::{Digest as _, Sha256};

use super::{
    super::{
        actions,
        model::{
            EmailAddress, Member, MemberStatus, RefreshToken, Session, Slug, TenantStatus, session_access_ttl,
        },
        ports::{AccessClaims, IdentityTx},
    },
    Identity,
};
use crate::{
    identity::IdentityError,
    kernel::{
        action::Action,
        clock::Timestamp,
        ids::{RefreshTokenId, SessionId},
        outbox::{Mfa, Origin, Outcome, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

/// A second factor, as given.
#[derive(Clone, Debug)]
pub enum SecondFactor {
    /// A code of the moment.
    Totp(Secret),
    /// A recovery code.
    RecoveryCode(Secret),
}

/// What somebody signs in with.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// The tenant's public name.
    pub tenant: String,
    /// The member's address.
    pub email: String,
    /// The member's password.
    pub password: Secret,
    /// The second factor, when already asked for.
    pub second_factor: Option<SecondFactor>,
}

/// What a session is used with.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// The scope of the session.
    pub scope: TenantScope,
    /// The session.
    pub session: SessionId,
    /// A JWT.
    pub access_token: Secret,
    /// When it ends.
    pub access_expires_at: Timestamp,
    /// What the next pair is had for.
    pub refresh_token: Secret,
}

/// How signing in went. A refusal does not say what was wrong: that would help only who guesses.
#[derive(Clone, Debug)]
pub enum SignInOutcome {
    /// Signed in.
    SignedIn(TokenPair),
    /// The password was right and a second factor is needed.
    SecondFactorNeeded,
    /// Tenant, address, password or second factor were wrong, or the member or tenant is suspended.
    Refused,
}

enum Refusal {
    Because(&'static str),
    SecondFactorMissing,
}

impl Identity {
    /// Signs in. `origin` is completed here: it is given as it looks before anybody is known.
    ///
    /// # Errors
    /// `Port`.
    pub async fn sign_in(
        &self,
        scope: Option<TenantScope>,
        origin: &Origin,
        input: SignIn,
    ) -> Result<SignInOutcome, IdentityError> {
        let ports = &self.0;
        let email = EmailAddress::parse(&input.email).ok();
        let (Some(scope), Some(email)) = (scope, email) else {
            // As slow as a real refusal, so that time does not tell which tenants exist.
            ports.hasher.verify(&input.password, None).await?;
            return Ok(SignInOutcome::Refused);
        };
        let mut tx = ports.units.begin(scope, origin).await?;
        let found = tx.member_by_email(&email).await?;
        drop(tx);
        let hash = found.as_ref().map(|member| member.password_hash.as_str());
        let right = ports.hasher.verify(&input.password, hash).await?;
        let mut tx = ports.units.begin(scope, origin).await?;
        // Locked: a reset or suspension either comes first and is seen, or waits and ends this session too.
        let member = match &found {
            Some(found) => tx.lock_member(found.id).await?,
            None => None,
        };
        let verdict = match &member {
            // Read again: the password may have changed while it was being hashed.
            Some(m) if right && Some(m.password_hash.as_str()) == hash => {
                self.second_factor(&mut *tx, m.clone(), input.second_factor).await?
            }
            Some(_) => Err(Refusal::Because("password_wrong")),
            None => Err(Refusal::Because("member_unknown")),
        };
        let (outcome, record) = match verdict {
            Ok((member, mfa)) => {
                let (session, refresh, record) = self.begin_session(&mut *tx, origin, &member, mfa).await?;
                tx.record(record).await?;
                let pair = self.pair(scope, &session, &refresh).await?;
                tx.commit().await?;
                return Ok(SignInOutcome::SignedIn(pair));
            }
            Err(Refusal::SecondFactorMissing) => (SignInOutcome::SecondFactorNeeded, "second_factor_missing"),
            Err(Refusal::Because(reason)) => (SignInOutcome::Refused, reason),
        };
        let target = member.map(|m| Party::new("member", m.id.uuid()));
        Self::refuse(tx, Record::refused(actions::SIGN_IN, target, record)).await?;
        Ok(outcome)
    }

    /// The tenant of that public name; `None` for a name that is none or nobody's.
    ///
    /// # Errors
    /// `Port`.
    pub async fn find_tenant(&self, slug: &str) -> Result<Option<TenantScope>, IdentityError> {
        let Ok(slug) = Slug::parse(slug) else { return Ok(None) };
        Ok(self.0.directory.find(&slug).await?.map(TenantScope::of))
    }

    /// The scope a one-time token says it is of, if there is such a tenant: until then it is only a claim.
    ///
    /// # Errors
    /// `Port`.
    pub async fn known_tenant(
        &self,
        origin: &Origin,
        claimed: Option<TenantScope>,
    ) -> Result<Option<TenantScope>, IdentityError> {
        let Some(scope) = claimed else { return Ok(None) };
        let mut tx = self.0.units.begin(scope, origin).await?;
        Ok(tx.tenant().await?.map(|_| scope))
    }

    async fn second_factor(
        &self,
        tx: &mut dyn IdentityTx,
        mut member: Member,
        given: Option<SecondFactor>,
    ) -> Result<Result<(Member, Mfa), Refusal>, IdentityError> {
        let now = self.0.clock.now();
        let tenant = tx.tenant().await?;
        if tenant.is_none_or(|tenant| tenant.status != TenantStatus::Active) {
            return Ok(Err(Refusal::Because("tenant_suspended")));
        }
        if member.status != MemberStatus::Active {
            return Ok(Err(Refusal::Because("member_suspended")));
        }
        if !member.has_second_factor() {
            return Ok(Ok((member, Mfa::NotEnrolled)));
        }
        let right = match given {
            None => return Ok(Err(Refusal::SecondFactorMissing)),
            Some(SecondFactor::RecoveryCode(code)) => {
                tx.use_recovery_code(member.id, recovery_hash(&code), now).await?
            }
            Some(SecondFactor::Totp(code)) => {
                let right = self.take_totp_step(&mut member, &code, now);
                if right {
                    tx.update_member(&member).await?;
                }
                right
            }
        };
        Ok(if right { Ok((member, Mfa::Passed)) } else { Err(Refusal::Because("second_factor_wrong")) })
    }

    /// Whether the code is right and its step was not used before; marks the step used.
    pub(super) fn take_totp_step(&self, member: &mut Member, code: &Secret, now: Timestamp) -> bool {
        let Some(totp) = member.totp.as_mut() else { return false };
        let step = self.0.codes.matching_step(&totp.seed, code.expose_str().unwrap_or_default(), now);
        match step {
            Some(step) if totp.last_step.is_none_or(|last| step > last) => {
                totp.last_step = Some(step);
                true
            }
            Some(_) | None => false,
        }
    }

    async fn begin_session(
        &self,
        tx: &mut dyn IdentityTx,
        origin: &Origin,
        member: &Member,
        mfa: Mfa,
    ) -> Result<(Session, Secret, Record), IdentityError> {
        let now = self.0.clock.now();
        let known = match &origin.device {
            Some(device) => tx.knows_device(member.id, device).await?,
            None => false,
        };
        let session = Session {
            id: SessionId::new(&*self.0.ids),
            member: member.id,
            created_at: now,
            last_seen_at: now,
            expires_at: Session::expiry(now),
            revoked_at: None,
            device: origin.device.clone(),
            geo: origin.geo.clone(),
            mfa,
        };
        tx.add_session(&session).await?;
        let refresh = self.next_refresh_token(tx, session.id, now).await?;
        let record = session_record(actions::SIGN_IN, &session, (!known).then_some("new_device"));
        Ok((session, refresh, record))
    }

    pub(super) async fn next_refresh_token(
        &self,
        tx: &mut dyn IdentityTx,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Secret, IdentityError> {
        let id = RefreshTokenId::new(&*self.0.ids);
        let token = Token::generate(tx.scope().tenant(), id.uuid(), &*self.0.entropy);
        tx.add_refresh_token(&RefreshToken {
            id,
            session,
            secret_hash: token.hash(),
            created_at: now,
            used_at: None,
        })
        .await?;
        Ok(token.text(TokenKind::Refresh))
    }

    pub(super) async fn pair(
        &self,
        scope: TenantScope,
        session: &Session,
        refresh_token: &Secret,
    ) -> Result<TokenPair, IdentityError> {
        let now = self.0.clock.now();
        let claims = AccessClaims {
            tenant: scope.tenant(),
            member: session.member,
            session: session.id,
            issued_at: now,
            expires_at: now + session_access_ttl(),
        };
        Ok(TokenPair {
            scope,
            session: session.id,
            access_token: Secret::from(self.0.tokens.issue(&claims).await?),
            access_expires_at: claims.expires_at,
            refresh_token: refresh_token.clone(),
        })
    }
}

/// The record of something a session's own member did to it.
pub(super) fn session_record(action: Action, session: &Session, reason: Option<&'static str>) -> Record {
    Record {
        action,
        outcome: Outcome::Success,
        actor: Some(Party::new("member", session.member.uuid())),
        session: Some(session.id.uuid()),
        target: Some(Party::new("session", session.id.uuid())),
        mfa: Some(session.mfa),
        reason,
    }
}

/// How a recovery code is kept: folded, so that case and dashes do not matter.
pub(super) fn recovery_hash(code: &Secret) -> [u8; 32] {
    let folded: String = code
        .expose_str()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Sha256::digest(folded.as_bytes()).into()
}
