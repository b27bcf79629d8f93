//! Reads frame lengths (RFC 6455, section 5.2) before the WebSocket codec does: the codec buffers a whole frame
//! before it compares its length with the limit, so one header announcing gigabytes would fill the memory; and it
//! keeps any number of empty fragments of a message.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// Most bytes of an oversized frame that are read and thrown away, so that a client that is still sending can read
/// why it is closed.
const DISCARDED_MAX: u64 = 4 * 1024 * 1024;

/// Most frames one message may be cut into.
const FRAGMENTS_MAX: u32 = 256;

/// Longest header of a frame: two bytes, eight of length, four of mask.
const HEADER_MAX: usize = 14;

/// A payload that ends at the first frame longer than allowed.
pub(crate) struct Guard {
    inner: Payload,
    frame_max: u64,
    header: Vec<u8>,
    /// Frames of the unfinished message so far.
    fragments: u32,
    /// Bytes of the current frame still to come.
    remaining: u64,
    discarding: bool,
    is_oversized: Rc<Cell<bool>>,
}

impl Guard {
    pub(crate) fn new(inner: Payload, frame_max: usize) -> Self {
        Self {
            inner,
            frame_max: u64::try_from(frame_max).unwrap_or(u64::MAX),
            header: Vec::with_capacity(HEADER_MAX),
            fragments: 0,
            remaining: 0,
            discarding: false,
            is_oversized: Rc::default(),
        }
    }

    /// Set once a frame was too long.
    pub(crate) fn flag(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.is_oversized)
    }

    /// Follows the frames in `bytes`; `Err` at the first that is out of bounds.
    fn follow(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let mut at = 0;
        while at < bytes.len() {
            if self.remaining > 0 {
                let here = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX).min(self.remaining);
                self.remaining -= here;
                at += usize::try_from(here).unwrap_or(usize::MAX);
                continue;
            }
            self.header.push(bytes[at]);
            at += 1;
            if let Some(length) = frame_length(&self.header) {
                self.count_fragment(self.header[0]);
                self.header.clear();
                self.remaining = length;
                if length > self.frame_max || self.fragments > FRAGMENTS_MAX {
                    let here = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX);
                    self.remaining = length.saturating_sub(here);
                    return Err(());
                }
            }
        }
        Ok(())
    }

    /// By the first byte of a frame's header: control frames, from 8 on, may come between the fragments of a message.
    fn count_fragment(&mut self, first: u8) {
        let (is_final, is_data) = (first & 0x80 != 0, first & 0x0F < 8);
        if is_data {
            self.fragments = if is_final { 0 } else { self.fragments + 1 };
        }
    }
}

/// The payload's length once the header is complete.
fn frame_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let (extended, length) = match second & 0x7F {
        126 => {
            (2, header.get(2..4).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
        }
        127 => {
            (8, header.get(2..10).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
        }
        short => (0, Some(u64::from(short))),
    };
    length.filter(|_| header.len() == 2 + extended + mask)
}

impl Stream for Guard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.discarding && (self.remaining == 0 || self.remaining > DISCARDED_MAX) {
                return Poll::Ready(Some(Err(PayloadError::Overflow)));
            }
            let bytes = match Pin::new(&mut self.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => bytes,
                other @ (Poll::Ready(_) | Poll::Pending) => return other,
            };
            if self.discarding {
                let here = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                self.remaining = self.remaining.saturating_sub(here);
            } else if self.follow(&bytes).is_ok() {
                return Poll::Ready(Some(Ok(bytes)));
            } else {
                self.is_oversized.set(true);
                self.discarding = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match length {
            0..=125 => bytes.push(0x80 + u8::try_from(length).unwrap()),
            126..=65_535 => {
                bytes.push(0xFE);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0xFF);
                bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + length, 0xFF);
        bytes
    }

    fn follow(bytes: &[u8], chunk: usize) -> Result<(), ()> {
        let mut guard = Guard::new(Payload::None, 1_000);
        bytes.chunks(chunk).try_for_each(|chunk| guard.follow(chunk))
    }

    #[test]
    fn frames_within_the_bound_pass_however_they_are_cut() {
        let bytes = [frame(0), frame(125), frame(126), frame(1_000), frame(3)].concat();
        for chunk in [1, 2, 3, 7, 64, 5_000] {
            assert_eq!(follow(&bytes, chunk), Ok(()));
        }
    }

    #[test]
    fn messages_in_too_many_pieces_stop_the_stream() {
        let piece = [0x00, 0x80, 1, 2, 3, 4];
        let ping = [0x89, 0x80, 1, 2, 3, 4];
        let last = [0x80, 0x80, 1, 2, 3, 4];
        assert_eq!(follow(&[piece, ping].concat().repeat(256), 7), Ok(()));
        assert_eq!(follow(&[piece, ping].concat().repeat(257), 7), Err(()));
        assert_eq!(follow(&[piece, last].concat().repeat(1_000), 7), Ok(()));
    }

    #[test]
    fn longer_frames_stop_the_stream_however_they_are_cut() {
        let huge = [0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4];
        for bytes in [[frame(10), frame(1_001)].concat(), frame(70_000), huge.to_vec()] {
            for chunk in [1, 3, 14, 5_000] {
                assert_eq!(follow(&bytes, chunk), Err(()));
            }
        }
    }
}
