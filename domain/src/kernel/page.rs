//! Pages of a list by keyset: the sort value and id of the last row seen, never an offset.

use uuid::Uuid;

use super::clock::Timestamp;

/// A place in a list that is sorted by instant and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The sort value.
    pub at: Timestamp,
    /// The id, which settles equal instants.
    pub id: Uuid,
}

/// Which way to read from the place named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `first`/`after`.
    Forward,
    /// `last`/`before`.
    Backward,
}

/// What part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<K = Key> {
    /// At most this many rows, 1..=100.
    pub limit: u16,
    /// Start behind (or, going backward, before) this row.
    pub from: Option<K>,
    /// Which way.
    pub direction: Direction,
}

/// A part of a list, always in list order whichever way it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Whether the list goes on in the direction read.
    pub more: bool,
}

impl<T> Page<T> {
    /// Makes a page of what a store read: up to `limit + 1` rows in the direction of reading.
    pub fn of_read<K>(mut rows: Vec<T>, request: &PageRequest<K>) -> Self {
        let limit = usize::from(request.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        if request.direction == Direction::Backward {
            rows.reverse();
        }
        Self { items: rows, more }
    }
}
