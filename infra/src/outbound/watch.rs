//! How this process's calls go, for who asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    accounts::model::LATENCY_PLACES,
    kernel::{ids::TenantId, scope::TenantScope},
};

use super::{
    breaker::Board,
    call::{Call, Line},
    observe::BreakerState,
};

/// How calls of one line go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineStatus {
    /// Whose app it is.
    pub scope: TenantScope,
    /// What is called, and in whose name.
    pub line: Line,
    /// Whether calls are let through.
    pub state: BreakerState,
    /// For how long none is, while none is.
    pub shut_for: Option<Duration>,
    /// Calls that ended in the last half minute.
    pub calls: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// Those of them that took as long as their place says.
    pub took: [u32; LATENCY_PLACES],
    /// Calls that wait for their turn.
    pub waiting: u32,
}

/// Calls that wait for their turn, by line.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<Line, (TenantScope, u32)>>>);

/// A place among those that wait, given back when it is dropped.
pub(super) struct WaitingPlace {
    waiting: Waiting,
    line: Line,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashMap<Line, (TenantScope, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more waits.
    pub(super) fn join(&self, call: &Call) -> WaitingPlace {
        self.lock().entry(call.line).or_insert((call.scope, 0)).1 += 1;
        WaitingPlace { waiting: self.clone(), line: call.line }
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut lines = self.waiting.lock();
        if let Some((_, count)) = lines.get_mut(&self.line) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                lines.remove(&self.line);
            }
        }
    }
}

/// Asks how this process's calls go.
#[derive(Clone)]
pub struct OutboundWatch {
    pub(super) board: Board,
    pub(super) waiting: Waiting,
}

impl OutboundWatch {
    /// Every line that was called or is waited for lately.
    pub fn lines(&self) -> Vec<LineStatus> {
        let mut waiting = self.waiting.lock().clone();
        let mut lines = self.board.lines();
        for line in &mut lines {
            line.waiting = waiting.remove(&line.line).map_or(0, |(_, count)| count);
        }
        // What never got as far as its breaker.
        lines.extend(waiting.into_iter().map(|(line, (scope, waiting))| LineStatus {
            scope,
            line,
            state: BreakerState::Closed,
            shut_for: None,
            calls: 0,
            failed: 0,
            took: [0; LATENCY_PLACES],
            waiting,
        }));
        lines
    }

    /// The same, by the tenant whose they are.
    pub fn by_tenant(&self) -> HashMap<TenantId, Vec<LineStatus>> {
        let mut tenants: HashMap<TenantId, Vec<LineStatus>> = HashMap::new();
        for line in self.lines() {
            tenants.entry(line.scope.tenant()).or_default().push(line);
        }
        tenants
    }
}

impl std::fmt::Debug for OutboundWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundWatch").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::script::call, *};

    #[test]
    fn who_waits_is_counted_until_it_does_not() {
        let watch = OutboundWatch { board: Board::default(), waiting: Waiting::default() };
        let (one, other) = (watch.waiting.join(&call()), watch.waiting.join(&call()));
        let waiting = || watch.lines().iter().map(|line| line.waiting).collect::<Vec<_>>();
        assert_eq!(waiting(), [2]);
        drop(one);
        assert_eq!(waiting(), [1]);
        assert!(watch.by_tenant().contains_key(&call().scope.tenant()));
        drop(other);
        assert!(watch.lines().is_empty());
    }
}
