//! What PostgreSQL keeps of a password: the SCRAM-SHA-256 verifier of RFC 5802 and RFC 7677, made on this side so
//! that the password is never in a statement.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes of a salt, as PostgreSQL makes them.
pub(super) const SALT_BYTES: usize = 16;

/// PostgreSQL's own count. What these passwords are worth is their length, not this.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4_096).expect("is not zero");

/// The verifier as `pg_authid.rolpassword` holds it: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
pub(super) fn verifier(password: &str, salt: [u8; SALT_BYTES]) -> String {
    // RFC 4013; what it does not allow is taken as it is, as PostgreSQL does on its side.
    let prepared = stringprep::saslprep(password).unwrap_or(std::borrow::Cow::Borrowed(password));
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, &salt, prepared.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 section 3: the exchange of user "user" with password "pencil".
    #[test]
    fn the_rfcs_exchange_is_verified() {
        let salt: [u8; SALT_BYTES] = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = verifier("pencil", salt);
        let keys = verifier.strip_prefix("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$").unwrap();
        let (stored, server) = keys.split_once(':').unwrap();
        let exchange = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signed = |key: &str| {
            let key = STANDARD.decode(key).unwrap();
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), exchange)
        };
        assert_eq!(STANDARD.encode(signed(server)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_key: Vec<u8> =
            proof.iter().zip(signed(stored).as_ref()).map(|(proof, signature)| proof ^ signature).collect();
        assert_eq!(STANDARD.encode(digest::digest(&digest::SHA256, &client_key)), stored);
    }
}
