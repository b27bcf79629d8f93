//! What a seal or a wrap is bound to, as bytes without ambiguity: each part is preceded by its length, so no
//! two lists of parts give the same bytes.

/// The parts, each after its length as 4 bytes, big end first.
pub(crate) fn bound(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // No part comes near 4 GiB: they are names, identifiers and versions.
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cannot_flow_into_each_other() {
        assert_eq!(bound(&[b"ab", b""]), [0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0]);
        let all = [bound(&[b"ab", b"c"]), bound(&[b"a", b"bc"]), bound(&[b"abc"]), bound(&[b"abc", b""])];
        for (i, left) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|right| left != right), "{left:?}");
        }
    }
}
