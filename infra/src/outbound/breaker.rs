//! Leaves a platform alone that fails or drags, for each app and endpoint by itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::kernel::scope::TenantScope;
use tokio::time::Instant;

use super::{
    call::{Call, Line, NotMade, Reply, SendFault, Transport},
    history::{History, Sum},
    observe::{BreakerState, OutboundEvent, OutboundObserver},
    watch::LineStatus,
    window::Window,
};

/// When calls stop and how they begin again. That most of five seconds' calls fail, or that the 99th percentile is slow
/// for half a minute, is what stops them. What is let through to see is somebody's call, whose answer they get: a
/// platform that stays slow is still called once a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// From how long on a call is slow.
    pub slow_after: Duration,
    /// Calls below which neither figure says anything.
    pub calls_min: u32,
    /// How long a platform is left alone before a call is let through to see.
    pub rest: Duration,
    /// Good calls in a row, one at a time, that let all through again.
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            slow_after: Duration::from_millis(800),
            calls_min: 10,
            rest: Duration::from_secs(5),
            probes: 3,
        }
    }
}

/// Refuses calls on a line that fails or drags.
pub struct Breaker<T> {
    inner: T,
    settings: BreakerSettings,
    observer: OutboundObserver,
    board: Board,
}

type Lanes = HashMap<Line, Lane>;

/// What is known of all lines. Clones share it.
#[derive(Clone)]
pub(super) struct Board {
    began: Instant,
    lanes: Arc<Mutex<Lanes>>,
}

/// Lanes above which those that are closed and quiet are forgotten.
const LANES_MAX: usize = 4_096;

/// What a lane may be quiet before it is forgotten: nothing in its window counts any more.
const QUIET: Duration = Duration::from_secs(35);

/// What a lane that lets nothing through may be quiet before nobody is told of it any more: its app is not used.
const UNUSED: Duration = Duration::from_mins(10);

/// What is known of one line.
struct Lane {
    scope: TenantScope,
    window: Window,
    history: History,
    gate: Gate,
    used_at: Instant,
}

enum Gate {
    Shut { probe_at: Instant, good: u32 },
    Free,
}

/// Leave to call.
#[derive(Clone, Copy)]
struct Permit {
    probe: bool,
}

impl Lane {
    fn new(scope: TenantScope, now: Instant) -> Self {
        Self { scope, window: Window::default(), history: History::default(), gate: Gate::Free, used_at: now }
    }

    /// Leave to call, and whether this is the first after a rest.
    fn admit(&mut self, now: Instant, rest: Duration) -> Option<(Permit, bool)> {
        self.used_at = now;
        match &mut self.gate {
            Gate::Free => Some((Permit { probe: false }, false)),
            Gate::Shut { probe_at, .. } if now < *probe_at => None,
            Gate::Shut { probe_at, good } => {
                // The next may go after a rest whether or not this one comes back.
                *probe_at = now + rest;
                Some((Permit { probe: true }, *good == 0))
            }
        }
    }

    /// Takes an outcome, and says which state it brought.
    fn settle(
        &mut self,
        permit: Permit,
        (now, now_s): (Instant, u64),
        (failed, slow): (bool, bool),
        settings: &BreakerSettings,
    ) -> Option<BreakerState> {
        self.used_at = now;
        match &mut self.gate {
            Gate::Free => {
                self.window.count(now_s, failed, slow);
                let stop = self.window.failing(now_s, settings.calls_min)
                    || self.window.slow(now_s, settings.calls_min);
                if !stop {
                    return None;
                }
                self.window = Window::default();
                self.gate = Gate::Shut { probe_at: now + settings.rest, good: 0 };
                Some(BreakerState::Open)
            }
            // An answer to what was asked before the line was shut says nothing of now.
            Gate::Shut { .. } if !permit.probe => None,
            Gate::Shut { probe_at, good } if failed || slow => {
                (*probe_at, *good) = (now + settings.rest, 0);
                Some(BreakerState::Open)
            }
            Gate::Shut { probe_at, good } => {
                (*probe_at, *good) = (now, good.saturating_add(1));
                if *good < settings.probes {
                    return None;
                }
                self.gate = Gate::Free;
                Some(BreakerState::Closed)
            }
        }
    }

    /// How it stands, unless nobody uses it any more.
    fn status(&self, line: Line, now: Instant, now_s: u64) -> Option<LineStatus> {
        let quiet = now.duration_since(self.used_at);
        let (state, shut_for) = match &self.gate {
            Gate::Free => (BreakerState::Closed, None),
            Gate::Shut { probe_at, good } if now < *probe_at && *good == 0 => {
                (BreakerState::Open, Some(*probe_at - now))
            }
            // The next call, if there is one, is let through to see.
            Gate::Shut { .. } => (BreakerState::HalfOpen, None),
        };
        let is_told = quiet <= if state == BreakerState::Closed { QUIET } else { UNUSED };
        let Sum { calls, failed, took } = self.history.sum(now_s);
        let status = LineStatus { scope: self.scope, line, state, shut_for, calls, failed, took, waiting: 0 };
        is_told.then_some(status)
    }

    fn is_idle(&self, now: Instant) -> bool {
        matches!(self.gate, Gate::Free) && now.duration_since(self.used_at) > QUIET
    }
}

impl Default for Board {
    fn default() -> Self {
        Self { began: Instant::now(), lanes: Arc::default() }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seconds(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs()
    }

    /// How all lines stand that are used.
    pub(super) fn lines(&self) -> Vec<LineStatus> {
        let now = Instant::now();
        let now_s = self.seconds(now);
        self.lock().iter().filter_map(|(line, lane)| lane.status(*line, now, now_s)).collect()
    }
}

impl<T> Breaker<T> {
    /// Wraps `inner`, telling `observer`.
    pub fn new(inner: T, settings: BreakerSettings, observer: OutboundObserver) -> Self {
        Self { inner, settings, observer, board: Board::default() }
    }

    /// What it knows of its lines.
    pub(super) fn board(&self) -> Board {
        self.board.clone()
    }

    fn tell(&self, line: &Line, state: BreakerState) {
        let (platform, endpoint) = (line.platform, line.endpoint);
        (self.observer)(OutboundEvent::Breaker { platform, endpoint, state });
    }

    fn admit(&self, call: &Call) -> Option<Permit> {
        let line = &call.line;
        let now = Instant::now();
        let admitted = {
            let mut lanes = self.board.lock();
            if lanes.len() >= LANES_MAX && !lanes.contains_key(line) {
                lanes.retain(|_, lane| !lane.is_idle(now));
            }
            let known = lanes.entry(*line).or_insert_with(|| Lane::new(call.scope, now));
            known.admit(now, self.settings.rest)
        };
        let (permit, first) = admitted?;
        if permit.probe && first {
            self.tell(line, BreakerState::HalfOpen);
        }
        Some(permit)
    }

    fn settle(&self, call: &Call, permit: Permit, failed: bool, took: Duration) {
        let line = &call.line;
        let now = Instant::now();
        let now_s = self.board.seconds(now);
        let slow = took > call.patience.unwrap_or(self.settings.slow_after);
        // A lane that was forgotten meanwhile begins anew.
        let turn = {
            let mut lanes = self.board.lock();
            let known = lanes.entry(*line).or_insert_with(|| Lane::new(call.scope, now));
            known.history.count(now_s, failed, took);
            known.settle(permit, (now, now_s), (failed, slow), &self.settings)
        };
        let Some(state) = turn else { return };
        if state == BreakerState::Open {
            tracing::warn!(
                platform = line.platform,
                endpoint = line.endpoint,
                "outbound: left alone for a while"
            );
        } else {
            tracing::info!(platform = line.platform, endpoint = line.endpoint, "outbound: called again");
        }
        self.tell(line, state);
    }
}

/// Whether the platform, or the way to it, failed; `None` when it was not even tried.
fn failed(result: &Result<Reply, SendFault>) -> Option<bool> {
    match result {
        Ok(reply) => Some(reply.status >= 500),
        Err(SendFault::NotDone { why: NotMade::Unreachable, .. } | SendFault::Unknown { .. }) => Some(true),
        Err(SendFault::NotDone { .. }) => None,
    }
}

#[async_trait]
impl<T: Transport> Transport for Breaker<T> {
    async fn send(&self, call: &Call) -> Result<Reply, SendFault> {
        let Some(permit) = self.admit(call) else {
            return Err(SendFault::not_done(NotMade::BreakerOpen));
        };
        let began = Instant::now();
        let result = self.inner.send(call).await;
        if let Some(failed) = failed(&result) {
            self.settle(call, permit, failed, began.elapsed());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use domain::kernel::ids::AppId;
    use uuid::Uuid;

    use super::{
        super::{
            call::Lost,
            script::{Script, Told, call, told},
        },
        *,
    };

    type Answers = Vec<Result<Reply, SendFault>>;

    fn breaker(answers: Answers, each_ms: Vec<u64>) -> (Breaker<Script>, Told) {
        let (observer, events) = told();
        let settings = BreakerSettings { calls_min: 4, probes: 2, ..BreakerSettings::default() };
        (Breaker::new(Script::new(answers).taking(each_ms), settings, observer), events)
    }

    fn lost() -> Result<Reply, SendFault> {
        Err(SendFault::unknown(Lost::TimedOut))
    }

    async fn word(breaker: &Breaker<Script>, call: &Call) -> &'static str {
        breaker.send(call).await.as_ref().map_or_else(SendFault::as_str, |_| "ok")
    }

    fn states(events: &Told) -> Vec<&'static str> {
        let state = |event: &OutboundEvent| match event {
            OutboundEvent::Breaker { state, .. } => Some(state.as_str()),
            OutboundEvent::Ended { .. } | OutboundEvent::Retried { .. } => None,
        };
        events.lock().unwrap().iter().filter_map(state).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn most_of_five_seconds_failing_opens_and_probes_close() {
        let answers = vec![Script::good(), lost(), Script::status(503), lost(), lost(), Script::good()];
        let (breaker, events) = breaker(answers, vec![]);
        for expected in ["ok", "timed_out", "ok", "timed_out"] {
            assert_eq!(word(&breaker, &call()).await, expected);
        }
        assert_eq!((word(&breaker, &call()).await, states(&events)), ("breaker_open", vec!["open"]));
        let told =
            || breaker.board().lines().pop().map(|line| (line.state, line.shut_for, line.calls, line.failed));
        let rest = Duration::from_secs(5);
        assert_eq!(told(), Some((BreakerState::Open, Some(rest), 4, 3)), "what opened it is told still");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(told().unwrap().0, BreakerState::HalfOpen, "the next is let through");
        assert_eq!(word(&breaker, &call()).await, "timed_out", "a probe that fails");
        assert_eq!(word(&breaker, &call()).await, "breaker_open");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!([word(&breaker, &call()).await, word(&breaker, &call()).await], ["ok", "ok"]);
        assert_eq!(states(&events), ["open", "half_open", "open", "half_open", "closed"]);
        assert_eq!(told().unwrap().0, BreakerState::Closed);
        assert_eq!(breaker.inner.calls().len(), 7);
        tokio::time::advance(QUIET + Duration::from_secs(1)).await;
        assert_eq!(told(), None, "nobody uses it");
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_at_a_time_and_a_lost_one_holds_nobody_up() {
        let (breaker, _) = breaker(vec![lost(), lost(), lost(), lost()], vec![0, 0, 0, 0, 600_000]);
        for _ in 0..4 {
            word(&breaker, &call()).await;
        }
        tokio::time::advance(Duration::from_secs(5)).await;
        let abandoned = tokio::time::timeout(Duration::from_secs(1), breaker.send(&call())).await;
        assert!(abandoned.is_err(), "it hangs");
        assert_eq!(word(&breaker, &call()).await, "breaker_open", "one at a time");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(word(&breaker, &call()).await, "ok");
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_minute_of_slow_answers_opens() {
        let (breaker, events) = breaker(vec![], vec![900; 60]);
        let mut made = 0;
        while word(&breaker, &call()).await == "ok" {
            made += 1;
            assert!(made < 60, "it never opens");
        }
        assert!((33..=39).contains(&made), "{made} calls of 0.9 s");
        assert_eq!(states(&events), ["open"]);
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_judged_by_themselves() {
        let (breaker, _) = breaker((0..4).map(|_| lost()).collect(), vec![]);
        for _ in 0..4 {
            word(&breaker, &call()).await;
        }
        let line = call().line;
        let others = [
            Line { app: AppId::from_uuid(Uuid::from_u128(9)), ..line },
            Line { endpoint: "other", ..line },
            Line { platform: "other", ..line },
        ];
        for line in others {
            assert_eq!(word(&breaker, &Call { line, ..call() }).await, "ok");
        }
        assert_eq!(word(&breaker, &call()).await, "breaker_open");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_tried_is_not_counted() {
        let unbuildable = || Err(SendFault::not_done(NotMade::Unbuildable));
        let (breaker, events) = breaker((0..20).map(|_| unbuildable()).collect(), vec![]);
        for _ in 0..21 {
            word(&breaker, &call()).await;
        }
        assert_eq!((word(&breaker, &call()).await, states(&events)), ("ok", vec![]));
    }
}
