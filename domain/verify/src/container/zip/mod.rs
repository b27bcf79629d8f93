//! A zip, read so that there is one way to read it: no two files of one name, no bytes that belong to nothing, no file
//! of which its own header says one thing and the directory another, no comments and no fields that some reader would
//! go by and another not.

mod layout;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Error, ErrorKind, Read},
};

use flate2::bufread::DeflateDecoder;
use layout::{Layout, Place};
use rawzip::{
    CompressionMethod, FileReader, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
    ZipFileHeaderRecord, ZipLocalFileHeader, extra_fields::ExtraFieldId,
};
use report_bundle::names;

use super::{
    Container,
    directory::{FILES_MAX, FOLDERS},
};
use crate::{Refusal, Step};

/// The flags that a file may have (APPNOTE.TXT section 4.4.4): how hard it was compressed, that lengths follow it, and
/// that its name is UTF-8.
const FLAGS: u16 = 0b0000_1000_0000_1110;

/// A zip with the files of a bundle.
#[derive(Debug)]
pub struct Zip<R> {
    archive: ZipArchive<R>,
    entries: BTreeMap<String, (ZipArchiveEntryWayfinder, CompressionMethod)>,
    files: BTreeMap<String, u64>,
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
        let mut layout = Layout::new(length);
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let mut local = vec![0; 2 << 16];
        let mut entries = zip.archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(step.by())? {
            if layout.places.len() >= FILES_MAX {
                return Err(step.because("it has too many files"));
            }
            let name = str::from_utf8(entry.file_path().as_bytes())
                .map_err(|_| step.because("a name is not UTF-8"))?
                .to_owned();
            let body = zip.archive.get_entry(entry.wayfinder()).map_err(step.by())?;
            let header = body.local_header(&mut local).map_err(step.by())?;
            let (data, to) = body.compressed_data_range();
            let place = Place {
                from: entry.local_header_offset(),
                record: entry.central_directory_offset(),
                to,
                crc: entry.crc32(),
                compressed: to - data,
                uncompressed: entry.uncompressed_size_hint(),
                described: entry.flags().has_data_descriptor(),
            };
            check_headers(&name, &entry, &header, &place)?;
            layout.add(place, &entry);
            if name.strip_suffix('/').is_some_and(|folder| FOLDERS.contains(&folder)) {
                if [place.compressed, place.uncompressed, u64::from(place.crc)] != [0, 0, 0] {
                    return Err(step.because(format!("the folder {name} has something in it")));
                }
                continue;
            }
            if !names::is_known(&name) {
                return Err(step.because(format!("bundles have no file {name:?}")));
            }
            zip.entries.insert(name.clone(), (entry.wayfinder(), entry.compression_method()));
            if zip.files.insert(name.clone(), place.uncompressed).is_some() {
                return Err(step.because(format!("{name} is there twice")));
            }
        }
        layout.check(zip.archive.get_ref(), zip.archive.directory_offset())?;
        Ok(zip)
    }
}

/// That the file's own header and the directory say the same, and nothing that bundles do not say.
fn check_headers(
    name: &str,
    entry: &ZipFileHeaderRecord<'_>,
    header: &ZipLocalFileHeader<'_>,
    place: &Place,
) -> Result<(), Refusal> {
    let fault = |why: &str| Err(Step::Container.because(format!("{name:?} {why}")));
    if header.file_path().as_bytes() != name.as_bytes() {
        return fault("has another name in its own header");
    }
    let (method, flags) = (entry.compression_method(), entry.flags().bits());
    if header.compression_method() != method || header.flags().bits() != flags {
        return fault("is compressed in two ways");
    }
    if flags & !FLAGS != 0 || ![CompressionMethod::STORE, CompressionMethod::DEFLATE].contains(&method) {
        return fault("is encrypted, or compressed as bundles are not");
    }
    if method == CompressionMethod::STORE && place.compressed != place.uncompressed {
        return fault("is not compressed and has two lengths");
    }
    let lengths = (header.crc32(), header.compressed_size_hint(), header.uncompressed_size_hint());
    let same = lengths == (place.crc, place.compressed, place.uncompressed);
    if !(same || place.described && lengths == (0, 0, 0)) {
        return fault("has other lengths in its own header");
    }
    // What unpacks would make something else of it, or look for it elsewhere.
    let is_folder = name.ends_with('/');
    let (dos, unix) =
        (entry.external_attributes() & 0x10 != 0, entry.external_attributes() >> 16 & 0o170_000);
    let wanted = if is_folder { 0o040_000 } else { 0o100_000 };
    if dos && !is_folder || ![0, wanted].contains(&unix) {
        return fault("is not a file");
    }
    let extra = |mut fields: rawzip::extra_fields::ExtraFields<'_>| {
        let mut count = 0;
        let known =
            fields.by_ref().inspect(|_| count += 1).all(|(id, _)| id == ExtraFieldId::ZIP64) && count < 2;
        !known || !fields.remaining_bytes().is_empty()
    };
    if extra(entry.extra_fields()) || extra(header.extra_fields()) || !entry.comment().as_bytes().is_empty() {
        return fault("has fields or a comment that bundles do not have");
    }
    Ok(())
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
            Ok(Box::new(entry.verifying_reader(Whole(DeflateDecoder::new(BufReader::new(stored))))))
        } else {
            Ok(Box::new(entry.verifying_reader(stored)))
        }
    }

    fn open_again(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        let (place, method) = *self.entries.get(name).ok_or(ErrorKind::NotFound)?;
        if method != CompressionMethod::STORE {
            return self.open(name);
        }
        let entry =
            self.archive.get_entry(place).map_err(|fault| Error::new(ErrorKind::InvalidData, fault))?;
        Ok(Box::new(entry.reader()))
    }
}

/// A deflated file that ends where its bytes do.
struct Whole<R: Read>(DeflateDecoder<BufReader<R>>);

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        if read == 0 && !buffer.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() {
            return Err(Error::new(ErrorKind::InvalidData, "something follows its compressed bytes"));
        }
        Ok(read)
    }
}
