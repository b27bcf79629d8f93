//! Where the parts of a zip lie: files one behind the other, each with its descriptor if it has one, then the directory,
//! then its end, and nothing else.

use rawzip::{ReaderAt, ZipFileHeaderRecord};

use crate::{Refusal, Step};

/// The end-of-directory record without a comment (APPNOTE.TXT section 4.3.16).
const END_BYTES: usize = 22;

/// The same for large zips, and what points to it (APPNOTE.TXT sections 4.3.14 and 4.3.15).
const END64_BYTES: usize = 56;
const LOCATOR_BYTES: usize = 20;

/// The fixed part of a file's record in the directory (APPNOTE.TXT section 4.3.12).
const RECORD_BYTES: u64 = 46;

/// Where a file's bytes are, header included, and what the directory says of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) from: u64,
    /// Where its record in the directory is.
    pub(super) record: u64,
    /// The end of what is compressed.
    pub(super) to: u64,
    pub(super) crc: u32,
    pub(super) compressed: u64,
    pub(super) uncompressed: u64,
    /// Whether lengths follow it.
    pub(super) described: bool,
}

/// All places, and where the directory ends.
pub(super) struct Layout {
    pub(super) places: Vec<Place>,
    directory_end: Option<u64>,
    length: u64,
}

fn fault(why: &str) -> Refusal {
    Step::Container.because(why)
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let bytes = bytes.get(at..at + width).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Layout {
    /// Of a zip of so many bytes.
    pub(super) const fn new(length: u64) -> Self {
        Self { places: Vec::new(), directory_end: None, length }
    }

    /// Adds the next file of the directory.
    pub(super) fn add(&mut self, place: Place, entry: &ZipFileHeaderRecord<'_>) {
        self.places.push(place);
        let variable = [
            entry.file_path().as_bytes().len(),
            entry.extra_fields().remaining_bytes().len(),
            entry.comment().as_bytes().len(),
        ];
        let variable = variable
            .iter()
            .fold(0_u64, |all, length| all.saturating_add(u64::try_from(*length).unwrap_or(0)));
        let end = entry.central_directory_offset().saturating_add(RECORD_BYTES).saturating_add(variable);
        self.directory_end = Some(end);
    }

    /// Checks that nothing lies before, between or behind.
    ///
    /// # Errors
    /// `container`.
    pub(super) fn check(mut self, zip: &impl ReaderAt, directory: u64) -> Result<(), Refusal> {
        self.places.sort_by_key(|place| place.from);
        let nexts = self.places.iter().skip(1).map(|place| place.from).chain([directory]);
        if self.places.first().map_or(directory, |place| place.from) != 0 {
            return Err(fault("there are bytes in front of the files"));
        }
        for (place, next) in self.places.iter().zip(nexts) {
            let record = read(zip, place.record, 46)?;
            // Version needed, and the disk it begins on: what is later or elsewhere some readers pass over.
            if number(&record, 6, 2) > 45 || number(&record, 34, 2) != 0 {
                return Err(fault("a file wants another reader, or another disk"));
            }
            let between = next.checked_sub(place.to).and_then(|length| usize::try_from(length).ok());
            match between {
                Some(0) if !place.described => {}
                Some(length @ (12 | 16 | 20 | 24)) if place.described => {
                    if !place.descriptor_is(&read(zip, place.to, length)?) {
                        return Err(fault("what follows a file says other lengths than the directory"));
                    }
                }
                Some(_) | None => return Err(fault("there are bytes that belong to no file, or to two")),
            }
        }
        self.check_end(zip, directory)
    }

    /// That the directory ends where its end begins, and that this says where and how large it is.
    fn check_end(&self, zip: &impl ReaderAt, directory: u64) -> Result<(), Refusal> {
        let end = self.directory_end.unwrap_or(directory);
        let rest = self.length.checked_sub(end).and_then(|rest| usize::try_from(rest).ok());
        let (files, size) = (u64::try_from(self.places.len()).unwrap_or(u64::MAX), end - directory.min(end));
        let rest = rest.filter(|rest| [END_BYTES, END64_BYTES + LOCATOR_BYTES + END_BYTES].contains(rest));
        let rest = rest.ok_or_else(|| fault("there are bytes behind the directory"))?;
        let bytes = read(zip, end, rest)?;
        let (large, last) = bytes.split_at(rest - END_BYTES);
        // A number that does not fit says so, and is in the large record.
        let is = |at: usize, width: usize, value: u64| {
            let (found, none) = (number(last, at, width), (1_u64 << (8 * width)) - 1);
            found == value || found == none && !large.is_empty()
        };
        let ends = number(last, 0, 4) == 0x0605_4b50
            && [(4, 2, 0), (6, 2, 0), (8, 2, files), (10, 2, files), (12, 4, size), (16, 4, directory)]
                .into_iter()
                .all(|(at, width, value)| is(at, width, value))
            && number(last, 20, 2) == 0;
        let large_ends = large.is_empty()
            || [
                (0, 4, 0x0606_4b50),
                (4, 8, 44),
                (16, 4, 0),
                (20, 4, 0),
                (24, 8, files),
                (32, 8, files),
                (40, 8, size),
                (48, 8, directory),
                (56, 4, 0x0706_4b50),
                (60, 4, 0),
                (64, 8, end),
                (72, 4, 1),
            ]
            .into_iter()
            .all(|(at, width, value)| number(large, at, width) == value);
        if ends && large_ends { Ok(()) } else { Err(fault("the end of its directory says something else")) }
    }
}

impl Place {
    /// Whether a data descriptor (APPNOTE.TXT section 4.3.9), with its signature or without, says the same.
    fn descriptor_is(&self, bytes: &[u8]) -> bool {
        let signed = bytes.len().is_multiple_of(8);
        let (head, bytes) = bytes.split_at(if signed { 4 } else { 0 });
        let width = (bytes.len() - 4) / 2;
        (!signed || number(head, 0, 4) == 0x0807_4b50)
            && number(bytes, 0, 4) == u64::from(self.crc)
            && number(bytes, 4, width) == self.compressed
            && number(bytes, 4 + width, width) == self.uncompressed
    }
}

fn read(zip: &impl ReaderAt, from: u64, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let at = from.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        match zip.read_at(rest, at).map_err(Step::Container.by())? {
            0 => return Err(fault("it ends too early")),
            more => filled += more,
        }
    }
    Ok(bytes)
}
