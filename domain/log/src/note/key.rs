//! Keys that sign and verify notes.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{NoteError, NoteSignature};

/// What a key's signatures say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerifierKind {
    /// 0x01: an Ed25519 signature over the text.
    Ed25519,
    /// 0x04: a timestamped Ed25519 signature by which a witness says that it saw the checkpoint.
    Cosignature,
}

impl VerifierKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    const fn of_byte(kind: u8) -> Result<Self, NoteError> {
        match kind {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::Cosignature),
            _ => Err(NoteError::UnsupportedKind { kind }),
        }
    }
}

/// A public key under a name. Shown as its text form, `name+id+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: VerifierKind,
    id: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key `public` (RFC 8032 section 5.1.5) under `name`.
    ///
    /// # Errors
    /// `BadKeyName`; `BadVerifierKey` when the bytes are no point of the curve or one of small order, under
    /// which signatures verify that nobody made.
    pub fn new(name: &str, kind: VerifierKind, public: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = VerifyingKey::from_bytes(public).map_err(|_| NoteError::BadVerifierKey)?;
        if key.is_weak() {
            return Err(NoteError::BadVerifierKey);
        }
        Ok(Self { name: name.to_owned(), kind, id: key_id(name, kind, public), key })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// `BadVerifierKey`, `BadKeyName`, `UnsupportedKind`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::BadVerifierKey);
        };
        check_name(name)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteError::BadVerifierKey)?;
        let (kind, public) = bytes.split_first().ok_or(NoteError::BadVerifierKey)?;
        let kind = VerifierKind::of_byte(*kind)?;
        let public = public.try_into().map_err(|_| NoteError::BadVerifierKey)?;
        let key = Self::new(name, kind, public)?;
        // The id in the text must be that of name and key; comparing texts leaves it one spelling.
        if key.to_string() == text { Ok(key) } else { Err(NoteError::BadVerifierKey) }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its signatures say.
    pub const fn kind(&self) -> VerifierKind {
        self.kind
    }

    /// The first four bytes of SHA-256 over name, newline, kind and key.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The line of a signature that this key's holder made: an Ed25519 signature over the text, or of a witness its time and
    /// signature. It is not checked here.
    pub fn line(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature { name: self.name.clone(), key_id: self.id, bytes }
    }

    /// Whether the signature line claims to be this key's.
    pub(super) fn is_meant_by(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.id
    }

    /// Verifies a signature over the note's text. For a cosignature, the time in it: seconds since 1970.
    ///
    /// # Errors
    /// `BadSignature`, also for a time beyond 2^63 - 1.
    pub(super) fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, NoteError> {
        let fault = || NoteError::BadSignature { name: self.name.clone() };
        match self.kind {
            VerifierKind::Ed25519 => {
                self.verify_strictly(text.as_bytes(), signature).ok_or_else(fault)?;
                Ok(None)
            }
            VerifierKind::Cosignature => {
                let (time, signature) = signature.split_first_chunk().ok_or_else(fault)?;
                let time = u64::from_be_bytes(*time);
                if i64::try_from(time).is_err() {
                    return Err(fault());
                }
                let message = format!("cosignature/v1\ntime {time}\n{text}");
                self.verify_strictly(message.as_bytes(), signature).ok_or_else(fault)?;
                Ok(Some(time))
            }
        }
    }

    fn verify_strictly(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let signature = Signature::from_slice(signature).ok()?;
        self.key.verify_strict(message, &signature).ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id);
        let key = [&[self.kind.byte()], &self.public()[..]].concat();
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A private Ed25519 key under a name. Wiped when dropped, never shown.
pub struct NoteSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl NoteSigner {
    /// The key made from a seed of 32 secret bytes (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    /// `BadKeyName`.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, VerifierKind::Ed25519, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.verifier.name()
    }

    /// The key that verifies.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    pub(super) fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier.name.clone(),
            key_id: self.verifier.id,
            bytes: self.key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier)
    }
}

/// A witness's private key under its name. Wiped when dropped, never shown.
pub struct Cosigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl Cosigner {
    /// The key made from a seed of 32 secret bytes (RFC 8032 section 5.1.5), which must sign nothing but cosignatures.
    ///
    /// # Errors
    /// `BadKeyName`.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, VerifierKind::Cosignature, key.verifying_key().as_bytes())?;
        Ok(Self { key, verifier })
    }

    /// The key that verifies.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The cosignature of a checkpoint's text at `at_s`, seconds since 1970 (C2SP tlog-cosignature). Its caller has made
    /// sure that the log only grew, and that this is remembered.
    pub fn cosign(&self, text: &str, at_s: u64) -> NoteSignature {
        let signature = self.key.sign(format!("cosignature/v1\ntime {at_s}\n{text}").as_bytes());
        self.verifier.line([&at_s.to_be_bytes(), signature.to_bytes().as_slice()].concat())
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.verifier)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c == '+' || c.is_control();
    if name.is_empty() || name.contains(bad) { Err(NoteError::BadKeyName) } else { Ok(()) }
}

fn key_id(name: &str, kind: VerifierKind, public: &[u8; 32]) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind.byte()])
        .chain_update(public)
        .finalize()
        .into();
    [hash[0], hash[1], hash[2], hash[3]]
}
