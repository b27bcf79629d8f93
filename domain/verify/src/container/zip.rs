//! A zip, read so that there is one way to read it: no two files of one name, no bytes that belong to nothing, no file
//! that is called one thing in its own header and another in the directory.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Error, ErrorKind, Read},
};

use flate2::read::DeflateDecoder;
use rawzip::{
    CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
};
use report_bundle::names;

use super::{
    Container,
    directory::{FILES_MAX, FOLDERS},
};
use crate::{Refusal, Step};

/// What may stand between a file and the next: a data descriptor, at most (APPNOTE.TXT section 4.3.9).
const DESCRIPTOR_MAX_BYTES: u64 = 24;

/// The end-of-directory record without a comment (APPNOTE.TXT section 4.3.16).
const END_BYTES: u64 = 22;

/// A zip with the files of a bundle.
#[derive(Debug)]
pub struct Zip<R> {
    archive: ZipArchive<R>,
    entries: BTreeMap<String, (ZipArchiveEntryWayfinder, CompressionMethod)>,
    files: BTreeMap<String, u64>,
}

/// Where a file's bytes are, header included.
struct Place {
    from: u64,
    to: u64,
}

impl Zip<FileReader> {
    /// Opens a file.
    ///
    /// # Errors
    /// `container`.
    pub fn open(file: File) -> Result<Self, Refusal> {
        let length = file.metadata().map_err(Step::Container.by())?.len();
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_file(file, &mut buffer).map_err(Step::Container.by())?;
        Self::read(archive, length)
    }
}

impl Zip<Vec<u8>> {
    /// Takes a zip in memory.
    ///
    /// # Errors
    /// `container`.
    pub fn in_memory(bytes: Vec<u8>) -> Result<Self, Refusal> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let archive = ZipArchive::from_slice(bytes).map_err(Step::Container.by())?;
        Self::read(archive.into_reader_archive(), length)
    }
}

impl<R: ReaderAt> Zip<R> {
    fn read(archive: ZipArchive<R>, length: u64) -> Result<Self, Refusal> {
        let step = Step::Container;
        let mut zip = Self { archive, entries: BTreeMap::new(), files: BTreeMap::new() };
        let mut places = Vec::new();
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let mut local = vec![0; 2 << 16];
        let mut entries = zip.archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(step.by())? {
            if places.len() >= FILES_MAX {
                return Err(step.because("it has too many files"));
            }
            let name = str::from_utf8(entry.file_path().as_bytes())
                .map_err(|_| step.because("a name is not UTF-8"))?
                .to_owned();
            let body = zip.archive.get_entry(entry.wayfinder()).map_err(step.by())?;
            let header = body.local_header(&mut local).map_err(step.by())?;
            if header.file_path().as_bytes() != name.as_bytes() {
                return Err(step.because(format!("{name:?} has another name in its own header")));
            }
            let method = entry.compression_method();
            if header.compression_method() != method {
                return Err(step.because(format!("{name:?} is compressed in two ways")));
            }
            places.push(Place { from: entry.local_header_offset(), to: body.compressed_data_range().1 });
            let size = entry.uncompressed_size_hint();
            let folder = name.strip_suffix('/');
            if folder.is_some_and(|folder| FOLDERS.contains(&folder)) && size == 0 {
                continue;
            }
            if !names::is_known(&name) {
                return Err(step.because(format!("bundles have no file {name:?}")));
            }
            if entry.flags().is_encrypted()
                || ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&method)
            {
                return Err(step.because(format!("{name} is encrypted, or compressed as bundles are not")));
            }
            zip.entries.insert(name.clone(), (entry.wayfinder(), method));
            if zip.files.insert(name.clone(), size).is_some() {
                return Err(step.because(format!("{name} is there twice")));
            }
        }
        zip.check_places(places, length)?;
        Ok(zip)
    }

    /// That files lie one behind the other, and that nothing lies before, between or behind them but the directory.
    fn check_places(&self, mut places: Vec<Place>, length: u64) -> Result<(), Refusal> {
        let step = Step::Container;
        places.sort_by_key(|place| place.from);
        let mut end = 0;
        let first = places.first().map_or(0, |place| place.from);
        for place in &places {
            let gap = place.from.checked_sub(end);
            if first != 0 || gap.is_none_or(|gap| gap > DESCRIPTOR_MAX_BYTES) {
                return Err(step.because("there are bytes that belong to no file, or to two"));
            }
            end = place.to;
        }
        let directory = self.archive.directory_offset();
        let before = directory.checked_sub(end).is_some_and(|gap| gap <= DESCRIPTOR_MAX_BYTES);
        let behind = self.archive.eocd_offset().checked_add(END_BYTES) == Some(length);
        if before && behind { Ok(()) } else { Err(step.because("there are bytes behind the files")) }
    }
}

impl<R: ReaderAt + Sync> Container for Zip<R> {
    fn files(&self) -> &BTreeMap<String, u64> {
        &self.files
    }

    fn open(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        let (place, method) = *self.entries.get(name).ok_or(ErrorKind::NotFound)?;
        let entry =
            self.archive.get_entry(place).map_err(|fault| Error::new(ErrorKind::InvalidData, fault))?;
        let stored = entry.reader();
        // Ends with an error when there are more or fewer bytes than announced, or others.
        if method == CompressionMethod::DEFLATE {
            Ok(Box::new(entry.verifying_reader(DeflateDecoder::new(stored))))
        } else {
            Ok(Box::new(entry.verifying_reader(stored)))
        }
    }
}
