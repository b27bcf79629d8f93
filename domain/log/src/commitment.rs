//! Commitments: a leaf shows that a personal value was there without telling it. The value and its salt are
//! kept elsewhere; with both, anybody can open the commitment, and without the salt nobody can guess it.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    jcs::{JcsError, canonical},
    merkle::{Hash, HashFault},
};

/// Keeps commitments apart from leaf hashes (0x00) and node hashes (0x01).
const PREFIX: u8 = 0x10;

/// SHA-256 of 0x10, a salt of 32 random bytes, and the canonical JSON of a value. Shown in lower-case
/// hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Commits to `value`. Each salt is for one value only.
    ///
    /// # Errors
    /// When the value has no canonical form.
    pub fn to(value: &Value, salt: &[u8; 32]) -> Result<Self, JcsError> {
        let value = canonical(value)?;
        Ok(Self(
            Sha256::new().chain_update([PREFIX]).chain_update(salt).chain_update(value).finalize().into(),
        ))
    }

    /// Whether it was made of `value` and `salt`. Takes the same time whatever the answer.
    ///
    /// # Errors
    /// When the value has no canonical form.
    pub fn opens_to(&self, value: &Value, salt: &[u8; 32]) -> Result<bool, JcsError> {
        Ok(Self::to(value, salt)?.0.ct_eq(&self.0).into())
    }

    /// The 32 bytes, as stores keep them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes 32 bytes that came from a store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the hexadecimal form.
    ///
    /// # Errors
    /// [`HashFault`] for any other spelling.
    pub fn parse_hex(text: &str) -> Result<Self, HashFault> {
        Hash::parse_hex(text).map(|hash| Self(hash.0))
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hash(self.0), f)
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn opens_to_its_value_and_salt_only() {
        let (value, salt) = (json!({"email": "ada@example.com", "age": 36}), [3; 32]);
        let commitment = Commitment::to(&value, &salt).expect("a plain value");
        let by_hand = [&[0x10], &salt[..], br#"{"age":36,"email":"ada@example.com"}"#].concat();
        assert_eq!(commitment.as_bytes()[..], Sha256::digest(by_hand)[..]);
        assert_eq!(commitment.opens_to(&value, &salt), Ok(true));
        assert_eq!(commitment.opens_to(&json!({"email": "ada@example.com"}), &salt), Ok(false));
        assert_eq!(commitment.opens_to(&json!("36"), &salt), Ok(false));
        for byte in 0..32 {
            let mut other = salt;
            other[byte] ^= 1;
            assert_eq!(commitment.opens_to(&value, &other), Ok(false));
        }
        assert!(Commitment::to(&json!(1.5), &salt).is_err());
        assert_eq!(Commitment::parse_hex(&commitment.to_string()), Ok(commitment));
    }
}
