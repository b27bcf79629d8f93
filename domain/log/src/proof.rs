//! Proof files (C2SP tlog-proof): that one leaf is in a log, checkable offline with the log's policy alone.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    checkpoint::parse_decimal,
    merkle::{Hash, MerkleError, leaf_hash, verify_inclusion},
    policy::{LogPolicy, PolicyError, TrustedCheckpoint},
};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The longest inclusion proof there is: one hash a level of a tree of 2^64 - 1 leaves.
const HASHES_MAX: usize = 64;

/// A leaf's index, its inclusion proof, and the signed checkpoint it leads to. Nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Anything the maker added. Signed by nobody.
    pub extra: Option<Vec<u8>>,
    /// The leaf's index.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub hashes: Vec<Hash>,
    /// The checkpoint, a signed note, verbatim.
    pub checkpoint: String,
}

/// Why a proof file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// Another format or version.
    #[error("the first line is not {HEADER}")]
    WrongHeader,
    /// A line is not what the format has there.
    #[error("line {line} is malformed")]
    BadLine {
        /// Which, from 1.
        line: usize,
    },
    /// No blank line before the checkpoint.
    #[error("there is no checkpoint")]
    NoCheckpoint,
    /// The checkpoint does not meet the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The leaf is not in the tree of the checkpoint.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

impl LogProof {
    /// Reads a proof file, which has one spelling.
    ///
    /// # Errors
    /// `WrongHeader`, `BadLine` (also for more hashes than any tree has levels), `NoCheckpoint`.
    pub fn parse(text: &str) -> Result<Self, LogProofError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(LogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n').zip(1..).peekable();
        if lines.next().map(|(line, _)| line) != Some(HEADER) {
            return Err(LogProofError::WrongHeader);
        }
        let extra = match lines.next_if(|(line, _)| line.starts_with("extra ")) {
            Some((line, number)) => Some(
                line.strip_prefix("extra ")
                    .and_then(|encoded| STANDARD.decode(encoded).ok())
                    .ok_or(LogProofError::BadLine { line: number })?,
            ),
            None => None,
        };
        let (line, number) = lines.next().ok_or(LogProofError::BadLine { line: 2 })?;
        let index = line
            .strip_prefix("index ")
            .and_then(parse_decimal)
            .ok_or(LogProofError::BadLine { line: number })?;
        let mut hashes = Vec::new();
        for (line, number) in lines {
            let hash = Hash::parse_base64(line).map_err(|_| LogProofError::BadLine { line: number })?;
            if hashes.len() == HASHES_MAX {
                return Err(LogProofError::BadLine { line: number });
            }
            hashes.push(hash);
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks the checkpoint against the policy and the leaf against the checkpoint. `not_after_s` is that of
    /// [`LogPolicy::open`].
    ///
    /// # Errors
    /// `Policy`, `Merkle`.
    pub fn verify(
        &self,
        leaf: &[u8],
        policy: &LogPolicy,
        not_after_s: Option<u64>,
    ) -> Result<TrustedCheckpoint, LogProofError> {
        let trusted = policy.open(self.checkpoint.as_bytes(), not_after_s)?;
        let head = &trusted.checkpoint;
        verify_inclusion(leaf_hash(leaf), self.index, head.size(), &self.hashes, head.root())?;
        Ok(trusted)
    }
}

/// The file, as [`LogProof::parse`] reads it.
impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_come_back() {
        for extra in [None, Some(Vec::new()), Some(vec![1, 2, 3])] {
            for hashes in [vec![], vec![Hash([1; 32]), Hash([2; 32])]] {
                let checkpoint = "log\n1\nroot\n\n— log sig\n".to_owned();
                let proof = LogProof { extra: extra.clone(), index: 5, hashes, checkpoint };
                assert_eq!(LogProof::parse(&proof.to_string()), Ok(proof));
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let hash = Hash([1; 32]).to_base64();
        for (text, fault) in [
            (String::new(), LogProofError::NoCheckpoint),
            (format!("{HEADER}\nindex 5\n{hash}\n"), LogProofError::NoCheckpoint),
            (format!("{HEADER} \nindex 5\n\nc\n"), LogProofError::WrongHeader),
            (format!("{HEADER}\r\nindex 5\r\n\n\nc\n"), LogProofError::WrongHeader),
            (format!("{HEADER}\n\nc\n"), LogProofError::BadLine { line: 2 }),
            (format!("{HEADER}\nindex +5\n\nc\n"), LogProofError::BadLine { line: 2 }),
            (format!("{HEADER}\nindex 05\n\nc\n"), LogProofError::BadLine { line: 2 }),
            (format!("{HEADER}\nindex 5\nextra AAAA\n\nc\n"), LogProofError::BadLine { line: 3 }),
            (format!("{HEADER}\nextra !\nindex 5\n\nc\n"), LogProofError::BadLine { line: 2 }),
            (format!("{HEADER}\nindex 5\n{hash} \n\nc\n"), LogProofError::BadLine { line: 3 }),
            (
                format!("{HEADER}\nindex 5\n{}\nc\n", format!("{hash}\n").repeat(65)),
                LogProofError::BadLine { line: 67 },
            ),
        ] {
            assert_eq!(LogProof::parse(&text), Err(fault), "{text:?}");
        }
    }
}
