//! Reading, writing and checking notes.

use std::fmt::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{NoteError, NoteSigner, VerifierKey, key::check_name};

/// How many signature lines a note may have. The format asks for at least 16; a log key or two in rotation and
/// a generous set of witnesses stay far below this.
pub const SIGNATURES_MAX: usize = 64;

/// How long a note may be, in bytes: [`SIGNATURES_MAX`] post-quantum signatures of about 5 kB and their text.
pub const NOTE_MAX_BYTES: usize = 512 * 1024;

/// One signature line, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key, claimed.
    pub name: String,
    /// The id of the key, claimed.
    pub key_id: [u8; 4],
    /// The signature; what it is made of depends on the key.
    pub bytes: Vec<u8>,
}

/// A note whose form is right and whose signatures are not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A known key whose signature verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'k> {
    /// The key.
    pub key: &'k VerifierKey,
    /// When a witness cosigned, in seconds since 1970, by its own clock; `None` for plain signatures.
    pub cosigned_at_s: Option<u64>,
}

/// The line, without its end.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "— {} {}", self.name, STANDARD.encode([&self.key_id, self.bytes.as_slice()].concat()))
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// `TooLong`, `NotUtf8`, `ControlCharacter`, `Malformed`, `TooManySignatures`, `BadSignatureLine`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_MAX_BYTES {
            return Err(NoteError::TooLong { bytes: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The last blank line ends the text, so that a text may have blank lines of its own.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let count = lines.split('\n').count();
        if count > SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { count });
        }
        let signatures = lines
            .split('\n')
            .zip(1..)
            .map(|(text, line)| parse_signature(text).ok_or(NoteError::BadSignatureLine { line }))
            .collect::<Result<_, _>>()?;
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// A note of `text` signed by `signer`.
    ///
    /// # Errors
    /// `Malformed` when the text does not end in a newline, `ControlCharacter`, `TooLong`.
    pub fn sign(text: String, signer: &NoteSigner) -> Result<Self, NoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        let note = Self { signatures: vec![signer.sign(&text)], text };
        let bytes = note.to_text().len();
        if bytes > NOTE_MAX_BYTES { Err(NoteError::TooLong { bytes }) } else { Ok(note) }
    }

    /// A note of `text` with a signature that was made elsewhere, as by a key service. It is not checked here.
    ///
    /// # Errors
    /// `Malformed` when the text does not end in a newline, `ControlCharacter`, `BadKeyName`.
    pub fn with_signature(text: String, signature: NoteSignature) -> Result<Self, NoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        check_name(&signature.name)?;
        Ok(Self { text, signatures: vec![signature] })
    }

    /// Adds a signature line as it came from its maker, after those already there.
    ///
    /// # Errors
    /// `TooManySignatures`, `BadKeyName`.
    pub fn add_signature(&mut self, signature: NoteSignature) -> Result<(), NoteError> {
        check_name(&signature.name)?;
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures { count: self.signatures.len() + 1 });
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The text, final newline included. Not to be believed before [`Note::verify`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The same text with the lines alone that name one of these keys.
    #[must_use]
    pub fn with_lines_of(&self, keys: &[VerifierKey]) -> Self {
        let is_theirs = |line: &&NoteSignature| keys.iter().any(|key| key.is_meant_by(line));
        Self {
            text: self.text.clone(),
            signatures: self.signatures.iter().filter(is_theirs).cloned().collect(),
        }
    }

    /// The note, as [`Note::parse`] reads it.
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            // Writing to a string cannot fail.
            let _ = writeln!(note, "{signature}");
        }
        note
    }

    /// Which of `known` have signed, in their order, each once however often its line is there; of a witness's
    /// several cosignatures the latest counts.
    ///
    /// # Errors
    /// `BadSignature` when any line of a known key does not verify, `NoKnownSignature`.
    pub fn verify<'k>(&self, known: &'k [VerifierKey]) -> Result<Vec<Verified<'k>>, NoteError> {
        let mut verified: Vec<Verified<'k>> = Vec::new();
        for key in known {
            let mut lines = self.signatures.iter().filter(|line| key.is_meant_by(line)).peekable();
            if lines.peek().is_none() || verified.iter().any(|seen| seen.key == key) {
                continue;
            }
            let mut latest = None;
            for line in lines {
                latest = latest.max(key.verify(&self.text, &line.bytes)?);
            }
            verified.push(Verified { key, cosigned_at_s: latest });
        }
        if verified.is_empty() { Err(NoteError::NoKnownSignature) } else { Ok(verified) }
    }
}

/// Reads signature lines that stand alone, as a witness answers with them.
///
/// # Errors
/// `NotUtf8`, `Malformed` without a newline at the end, `TooManySignatures`, `BadSignatureLine`.
pub fn parse_signature_lines(bytes: &[u8]) -> Result<Vec<NoteSignature>, NoteError> {
    let text = str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
    let lines = text.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let count = lines.split('\n').count();
    if count > SIGNATURES_MAX {
        return Err(NoteError::TooManySignatures { count });
    }
    let lines = lines.split('\n').zip(1..);
    lines.map(|(text, line)| parse_signature(text).ok_or(NoteError::BadSignatureLine { line })).collect()
}

fn check_characters(text: &str) -> Result<(), NoteError> {
    match text.chars().find(|c| *c < ' ' && *c != '\n') {
        Some(c) => Err(NoteError::ControlCharacter { code: u32::from(c) }),
        None => Ok(()),
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    check_name(name).ok()?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let (key_id, bytes) = decoded.split_first_chunk()?;
    // A key id alone signs nothing.
    (!bytes.is_empty()).then(|| NoteSignature {
        name: name.to_owned(),
        key_id: *key_id,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::VerifierKind;
    use super::*;

    fn signer(name: &str) -> NoteSigner {
        NoteSigner::from_seed(name, &[9; 32]).expect("a plain name")
    }

    #[test]
    fn notes_come_back() {
        let text = "first\n\n— not a signature\n\nlast\n";
        let mut note = Note::sign(text.to_owned(), &signer("a.example/log")).expect("a plain text");
        note.add_signature(signer("b.example").sign(text)).expect("room");
        let read = Note::parse(note.to_text().as_bytes()).expect("what was written");
        assert_eq!(read, note);
        assert_eq!(read.text(), text);
        let keys = [signer("b.example").verifier().clone(), signer("a.example/log").verifier().clone()];
        let names: Vec<_> =
            read.verify(&keys).expect("both signed").iter().map(|v| v.key.name().to_owned()).collect();
        assert_eq!(names, ["b.example", "a.example/log"]);
    }

    #[test]
    fn texts_that_cannot_be_read_back_are_not_signed() {
        let signer = signer("a.example");
        for (text, fault) in [
            ("", NoteError::Malformed),
            ("no newline", NoteError::Malformed),
            ("crlf\r\n", NoteError::ControlCharacter { code: 13 }),
            ("tab\t\n", NoteError::ControlCharacter { code: 9 }),
            ("nul\0\n", NoteError::ControlCharacter { code: 0 }),
        ] {
            assert_eq!(Note::sign(text.to_owned(), &signer), Err(fault), "{text:?}");
        }
        let long = "x".repeat(NOTE_MAX_BYTES) + "\n";
        assert!(matches!(Note::sign(long, &signer), Err(NoteError::TooLong { .. })));
    }

    #[test]
    fn signatures_up_to_the_cap_are_read() {
        let signer = signer("a.example");
        let mut note = Note::sign("text\n".to_owned(), &signer).expect("a plain text");
        for _ in 1..SIGNATURES_MAX {
            note.add_signature(signer.sign("text\n")).expect("room");
        }
        let keys = [signer.verifier().clone()];
        let read = Note::parse(note.to_text().as_bytes()).expect("at the cap");
        assert_eq!(read.verify(&keys).map(|verified| verified.len()), Ok(1));
        let count = SIGNATURES_MAX + 1;
        assert_eq!(note.add_signature(signer.sign("text\n")), Err(NoteError::TooManySignatures { count }));
        let over = note.to_text() + note.to_text().lines().last().expect("a line") + "\n";
        assert_eq!(Note::parse(over.as_bytes()), Err(NoteError::TooManySignatures { count }));
    }

    #[test]
    fn one_bad_line_of_a_known_key_condemns_the_note() {
        let signer = signer("a.example");
        let keys = [signer.verifier().clone()];
        let good = signer.sign("text\n");
        for bytes in [vec![0; 64], good.bytes[..63].to_vec(), [&good.bytes[..], &[0]].concat(), vec![0]] {
            let mut note = Note::sign("text\n".to_owned(), &signer).expect("a plain text");
            note.add_signature(NoteSignature { bytes, ..good.clone() }).expect("room");
            let fault = NoteError::BadSignature { name: "a.example".to_owned() };
            assert_eq!(note.verify(&keys), Err(fault));
        }
    }

    #[test]
    fn the_same_key_of_another_kind_is_another_key() {
        let signer = signer("a.example");
        let note = Note::sign("text\n".to_owned(), &signer).expect("a plain text");
        let public = signer.verifier().public();
        let witness = VerifierKey::new("a.example", VerifierKind::Cosignature, public).expect("a key");
        assert_ne!(witness.id(), signer.verifier().id());
        assert_eq!(note.verify(std::slice::from_ref(&witness)), Err(NoteError::NoKnownSignature));
        assert_eq!(VerifierKey::parse(&witness.to_string()), Ok(witness));
    }

    #[test]
    fn keys_that_verify_what_nobody_signed_are_refused() {
        // The neutral element and the point of order 2.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        for weak in [neutral, order_two, [0; 32]] {
            let key = VerifierKey::new("a.example", VerifierKind::Ed25519, &weak);
            assert_eq!(key, Err(NoteError::BadVerifierKey));
        }
    }

    #[test]
    fn names_and_lines_have_one_form() {
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{85}b"] {
            assert!(matches!(NoteSigner::from_seed(name, &[9; 32]), Err(NoteError::BadKeyName)), "{name:?}");
        }
        for note in [
            "",
            "\n",
            "\n\n",
            "text\n\n\n",
            "text\n\n— a\n",
            "text\n\n— a \n",
            "text\n\n— a AAAA\n",
            "text\n\n— a AAAAAA==\n",
            "text\n\n—  a AAAAAAA=\n",
            "text\n\n— a AAAAAAA= \n",
            "text\n\n- a AAAAAAA=\n",
            "text\n\n— a AAAAAAB=\n",
            "text\n\n\u{feff}— a AAAAAAA=\n",
            "text\n\n— a AAAAAAA=\n\n",
        ] {
            assert!(Note::parse(note.as_bytes()).is_err(), "{note:?}");
        }
        assert!(Note::parse("text\n\n— a AAAAAAA=\n".as_bytes()).is_ok());
        assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::NotUtf8));
    }
}
