//! HKDF-SHA-512 (RFC 5869), as used here: every key derived is at most one block (64 bytes) long, so *expand*
//! is a single HMAC over `info || 0x01`.
//!
//! Written out over HMAC so that the extracted key can be kept with its two hash states computed. The library's
//! own `hkdf` computes them anew on each expand and costs about four times as much per sealed field; the tests
//! hold both to the same outputs and to Wycheproof.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::fault::Fault;

/// A pseudorandom key that more keys are expanded from. Wiped by the library when dropped.
pub(crate) struct Extracted(hmac::Key);

/// RFC 5869 section 2.2.
pub(crate) fn extract(salt: &[u8], secret: &[u8]) -> Result<Extracted, Fault> {
    let mut prk = Zeroizing::new([0; 64]);
    hmac::sign_to_buffer(&hmac::Key::new(hmac::HMAC_SHA512, salt), secret, prk.as_mut_slice())
        .map_err(|_| Fault::Library)?;
    Ok(Extracted(hmac::Key::new(hmac::HMAC_SHA512, prk.as_slice())))
}

impl Extracted {
    /// The first 64 bytes of RFC 5869 section 2.3 for an `info`; `info_and_one` is the `info` and a byte 0x01.
    pub(crate) fn expand(&self, info_and_one: &[u8]) -> Result<Zeroizing<[u8; 64]>, Fault> {
        debug_assert_eq!(info_and_one.last(), Some(&1), "the block counter is part of the input");
        let mut block = Zeroizing::new([0; 64]);
        hmac::sign_to_buffer(&self.0, info_and_one, block.as_mut_slice()).map_err(|_| Fault::Library)?;
        Ok(block)
    }
}
