//! The text of secrets that are shown once: `<prefix>_<base64url(tenant, id, secret)>`. The tenant and id
//! inside say where to look; only the secret proves anything, and only its SHA-256 is kept. (The secret is
//! 256 random bits: a slow hash would add nothing.)

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::{
    ids::{Entropy, TenantId},
    secret::Secret,
};

/// What a token is for. A token of one kind is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Carries a session on.
    Refresh,
    /// Accepts an invitation.
    Invitation,
    /// Sets a new password.
    PasswordReset,
    /// A machine's key.
    ApiKey,
    /// Comes back from a platform with the answer of who was asked to let us in (`state`, RFC 6749 section 4.1.1).
    LinkState,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "mrt_",
            Self::Invitation => "miv_",
            Self::PasswordReset => "mpr_",
            Self::ApiKey => "mak_",
            Self::LinkState => "mls_",
        }
    }
}

/// A token taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The tenant it says it is of.
    pub tenant: TenantId,
    /// The row it says it is of.
    pub id: Uuid,
    secret: [u8; 32],
}

impl Token {
    /// A new token for the row `id`.
    pub fn generate(tenant: TenantId, id: Uuid, entropy: &dyn Entropy) -> Self {
        Self { tenant, id, secret: entropy.bytes32() }
    }

    /// What a store keeps of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether this is the token whose hash was kept; in constant time.
    pub fn matches(&self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// The text to show once.
    pub fn text(&self, kind: TokenKind) -> Secret {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.tenant.uuid().as_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.secret);
        Secret::from(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes a text apart; `None` when it is no token of that kind.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        let bytes: [u8; 64] = bytes.try_into().ok()?;
        let (tenant, rest) = bytes.split_first_chunk::<16>()?;
        let (id, secret) = rest.split_first_chunk::<16>()?;
        Some(Self {
            tenant: TenantId::from_uuid(Uuid::from_bytes(*tenant)),
            id: Uuid::from_bytes(*id),
            secret: secret.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ids::IdSource as _, testkit::Counted};

    #[test]
    fn comes_back_and_is_of_its_kind_only() {
        let ids = Counted::default();
        let token = Token::generate(TenantId::new(&ids), ids.next_uuid(), &ids);
        let text = token.text(TokenKind::ApiKey);
        let text = text.expose_str().expect("text");
        let back = Token::parse(TokenKind::ApiKey, text).expect("parses");
        assert!(back == token && back.matches(&token.hash()));
        for other in
            [TokenKind::Refresh, TokenKind::Invitation, TokenKind::PasswordReset, TokenKind::LinkState]
        {
            assert!(Token::parse(other, text).is_none());
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in ["", "mak_", "mak_AAAA", "mak_????", &format!("mak_{}", "A".repeat(10_000))] {
            assert!(Token::parse(TokenKind::ApiKey, text).is_none(), "{text}");
        }
    }
}
