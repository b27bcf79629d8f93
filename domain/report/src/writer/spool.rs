//! Files that are begun before the range has ended.

use std::io::{Read, Seek, SeekFrom, Write};

use audit_log::merkle::Hash;
use flate2::{Compression, Crc, write::DeflateEncoder};
use sha2::{Digest as _, Sha256};

/// Where a file waits: a temporary file, or memory where there is enough.
pub trait Spool: Read + Write + Seek {}

impl<S: Read + Write + Seek> Spool for S {}

/// A file being deflated into a spool.
pub(super) struct Spooled<S: Spool> {
    deflate: DeflateEncoder<S>,
    crc: Crc,
    sha256: Sha256,
    length: u64,
}

/// A file in a spool, which stands at its beginning.
pub(super) struct Ended<S> {
    pub(super) spool: S,
    /// How many bytes of the spool it takes.
    pub(super) deflated: u64,
    pub(super) crc: u32,
    pub(super) sha256: Hash,
    /// How many bytes it has.
    pub(super) length: u64,
}

impl<S: Spool> Spooled<S> {
    pub(super) fn new(spool: S) -> Self {
        let deflate = DeflateEncoder::new(spool, Compression::fast());
        Self { deflate, crc: Crc::new(), sha256: Sha256::new(), length: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.crc.update(bytes);
        self.sha256.update(bytes);
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.deflate.write_all(bytes)
    }

    pub(super) fn finish(mut self) -> std::io::Result<Ended<S>> {
        self.deflate.try_finish()?;
        let deflated = self.deflate.total_out();
        let mut spool = self.deflate.finish()?;
        spool.flush()?;
        spool.seek(SeekFrom::Start(0))?;
        let sha256 = Hash(self.sha256.finalize().into());
        Ok(Ended { spool, deflated, crc: self.crc.sum(), sha256, length: self.length })
    }
}
