//! Signing keys: how they are made, which of them are good, and how they are published (RFC 7517, RFC 8037).

use std::sync::Arc;

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use domain::kernel::{clock::Timestamp, fault::PortError, ids::Entropy, secret::Place};
use jsonwebtoken::{DecodingKey, EncodingKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{RELOAD_AFTER_S, fault::Fault, store::SigningKeyRow, wire};
use crate::envelope::Envelope;

/// What comes before the 32 bytes of an Ed25519 seed in PKCS#8 (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// How long a key verifies after a newer one was made: until every replica has noticed the newer one, and the
/// last token signed before that has expired, wherever its clock stood.
pub(super) fn verifies_after_newer() -> TimeDelta {
    let noticed = TimeDelta::seconds(i64::try_from(RELOAD_AFTER_S).unwrap_or(i64::MAX));
    noticed + TimeDelta::seconds(wire::LIFE_MAX_S) + TimeDelta::seconds(wire::SKEW_S)
}

/// A key and what verifies its signatures.
#[derive(Clone)]
pub(super) struct SigningKey {
    pub(super) row: Arc<SigningKeyRow>,
    pub(super) verifier: DecodingKey,
}

/// All keys, the newest last.
#[derive(Default)]
pub(super) struct KeySet(Vec<SigningKey>);

impl KeySet {
    pub(super) fn new(mut rows: Vec<SigningKeyRow>) -> Self {
        rows.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
        let keys = rows.into_iter().map(|row| SigningKey {
            // "DER" in that library's words; for Ed25519 it takes the 32 bytes as they are.
            verifier: DecodingKey::from_ed_der(&row.public),
            row: Arc::new(row),
        });
        Self(keys.collect())
    }

    pub(super) fn newest(&self) -> Option<SigningKey> {
        self.0.last().cloned()
    }

    /// Keys that verify `now`, oldest first.
    fn all_live(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let newer = self.0.iter().skip(1).map(Some).chain([None]);
        let retired = move |newer: Option<&SigningKey>| {
            newer.is_some_and(|newer| now >= newer.row.created_at + verifies_after_newer())
        };
        self.0.iter().zip(newer).filter(move |(_, newer)| !retired(*newer)).map(|(key, _)| key)
    }

    /// The key of that id, when it verifies `now`.
    pub(super) fn live(&self, kid: &str, now: Timestamp) -> Option<SigningKey> {
        self.all_live(now).find(|key| key.row.kid == kid).cloned()
    }

    /// The public keys that verify `now`, as a JSON Web Key Set.
    pub(super) fn jwks(&self, now: Timestamp) -> String {
        let keys: Vec<_> = self
            .all_live(now)
            .map(|key| {
                serde_json::json!({
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "alg": "EdDSA",
                    "kid": key.row.kid,
                    "x": URL_SAFE_NO_PAD.encode(key.row.public),
                })
            })
            .collect();
        serde_json::json!({ "keys": keys }).to_string()
    }
}

/// SHA-256 over the members RFC 8037 appendix A.3 names, in their order.
fn thumbprint(public: &[u8; 32]) -> digest::Digest {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    digest::digest(&digest::SHA256, members.as_bytes())
}

/// Where a private key is sealed for. Bound to the public key, so rows can't be mixed.
fn place(public: &[u8; 32]) -> Place {
    let mut row = [0; 16];
    row.copy_from_slice(&thumbprint(public).as_ref()[..16]);
    Place { table: "identity.signing_keys", column: "private_key_sealed", row: Uuid::from_bytes(row) }
}

/// A new key.
pub(super) async fn make(
    envelope: &Envelope,
    entropy: &dyn Entropy,
    created_at: Timestamp,
) -> Result<SigningKeyRow, PortError> {
    let seed = Zeroizing::new(entropy.bytes32());
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| Fault::Signing.lasting())?;
    let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| Fault::Signing.lasting())?;
    let private = envelope.seal_platform(place(&public), seed.as_slice()).await?;
    Ok(SigningKeyRow { kid: URL_SAFE_NO_PAD.encode(thumbprint(&public)), public, private, created_at })
}

/// Opens the private key, for one signature.
pub(super) async fn signer(envelope: &Envelope, row: &SigningKeyRow) -> Result<EncodingKey, PortError> {
    let seed = envelope.open_platform(place(&row.public), &row.private).await?;
    Ed25519KeyPair::from_seed_and_public_key(seed.expose(), &row.public)
        .map_err(|_| Fault::KeyPair.lasting())?;
    let mut pkcs8 = Zeroizing::new([0; PKCS8_PREFIX.len() + 32]);
    pkcs8[..PKCS8_PREFIX.len()].copy_from_slice(&PKCS8_PREFIX);
    let seed = seed.expose().first_chunk::<32>().ok_or_else(|| Fault::KeyPair.lasting())?;
    pkcs8[PKCS8_PREFIX.len()..].copy_from_slice(seed);
    Ok(EncodingKey::from_ed_der(pkcs8.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let print = thumbprint(public.as_slice().try_into().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.encode(print), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
