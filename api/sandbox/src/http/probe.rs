//! What an MP4's header says of its picture and length (ISO/IEC 14496-12, `mvhd` and `tkhd`).
//!
//! Best effort: the boxes are looked for in the first and last part of what streams by, where encoders put them. What is
//! not found is left to the configured values.

/// Bytes kept from the beginning.
const HEAD_BYTES: usize = 1_024 * 1_024;
/// Bytes kept from the end, at least.
const TAIL_BYTES: usize = 256 * 1_024;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) width: Option<i64>,
    pub(super) height: Option<i64>,
    pub(super) duration_ms: Option<i64>,
}

/// Watches a file stream by.
#[derive(Debug, Default)]
pub(super) struct Probe {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Probe {
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        let (head, rest) = chunk.split_at(chunk.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 4 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
    }

    pub(super) fn found(&self) -> Found {
        let (head, tail) = (scan(&self.head), scan(&self.tail));
        Found {
            width: head.width.or(tail.width),
            height: head.height.or(tail.height),
            duration_ms: head.duration_ms.or(tail.duration_ms),
        }
    }
}

fn scan(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    // Each box begins with its size, which is known for these two: it tells them from chance.
    for (at, name) in bytes.windows(4).enumerate().filter(|(_, name)| *name == b"mvhd" || *name == b"tkhd") {
        let Some(size) = at.checked_sub(4).and_then(|start| number(bytes, start, 4)) else { continue };
        let is = |offset: usize, length: usize| number(bytes, at + 4 + offset, length);
        match (name, size) {
            (b"mvhd", 108) => found.duration_ms = found.duration_ms.or(millis(is(12, 4), is(16, 4))),
            (b"mvhd", 120) => found.duration_ms = found.duration_ms.or(millis(is(20, 4), is(24, 8))),
            (b"tkhd", 92) => picture(&mut found, is(76, 4), is(80, 4)),
            (b"tkhd", 104) => picture(&mut found, is(88, 4), is(92, 4)),
            _ => {}
        }
    }
    found
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<i64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    bytes.iter().try_fold(0_i64, |number, byte| number.checked_mul(256)?.checked_add(i64::from(*byte)))
}

fn millis(timescale: Option<i64>, duration: Option<i64>) -> Option<i64> {
    duration?.checked_mul(1_000)?.checked_div(timescale?)
}

/// Sound has a track of its own, without a picture.
fn picture(found: &mut Found, width: Option<i64>, height: Option<i64>) {
    let whole = |fixed: Option<i64>| fixed.map(|fixed| fixed / 65_536).filter(|pixels| *pixels > 0);
    if let (Some(width), Some(height), None) = (whole(width), whole(height), found.width) {
        (found.width, found.height) = (Some(width), Some(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mvhd(timescale: u32, duration: u32) -> Vec<u8> {
        let mut bytes = [&108_u32.to_be_bytes()[..], b"mvhd", &[0; 12]].concat();
        bytes.extend(timescale.to_be_bytes());
        bytes.extend(duration.to_be_bytes());
        bytes.resize(108, 0);
        bytes
    }

    fn tkhd(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = [&92_u32.to_be_bytes()[..], b"tkhd", &[0; 76]].concat();
        bytes.extend((width << 16).to_be_bytes());
        bytes.extend((height << 16).to_be_bytes());
        bytes
    }

    #[test]
    fn boxes_are_found_at_either_end_and_chance_is_not_believed() {
        let moov = [mvhd(600, 900_000), tkhd(0, 0), tkhd(1_080, 1_920)].concat();
        let expected = Found { width: Some(1_080), height: Some(1_920), duration_ms: Some(1_500_000) };
        let filler = vec![7_u8; 3 * 1_024 * 1_024];
        for parts in [vec![&moov, &filler], vec![&filler, &moov]] {
            let mut probe = Probe::default();
            parts.iter().flat_map(|part| part.chunks(60_000)).for_each(|chunk| probe.feed(chunk));
            assert_eq!(probe.found(), expected);
        }
        for bad in [&b"xxxxmvhd"[..], b"mvhd", b"", &mvhd(0, 5), &moov[..20]] {
            let mut probe = Probe::default();
            probe.feed(bad);
            assert_eq!(probe.found(), Found::default());
        }
    }
}
