//! How a tenant's checkpoint stands in the platform's log, and the platform's outside of it: as what says nothing to who does
//! not have its salt.

use crate::{merkle::Hash, sha256::prefixed_one};

/// First byte of such a leaf. Other than that of an event's leaf, of a commitment and of anything the tree itself hashes.
pub const ANCHOR_PREFIX: u8 = 0x11;

/// First byte of what is hashed for others to vouch for. Other than every other prefix.
pub const ATTESTED_PREFIX: u8 = 0x12;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

/// The leaf for the text of a checkpoint (without signatures): the prefix, the salt, the text. Its hash in the tree is that
/// of any leaf (RFC 6962 section 2.1).
pub fn anchor_leaf(salt: &[u8; SALT_BYTES], checkpoint: &str) -> Vec<u8> {
    [&[ANCHOR_PREFIX], salt.as_slice(), checkpoint.as_bytes()].concat()
}

/// What others vouch for of a checkpoint (without signatures), and all that they see of it: SHA-256 of the prefix, the salt, the
/// text.
pub fn attested_digest(salt: &[u8; SALT_BYTES], checkpoint: &str) -> Hash {
    prefixed_one(ATTESTED_PREFIX, &[salt.as_slice(), checkpoint.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attested_is_no_leaf_and_nothing_without_its_salt() {
        let text = "audit.example.com/platform\n1\nAAAA\n";
        let digest = attested_digest(&[7; 32], text);
        assert_eq!(digest, prefixed_one(0x12, &[&[7; 32], text.as_bytes()].concat()));
        assert_ne!(digest, attested_digest(&[8; 32], text));
        assert_ne!(digest, crate::merkle::leaf_hash(&anchor_leaf(&[7; 32], text)));
    }

    #[test]
    fn a_leaf_is_prefix_salt_and_text() {
        let leaf = anchor_leaf(&[7; 32], "audit.example.com/t/1/iam\n1\nAAAA\n");
        assert_eq!(leaf[0], 0x11);
        assert_eq!(leaf[1..33], [7; 32]);
        assert_eq!(&leaf[33..], b"audit.example.com/t/1/iam\n1\nAAAA\n");
        assert_ne!(leaf, anchor_leaf(&[8; 32], "audit.example.com/t/1/iam\n1\nAAAA\n"));
    }
}
