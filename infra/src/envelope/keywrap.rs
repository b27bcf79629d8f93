//! One 32-byte key under another: AES-256-GCM with a random nonce, bound to what the key is for.
//!
//! A wrapping key wraps few keys (one per purpose, version and rotation), far below the 2^32 at which random
//! 96-bit nonces become a risk (NIST SP 800-38D section 8.3).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use zeroize::Zeroizing;

/// The wrap was changed, belongs elsewhere, or holds no 32-byte key.
#[derive(Debug, thiserror::Error)]
#[error("the wrapped key does not open")]
pub(crate) struct WrapRefused;

/// Nonce, encrypted key, tag.
pub(crate) const WRAPPED_LEN: usize = NONCE_LEN + 32 + 16;

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, WrapRefused> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| WrapRefused)
}

/// Wraps `key` under `wrapping`, bound to `aad`. Fails only when there is no randomness.
pub(crate) fn wrap(wrapping: &[u8; 32], aad: &[u8], key: &[u8; 32]) -> Result<Vec<u8>, WrapRefused> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| WrapRefused)?;
    let mut wrapped = Vec::with_capacity(WRAPPED_LEN);
    wrapped.extend_from_slice(&nonce);
    wrapped.extend_from_slice(key);
    let tag = cipher(wrapping)?.seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(aad),
        &mut wrapped[NONCE_LEN..],
    );
    wrapped.extend_from_slice(tag.map_err(|_| WrapRefused)?.as_ref());
    Ok(wrapped)
}

/// Unwraps what [`wrap`] made with the same `wrapping` and `aad`.
pub(crate) fn unwrap(
    wrapping: &[u8; 32],
    aad: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<[u8; 32]>, WrapRefused> {
    let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(WrapRefused)?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    let key = cipher(wrapping)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut opened)
        .map_err(|_| WrapRefused)?;
    let key: &[u8; 32] = (&*key).try_into().map_err(|_| WrapRefused)?;
    Ok(Zeroizing::new(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwraps_only_whole_under_its_key_and_for_its_purpose() {
        let wrapped = wrap(&[1; 32], b"here", &[2; 32]).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_LEN);
        assert_eq!(*unwrap(&[1; 32], b"here", &wrapped).unwrap(), [2; 32]);
        assert!(unwrap(&[1; 32], b"there", &wrapped).is_err());
        assert!(unwrap(&[3; 32], b"here", &wrapped).is_err());
        for bit in 0..wrapped.len() * 8 {
            let mut changed = wrapped.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(unwrap(&[1; 32], b"here", &changed).is_err(), "bit {bit}");
        }
        for len in 0..wrapped.len() {
            assert!(unwrap(&[1; 32], b"here", &wrapped[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn no_two_wraps_are_alike() {
        assert_ne!(wrap(&[1; 32], b"", &[2; 32]).unwrap(), wrap(&[1; 32], b"", &[2; 32]).unwrap());
    }

    #[test]
    fn refuses_keys_of_other_lengths() {
        for len in [0, 31, 33, 64] {
            let mut buffer = vec![9; len];
            let tag = cipher(&[1; 32])
                .unwrap()
                .seal_in_place_separate_tag(
                    Nonce::assume_unique_for_key([0; NONCE_LEN]),
                    Aad::from(b"here"),
                    &mut buffer,
                )
                .unwrap();
            let wrapped = [&[0; NONCE_LEN], buffer.as_slice(), tag.as_ref()].concat();
            assert!(unwrap(&[1; 32], b"here", &wrapped).is_err(), "{len} bytes");
        }
    }
}
