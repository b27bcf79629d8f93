//! Writing a bundle: fed in order, in constant memory, to anything that can be written to.
//!
//! The range goes straight into the zip, a file at a time, compressed in memory; rows and openings go into *spools*,
//! which the caller gives (temporary files as a rule), and from there into the zip when all are known, since a zip
//! holds one file after another.
//!
//! ```text
//! BundleWriter::new -> push_leaf or push_segment, push_row -> push_erasure_proof -> close -> Sealing
//! Sealing: sums() are to be signed -> seal(signature, timestamp)    or, where keys answer at once, seal_with
//! ```
//!
//! Invariants: what is written is what the verifier wants, as far as the writer sees it: leaves are strict, rows are
//! asked for by the query, show what they should, and are in order, and the range folds into the checkpoint's root.
//! A row that was left out is not seen here when the range came as ready segments; the verifier sees it.

mod files;
mod seal;
mod segment;
mod spool;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use audit_log::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, Hash, leaf_hash},
    note::Note,
};

use crate::{
    BundleError, cms, columns,
    heads::write_hashes,
    leaf::LeafReader,
    manifest::{self, Manifest},
    names,
    opening::{self, Disclosure, Erasure, Field, Shown},
    query::{Filter, Query},
    summary, sums,
    time::Time,
};
use files::Files;
pub use seal::{Sealed, Sealing, Timestamper};
pub use segment::{
    CutSegment, FileFacts, ReadyFile, ReadySegment, RunLeaves, SegmentBuilder, TypeRun, cut_segment, read_run,
};
pub use spool::Spool;
use spool::Spooled;

/// What is known of a report before its first leaf. The fields are those of [`Manifest`].
#[derive(Clone, Debug)]
pub struct ReportHead {
    /// The identifier of the answer the export is logged under (UUID).
    pub report_id: String,
    /// Whose log (UUID).
    pub tenant_id: String,
    /// Which of the tenant's logs.
    pub stream: String,
    /// The log's name.
    pub origin: String,
    /// The word of a named report, or `custom`.
    pub kind: String,
    /// What is asked.
    pub query: Query,
    /// The same, as it was typed.
    pub query_text: String,
    /// The zone its period was given in.
    pub time_zone: String,
    /// Now.
    pub created_at: Time,
    /// In seconds.
    pub max_lateness_s: u64,
    /// The fields to be disclosed.
    pub disclosed: Vec<Field>,
    /// What makes the report.
    pub tool: manifest::Tool,
    /// The first leaf of the range.
    pub first: u64,
    /// The hashes of [`audit_log::merkle::complete_subtrees`] of `[0, first)`.
    pub boundary: Vec<Hash>,
}

/// The heads of a report, as their files have them.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    /// The tenant's checkpoint, a signed note, of the size where the range ends.
    pub checkpoint: String,
    /// That of the size where it begins.
    pub checkpoint_before: Option<String>,
    /// The consistency proof from that to the other.
    pub consistency: Option<Vec<Hash>>,
    /// A tlog-proof: that the platform's log holds the checkpoint. Its `extra` is the salt.
    pub platform_proof: Option<String>,
    /// That it holds the earlier one.
    pub platform_proof_before: Option<String>,
    /// The policy, as the log's keeper states it.
    pub policy: Option<String>,
}

/// A leaf that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Its index in the log.
    pub index: u64,
    /// Whether the query asks for it: then a row must follow.
    pub asked_for: bool,
}

/// A bundle being written.
pub struct BundleWriter<W, S: Spool> {
    head: ReportHead,
    filter: Filter,
    reader: LeafReader,
    files: Files<W>,
    range: CompactRange,
    segment: Option<SegmentBuilder>,
    csv: Spooled<S>,
    disclosures: Spooled<S>,
    erasures: Spooled<S>,
    line: Vec<u8>,
    next_row: u64,
    counts: Counts,
    erased_by: BTreeSet<u64>,
}

#[derive(Default)]
struct Counts {
    rows: u64,
    late: u64,
    disclosures: u64,
    erasures: u64,
}

impl<W: Write, S: Spool> BundleWriter<W, S> {
    /// Begins a bundle. `spools` are empty and are overwritten.
    ///
    /// # Errors
    /// `Format` for a query out of bounds, `Merkle` for a boundary that is not that of `first`.
    pub fn new(out: W, spools: [S; 3], head: ReportHead) -> Result<Self, BundleError> {
        let range = CompactRange::from_hashes(0, head.first, &head.boundary)?;
        let filter = Filter::new(&head.query)?;
        let [csv, disclosures, erasures] = spools.map(Spooled::new);
        let mut writer = Self {
            filter,
            reader: LeafReader::default(),
            files: Files::new(out),
            range,
            segment: None,
            csv,
            disclosures,
            erasures,
            line: Vec::new(),
            next_row: head.first,
            counts: Counts::default(),
            erased_by: BTreeSet::new(),
            head,
        };
        let boundary = write_hashes(writer.head.boundary.iter().copied());
        writer.files.add(names::BOUNDARY, boundary.as_bytes())?;
        columns::push_headings(&mut writer.line);
        writer.csv.write(&writer.line)?;
        Ok(writer)
    }

    /// Adds the next leaf of the range.
    ///
    /// # Errors
    /// `Leaf`, `Merkle`, `Io`, `Zip`.
    pub fn push_leaf(&mut self, leaf: &[u8]) -> Result<Pushed, BundleError> {
        let index = self.range.end();
        let read = self.reader.read(leaf).map_err(|fault| BundleError::Leaf { index, fault })?;
        let asked_for = self.filter.asks_for(&read);
        self.range.append_leaf(leaf_hash(leaf))?;
        let segment = self.segment.get_or_insert_with(|| SegmentBuilder::new(index));
        segment.push(leaf)?;
        if self.range.end().is_multiple_of(names::SEGMENT_LEAVES_MAX) {
            self.flush_segment()?;
        }
        Ok(Pushed { index, asked_for })
    }

    /// Adds the next leaves of the range as a file made before. Its bytes are copied and not looked into; its hashes
    /// are believed, and found out by the checkpoint when they are not its own.
    ///
    /// # Errors
    /// `SegmentOrder`, `Merkle`, `Io`, `Zip`.
    pub fn push_segment(&mut self, segment: ReadySegment<'_>) -> Result<(), BundleError> {
        self.flush_segment()?;
        let ReadySegment { first, leaves, subtrees, file } = segment;
        let end = self.range.end();
        if first != end || leaves == 0 || leaves > names::SEGMENT_LEAVES_MAX {
            return Err(BundleError::SegmentOrder { first, leaves, end });
        }
        let last = first.checked_add(leaves).ok_or(BundleError::SegmentOrder { first, leaves, end })?;
        self.range.append_range(&CompactRange::from_hashes(first, last, subtrees)?)?;
        let name = names::segment(first);
        match file {
            ReadyFile::Here(bytes) => self.files.copy(&name, bytes),
            ReadyFile::Elsewhere(facts, begin) => self.files.refer(&name, &facts, begin),
        }
    }

    /// Whether the query asks for a leaf.
    ///
    /// # Errors
    /// `Leaf`.
    pub fn asks_for(&mut self, index: u64, leaf: &[u8]) -> Result<bool, BundleError> {
        let read = self.reader.read(leaf).map_err(|fault| BundleError::Leaf { index, fault })?;
        Ok(self.filter.asks_for(&read))
    }

    /// Adds a row: a leaf that the query asks for, and what is shown of its commitments, in the order of
    /// [`Field::ALL`]. Its leaf must be in the range by now.
    ///
    /// # Errors
    /// `RowOrder`, `RowUnasked`, `RowOpening`, `Leaf`, `Format`, `Io`.
    pub fn push_row(
        &mut self,
        index: u64,
        leaf: &[u8],
        shown: &[Option<Shown>; 2],
    ) -> Result<(), BundleError> {
        if index < self.next_row || index >= self.range.end() {
            return Err(BundleError::RowOrder { index });
        }
        let leaf = self.reader.read(leaf).map_err(|fault| BundleError::Leaf { index, fault })?;
        leaf.check_shown().map_err(|fault| BundleError::Leaf { index, fault })?;
        if !self.filter.asks_for(&leaf) {
            return Err(BundleError::RowUnasked { index });
        }
        self.next_row = index + 1;
        for (field, shown) in Field::ALL.into_iter().zip(shown) {
            let commitment = leaf.commitment(field);
            let fault = BundleError::RowOpening { index, field: field.in_leaf() };
            if shown.is_some() != (commitment.is_some() && self.head.disclosed.contains(&field)) {
                return Err(fault);
            }
            match (shown, commitment) {
                (Some(Shown::Opened { salt, value }), Some(commitment)) => {
                    let salt = Hash(*salt).to_hex();
                    let line = Disclosure { index, field, salt, value: value.clone() };
                    if !line.opens(&commitment)? {
                        return Err(fault);
                    }
                    self.disclosures.write(&opening::write_line(names::DISCLOSURES, &line)?)?;
                    self.disclosures.write(b"\n")?;
                    self.counts.disclosures += 1;
                }
                (Some(Shown::Erased { by }), Some(_)) => {
                    let line = Erasure { index, field, by: *by };
                    self.erasures.write(&opening::write_line(names::ERASURES, &line)?)?;
                    self.erasures.write(b"\n")?;
                    self.erased_by.insert(*by);
                    self.counts.erasures += 1;
                }
                (_, _) => {}
            }
        }
        self.line.clear();
        let late = leaf.is_late(self.head.max_lateness_s);
        let row = columns::Row { index, openings: [shown[0].as_ref(), shown[1].as_ref()], late };
        columns::push_row(&mut self.line, row, &leaf)?;
        self.csv.write(&self.line)?;
        self.counts.rows += 1;
        self.counts.late += u64::from(late);
        Ok(())
    }

    /// Adds the proof of an erasure that rows name: a tlog-proof in the tenant's `admin` log whose `extra` is the leaf.
    ///
    /// # Errors
    /// `Io`, `Zip`.
    pub fn push_erasure_proof(&mut self, by: u64, proof: &str) -> Result<(), BundleError> {
        self.erased_by.remove(&by);
        self.flush_segment()?;
        self.files.add(&names::erasure_proof(by), proof.as_bytes())
    }

    /// Writes all other files. What is left is to sign. `certificates` are those of [`cms::RawSigner::certificates`].
    ///
    /// # Errors
    /// `OtherTree`, `Head`, `ErasureProof`, `Format`, `Io`, `Zip`.
    pub fn close(mut self, heads: &Heads, certificates: &[Vec<u8>]) -> Result<Sealing<W>, BundleError> {
        self.flush_segment()?;
        if let Some(by) = self.erased_by.first() {
            return Err(BundleError::ErasureProof(*by));
        }
        self.check_heads(heads)?;
        self.files.copy_spool(names::REPORT, self.csv)?;
        self.files.copy_spool(names::DISCLOSURES, self.disclosures)?;
        self.files.copy_spool(names::ERASURES, self.erasures)?;
        self.files.add(names::COLUMNS, &columns::describe())?;
        self.files.add(names::CHECKPOINT, heads.checkpoint.as_bytes())?;
        let consistency = heads.consistency.as_ref().map(|hashes| write_hashes(hashes.iter().copied()));
        for (name, text) in [
            (names::CHECKPOINT_BEFORE, &heads.checkpoint_before),
            (names::CONSISTENCY, &consistency),
            (names::PLATFORM_PROOF, &heads.platform_proof),
            (names::PLATFORM_PROOF_BEFORE, &heads.platform_proof_before),
            (names::POLICY, &heads.policy),
        ] {
            if let Some(text) = text {
                self.files.add(name, text.as_bytes())?;
            }
        }
        let mut manifest = Manifest {
            format: manifest::FORMAT.to_owned(),
            report_id: self.head.report_id,
            tenant_id: self.head.tenant_id,
            stream: self.head.stream,
            origin: self.head.origin,
            kind: self.head.kind,
            query: self.head.query,
            query_text: self.head.query_text,
            time_zone: self.head.time_zone,
            created_at: self.head.created_at,
            range: manifest::Range { first: self.head.first, end: self.range.end() },
            rows: self.counts.rows,
            max_lateness_s: self.head.max_lateness_s,
            late: self.counts.late,
            disclosed: self.head.disclosed,
            disclosures: self.counts.disclosures,
            erasures: self.counts.erasures,
            signer: cms::signer_of(certificates)?,
            tool: self.head.tool,
            files: BTreeMap::new(),
        };
        self.files.add(names::SUMMARY, summary::html(&manifest).as_bytes())?;
        self.files.add(names::VERIFY, crate::verify_txt(&manifest).as_bytes())?;
        manifest.files.clone_from(&self.files.lengths);
        self.files.add(names::MANIFEST, &manifest.write()?)?;
        let sums = sums::write(&self.files.sums);
        Ok(Sealing::new(self.files, sums))
    }

    fn check_heads(&self, heads: &Heads) -> Result<(), BundleError> {
        let checkpoint = read_checkpoint(&heads.checkpoint)?;
        let same = checkpoint.size() == self.range.end()
            && checkpoint.root() == self.range.root()?
            && checkpoint.origin() == self.head.origin;
        if let Some(before) = &heads.checkpoint_before {
            let before = read_checkpoint(before)?;
            let boundary = CompactRange::from_hashes(0, self.head.first, &self.head.boundary)?;
            if before.size() != self.head.first || before.root() != boundary.root()? {
                return Err(BundleError::OtherTree);
            }
        }
        if same { Ok(()) } else { Err(BundleError::OtherTree) }
    }

    fn flush_segment(&mut self) -> Result<(), BundleError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let (first, gzip) = segment.finish()?;
        self.files.copy(&names::segment(first), &mut gzip.as_slice())
    }
}

fn read_checkpoint(note: &str) -> Result<Checkpoint, BundleError> {
    let note = Note::parse(note.as_bytes()).map_err(|_| BundleError::Head)?;
    Checkpoint::parse(note.text()).map_err(|_| BundleError::Head)
}
