//! The form of a sealed value, and how one is made and opened with a data key at hand.
//!
//! ```text
//! suite 1 | format 1 | key version 4 | salt 32 | commitment 32 | ciphertext n | tag 16
//! ```
//!
//! Each value has a key of its own, expanded from the data key and the random salt; so the nonce is fixed and
//! the key is used once. The commitment comes from the same expansion and is compared before anything is
//! decrypted: AES-GCM alone lets one ciphertext open under two keys, each to its own text.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use domain::kernel::{ids::TenantId, secret::Place};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{bound::bound, derive::Extracted, fault::Fault};

/// AES-256-GCM under HKDF-SHA-512. The only suite there is; 2 is kept free for SM4-GCM under SM3.
pub(crate) const SUITE: u8 = 1;
/// The form above.
pub(crate) const FORMAT: u8 = 1;
/// Bytes before the ciphertext.
pub(crate) const HEADER_LEN: usize = 1 + 1 + 4 + 32 + 32;
/// Bytes after it.
pub(crate) const TAG_LEN: usize = 16;
/// What message keys are expanded for, and told apart by from any other use of a data key.
const INFO: &[u8; 20] = b"matricula message v1";

/// A sealed value, taken apart.
pub(crate) struct Parts<'a> {
    pub(crate) key_version: u32,
    salt: &'a [u8; 32],
    commitment: &'a [u8; 32],
    body: &'a [u8],
}

/// Takes a sealed value apart.
pub(crate) fn parse(sealed: &[u8]) -> Result<Parts<'_>, Fault> {
    let (&[suite, format], rest) = sealed.split_first_chunk().ok_or(Fault::Malformed)?;
    if (suite, format) != (SUITE, FORMAT) {
        return Err(Fault::Malformed);
    }
    let (version, rest) = rest.split_first_chunk().ok_or(Fault::Malformed)?;
    let (salt, rest) = rest.split_first_chunk().ok_or(Fault::Malformed)?;
    let (commitment, body) = rest.split_first_chunk().ok_or(Fault::Malformed)?;
    if body.len() < TAG_LEN {
        return Err(Fault::Malformed);
    }
    Ok(Parts { key_version: u32::from_be_bytes(*version), salt, commitment, body })
}

/// The message key and the commitment to it, 32 bytes each.
pub(super) struct Derived(pub(super) Zeroizing<[u8; 64]>);

impl Derived {
    fn from(data_key: &Extracted, salt: &[u8; 32]) -> Result<Self, Fault> {
        let mut info = [1; INFO.len() + 32 + 1];
        info[..INFO.len()].copy_from_slice(INFO);
        info[INFO.len()..INFO.len() + 32].copy_from_slice(salt);
        data_key.expand(&info).map(Self)
    }

    fn cipher(&self) -> Result<LessSafeKey, Fault> {
        UnboundKey::new(&AES_256_GCM, &self.0[..32]).map(LessSafeKey::new).map_err(|_| Fault::Library)
    }

    fn commitment(&self) -> &[u8] {
        &self.0[32..]
    }

    /// Encrypts in place and returns the tag.
    pub(super) fn encrypt(&self, nonce: Nonce, aad: &[u8], text: &mut [u8]) -> Result<Tag, Fault> {
        self.cipher()?.seal_in_place_separate_tag(nonce, Aad::from(aad), text).map_err(|_| Fault::Library)
    }

    /// Decrypts ciphertext and tag, if `stored` is the commitment to this key.
    pub(super) fn decrypt(
        &self,
        stored: &[u8; 32],
        nonce: Nonce,
        aad: &[u8],
        body: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if !bool::from(self.commitment().ct_eq(stored)) {
            return Err(Fault::Refused);
        }
        let mut opened = Zeroizing::new(body.to_vec());
        let text = self.cipher()?.open_in_place(nonce, Aad::from(aad), &mut opened);
        let len = text.map_err(|_| Fault::Refused)?.len();
        opened.truncate(len);
        Ok(opened)
    }
}

fn place_bytes(tenant: TenantId, place: Place, key_version: u32) -> Vec<u8> {
    bound(&[
        &[SUITE],
        tenant.uuid().as_bytes(),
        place.table.as_bytes(),
        place.column.as_bytes(),
        place.row.as_bytes(),
        &key_version.to_be_bytes(),
        &[FORMAT],
    ])
}

/// The nonce of a key that is used once.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Seals `plain`. `salt` must be random: two values under one salt would share key and nonce.
pub(crate) fn seal(
    data_key: &Extracted,
    key_version: u32,
    salt: &[u8; 32],
    tenant: TenantId,
    place: Place,
    plain: &[u8],
) -> Result<Vec<u8>, Fault> {
    let derived = Derived::from(data_key, salt)?;
    // Exactly as long as needed: growing would leave a copy of the text behind.
    let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + TAG_LEN);
    sealed.extend_from_slice(&[SUITE, FORMAT]);
    sealed.extend_from_slice(&key_version.to_be_bytes());
    sealed.extend_from_slice(salt);
    sealed.extend_from_slice(derived.commitment());
    sealed.extend_from_slice(plain);
    let aad = place_bytes(tenant, place, key_version);
    let tag = derived.encrypt(only_nonce(), &aad, &mut sealed[HEADER_LEN..])?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal`] made for the same tenant and place.
pub(crate) fn open(
    data_key: &Extracted,
    parts: &Parts<'_>,
    tenant: TenantId,
    place: Place,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let aad = place_bytes(tenant, place, parts.key_version);
    Derived::from(data_key, parts.salt)?.decrypt(parts.commitment, only_nonce(), &aad, parts.body)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::envelope::derive::extract;

    /// Tenants have keys of their own, so this is the second wall; it must stand alone.
    #[test]
    fn even_under_one_key_a_value_is_its_tenants_and_its_versions() {
        let key = extract(b"salt", &[1; 32]).unwrap();
        let (tenant, other) =
            (TenantId::from_uuid(Uuid::from_u128(1)), TenantId::from_uuid(Uuid::from_u128(2)));
        let place = Place { table: "identity.members", column: "email", row: Uuid::from_u128(3) };
        let mut sealed = seal(&key, 7, &[9; 32], tenant, place, b"text").unwrap();
        assert_eq!(sealed.len(), HEADER_LEN + 4 + TAG_LEN);
        assert_eq!(*open(&key, &parse(&sealed).unwrap(), tenant, place).unwrap(), b"text");
        assert!(open(&key, &parse(&sealed).unwrap(), other, place).is_err());
        sealed[5] = 8;
        assert!(open(&key, &parse(&sealed).unwrap(), tenant, place).is_err());
    }
}
