//! The one pass over all leaves: what they are, that they are all, and that the rows are those the query asks for.
//!
//! Files of the range are read by as many threads as there may be, each every so many files, and arrive here in
//! order, a piece at a time. The pass goes on to the end of the range when rows are wrong, so that a range that is not
//! whole is told as that, and not as the row that it made missing.

mod erasures;
mod lines;
mod rows;
mod segment;

use std::{
    collections::BTreeSet,
    sync::{
        atomic::AtomicU64,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use audit_log::merkle::CompactRange;
use report_bundle::{leaf::canonical_text, manifest::Manifest, names, query::Filter};

use crate::{Demands, Refusal, Step, container::Container, heads::Heads};
pub(crate) use erasures::Erasures;
use rows::Rows;
use segment::{Piece, Reading};

/// How many pieces of a file may wait for their turn: all of a file, if few of its leaves are rows, so that whoever reads it goes
/// on while the file before it is taken.
const PIECES_WAITING: usize = 16;

/// How many threads may read, however many are allowed: each takes memory.
const THREADS_MAX: usize = 16;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) leaves: u64,
    pub(crate) rows: u64,
    pub(crate) late: u64,
    pub(crate) disclosures: u64,
    pub(crate) erasures: u64,
    /// Leaves that came later than whoever checks allows.
    pub(crate) late_leaves: u64,
    /// The events that rows name as having erased something.
    pub(crate) erased_by: BTreeSet<u64>,
}

/// What the pass goes by.
pub(crate) struct Asked<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) heads: &'a Heads,
    pub(crate) filter: &'a Filter,
    /// Why there are none, when their proofs do not hold: of interest once a row names one.
    pub(crate) erasures: &'a Result<Erasures, Refusal>,
}

/// Looks through all leaves.
///
/// # Errors
/// `leaves`, `range`, `rows`, `disclosures` or `erasures`: the first of these, in this order, that fails.
pub(crate) fn run(bundle: &dyn Container, asked: &Asked<'_>, demands: &Demands) -> Result<Found, Refusal> {
    let segments: Vec<_> =
        bundle.files().keys().filter_map(|name| Some((names::segment_first(name)?, name.as_str()))).collect();
    // What is left of it by the files themselves, which were all read by now.
    let files = bundle.files().values().fold(0_u64, |all, length| all.saturating_add(*length));
    let budget = AtomicU64::new(demands.inflated_max_bytes.saturating_sub(files));
    let reading = Reading {
        bundle,
        filter: asked.filter,
        tenant: canonical_text(&asked.manifest.tenant_id),
        stream: canonical_text(&asked.manifest.stream),
        cuts: &asked.heads.roots,
        lateness_s: demands.lateness_s,
        budget: &budget,
    };
    let mut pass = Pass::new(bundle, asked);
    let threads = demands.threads.clamp(1, segments.len().clamp(1, THREADS_MAX));
    if threads == 1 {
        for (first, name) in &segments {
            reading.pieces(*first, name, &mut |piece| pass.take(&piece))?;
        }
        return pass.finish();
    }
    std::thread::scope(|scope| {
        let mut arriving = Vec::new();
        for thread in 0..threads {
            let (sender, receiver) = sync_channel(PIECES_WAITING);
            arriving.push(receiver);
            let (mine, reading) = (segments.iter().skip(thread).step_by(threads), &reading);
            scope.spawn(move || read_all(reading, mine, &sender));
        }
        collect(&mut pass, &arriving, segments.len())?;
        pass.finish()
    })
}

type Arriving = Result<Piece, Refusal>;

/// One thread's files. It ends early when nobody listens any more.
fn read_all<'s>(
    reading: &Reading<'_>,
    segments: impl Iterator<Item = &'s (u64, &'s str)>,
    sender: &SyncSender<Arriving>,
) {
    let gone = || Step::Leaves.because("stopped");
    for (first, name) in segments {
        let read = reading.pieces(*first, name, &mut |piece| sender.send(Ok(piece)).map_err(|_| gone()));
        if let Err(refusal) = read {
            // Nobody may listen any more; then nobody misses it.
            let _ = sender.send(Err(refusal));
            return;
        }
    }
}

fn collect(pass: &mut Pass<'_>, arriving: &[Receiver<Arriving>], segments: usize) -> Result<(), Refusal> {
    for receiver in arriving.iter().cycle().take(segments) {
        loop {
            let piece = receiver.recv().map_err(|_| Step::Leaves.because("a reader stopped"))??;
            pass.take(&piece)?;
            if piece.last {
                break;
            }
        }
    }
    Ok(())
}

struct Pass<'a> {
    asked: &'a Asked<'a>,
    late_leaves: u64,
    range: CompactRange,
    rows: Result<Rows<'a>, Refusal>,
}

impl<'a> Pass<'a> {
    fn new(bundle: &'a dyn Container, asked: &'a Asked<'a>) -> Self {
        Self { asked, late_leaves: 0, range: asked.heads.before.clone(), rows: Rows::open(bundle, asked) }
    }

    fn take(&mut self, piece: &Piece) -> Result<(), Refusal> {
        self.range.append_range(&piece.leaves).map_err(Step::Range.by())?;
        self.late_leaves += piece.late;
        if let Some((root, from)) = self.asked.heads.roots.get(&self.range.end())
            && self.range.root() != Ok(*root)
        {
            let end = self.range.end();
            return Err(
                Step::Range.because(format!("the first {end} leaves do not fold into the root of {from}"))
            );
        }
        if let Ok(rows) = &mut self.rows {
            let compared = piece.rows().try_for_each(|(index, leaf)| rows.expect(index, leaf));
            if let Err(refusal) = compared {
                self.rows = Err(refusal);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Found, Refusal> {
        let step = Step::Range;
        let manifest = self.asked.manifest;
        if self.range.end() != manifest.range.end {
            return Err(step.because(format!(
                "the leaves end at {} and not at {}",
                self.range.end(),
                manifest.range.end
            )));
        }
        let mut found = self.rows?.finish()?;
        found.late_leaves = self.late_leaves;
        found.leaves = manifest.range.end - manifest.range.first;
        Ok(found)
    }
}
