//! The key pair that signs: found anew for each call, as it is rarely called for.

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
        let handle = newest(self.session(), label, ObjectClass::PUBLIC_KEY)?;
        let asked = [AttributeType::EcPoint];
        for attribute in self.session().get_attributes(handle, &asked)? {
            if let Attribute::EcPoint(point) = attribute {
                return point_of(&point).ok_or(ModuleFault::Malformed);
            }
        }
        Err(ModuleFault::Malformed)
    }

    /// The signature of `message` by the newest pair with that label.
    pub(super) fn sign(&self, label: &str, message: &[u8]) -> Result<Vec<u8>, ModuleFault> {
        let handle = newest(self.session(), label, ObjectClass::PRIVATE_KEY)?;
        let asked = [AttributeType::Sensitive, AttributeType::Extractable];
        for attribute in self.session().get_attributes(handle, &asked)? {
            if matches!(attribute, Attribute::Sensitive(false) | Attribute::Extractable(true)) {
                return Err(ModuleFault::ExtractablePair(label.to_owned()));
            }
        }
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        Ok(self.session().sign(&mechanism, handle, message)?)
    }
}

/// The half of that class with the highest id.
fn newest(session: &Session, label: &str, class: ObjectClass) -> Result<ObjectHandle, ModuleFault> {
    let wanted = [
        Attribute::Class(class),
        Attribute::KeyType(KeyType::EC_EDWARDS),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
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
