//! How a tenant's checkpoint stands in the platform's log: as a leaf that says nothing to who does not have its salt.

/// First byte of such a leaf. Other than that of an event's leaf, of a commitment and of anything the tree itself hashes.
pub const ANCHOR_PREFIX: u8 = 0x11;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

/// The leaf for the text of a checkpoint (without signatures): the prefix, the salt, the text. Its hash in the tree is that
/// of any leaf (RFC 6962 section 2.1).
pub fn anchor_leaf(salt: &[u8; SALT_BYTES], checkpoint: &str) -> Vec<u8> {
    [&[ANCHOR_PREFIX], salt.as_slice(), checkpoint.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_is_prefix_salt_and_text() {
        let leaf = anchor_leaf(&[7; 32], "audit.example.com/t/1/iam\n1\nAAAA\n");
        assert_eq!(leaf[0], 0x11);
        assert_eq!(leaf[1..33], [7; 32]);
        assert_eq!(&leaf[33..], b"audit.example.com/t/1/iam\n1\nAAAA\n");
        assert_ne!(leaf, anchor_leaf(&[8; 32], "audit.example.com/t/1/iam\n1\nAAAA\n"));
    }
}
