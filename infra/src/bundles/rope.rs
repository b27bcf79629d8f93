//! Where a bundle goes while it is written: into pieces that are kept at once, and around files that lie ready and are only
//! named.

use std::{
    io::{Error, ErrorKind, Result, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};
use domain::compliance::report::Piece;
use tokio::sync::mpsc;

use super::{PIECE_BYTES, piece};

/// Fewer bytes than these are no object of their own.
const OBJECT_MIN_BYTES: usize = 4_096;

/// An object to be kept: its name, and what it is.
pub(super) type Object = (String, Vec<u8>);

struct State {
    place: String,
    objects: Option<mpsc::Sender<Object>>,
    numbered: u64,
    pieces: Vec<Piece>,
    waiting: Vec<u8>,
    /// How many of the bytes to come stand for a file that lies ready.
    standing_in: u64,
    /// Of all bytes; `None` once some were not seen.
    hasher: Option<Context>,
}

/// What a bundle is written to, on a thread that may wait. A clone is of the same.
#[derive(Clone)]
pub(super) struct Rope(Arc<Mutex<State>>);

impl Rope {
    /// One whose objects are named by `place` and given to `objects`.
    pub(super) fn new(place: String, objects: mpsc::Sender<Object>) -> Self {
        Self(Arc::new(Mutex::new(State {
            place,
            objects: Some(objects),
            numbered: 0,
            pieces: Vec::new(),
            waiting: Vec::new(),
            standing_in: 0,
            hasher: Some(Context::new(&SHA256)),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next `size_bytes` bytes stand for the object `key`.
    pub(super) fn refer(&self, key: String, size_bytes: u64) -> Result<()> {
        let mut state = self.state();
        state.end_piece()?;
        state.pieces.push(Piece::Object(key, size_bytes));
        state.standing_in = size_bytes;
        state.hasher = None;
        drop(state);
        Ok(())
    }

    /// All pieces, the last one too, and SHA-256 of them if all of it was seen. No objects come after that, whoever has a clone.
    pub(super) fn finish(self) -> Result<(Vec<Piece>, Option<[u8; 32]>)> {
        let mut state = self.state();
        state.end_piece()?;
        state.objects = None;
        let sha256 = state.hasher.take().and_then(|hasher| hasher.finish().as_ref().try_into().ok());
        Ok((std::mem::take(&mut state.pieces), sha256))
    }
}

impl State {
    fn end_piece(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.waiting);
        if bytes.len() >= OBJECT_MIN_BYTES {
            let key = piece(&self.place, self.numbered);
            self.numbered += 1;
            self.pieces.push(Piece::Object(key.clone(), u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
            let sent =
                self.objects.as_ref().is_some_and(|objects| objects.blocking_send((key, bytes)).is_ok());
            if !sent {
                return Err(Error::from(ErrorKind::BrokenPipe));
            }
        } else if !bytes.is_empty() {
            self.pieces.push(Piece::Bytes(bytes));
        }
        Ok(())
    }
}

impl Write for Rope {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut state = self.state();
        if state.standing_in > 0 {
            let some = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(state.standing_in);
            state.standing_in -= some;
            return usize::try_from(some).map_err(Error::other);
        }
        let room = PIECE_BYTES.saturating_sub(state.waiting.len());
        let some = bytes.len().min(room);
        state.waiting.extend_from_slice(&bytes[..some]);
        if let Some(hasher) = &mut state.hasher {
            hasher.update(&bytes[..some]);
        }
        if state.waiting.len() >= PIECE_BYTES {
            state.end_piece()?;
        }
        drop(state);
        Ok(some)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_ready_is_named_and_few_bytes_are_no_object() {
        let (sender, mut objects) = mpsc::channel(8);
        let mut rope = Rope::new("p".to_owned(), sender);
        rope.write_all(b"head").unwrap();
        rope.refer("ready".to_owned(), 100_000).unwrap();
        rope.write_all(&vec![0; 100_000]).unwrap();
        rope.write_all(&vec![7; PIECE_BYTES + 5_000]).unwrap();
        rope.write_all(b"tail").unwrap();
        let (pieces, sha256) = rope.finish().unwrap();
        assert_eq!(sha256, None);
        let object = |number, size: usize| Piece::Object(piece("p", number), u64::try_from(size).unwrap());
        let wanted = [
            Piece::Bytes(b"head".to_vec()),
            Piece::Object("ready".to_owned(), 100_000),
            object(0, PIECE_BYTES),
            object(1, 5_004),
        ];
        assert_eq!(pieces, wanted);
        for size in [PIECE_BYTES, 5_004] {
            assert_eq!(objects.try_recv().unwrap().1.len(), size);
        }
        assert!(objects.try_recv().is_err());
    }
}
