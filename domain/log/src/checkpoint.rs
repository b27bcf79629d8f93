//! Checkpoints (C2SP tlog-checkpoint): the text of a note that says which root a log has at which size.

use std::fmt;

use crate::{
    merkle::Hash,
    note::{Note, NoteError, NoteSigner},
};

/// A log's root at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

/// Why a text is no checkpoint, or cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Fewer than three lines, or one that is empty or does not end in a newline.
    #[error("the checkpoint is not three or more lines")]
    Malformed,
    /// The second line is not a size in its one spelling.
    #[error("the size of the checkpoint is not a decimal below 2^64 without leading zeros")]
    BadSize,
    /// The third line is not a hash in its one spelling.
    #[error("the root of the checkpoint is not the base64 of 32 bytes")]
    BadRoot,
    /// Size 0 with a root other than that of no leaves.
    #[error("an empty tree has another root")]
    NotEmpty,
    /// The origin has a space, a plus or a control character, which ours never have.
    #[error("the origin is empty or has a space or a plus")]
    BadOrigin,
    /// A log signs its own checkpoints only.
    #[error("the key {key} does not sign for {origin}")]
    WrongSigner {
        /// The key's name.
        key: String,
        /// The checkpoint's origin.
        origin: String,
    },
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// The log called `origin` has `root` at `size` leaves.
    ///
    /// # Errors
    /// `BadOrigin`, `NotEmpty`.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
            return Err(CheckpointError::BadOrigin);
        }
        check_empty(size, &root)?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions: Vec::new() })
    }

    /// Reads the text of a note, which has one spelling.
    ///
    /// # Errors
    /// `Malformed`, `BadSize`, `BadRoot`, `NotEmpty`.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?.split('\n').collect();
        if lines.iter().any(|line| line.is_empty()) {
            return Err(CheckpointError::Malformed);
        }
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(CheckpointError::Malformed);
        };
        let size = parse_decimal(size).ok_or(CheckpointError::BadSize)?;
        let root = Hash::parse_base64(root).map_err(|_| CheckpointError::BadRoot)?;
        check_empty(size, &root)?;
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        Ok(Self { origin: (*origin).to_owned(), size, root, extensions })
    }

    /// A note of this checkpoint, signed by the log.
    ///
    /// # Errors
    /// `WrongSigner` when the key's name is not the origin.
    pub fn sign(&self, signer: &NoteSigner) -> Result<Note, CheckpointError> {
        if signer.name() != self.origin {
            let (key, origin) = (signer.name().to_owned(), self.origin.clone());
            return Err(CheckpointError::WrongSigner { key, origin });
        }
        Ok(Note::sign(self.to_string(), signer)?)
    }

    /// The log's name, to be compared byte for byte.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// Lines after the third. Never any of ours; others' mean nothing here.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Whether the two show a log that forked: one origin and size, two roots. Both notes together are the
    /// evidence, for anybody. Checkpoints of different sizes need a consistency proof to tell.
    pub fn forks_from(&self, other: &Self) -> bool {
        self.origin == other.origin && self.size == other.size && self.root != other.root
    }
}

/// The text, as [`Checkpoint::parse`] reads it.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_empty(size: u64, root: &Hash) -> Result<(), CheckpointError> {
    if size == 0 && *root != Hash::EMPTY_ROOT { Err(CheckpointError::NotEmpty) } else { Ok(()) }
}

/// A decimal in its one spelling: no sign, no leading zeros.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "audit.example.com/t/1/iam";

    #[test]
    fn checkpoints_come_back() {
        let checkpoint = Checkpoint::new(ORIGIN, 7, Hash([1; 32])).expect("a plain origin");
        assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Ok(checkpoint.clone()));
        let extended = format!("{checkpoint}one\n two\n");
        let read = Checkpoint::parse(&extended).expect("extension lines are read");
        assert_eq!(read.extensions(), ["one", " two"]);
        assert_eq!(read.to_string(), extended);
    }

    #[test]
    fn other_spellings_are_refused() {
        let root = Hash([1; 32]).to_base64();
        for (text, fault) in [
            (format!("{ORIGIN}\n7\n{root}"), CheckpointError::Malformed),
            (format!("{ORIGIN}\n7\n"), CheckpointError::Malformed),
            (format!("\n7\n{root}\n"), CheckpointError::Malformed),
            (format!("{ORIGIN}\n7\n{root}\n\n"), CheckpointError::Malformed),
            (format!("{ORIGIN}\n7\n{root}\n\nx\n"), CheckpointError::Malformed),
            (format!("{ORIGIN}\n07\n{root}\n"), CheckpointError::BadSize),
            (format!("{ORIGIN}\n+7\n{root}\n"), CheckpointError::BadSize),
            (format!("{ORIGIN}\n-0\n{root}\n"), CheckpointError::BadSize),
            (format!("{ORIGIN}\n7 \n{root}\n"), CheckpointError::BadSize),
            (format!("{ORIGIN}\n18446744073709551616\n{root}\n"), CheckpointError::BadSize),
            (format!("{ORIGIN}\n7\n{root}=\n"), CheckpointError::BadRoot),
            (format!("{ORIGIN}\n7\n{}\n", root.replace('=', "")), CheckpointError::BadRoot),
            (format!("{ORIGIN}\n0\n{root}\n"), CheckpointError::NotEmpty),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(fault), "{text:?}");
        }
        for origin in ["", "a b", "a+b", "a\nb"] {
            assert_eq!(Checkpoint::new(origin, 0, Hash::EMPTY_ROOT), Err(CheckpointError::BadOrigin));
        }
    }

    #[test]
    fn a_key_signs_only_for_its_own_log() {
        let checkpoint = Checkpoint::new(ORIGIN, 0, Hash::EMPTY_ROOT).expect("a plain origin");
        let own = NoteSigner::from_seed(ORIGIN, &[1; 32]).expect("a plain name");
        let note = checkpoint.sign(&own).expect("its own key");
        assert_eq!(note.verify(&[own.verifier().clone()]).map(|verified| verified.len()), Ok(1));
        let other = NoteSigner::from_seed("audit.example.com/t/2/iam", &[1; 32]).expect("a plain name");
        assert!(matches!(checkpoint.sign(&other), Err(CheckpointError::WrongSigner { .. })));
    }
}
