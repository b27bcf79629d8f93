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

/// A point on P-256, uncompressed.
type Point = [u8; 65];

impl Open {
    /// The public half of the newest pair with that label.
    pub(super) fn public_key(&self, label: &str) -> Result<[u8; 32], ModuleFault> {
        let handle = newest(self.session(), label, (ObjectClass::PUBLIC_KEY, KeyType::EC_EDWARDS))?;
        bare_point(&self.point(handle)?).ok_or(ModuleFault::Malformed)
    }

    fn point(&self, handle: ObjectHandle) -> Result<Vec<u8>, ModuleFault> {
        for attribute in self.session().get_attributes(handle, &[AttributeType::EcPoint])? {
            if let Attribute::EcPoint(point) = attribute {
                return Ok(point);
            }
        }
        Err(ModuleFault::Malformed)
    }

    /// The public halves of pairs on P-256 with that label, uncompressed, with their ids.
    fn points(&self, label: &str) -> Result<Vec<(Point, Vec<u8>)>, ModuleFault> {
        let mut points = Vec::new();
        for (id, handle) in halves(self.session(), label, (ObjectClass::PUBLIC_KEY, KeyType::EC))? {
            points.extend(bare_point(&self.point(handle)?).map(|point| (point, id)));
        }
        Ok(points)
    }

    /// The public halves of pairs on P-256 with that label, uncompressed: at least one.
    pub(super) fn public_points(&self, label: &str) -> Result<Vec<Vec<u8>>, ModuleFault> {
        let points: Vec<_> = self.points(label)?.into_iter().map(|(point, _)| point.to_vec()).collect();
        if points.is_empty() { Err(ModuleFault::NoPair(label.to_owned())) } else { Ok(points) }
    }

    /// `r` and `s` of the signature of a digest by the pair on P-256 with that label and public half.
    pub(super) fn sign_digest(
        &self,
        label: &str,
        public: &[u8],
        digest: &[u8],
    ) -> Result<Vec<u8>, ModuleFault> {
        let none = || ModuleFault::NoPair(label.to_owned());
        let of = self.points(label)?.into_iter().find(|(point, _)| point == public);
        let (_, wanted) = of.ok_or_else(none)?;
        let halves = halves(self.session(), label, (ObjectClass::PRIVATE_KEY, KeyType::EC))?;
        let (_, handle) = halves.into_iter().find(|(id, _)| *id == wanted).ok_or_else(none)?;
        self.sign_by(label, handle, &Mechanism::Ecdsa, digest)
    }

    /// The signature of `message` by the newest pair with that label.
    pub(super) fn sign(&self, label: &str, message: &[u8]) -> Result<Vec<u8>, ModuleFault> {
        let handle = newest(self.session(), label, (ObjectClass::PRIVATE_KEY, KeyType::EC_EDWARDS))?;
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        self.sign_by(label, handle, &mechanism, message)
    }

    fn sign_by(
        &self,
        label: &str,
        handle: ObjectHandle,
        mechanism: &Mechanism<'_>,
        message: &[u8],
    ) -> Result<Vec<u8>, ModuleFault> {
        let asked = [AttributeType::Sensitive, AttributeType::Extractable];
        for attribute in self.session().get_attributes(handle, &asked)? {
            if matches!(attribute, Attribute::Sensitive(false) | Attribute::Extractable(true)) {
                return Err(ModuleFault::ExtractablePair(label.to_owned()));
            }
        }
        Ok(self.session().sign(mechanism, handle, message)?)
    }
}

/// The halves of that class with their ids.
fn halves(
    session: &Session,
    label: &str,
    (class, of): (ObjectClass, KeyType),
) -> Result<Vec<(Vec<u8>, ObjectHandle)>, ModuleFault> {
    let wanted =
        [Attribute::Class(class), Attribute::KeyType(of), Attribute::Label(label.as_bytes().to_vec())];
    let mut halves = Vec::new();
    for handle in session.find_objects(&wanted)? {
        for attribute in session.get_attributes(handle, &[AttributeType::Id])? {
            if let Attribute::Id(id) = attribute {
                halves.push((id, handle));
            }
        }
    }
    Ok(halves)
}

/// The half with the highest id.
fn newest(session: &Session, label: &str, kind: (ObjectClass, KeyType)) -> Result<ObjectHandle, ModuleFault> {
    let halves = halves(session, label, kind)?.into_iter();
    // Numbers, big-endian: a longer one is higher.
    let newest = halves.max_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
    newest.map(|(_, handle)| handle).ok_or_else(|| ModuleFault::NoPair(label.to_owned()))
}

/// The point of `N` bytes, as an OCTET STRING (PKCS #11 v2.40) or bare (v3.0).
fn bare_point<const N: usize>(point: &[u8]) -> Option<[u8; N]> {
    let header = [0x04, u8::try_from(N).ok()?];
    let bare = point.strip_prefix(&header).filter(|bare| bare.len() == N).unwrap_or(point);
    bare.try_into().ok()
}
