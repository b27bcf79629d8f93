//! A clock that stands still, counted identifiers and counted bytes, pages of what is in memory, and how to run what
//! waits for nothing, for tests.

use std::{
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    clock::{Clock, Timestamp},
    ids::{Entropy, IdSource},
    page::{Direction, Key, Page, PageRequest},
};

/// A clock that moves only when told.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// Stands at `at`.
    pub const fn at(at: Timestamp) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves on (or back, when negative).
    pub fn advance(&self, by: TimeDelta) {
        if let Ok(mut now) = self.0.lock() {
            *now += by;
        }
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Timestamp::from_timestamp(1_790_000_000, 0).unwrap_or_default())
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0.lock().map(|now| *now).unwrap_or_default()
    }
}

/// Identifiers and bytes that count up.
#[derive(Debug, Default)]
pub struct Counted(AtomicU64);

impl Counted {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl IdSource for Counted {
    fn next_uuid(&self) -> Uuid {
        // Version 7 and variant bits set, the rest counted: sorts like a real one.
        Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(self.next()))
    }
}

impl Entropy for Counted {
    fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}

/// Runs a future on memory adapters, which never wait: no runtime is needed, and one may run inside another. `None`
/// when it waits after all.
pub fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The part of a list asked for.
pub fn page_of<T: Clone>(
    rows: impl Iterator<Item = T>,
    page: PageRequest,
    key: impl Fn(&T) -> Key,
) -> Page<T> {
    let place = |row: &T| {
        let key = key(row);
        (key.at, key.id)
    };
    let behind = |row: &T| {
        page.from.is_none_or(|from| match page.direction {
            Direction::Forward => place(row) > (from.at, from.id),
            Direction::Backward => place(row) < (from.at, from.id),
        })
    };
    let mut found: Vec<T> = rows.filter(behind).collect();
    found.sort_by_key(place);
    if page.direction == Direction::Backward {
        found.reverse();
    }
    found.truncate(usize::from(page.limit) + 1);
    Page::of_read(found, &page)
}
