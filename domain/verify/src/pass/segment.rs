//! Reading one file of the range.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read},
    sync::atomic::{AtomicU64, Ordering},
};

use audit_log::merkle::{CompactRange, Hash, leaf_hashes};
use flate2::bufread::GzDecoder;
use memchr::memchr;
use report_bundle::{
    leaf::{Leaf, LeafReader},
    names::SEGMENT_LEAVES_MAX,
    query::Filter,
};

use crate::{
    Refusal, Step,
    container::{Container, fill},
};

/// A piece ends after so many leaves, or rows of so many bytes.
const PIECE_LEAVES: u64 = 8_192;
const PIECE_ROWS_BYTES: usize = 1 << 20;

/// So many bytes of leaves are looked at and hashed together: they stay near the processor meanwhile.
const BATCH_BYTES: usize = 256 << 10;

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
    /// Their hashes, folded once they are all there.
    pub(super) leaves: CompactRange,
    /// The hash of each.
    hashes: Vec<Hash>,
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
            hashes: Vec::new(),
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

    /// Takes the hashes of the leaves that were looked at; the index behind them.
    fn hash(&mut self, leaves: &mut Vec<&[u8]>) {
        self.hashes.append(&mut leaf_hashes(leaves));
        leaves.clear();
    }

    fn fold(&mut self) -> Result<(), Refusal> {
        self.leaves.append_leaves(&std::mem::take(&mut self.hashes)).map_err(Step::Leaves.by())
    }
}

/// Text that comes in, as many whole lines at a time as there is room for.
struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// How much of the buffer was read, and how much of that was given out.
    filled: usize,
    given: usize,
}

impl<R: Read> Lines<R> {
    fn new(from: R) -> Self {
        Self { from, buffer: vec![0; BATCH_BYTES], filled: 0, given: 0 }
    }

    /// Reads on; how many bytes came in.
    fn fill(&mut self) -> std::io::Result<usize> {
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.given = 0;
        let read = fill(&mut self.from, self.buffer.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += read;
        Ok(read)
    }

    /// The whole lines that are there, and whether something is there that is no whole line.
    fn whole(&mut self) -> (&[u8], bool) {
        let there = self.buffer.get(..self.filled).unwrap_or_default();
        self.given = there.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        (there.get(..self.given).unwrap_or_default(), self.given < self.filled)
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
        // Each leaf is held to the root that was signed.
        let file = BufReader::with_capacity(128 << 10, self.bundle.open_again(name).map_err(fault)?);
        let mut lines = Lines::new(GzDecoder::new(file));
        let mut reader = LeafReader::default();
        let (mut piece, mut index) = (Piece::starting_at(first), first);
        loop {
            let read = lines.fill().map_err(fault)?;
            self.spend(read, name)?;
            let (text, is_more) = lines.whole();
            if text.is_empty() && (read == 0 || is_more) {
                if is_more {
                    return Err(step.because(format!("leaf {index} does not end")));
                }
                break;
            }
            let mut batch = Vec::with_capacity(512);
            let mut rest = text;
            while let Some(length) = memchr(b'\n', rest) {
                let (bytes, behind) = rest.split_at(length);
                rest = behind.get(1..).unwrap_or_default();
                if index - first >= SEGMENT_LEAVES_MAX {
                    return Err(step.because(format!("{name} has too many leaves")));
                }
                let leaf = reader.read(bytes).map_err(|why| step.because(format!("leaf {index}: {why}")))?;
                self.check(index, &leaf)?;
                piece.late += u64::from(self.lateness_s.is_some_and(|lateness_s| leaf.is_late(lateness_s)));
                if self.filter.asks_for(&leaf) {
                    piece.bytes.extend_from_slice(bytes);
                    piece.marks.push((index, piece.bytes.len()));
                }
                batch.push(bytes);
                index += 1;
                let is_full =
                    index - piece.leaves.begin() >= PIECE_LEAVES || piece.bytes.len() >= PIECE_ROWS_BYTES;
                if is_full || self.cuts.contains_key(&index) {
                    piece.hash(&mut batch);
                    piece.fold()?;
                    take(std::mem::replace(&mut piece, Piece::starting_at(index)))?;
                }
            }
            piece.hash(&mut batch);
        }
        let behind = lines.from.into_inner().read(&mut [0]).map_err(fault)?;
        if index == first || behind != 0 {
            return Err(step.because(format!("{name} has no leaves, or something behind them")));
        }
        piece.fold()?;
        piece.last = true;
        take(piece)
    }

    fn check(&self, index: u64, leaf: &Leaf<'_>) -> Result<(), Refusal> {
        let step = Step::Leaves;
        if leaf.tenant_id() != self.tenant {
            return Err(step.because(format!("leaf {index} is another tenant's")));
        }
        if leaf.stream() == self.stream {
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
