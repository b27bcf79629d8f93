//! The platform as a state machine: apps, users, grants, uploads, posts, comments, webhooks.
//!
//! Invariants. It does no I/O, and reads neither clock nor randomness: each step is told the wall's time, virtual time
//! follows from [`clock::Clock`], and all chance is computed from the seed. So the same steps in the same order lead to
//! the same state, to the last identifier; the journal rests on that. Nothing happens by itself: what time brings (a
//! verdict, a death of a token) is a function of now, and what is done outside (a delivery) is told as a step.
//!
//! Absent on purpose: paths, envelopes and numeric codes, which are `wire`'s; the bytes of media, of which only size,
//! fingerprint and dimensions are kept.

pub(crate) mod calendar;
pub(crate) mod cast;
pub(crate) mod chance;
pub(crate) mod clock;
pub(crate) mod comments;
pub(crate) mod faults;
pub(crate) mod grants;
pub(crate) mod hooks;
pub(crate) mod ledger;
pub(crate) mod media;
pub(crate) mod posts;
pub(crate) mod quotas;
pub(crate) mod refusal;
pub(crate) mod share;
pub(crate) mod switches;
pub(crate) mod tasks;
pub(crate) mod traffic;

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::Value;

use self::{
    cast::{App, User},
    chance::Chance,
    clock::Clock,
    ledger::Effect,
    refusal::Refusal,
    switches::Switches,
};

/// How many calls are remembered.
const CALLS_MAX: usize = 20_000;

/// The step being made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// From 1; counts every call, and nothing else.
    pub(crate) call: i64,
    /// Virtual time.
    pub(crate) now_ms: i64,
    pub(crate) wall_ms: i64,
    /// SHA-256 of the call without its tokens.
    pub(crate) fingerprint: String,
}

/// A call as it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct CallRecord {
    pub(crate) number: i64,
    pub(crate) at_ms: i64,
    pub(crate) wall_ms: i64,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without tokens and secrets.
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) fingerprint: String,
    pub(crate) code: i64,
    pub(crate) status: u16,
    /// The fault that struck it.
    pub(crate) fault: Option<i64>,
    /// Whether its work was done.
    pub(crate) done: bool,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) chance: Chance,
    pub(crate) clock: Clock,
    pub(crate) switches: Switches,
    pub(crate) step: Step,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) users: BTreeMap<String, User>,
    /// open_id to (client_key, user).
    pub(crate) open_ids: HashMap<String, (String, String)>,
    pub(crate) grants: grants::Grants,
    pub(crate) media: media::Library,
    pub(crate) posts: posts::Posts,
    pub(crate) comments: comments::Comments,
    pub(crate) hooks: hooks::Hooks,
    pub(crate) quotas: quotas::Quotas,
    pub(crate) share: share::Shares,
    pub(crate) tasks: tasks::Tasks,
    pub(crate) faults: faults::Faults,
    pub(crate) ledger: Vec<Effect>,
    pub(crate) calls: VecDeque<CallRecord>,
    /// Who the step's caller turned out to be: (client_key, user).
    pub(crate) caller: (String, String),
    counters: BTreeMap<&'static str, i64>,
}

impl Platform {
    /// An empty platform.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            clock: Clock::default(),
            switches: Switches::default(),
            step: Step::default(),
            apps: BTreeMap::new(),
            users: BTreeMap::new(),
            open_ids: HashMap::new(),
            grants: grants::Grants::default(),
            media: media::Library::default(),
            posts: posts::Posts::default(),
            comments: comments::Comments::default(),
            hooks: hooks::Hooks::default(),
            quotas: quotas::Quotas::default(),
            share: share::Shares::default(),
            tasks: tasks::Tasks::default(),
            faults: faults::Faults::default(),
            ledger: Vec::new(),
            calls: VecDeque::new(),
            caller: <(String, String)>::default(),
            counters: BTreeMap::new(),
        }
    }

    /// Begins a call; everything until the next happens at this time.
    pub(crate) fn begin(&mut self, wall_ms: i64, fingerprint: String) {
        let call = self.step.call + 1;
        self.step = Step { call, now_ms: self.clock.at(wall_ms), wall_ms, fingerprint };
        self.caller = <(String, String)>::default();
    }

    /// Begins a step that is no call, but told from outside. Calls are not counted by it, for it comes when a receiver
    /// pleases: what is made from their count does not depend on that.
    pub(crate) fn begin_told(&mut self, wall_ms: i64) {
        let now_ms = self.clock.at(wall_ms);
        self.step = Step { call: self.step.call, now_ms, wall_ms, fingerprint: String::new() };
        self.caller = <(String, String)>::default();
    }

    /// Virtual time, in milliseconds since 1970.
    pub(crate) const fn now_ms(&self) -> i64 {
        self.step.now_ms
    }

    /// The next number of a kind, from 1.
    pub(crate) fn next(&mut self, kind: &'static str) -> i64 {
        let counter = self.counters.entry(kind).or_default();
        *counter += 1;
        *counter
    }

    /// A token with its prefix: `act.`, `rft.`, `clt.`, ...
    pub(crate) fn mint(&mut self, kind: &'static str) -> String {
        let number = self.next(kind).to_string();
        format!("{kind}.sbx{}", self.chance.hex(kind, &[&number], 40))
    }

    /// An opaque identifier.
    pub(crate) fn mint_opaque(&mut self, kind: &'static str) -> String {
        let number = self.next(kind).to_string();
        self.chance.opaque(kind, &[&number])
    }

    /// Writes down what this step did.
    pub(crate) fn did(&mut self, kind: &'static str, by: (&str, &str), content: &[&str], made: Value) {
        let effect = Effect {
            number: i64::try_from(self.ledger.len()).unwrap_or(i64::MAX) + 1,
            kind,
            at_ms: self.step.now_ms,
            wall_ms: self.step.wall_ms,
            call: self.step.call,
            request_fingerprint: self.step.fingerprint.clone(),
            content_fingerprint: fingerprint(&[&[kind, by.1], content].concat()),
            client_key: by.0.to_owned(),
            user: by.1.to_owned(),
            made,
        };
        self.ledger.push(effect);
    }

    pub(crate) fn remember(&mut self, call: CallRecord) {
        if self.calls.len() == CALLS_MAX {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// The app, when it is one that may call.
    pub(crate) fn app(&self, client_key: &str) -> Result<&App, Refusal> {
        self.apps.get(client_key).ok_or(Refusal::UnknownClient)
    }
}

/// SHA-256 over the parts and their lengths, in hex.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    chance::hex(&hash.finalize())
}
