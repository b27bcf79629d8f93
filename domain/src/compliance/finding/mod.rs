//! What is wrong with a log that is kept: where, with which field, and how.
//!
//! Invariants: a finding names its place so that it can be looked up, and says nothing of what an event tells; of what
//! is wrong in a thousand places the first are told, and how many more there are.
//!
//! Absent on purpose: who did it, and what was there before. The log can't know.

mod leaf;

use std::fmt;

use super::{log::tile::TileId, ports::WhichLog};

pub(super) use leaf::{check_anchor, check_leaf};

/// Findings told of one log; the rest are counted.
pub const FINDINGS_MAX: usize = 64;

/// Where in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The log as a whole.
    Log,
    /// The row of the leaf with that index.
    Leaf(u64),
    /// A tile.
    Tile(TileId),
    /// The head of that size.
    Head(u64),
    /// A table whose changes the log tells of, with its schema.
    Table(&'static str),
}

/// One difference between what a log is and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFinding {
    /// Where.
    pub place: Place,
    /// Which field of it, as its column is called; `row` when it is not there at all.
    pub field: &'static str,
    /// What is wrong with it, as it follows the field's name.
    pub problem: String,
}

/// What checking one log came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// Which log.
    pub log: WhichLog,
    /// Leaves that were looked at.
    pub leaves: u64,
    /// Tiles that were derived from them.
    pub tiles: u64,
    /// Heads that were looked at.
    pub heads: u64,
    /// Leaves, counted among the others, of which the hash alone is left since a database was put back.
    pub lost: u64,
    /// What is wrong: the first of it.
    pub findings: Vec<LogFinding>,
    /// How many more findings there are.
    pub more: u64,
}

impl LogReport {
    pub(super) const fn new(log: WhichLog) -> Self {
        Self { log, leaves: 0, tiles: 0, heads: 0, lost: 0, findings: Vec::new(), more: 0 }
    }

    /// Takes a finding down.
    pub(super) fn add(&mut self, place: Place, field: &'static str, problem: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(LogFinding { place, field, problem: problem.into() });
        } else {
            self.more += 1;
        }
    }

    /// Whether everything is as it should be.
    pub const fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many findings there are in all.
    pub fn count(&self) -> u64 {
        u64::try_from(self.findings.len()).unwrap_or(u64::MAX).saturating_add(self.more)
    }
}

impl fmt::Display for WhichLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(log) => write!(f, "{} {}", log.tenant.uuid(), log.stream.as_str()),
            Self::Platform => f.write_str("platform"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Leaf(index) => write!(f, "leaf {index}"),
            Self::Tile(id) => write!(f, "{id}"),
            Self::Head(size) => write!(f, "head {size}"),
            Self::Table(name) => write!(f, "table {name}"),
        }
    }
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.place, self.field, self.problem)
    }
}
