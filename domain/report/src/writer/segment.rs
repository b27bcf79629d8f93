//! Files of the range.

use std::io::{Read, Write as _};

use audit_log::merkle::Hash;
use flate2::{Compression, GzBuilder, write::GzEncoder};

/// A file of the range that was made before, to be copied.
pub struct ReadySegment<'s> {
    /// The first leaf.
    pub first: u64,
    /// How many leaves.
    pub leaves: u64,
    /// The hashes of [`audit_log::merkle::complete_subtrees`] of its leaves.
    pub subtrees: &'s [Hash],
    /// The file.
    pub gzip: &'s mut dyn Read,
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
