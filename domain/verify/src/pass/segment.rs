//! Reading one file of the range.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use audit_log::merkle::{CompactRange, Hash, leaf_hash};
use flate2::bufread::GzDecoder;
use report_bundle::{
    leaf::{LEAF_MAX_BYTES, Leaf, LeafReader},
    names::SEGMENT_LEAVES_MAX,
    query::Filter,
};

use crate::{Refusal, Step, container::Container};

/// A piece ends after so many leaves, or rows of so many bytes.
const PIECE_LEAVES: u64 = 8_192;
const PIECE_ROWS_BYTES: usize = 8 << 20;

/// What all readers need.
pub(super) struct Reading<'r> {
    pub(super) bundle: &'r dyn Container,
    pub(super) filter: &'r Filter,
    /// As leaves spell them.
    pub(super) tenant: Vec<u8>,
    pub(super) stream: Vec<u8>,
    /// Sizes of the log at which a piece must end, so that roots can be compared there.
    pub(super) cuts: &'r BTreeMap<u64, (Hash, String)>,
    /// How late leaves may come, in seconds.
    pub(super) lateness_s: Option<u64>,
    /// How many bytes may still be inflated, by all readers together.
    pub(super) budget: &'r AtomicU64,
}

/// Some leaves, one after another.
pub(super) struct Piece {
    /// Their hashes.
    pub(super) leaves: CompactRange,
    /// Those that are asked for, one behind the other.
    bytes: Vec<u8>,
    /// Index of each, and where it ends.
    marks: Vec<(u64, usize)>,
    /// How many leaves came later than they may.
    pub(super) late: u64,
    /// Whether it is the last of its file.
    pub(super) last: bool,
}

impl Piece {
    const fn starting_at(first: u64) -> Self {
        Self {
            leaves: CompactRange::starting_at(first),
            bytes: Vec::new(),
            marks: Vec::new(),
            late: 0,
            last: false,
        }
    }

    /// Index and bytes of each leaf that is asked for.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut from = 0;
        self.marks.iter().map(move |(index, to)| {
            let leaf = self.bytes.get(from..*to).unwrap_or_default();
            from = *to;
            (*index, leaf)
        })
    }

    fn is_full(&self) -> bool {
        self.leaves.end() - self.leaves.begin() >= PIECE_LEAVES || self.bytes.len() >= PIECE_ROWS_BYTES
    }
}

impl Reading<'_> {
    /// Reads a file and gives it to `take`, piece by piece.
    ///
    /// # Errors
    /// `leaves`, and what `take` fails with.
    pub(super) fn pieces(
        &self,
        first: u64,
        name: &str,
        take: &mut dyn FnMut(Piece) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let step = Step::Leaves;
        let fault = |fault: std::io::Error| step.because(format!("{name}: {fault}"));
        let file = BufReader::with_capacity(128 << 10, self.bundle.open(name).map_err(fault)?);
        let mut lines = BufReader::with_capacity(128 << 10, GzDecoder::new(file));
        let (mut reader, mut line) = (LeafReader::default(), Vec::new());
        let mut piece = Piece::starting_at(first);
        let limit = u64::try_from(LEAF_MAX_BYTES + 1).unwrap_or(u64::MAX);
        loop {
            line.clear();
            let read = (&mut lines).take(limit).read_until(b'\n', &mut line).map_err(fault)?;
            if read == 0 {
                break;
            }
            let index = piece.leaves.end();
            if index - first >= SEGMENT_LEAVES_MAX {
                return Err(step.because(format!("{name} has too many leaves")));
            }
            self.spend(read, name)?;
            let bytes = line.strip_suffix(b"\n");
            let bytes = bytes.ok_or_else(|| step.because(format!("leaf {index} does not end")))?;
            let leaf = reader.read(bytes).map_err(|why| step.because(format!("leaf {index}: {why}")))?;
            self.check(index, &leaf)?;
            piece.late += u64::from(self.lateness_s.is_some_and(|lateness_s| leaf.is_late(lateness_s)));
            piece.leaves.append_leaf(leaf_hash(bytes)).map_err(step.by())?;
            if self.filter.asks_for(&leaf) {
                piece.bytes.extend_from_slice(bytes);
                piece.marks.push((index, piece.bytes.len()));
            }
            if piece.is_full() || self.cuts.contains_key(&piece.leaves.end()) {
                let next = Piece::starting_at(piece.leaves.end());
                take(std::mem::replace(&mut piece, next))?;
            }
        }
        let behind = lines.into_inner().into_inner().read(&mut [0]).map_err(fault)?;
        if piece.leaves.end() == first || behind != 0 {
            return Err(step.because(format!("{name} has no leaves, or something behind them")));
        }
        piece.last = true;
        take(piece)
    }

    fn check(&self, index: u64, leaf: &Leaf<'_>) -> Result<(), Refusal> {
        let step = Step::Leaves;
        if leaf.get(&[b"tenant_id"]) != Some(self.tenant.as_slice()) {
            return Err(step.because(format!("leaf {index} is another tenant's")));
        }
        if leaf.get(&[b"stream"]) == Some(self.stream.as_slice()) {
            Ok(())
        } else {
            Err(step.because(format!("leaf {index} is of another log")))
        }
    }

    fn spend(&self, read: usize, name: &str) -> Result<(), Refusal> {
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        let left =
            self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(read));
        match left {
            Ok(_) => Ok(()),
            Err(_) => Err(Step::Leaves.because(format!("{name} inflates to more than is allowed"))),
        }
    }
}
