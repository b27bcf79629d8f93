//! Signed notes (C2SP signed-note): a text, a blank line, and one line for each signature.
//!
//! Invariants: the text is signed byte for byte, final newline included; a note has one spelling; name and key
//! id together say which key and which kind of signature is meant; a signature by a known key that does not
//! verify condemns the whole note; other keys' lines are passed over.
//!
//! Absent on purpose: signature types other than Ed25519 (0x01) and timestamped Ed25519 cosignatures (0x04,
//! C2SP tlog-cosignature). A verifier key of another type is refused, a line of one is an unknown key's.

mod key;
mod text;

pub use key::{Cosigner, NoteSigner, VerifierKey, VerifierKind};
pub use text::{NOTE_MAX_BYTES, Note, NoteSignature, SIGNATURES_MAX, Verified, parse_signature_lines};

/// Why a note or a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_MAX_BYTES`].
    #[error("the note has {bytes} bytes, more than {NOTE_MAX_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than [`SIGNATURES_MAX`] signature lines.
    #[error("the note has {count} signatures, more than {SIGNATURES_MAX}")]
    TooManySignatures {
        /// How many lines.
        count: usize,
    },
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A character below U+0020 other than newline.
    #[error("the note has the control character U+{code:04X}")]
    ControlCharacter {
        /// Which.
        code: u32,
    },
    /// No text ending in a newline, blank line and signature lines.
    #[error("the note is not a text, a blank line and signature lines")]
    Malformed,
    /// A line after the last blank line is no signature.
    #[error("signature line {line} is malformed")]
    BadSignatureLine {
        /// Which, from 1.
        line: usize,
    },
    /// Empty, or with a space or plus.
    #[error("the key name is empty or has a space or a plus")]
    BadKeyName,
    /// Not `name+id+key`, or an id that is not that of name and key, or no usable key.
    #[error("is not a verifier key")]
    BadVerifierKey,
    /// A key of a kind that is not supported.
    #[error("signatures of type 0x{kind:02x} are not supported")]
    UnsupportedKind {
        /// The signature type byte.
        kind: u8,
    },
    /// A signature that names a known key and is not that key's.
    #[error("the signature by {name} does not verify")]
    BadSignature {
        /// The known key's name.
        name: String,
    },
    /// Nobody known has signed.
    #[error("no known key has signed")]
    NoKnownSignature,
}
