//! A session is carried on: one refresh token is exchanged for the next.

use super::{
    super::{
        actions,
        events::IdentityFact,
        model::{MemberStatus, TenantStatus},
    },
    Identity,
    sign_in::{TokenPair, session_record},
};
use crate::{
    identity::IdentityError,
    kernel::{
        ids::RefreshTokenId,
        outbox::{Origin, Party, Record},
        scope::TenantScope,
        secret::Secret,
        token::{Token, TokenKind},
    },
};

impl Identity {
    /// Exchanges a refresh token; `None` when it is no good. The second use of one means that somebody else
    /// has it: its session ends for everybody (RFC 9700 section 4.14.2).
    ///
    /// # Errors
    /// `Port`.
    pub async fn refresh_session(
        &self,
        origin: &Origin,
        refresh_token: &Secret,
    ) -> Result<Option<TokenPair>, IdentityError> {
        let now = self.0.clock.now();
        let text = refresh_token.expose_str().unwrap_or_default();
        let Some(token) = Token::parse(TokenKind::Refresh, text) else { return Ok(None) };
        let scope = TenantScope::of(token.tenant);
        let mut tx = self.0.units.begin(scope, origin).await?;
        let Some(mut kept) = tx.refresh_token(RefreshTokenId::from_uuid(token.id)).await? else {
            return Ok(None);
        };
        if !token.matches(&kept.secret_hash) {
            return Ok(None);
        }
        let Some(session) = tx.session(kept.session).await? else { return Ok(None) };
        let target = Some(Party::new("session", session.id.uuid()));
        let refusal = if kept.used_at.is_some() {
            if session.revoked_at.is_none() {
                tx.end_session(session.id, now).await?;
                self.announce(&mut *tx, IdentityFact::SessionRevoked(session.id));
            }
            Some("refresh_token_reused")
        } else if !session.is_live(now) {
            Some("session_over")
        } else if tx.tenant().await?.is_none_or(|t| t.status != TenantStatus::Active) {
            Some("tenant_suspended")
        } else if tx.member(session.member).await?.is_none_or(|m| m.status != MemberStatus::Active) {
            Some("member_suspended")
        } else if !tx.touch_session(session.id, now).await? {
            // Ended between the reading above and now.
            Some("session_over")
        } else {
            None
        };
        if let Some(reason) = refusal {
            tx.record(Record::refused(actions::REFRESH_SESSION, target, reason)).await?;
            tx.commit().await?;
            return Ok(None);
        }
        kept.used_at = Some(now);
        tx.update_refresh_token(&kept).await?;
        let next = self.next_refresh_token(&mut *tx, session.id, now).await?;
        tx.record(session_record(actions::REFRESH_SESSION, &session, None)).await?;
        // Signed before the exchange is final: a fault here costs nobody their session.
        let pair = self.pair(scope, &session, &next).await?;
        tx.commit().await?;
        Ok(Some(pair))
    }
}
