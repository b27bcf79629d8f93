//! What a log and a witness say to each other (C2SP tlog-witness, `add-checkpoint`), and what a witness must have seen
//! before it cosigns.

use std::fmt::Write as _;

use crate::{
    checkpoint::{Checkpoint, parse_decimal},
    merkle::{Hash, MerkleError, verify_consistency},
    note::{NOTE_MAX_BYTES, Note, NoteError, VerifierKey, VerifierKind},
};

/// Most lines a consistency proof may have.
pub const PROOF_LINES_MAX: usize = 63;

/// The content type of a 409 that tells the size a witness knows.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// A request for a cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size the log believes the witness cosigned last; 0 for none.
    pub old_size: u64,
    /// The consistency proof from there (RFC 6962 section 2.1.2).
    pub proof: Vec<Hash>,
    /// The checkpoint, signed by its log.
    pub note: Note,
}

/// What a witness remembers of a log: the newest checkpoint it cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a witness does not cosign. Each has its HTTP status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: no such request, or sizes the wrong way round.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// 404: the log is not one of those it was told of.
    #[error("the log is unknown")]
    UnknownLog,
    /// 403: none of the log's keys has signed, or one of its lines does not verify.
    #[error("the log has not signed")]
    NotSigned,
    /// 409: it knows another size than the request begins at.
    #[error("the newest checkpoint known has size {0}")]
    OtherSize(u64),
    /// 409: the same size with another root: the log forked.
    #[error("the log has another root at this size")]
    Forked,
    /// 422: the proof does not hold.
    #[error("the consistency proof does not hold: {0}")]
    BadProof(MerkleError),
}

impl Refusal {
    /// The HTTP status that the protocol has for it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::NotSigned => 403,
            Self::UnknownLog => 404,
            Self::OtherSize(_) | Self::Forked => 409,
            Self::BadProof(_) => 422,
        }
    }
}

impl AddCheckpoint {
    /// Reads a request's body, which has one spelling.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        const LINE_MAX_BYTES: usize = 64;
        if body.len() > NOTE_MAX_BYTES + (PROOF_LINES_MAX + 2) * LINE_MAX_BYTES {
            return Err(Refusal::Malformed("it is too long"));
        }
        let body = str::from_utf8(body).map_err(|_| Refusal::Malformed("it is not UTF-8"))?;
        let (head, note) = body.split_once("\n\n").ok_or(Refusal::Malformed("it has no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old_size =
            old.and_then(parse_decimal).ok_or(Refusal::Malformed("its first line is not an old size"))?;
        let proof: Vec<_> = lines
            .map(|line| {
                Hash::parse_base64(line).map_err(|_| Refusal::Malformed("a line of the proof is no hash"))
            })
            .collect::<Result<_, _>>()?;
        if proof.len() > PROOF_LINES_MAX {
            return Err(Refusal::Malformed("the proof is too long"));
        }
        let note =
            Note::parse(note.as_bytes()).map_err(|_| Refusal::Malformed("the checkpoint is no note"))?;
        Ok(Self { old_size, proof, note })
    }

    /// The body, as [`AddCheckpoint::parse`] reads it.
    pub fn to_text(&self) -> String {
        let mut body = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            // Writing to a string cannot fail.
            let _ = writeln!(body, "{}", hash.to_base64());
        }
        body.push('\n');
        body.push_str(&self.note.to_text());
        body
    }

    /// The name of the log that the checkpoint says it is of.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn origin(&self) -> Result<&str, Refusal> {
        self.note.text().split('\n').next().ok_or(Refusal::Malformed("the note is no checkpoint"))
    }

    /// Checks the request against the log's keys and what is `known` of the log, in the order the protocol has. What it
    /// gives is to be remembered, durably and in one step with `known`, before anything is signed.
    ///
    /// # Errors
    /// Every refusal but `UnknownLog`, which is known from [`AddCheckpoint::origin`].
    pub fn check(&self, keys: &[VerifierKey], known: Option<Witnessed>) -> Result<Witnessed, Refusal> {
        let signed = |key: &VerifierKey| key.kind() == VerifierKind::Ed25519;
        match self.note.verify(keys) {
            Ok(verified) if verified.iter().any(|verified| signed(verified.key)) => {}
            Ok(_) | Err(NoteError::NoKnownSignature | NoteError::BadSignature { .. }) => {
                return Err(Refusal::NotSigned);
            }
            Err(_) => return Err(Refusal::Malformed("the checkpoint is no note")),
        }
        let checkpoint = Checkpoint::parse(self.note.text())
            .map_err(|_| Refusal::Malformed("the note is no checkpoint"))?;
        let new = Witnessed { size: checkpoint.size(), root: checkpoint.root() };
        if self.old_size > new.size {
            return Err(Refusal::Malformed("the old size is above the checkpoint's"));
        }
        let known_size = known.map_or(0, |known| known.size);
        if self.old_size != known_size {
            return Err(Refusal::OtherSize(known_size));
        }
        let Some(known) = known.filter(|known| known.size > 0) else {
            // Everything is consistent with nothing, and says so without a proof.
            let wanted = MerkleError::ProofLength { want: 0, got: self.proof.len() };
            return if self.proof.is_empty() { Ok(new) } else { Err(Refusal::BadProof(wanted)) };
        };
        if known.size == new.size && known.root != new.root {
            return Err(Refusal::Forked);
        }
        verify_consistency(known.size, new.size, &self.proof, known.root, new.root)
            .map_err(Refusal::BadProof)?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        merkle::{CompactRange, Node, consistency_proof, leaf_hash, node_hash},
        note::NoteSigner,
    };

    const ORIGIN: &str = "audit.example.com/platform";

    fn signer(seed: u8) -> NoteSigner {
        NoteSigner::from_seed(ORIGIN, &[seed; 32]).expect("a plain name")
    }

    /// Leaves `salt`, `salt + 1`, and so on.
    fn root(size: u64, salt: u64) -> Hash {
        let mut range = CompactRange::starting_at(0);
        (0..size).for_each(|n| range.append_leaf(leaf_hash(&(n + salt).to_be_bytes())).expect("room"));
        range.root().expect("from the start")
    }

    fn proof(old: u64, new: u64) -> Vec<Hash> {
        let node = |node: Node| {
            let mut range = CompactRange::starting_at(0);
            let begin = node.index << node.height;
            (begin..begin + (1 << node.height))
                .zip(0_u64..)
                .for_each(|(n, _)| range.append_leaf(leaf_hash(&n.to_be_bytes())).expect("room"));
            range.root().ok()
        };
        consistency_proof(old, new, node).expect("in order")
    }

    fn request(old: u64, new: u64, salt: u64, seed: u8) -> AddCheckpoint {
        let checkpoint = Checkpoint::new(ORIGIN, new, root(new, salt)).expect("plain");
        let note = checkpoint.sign(&signer(seed)).expect("its own key");
        let proof = if old == 0 || old > new { Vec::new() } else { proof(old, new) };
        AddCheckpoint { old_size: old, proof, note }
    }

    fn at(size: u64) -> Witnessed {
        Witnessed { size, root: root(size, 0) }
    }

    #[test]
    fn requests_come_back_and_have_one_spelling() {
        for request in [request(0, 3, 0, 1), request(3, 9, 0, 1), request(9, 9, 0, 1)] {
            let text = request.to_text();
            assert_eq!(AddCheckpoint::parse(text.as_bytes()), Ok(request.clone()));
            assert_eq!(request.origin(), Ok(ORIGIN));
            for bad in [
                text.replacen("old ", "old  ", 1),
                text.replacen("old ", "old 0", 1),
                text.replacen("old ", "", 1),
                text.replacen("\n\n", "\n", 1),
                text.replacen("\n\n", "\nAAAA\n\n", 1),
                text.trim_end().to_owned(),
            ] {
                assert!(matches!(AddCheckpoint::parse(bad.as_bytes()), Err(Refusal::Malformed(_))), "{bad}");
            }
        }
        let long = AddCheckpoint { proof: vec![Hash([1; 32]); 64], ..request(1, 2, 0, 1) };
        assert!(matches!(AddCheckpoint::parse(long.to_text().as_bytes()), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn a_log_that_only_grew_is_cosigned() {
        let keys = [signer(1).verifier().clone()];
        for (old, new) in [(0, 1), (0, 9), (1, 2), (3, 9), (8, 9), (9, 9)] {
            let known = (old > 0).then(|| at(old));
            assert_eq!(
                request(old, new, 0, 1).check(&keys, known),
                Ok(Witnessed { size: new, root: root(new, 0) })
            );
        }
    }

    #[test]
    fn everything_else_is_refused_as_the_protocol_says() {
        let keys = [signer(1).verifier().clone()];
        for (request, known, refusal, status) in [
            (request(0, 9, 0, 1), Some(at(5)), Refusal::OtherSize(5), 409),
            (request(5, 9, 0, 1), None, Refusal::OtherSize(0), 409),
            (request(6, 9, 0, 1), Some(at(5)), Refusal::OtherSize(5), 409),
            (request(3, 3, 0, 1), Some(at(5)), Refusal::OtherSize(5), 409),
            (request(5, 5, 7, 1), Some(at(5)), Refusal::Forked, 409),
            (request(5, 9, 0, 2), Some(at(5)), Refusal::NotSigned, 403),
            (
                request(9, 5, 0, 1),
                Some(at(9)),
                Refusal::Malformed("the old size is above the checkpoint's"),
                400,
            ),
        ] {
            assert_eq!(request.check(&keys, known), Err(refusal.clone()));
            assert_eq!(refusal.status(), status);
        }
        let forked = request(5, 9, 7, 1).check(&keys, Some(at(5)));
        assert!(
            matches!(&forked, Err(refusal @ Refusal::BadProof(_)) if refusal.status() == 422),
            "{forked:?}"
        );
        let padded = AddCheckpoint { proof: vec![Hash([0; 32])], ..request(0, 9, 0, 1) };
        assert!(matches!(padded.check(&keys, None), Err(Refusal::BadProof(_))));
    }

    #[test]
    fn a_log_that_says_it_has_2_to_the_63_leaves_is_held_to_its_proof() {
        let keys = [signer(1).verifier().clone()];
        let proof: Vec<_> = (0..63_u8).map(|level| leaf_hash(&[level])).collect();
        let grown = proof.iter().fold(root(1, 0), |hash, right| node_hash(&hash, right));
        let size = 1 << 63;
        let said = |old_size: u64, root: Hash, proof: &[Hash]| {
            let checkpoint = Checkpoint::new(ORIGIN, size, root).expect("plain");
            let note = checkpoint.sign(&signer(1)).expect("its own key");
            let request = AddCheckpoint { old_size, proof: proof.to_vec(), note };
            assert_eq!(AddCheckpoint::parse(request.to_text().as_bytes()), Ok(request.clone()));
            request
        };
        let newest = Witnessed { size, root: grown };
        assert_eq!(said(1, grown, &proof).check(&keys, Some(at(1))), Ok(newest));
        let wrong = MerkleError::WrongRoot { want: Hash([9; 32]), got: grown };
        let other = said(1, Hash([9; 32]), &proof).check(&keys, Some(at(1)));
        assert_eq!(other, Err(Refusal::BadProof(wrong)));
        let short = said(1, grown, &proof[1..]).check(&keys, Some(at(1)));
        assert_eq!(short, Err(Refusal::BadProof(MerkleError::ProofLength { want: 63, got: 62 })));
        // Two roots of one size, with a proof and without one.
        for proof in [&[][..], &proof] {
            assert_eq!(said(size, Hash([9; 32]), proof).check(&keys, Some(newest)), Err(Refusal::Forked));
        }
    }
}
