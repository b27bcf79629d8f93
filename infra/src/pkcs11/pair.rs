//! Key pairs that sign: found anew for each call, as it is rarely called for.

use cryptoki::{
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use super::session::{ModuleFault, Open};

impl Open {
    /// The public half of the newest pair with that label.
    pub(super) fn public_key(&self, label: &str) -> Result<[u8; 32], ModuleFault> {
        let point = self.point(label, KeyType::EC_EDWARDS)?;
        point_of(&point).ok_or(ModuleFault::Malformed)
    }

    fn point(&self, label: &str, of: KeyType) -> Result<Vec<u8>, ModuleFault> {
        let handle = newest(self.session(), label, (ObjectClass::PUBLIC_KEY, of))?;
        let asked = [AttributeType::EcPoint];
        for attribute in self.session().get_attributes(handle, &asked)? {
            if let Attribute::EcPoint(point) = attribute {
                return Ok(point);
            }
        }
        Err(ModuleFault::Malformed)
    }

    /// The public half of the newest pair on P-256 with that label, uncompressed.
    pub(super) fn public_point(&self, label: &str) -> Result<Vec<u8>, ModuleFault> {
        let point = self.point(label, KeyType::EC)?;
        // As an OCTET STRING (PKCS #11 v2.40) or bare (v3.0).
        let bare = point.strip_prefix(&[0x04, 0x41]).filter(|bare| bare.len() == 65).unwrap_or(&point);
        if bare.len() == 65 { Ok(bare.to_vec()) } else { Err(ModuleFault::Malformed) }
    }

    /// `r` and `s` of the signature of a digest by the newest pair on P-256 with that label.
    pub(super) fn sign_digest(&self, label: &str, digest: &[u8]) -> Result<Vec<u8>, ModuleFault> {
        self.sign_by(label, KeyType::EC, &Mechanism::Ecdsa, digest)
    }

    /// The signature of `message` by the newest pair with that label.
    pub(super) fn sign(&self, label: &str, message: &[u8]) -> Result<Vec<u8>, ModuleFault> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        self.sign_by(label, KeyType::EC_EDWARDS, &mechanism, message)
    }

    fn sign_by(
        &self,
        label: &str,
        of: KeyType,
        mechanism: &Mechanism<'_>,
        message: &[u8],
    ) -> Result<Vec<u8>, ModuleFault> {
        let handle = newest(self.session(), label, (ObjectClass::PRIVATE_KEY, of))?;
        let asked = [AttributeType::Sensitive, AttributeType::Extractable];
        for attribute in self.session().get_attributes(handle, &asked)? {
            if matches!(attribute, Attribute::Sensitive(false) | Attribute::Extractable(true)) {
                return Err(ModuleFault::ExtractablePair(label.to_owned()));
            }
        }
        Ok(self.session().sign(mechanism, handle, message)?)
    }
}

/// The half of that class with the highest id.
fn newest(
    session: &Session,
    label: &str,
    (class, of): (ObjectClass, KeyType),
) -> Result<ObjectHandle, ModuleFault> {
    let wanted =
        [Attribute::Class(class), Attribute::KeyType(of), Attribute::Label(label.as_bytes().to_vec())];
    let mut newest: Option<(Vec<u8>, ObjectHandle)> = None;
    for handle in session.find_objects(&wanted)? {
        for attribute in session.get_attributes(handle, &[AttributeType::Id])? {
            let Attribute::Id(id) = attribute else { continue };
            // Numbers, big-endian: a longer one is higher.
            let is_higher = newest.as_ref().is_none_or(|(known, _)| (id.len(), &id) > (known.len(), known));
            if is_higher {
                newest = Some((id, handle));
            }
        }
    }
    newest.map(|(_, handle)| handle).ok_or_else(|| ModuleFault::NoPair(label.to_owned()))
}

/// The point, as an OCTET STRING (PKCS #11 v2.40) or bare (v3.0).
fn point_of(point: &[u8]) -> Option<[u8; 32]> {
    let bare = point.strip_prefix(&[0x04, 0x20]).filter(|bare| bare.len() == 32).unwrap_or(point);
    bare.try_into().ok()
}
