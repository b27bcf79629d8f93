//! The token itself: header, claims, signature.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use domain::{
    identity::{model::ACCESS_TOKEN_TTL_S, ports::AccessClaims},
    kernel::{
        clock::Timestamp,
        ids::{MemberId, SessionId, TenantId},
    },
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{JwtSettings, fault::Fault};

/// Longest token looked at, in bytes. Ours have about 500.
pub(super) const TOKEN_MAX_LEN: usize = 4 * 1024;
/// Longest life, in seconds.
pub(super) const LIFE_MAX_S: i64 = ACCESS_TOKEN_TTL_S;
/// How far in the future a token may have been made, in seconds: clocks differ.
pub(super) const SKEW_S: i64 = 60;
/// RFC 9068 section 2.1.
const TYPE: &str = "at+jwt";

/// The whole of a header. One member more, or one of them twice, and it is not ours.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader {
    typ: String,
    alg: String,
    kid: String,
}

/// The claims of RFC 9068 section 2.2, and ours: `tid` the tenant, `sid` the session. Times are whole seconds.
/// A claim that comes twice is refused by the parser; one not known is left alone, for newer replicas add some.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    tid: String,
    sid: String,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Claims {
    /// `unique` tells this token from any other and must be random.
    pub(super) fn of(
        claims: &AccessClaims,
        settings: &JwtSettings,
        unique: &[u8; 32],
    ) -> Result<Self, Fault> {
        let (iat, exp) = (claims.issued_at.timestamp(), claims.expires_at.timestamp());
        let life_s = exp.saturating_sub(iat);
        if !(1..=LIFE_MAX_S).contains(&life_s) {
            return Err(Fault::Lifetime { life_s, max_s: LIFE_MAX_S });
        }
        Ok(Self {
            iss: settings.issuer.clone(),
            aud: settings.audience.clone(),
            sub: claims.member.uuid().to_string(),
            tid: claims.tenant.uuid().to_string(),
            sid: claims.session.uuid().to_string(),
            iat,
            exp,
            jti: URL_SAFE_NO_PAD.encode(&unique[..16]),
        })
    }

    /// The claims, when they are good `now`.
    fn checked(&self, settings: &JwtSettings, now: Timestamp) -> Option<AccessClaims> {
        let issued_at = Timestamp::from_timestamp(self.iat, 0)?;
        let expires_at = Timestamp::from_timestamp(self.exp, 0)?;
        let good = self.iss == settings.issuer
            && self.aud == settings.audience
            && (1..=LIFE_MAX_S).contains(&self.exp.checked_sub(self.iat)?)
            && now < expires_at
            && issued_at <= now + TimeDelta::seconds(SKEW_S);
        let claims = AccessClaims {
            tenant: TenantId::from_uuid(id(&self.tid)?),
            member: MemberId::from_uuid(id(&self.sub)?),
            session: SessionId::from_uuid(id(&self.sid)?),
            issued_at,
            expires_at,
        };
        good.then_some(claims)
    }
}

/// An identifier, written as we write them; the parser knows more spellings.
fn id(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(uuid)
}

/// Signs `claims` with the key of that id.
pub(super) fn sign(claims: &Claims, kid: &str, key: &EncodingKey) -> Result<String, Fault> {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).map_err(|_| Fault::Signing)
}

/// The key that a token says signed it, when its header is one of ours.
pub(super) fn key_id(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let header: WireHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    // The algorithm is the key's own, and all our keys have this one: the token has no say in it.
    (header.alg == "EdDSA" && header.typ == TYPE).then_some(header.kid)
}

/// The claims of a token signed by that key, when they are good `now`.
pub(super) fn verify(
    token: &str,
    key: &DecodingKey,
    settings: &JwtSettings,
    now: Timestamp,
) -> Option<AccessClaims> {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_issuer(&[&settings.issuer]);
    rules.set_audience(&[&settings.audience]);
    rules.required_spec_claims = HashSet::from(["iss", "aud", "sub", "exp"].map(str::to_owned));
    // Times are held against the caller's clock below; the library would read its own.
    rules.validate_exp = false;
    rules.validate_nbf = false;
    let token = jsonwebtoken::decode::<Claims>(token, key, &rules).ok()?;
    token.claims.checked(settings, now)
}
