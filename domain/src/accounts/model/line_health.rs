//! How calls to platforms go, as the processes that make them say, and what all of them say together.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::kernel::{clock::Timestamp, ids::AppId, platform::PlatformKey};

/// How long calls may take to be counted in a place of [`LineReport::took`], in milliseconds. Longer ones are in a place
/// more.
pub const LATENCY_BOUNDS_MS: [u32; 11] = [25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 120_000];

/// Places that calls are counted in, by how long they took.
pub const LATENCY_PLACES: usize = LATENCY_BOUNDS_MS.len() + 1;

/// Whether calls are let through; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineState {
    /// They are.
    Closed,
    /// One at a time, to see.
    HalfOpen,
    /// They are not.
    Open,
}

/// Calls of an app to one endpoint, as one process makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReport {
    /// The platform.
    pub platform: PlatformKey,
    /// The app.
    pub app: AppId,
    /// What is called.
    pub endpoint: String,
    /// Whether calls are let through.
    pub state: LineState,
    /// Until when none is, while none is.
    pub open_until: Option<Timestamp>,
    /// Calls that ended in the last half minute.
    pub calls: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// Those of them that took as long as their place says ([`LATENCY_BOUNDS_MS`]).
    pub took: [u32; LATENCY_PLACES],
    /// Calls that wait for their turn.
    pub waiting: u32,
}

/// What one process says of a tenant's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessReport {
    /// Which process.
    pub process: Uuid,
    /// When it said so.
    pub as_of: Timestamp,
    /// How its calls go.
    pub lines: Vec<LineReport>,
}

/// Calls of an app to one endpoint, as all processes make them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineHealth {
    /// The platform.
    pub platform: PlatformKey,
    /// The app.
    pub app: AppId,
    /// What is called.
    pub endpoint: String,
    /// The worst that a process says.
    pub state: LineState,
    /// Until when the last of those that let none through will not.
    pub open_until: Option<Timestamp>,
    /// Processes that say something.
    pub processes: u32,
    /// Those of them that let none through, or only some to see.
    pub not_closed: u32,
    /// Calls of the last half minute.
    pub calls: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// How long 99 of 100 of them took at most, in milliseconds; `None` where there were none, or it was longer than the
    /// longest bound.
    pub p99_ms: Option<u32>,
    /// Calls that wait for their turn.
    pub waiting: u32,
    /// When the least recent of the processes said so.
    pub as_of: Timestamp,
}

/// What is known of a tenant's calls. A store that does not answer, and processes that say nothing, are not good news:
/// then nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformHealth {
    /// Whether the place where processes say so answered.
    pub is_known: bool,
    /// Processes that said something.
    pub processes: u32,
    /// When the least recent of them did.
    pub as_of: Option<Timestamp>,
    /// How calls go, by platform, app and endpoint.
    pub lines: Vec<LineHealth>,
}

/// The bound that all but one in a hundred are below.
fn p99_ms(took: &[u32; LATENCY_PLACES]) -> Option<u32> {
    let all: u64 = took.iter().copied().map(u64::from).sum();
    let mut below = 0_u64;
    for (count, bound) in took.iter().zip(LATENCY_BOUNDS_MS) {
        below += u64::from(*count);
        if all > 0 && below * 100 >= all * 99 {
            return Some(bound);
        }
    }
    None
}

impl PlatformHealth {
    /// What processes say together.
    pub fn of(reports: &[ProcessReport]) -> Self {
        let mut lines: BTreeMap<(PlatformKey, AppId, String), (LineHealth, [u32; LATENCY_PLACES])> =
            BTreeMap::new();
        for report in reports {
            for line in &report.lines {
                let key = (line.platform.clone(), line.app, line.endpoint.clone());
                let (sum, took) = lines
                    .entry(key)
                    .or_insert_with(|| (LineHealth::silent(line, report.as_of), [0; LATENCY_PLACES]));
                sum.add(line, report.as_of);
                for (all, more) in took.iter_mut().zip(line.took) {
                    *all = all.saturating_add(more);
                }
            }
        }
        let lines = lines.into_values().map(|(line, took)| LineHealth { p99_ms: p99_ms(&took), ..line });
        Self {
            is_known: true,
            processes: u32::try_from(reports.len()).unwrap_or(u32::MAX),
            as_of: reports.iter().map(|report| report.as_of).min(),
            lines: lines.collect(),
        }
    }

    /// The worst of all; `None` when nothing is known.
    pub fn state(&self) -> Option<LineState> {
        self.lines.iter().map(|line| line.state).max()
    }
}

impl LineHealth {
    fn silent(line: &LineReport, as_of: Timestamp) -> Self {
        Self {
            platform: line.platform.clone(),
            app: line.app,
            endpoint: line.endpoint.clone(),
            state: LineState::Closed,
            open_until: None,
            processes: 0,
            not_closed: 0,
            calls: 0,
            failed: 0,
            p99_ms: None,
            waiting: 0,
            as_of,
        }
    }

    fn add(&mut self, line: &LineReport, as_of: Timestamp) {
        self.state = self.state.max(line.state);
        self.open_until = self.open_until.max(line.open_until);
        self.processes += 1;
        self.not_closed += u32::from(line.state != LineState::Closed);
        self.calls = self.calls.saturating_add(line.calls);
        self.failed = self.failed.saturating_add(line.failed);
        self.waiting = self.waiting.saturating_add(line.waiting);
        self.as_of = self.as_of.min(as_of);
    }

    /// Calls of a thousand that failed; `None` where there were none.
    pub fn failed_permille(&self) -> Option<u32> {
        let permille = (u64::from(self.failed) * 1_000).checked_div(u64::from(self.calls))?;
        u32::try_from(permille).ok()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn line(endpoint: &str, state: LineState) -> LineReport {
        let mut took = [0; LATENCY_PLACES];
        (took[1], took[5]) = (99, 1);
        LineReport {
            platform: PlatformKey::parse("somewhere").expect("a name"),
            app: AppId::from_uuid(Uuid::from_u128(1)),
            endpoint: endpoint.to_owned(),
            state,
            open_until: (state == LineState::Open).then_some(Timestamp::UNIX_EPOCH),
            calls: 100,
            failed: 25,
            took,
            waiting: 2,
        }
    }

    fn report(process: u128, ahead_s: i64, lines: Vec<LineReport>) -> ProcessReport {
        let as_of = Timestamp::UNIX_EPOCH + TimeDelta::seconds(ahead_s);
        ProcessReport { process: Uuid::from_u128(process), as_of, lines }
    }

    #[test]
    fn the_worst_that_a_process_says_is_how_it_stands() {
        let said = [
            report(1, 5, vec![line("list", LineState::Closed), line("create", LineState::Closed)]),
            report(2, 3, vec![line("list", LineState::Open)]),
            report(3, 9, vec![line("list", LineState::HalfOpen)]),
        ];
        let health = PlatformHealth::of(&said);
        assert_eq!((health.is_known, health.processes, health.state()), (true, 3, Some(LineState::Open)));
        assert_eq!(health.as_of, Some(said[1].as_of), "no fresher than the stalest");
        let [create, list] = health.lines.as_slice() else { panic!("{health:?}") };
        assert_eq!((create.state, create.processes, create.not_closed), (LineState::Closed, 1, 0));
        assert_eq!((list.state, list.processes, list.not_closed), (LineState::Open, 3, 2));
        assert_eq!((list.calls, list.waiting, list.failed_permille()), (300, 6, Some(250)));
        assert_eq!((list.open_until, list.as_of), (Some(Timestamp::UNIX_EPOCH), said[1].as_of));
        assert_eq!(list.p99_ms, Some(50), "one in a hundred is left out");
    }

    #[test]
    fn nobody_saying_anything_is_no_good_news() {
        let health = PlatformHealth::of(&[]);
        assert_eq!((health.state(), health.as_of, health.processes), (None, None, 0));
        assert!(!PlatformHealth::default().is_known);
        let quiet =
            LineReport { calls: 0, failed: 0, took: [0; LATENCY_PLACES], ..line("list", LineState::Closed) };
        let health = PlatformHealth::of(&[report(1, 0, vec![quiet])]);
        assert_eq!((health.lines[0].failed_permille(), health.lines[0].p99_ms), (None, None));
    }

    #[test]
    fn what_takes_longer_than_any_bound_has_none() {
        let mut took = [0; LATENCY_PLACES];
        (took[0], took[LATENCY_PLACES - 1]) = (10, 1);
        assert_eq!(p99_ms(&took), None);
        took[0] = 99;
        assert_eq!(p99_ms(&took), Some(25));
    }
}
