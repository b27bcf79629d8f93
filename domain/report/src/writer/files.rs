//! The zip being written.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use audit_log::merkle::Hash;
use flate2::Crc;
use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter};
use sha2::{Digest as _, Sha256};

use super::{
    segment::FileFacts,
    spool::{Spool, Spooled},
};
use crate::BundleError;

/// The zip, and what is known of the files in it.
pub(super) struct Files<W> {
    zip: ZipArchiveWriter<W>,
    pub(super) sums: BTreeMap<String, Hash>,
    pub(super) lengths: BTreeMap<String, u64>,
}

impl<W: Write> Files<W> {
    /// A zip without files.
    pub(super) fn new(out: W) -> Self {
        Self { zip: ZipArchiveWriter::new(out), sums: BTreeMap::new(), lengths: BTreeMap::new() }
    }

    /// Ends the zip.
    pub(super) fn finish(self) -> Result<W, BundleError> {
        Ok(self.zip.finish()?)
    }

    /// Adds a file from memory.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
        self.copy(name, &mut &bytes[..])
    }

    /// Adds a file as it comes, uncompressed.
    pub(super) fn copy(&mut self, name: &str, from: &mut dyn Read) -> Result<(), BundleError> {
        let (mut entry, _) = self.zip.new_file(name).start()?;
        let (mut crc, mut sha, mut length) = (Crc::new(), Sha256::new(), 0_u64);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer)?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            crc.update(piece);
            sha.update(piece);
            entry.write_all(piece)?;
            length += u64::try_from(read).unwrap_or(u64::MAX);
        }
        entry.finish(DataDescriptorOutput::new(crc.sum(), length))?;
        self.sums.insert(name.to_owned(), Hash(sha.finalize().into()));
        self.lengths.insert(name.to_owned(), length);
        Ok(())
    }

    /// Adds a file that is not here: all that is written of it is zeros, as many as it has bytes, once `begin` was told. Whoever
    /// takes the zip puts the file in their place.
    pub(super) fn refer(
        &mut self,
        name: &str,
        facts: &FileFacts,
        begin: &mut dyn FnMut() -> std::io::Result<()>,
    ) -> Result<(), BundleError> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let (mut entry, _) = self.zip.new_file(name).start()?;
        begin()?;
        let mut left = facts.length;
        while left > 0 {
            let some = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            entry.write_all(&ZEROS[..some])?;
            left -= u64::try_from(some).unwrap_or(left);
        }
        entry.finish(DataDescriptorOutput::new(facts.crc, facts.length))?;
        self.sums.insert(name.to_owned(), Hash(facts.sha256));
        self.lengths.insert(name.to_owned(), facts.length);
        Ok(())
    }

    /// Adds a file that was deflated into a spool.
    pub(super) fn copy_spool<S: Spool>(
        &mut self,
        name: &str,
        spooled: Spooled<S>,
    ) -> Result<(), BundleError> {
        let mut ended = spooled.finish()?;
        let (mut entry, _) =
            self.zip.new_file(name).compression_method(CompressionMethod::DEFLATE).start()?;
        let deflated = std::io::copy(&mut (&mut ended.spool).take(ended.deflated), &mut entry)?;
        if deflated != ended.deflated {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        entry.finish(DataDescriptorOutput::new(ended.crc, ended.length))?;
        self.sums.insert(name.to_owned(), ended.sha256);
        self.lengths.insert(name.to_owned(), ended.length);
        Ok(())
    }
}
