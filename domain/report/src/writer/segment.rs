//! Files of the range.

use std::{
    collections::BTreeMap,
    io::{Read, Write as _},
    ops::Range,
};

use audit_log::merkle::{CompactRange, Hash, leaf_hashes};
use flate2::{Compression, Crc, GzBuilder, read::GzDecoder, write::GzEncoder};
use sha2::{Digest as _, Sha256};

use crate::{BundleError, leaf::LeafReader};

/// A file of the range that was made before, to be copied.
pub struct ReadySegment<'s> {
    /// The first leaf.
    pub first: u64,
    /// How many leaves.
    pub leaves: u64,
    /// The hashes of [`audit_log::merkle::complete_subtrees`] of its leaves.
    pub subtrees: &'s [Hash],
    /// The file.
    pub file: ReadyFile<'s>,
}

/// Where a file that was made before is.
pub enum ReadyFile<'s> {
    /// Here.
    Here(&'s mut dyn Read),
    /// Elsewhere: what is known of it, and what is told just before its place in the zip is filled with zeros.
    Elsewhere(FileFacts, &'s mut dyn FnMut() -> std::io::Result<()>),
}

/// What a zip and its sums say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// How many bytes it has.
    pub length: u64,
    /// CRC-32 (ISO 3309) of it.
    pub crc: u32,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

impl FileFacts {
    /// Whether a file is the one that this is known of.
    pub fn is_of(&self, file: &[u8]) -> bool {
        u64::try_from(file.len()).ok() == Some(self.length)
            && <[u8; 32]>::from(Sha256::digest(file)) == self.sha256
    }
}

/// Makes a file of the range: what a report keeps, and what a server keeps ready.
pub struct SegmentBuilder {
    first: u64,
    gzip: GzEncoder<Vec<u8>>,
}

impl SegmentBuilder {
    /// A file that begins with leaf `first`.
    pub fn new(first: u64) -> Self {
        // The same leaves give the same file: no name, no time.
        Self { first, gzip: GzBuilder::new().write(Vec::new(), Compression::fast()) }
    }

    /// Adds the next leaf. The caller counts them.
    ///
    /// # Errors
    /// Never: it is in memory.
    pub fn push(&mut self, leaf: &[u8]) -> std::io::Result<()> {
        self.gzip.write_all(leaf)?;
        self.gzip.write_all(b"\n")
    }

    /// The first leaf and the file.
    ///
    /// # Errors
    /// Never: it is in memory.
    pub fn finish(self) -> std::io::Result<(u64, Vec<u8>)> {
        Ok((self.first, self.gzip.finish()?))
    }
}

/// A file of the range that was made before anybody asked, and its leaves once more by what type they are of, so that whoever
/// asks for some types reads those alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutSegment {
    /// The file of the range.
    pub gzip: Vec<u8>,
    /// The hashes of [`audit_log::merkle::complete_subtrees`] of its leaves.
    pub subtrees: Vec<Hash>,
    /// What is known of the file of the range.
    pub facts: FileFacts,
    /// Leaves of one type after those of another.
    pub by_type: Vec<u8>,
    /// Where those of each type are in it.
    pub runs: Vec<TypeRun>,
}

/// Where the leaves of a type are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRun {
    /// The type.
    pub type_name: String,
    /// Where they begin, in bytes.
    pub offset: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

/// Makes a file of the range of leaves from `first` on.
///
/// # Errors
/// `Leaf`, `Merkle`.
pub fn cut_segment(first: u64, leaves: &[Vec<u8>]) -> Result<CutSegment, BundleError> {
    let (mut range, mut file) = (CompactRange::starting_at(first), SegmentBuilder::new(first));
    range.append_leaves(&leaf_hashes(&leaves.iter().map(Vec::as_slice).collect::<Vec<_>>()))?;
    let mut reader = LeafReader::default();
    let mut types: BTreeMap<String, GzEncoder<Vec<u8>>> = BTreeMap::new();
    for (index, leaf) in (first..).zip(leaves) {
        let read = reader.read(leaf).map_err(|fault| BundleError::Leaf { index, fault })?;
        let name = read.text(&["type"]).unwrap_or_default().into_owned();
        file.push(leaf)?;
        let run =
            types.entry(name).or_insert_with(|| GzBuilder::new().write(Vec::new(), Compression::fast()));
        write!(run, "{index} ")?;
        run.write_all(leaf)?;
        run.write_all(b"\n")?;
    }
    let (_, gzip) = file.finish()?;
    let (mut by_type, mut runs) = (Vec::new(), Vec::with_capacity(types.len()));
    for (type_name, run) in types {
        let run = run.finish()?;
        let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let sha256 = Sha256::digest(&run).into();
        runs.push(TypeRun { type_name, offset: length(&by_type), bytes: length(&run), sha256 });
        by_type.extend_from_slice(&run);
    }
    let mut crc = Crc::new();
    crc.update(&gzip);
    let length = u64::try_from(gzip.len()).unwrap_or(u64::MAX);
    let facts = FileFacts { length, crc: crc.sum(), sha256: Sha256::digest(&gzip).into() };
    Ok(CutSegment { gzip, subtrees: range.hashes().collect(), facts, by_type, runs })
}

/// The leaves of a run, in order, where they were inflated to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLeaves {
    text: Vec<u8>,
    /// Index of each, and where it stands in the text.
    marks: Vec<(u64, Range<usize>)>,
}

impl RunLeaves {
    /// Index of each leaf, in order.
    pub fn indexes(&self) -> impl ExactSizeIterator<Item = u64> {
        self.marks.iter().map(|(index, _)| *index)
    }

    /// The leaf at a place, from 0.
    pub fn leaf(&self, place: usize) -> Option<&[u8]> {
        let (_, range) = self.marks.get(place)?;
        self.text.get(range.clone())
    }
}

/// Reads the leaves of a run from its bytes.
///
/// # Errors
/// `InvalidData` when they are not those that were made.
pub fn read_run(of: &TypeRun, run: &[u8]) -> std::io::Result<RunLeaves> {
    if <[u8; 32]>::from(Sha256::digest(run)) != of.sha256 {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    // How much that is inflated stands at the end (RFC 1952 section 2.3.1); deflate makes no more of a byte than this.
    let length = run.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let length = usize::try_from(length).unwrap_or_default().min(run.len().saturating_mul(1_032));
    let mut text = Vec::with_capacity(length);
    GzDecoder::new(run).read_to_end(&mut text)?;
    let mut marks = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let space = line.iter().position(|byte| *byte == b' ');
        let index = space.and_then(|space| std::str::from_utf8(line.get(..space)?).ok()?.parse().ok());
        let (Some(space), Some(index), Some(b'\n')) = (space, index, line.last()) else {
            return Err(std::io::ErrorKind::InvalidData.into());
        };
        marks.push((index, at + space + 1..at + line.len() - 1));
        at += line.len();
    }
    Ok(RunLeaves { text, marks })
}

#[cfg(test)]
mod tests {
    use audit_log::jcs::canonical;
    use serde_json::json;

    use super::*;

    fn leaf(name: &str, number: u64) -> Vec<u8> {
        let at = "2026-07-01T00:00:00.000000Z";
        let leaf = json!({
            "actor": {"id": "m", "kind": "member"}, "compliance_id": "c", "event_id": "e", "occurred_at": at,
            "outcome": "success", "reason": number.to_string(), "recorded_at": at, "stream": "iam", "tenant_id": "t",
            "type": name, "v": 1,
        });
        canonical(&leaf).expect("has a form")
    }

    #[test]
    fn a_cut_segment_has_its_leaves_once_in_order_and_once_by_type() {
        let name = |number: u64| if number.is_multiple_of(2) { "b" } else { "a" };
        let leaves: Vec<_> = (0..10).map(|number| leaf(name(number), number)).collect();
        let cut = cut_segment(16, &leaves).expect("leaves");
        assert_eq!(cut, cut_segment(16, &leaves).expect("leaves"), "the same leaves give the same file");
        let mut text = Vec::new();
        GzDecoder::new(cut.gzip.as_slice()).read_to_end(&mut text).expect("gzip");
        assert_eq!(text, [leaves.join(&b'\n'), b"\n".to_vec()].concat());
        let names: Vec<_> = cut.runs.iter().map(|run| run.type_name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        for (place, run) in (0_u64..).zip(&cut.runs) {
            let range =
                usize::try_from(run.offset).unwrap()..usize::try_from(run.offset + run.bytes).unwrap();
            let read = read_run(run, &cut.by_type[range]).expect("a run");
            assert!(read_run(run, b"something else").is_err());
            let wanted: Vec<_> = (16..).zip(&leaves).filter(|(index, _)| (index + 1) % 2 == place).collect();
            assert!(read.indexes().eq(wanted.iter().map(|(index, _)| *index)));
            assert!(
                (0..wanted.len())
                    .map(|place| read.leaf(place))
                    .eq(wanted.iter().map(|(_, leaf)| Some(leaf.as_slice())))
            );
            assert_eq!((wanted.len(), read.leaf(wanted.len())), (5, None));
        }
    }
}
