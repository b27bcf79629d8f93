//! The hash of leaves and inner nodes.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::sha256;

/// A SHA-256 hash. Shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// A text that is not the one spelling of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the canonical text of 32 bytes")]
pub struct HashFault;

impl Hash {
    /// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1).
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes exactly 32 bytes.
    ///
    /// # Errors
    /// [`HashFault`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, HashFault> {
        bytes.try_into().map(Self).map_err(|_| HashFault)
    }

    /// 44 characters of RFC 4648 section 4 base64, as notes and proofs have it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Hash::to_base64`] wrote and nothing else: with padding, without stray bits.
    ///
    /// # Errors
    /// [`HashFault`].
    pub fn parse_base64(text: &str) -> Result<Self, HashFault> {
        Self::from_slice(&STANDARD.decode(text).map_err(|_| HashFault)?)
    }

    /// 64 lower-case hexadecimal digits, as leaves have it.
    pub fn to_hex(&self) -> String {
        self.to_string()
    }

    /// Reads what [`Hash::to_hex`] wrote and nothing else: no upper case.
    ///
    /// # Errors
    /// [`HashFault`].
    pub fn parse_hex(text: &str) -> Result<Self, HashFault> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(HashFault);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, HashFault> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(HashFault),
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a leaf: SHA-256 of 0x00 and the leaf (RFC 6962 section 2.1).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256::prefixed_one(0x00, leaf)
}

/// The hash of each leaf, as [`leaf_hash`] tells it of one.
pub fn leaf_hashes(leaves: &[&[u8]]) -> Vec<Hash> {
    sha256::prefixed(0x00, leaves)
}

/// The hash of each inner node above two hashes that stand one behind the other, as [`node_hash`] tells it of one. An odd last
/// one is left out.
pub(super) fn node_hashes(below: &[Hash]) -> Vec<Hash> {
    let bytes: Vec<u8> = below.iter().flat_map(|hash| hash.0).collect();
    let (pairs, _) = bytes.as_chunks::<64>();
    sha256::prefixed(0x01, &pairs.iter().map(<[u8; 64]>::as_slice).collect::<Vec<_>>())
}

/// The hash of an inner node: SHA-256 of 0x01, the left and the right hash (RFC 6962 section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [0x01; 65];
    input[1..33].copy_from_slice(&left.0);
    input[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(input).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_have_one_spelling() {
        let hash = leaf_hash(b"x");
        assert_eq!(Hash::parse_hex(&hash.to_hex()), Ok(hash));
        assert_eq!(Hash::parse_base64(&hash.to_base64()), Ok(hash));
        for bad in ["", "00", &hash.to_hex().to_uppercase(), &hash.to_hex()[1..], &"é".repeat(32)] {
            assert_eq!(Hash::parse_hex(bad), Err(HashFault), "{bad}");
        }
        // The last character carries four bits of the hash and two that must be zero.
        let stray = Hash([0; 32]).to_base64().replace("A=", "B=");
        for bad in ["", "AA==", stray.as_str(), hash.to_base64().trim_end_matches('=')] {
            assert_eq!(Hash::parse_base64(bad), Err(HashFault), "{bad}");
        }
    }

    #[test]
    fn a_leaf_never_hashes_like_a_node() {
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let pair = [left.0, right.0].concat();
        assert_ne!(leaf_hash(&pair), node_hash(&left, &right));
        assert_eq!(Hash::EMPTY_ROOT, Hash(Sha256::digest([]).into()));
    }
}
